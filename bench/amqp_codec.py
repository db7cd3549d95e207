#!/usr/bin/env python3
"""Instructions that it takes to encode and to decode, ours beside qpid-proton's: bench/amqp_codec.py

Counted by callgrind, so that the machine's other work does not matter: the difference of a run with many rounds and a
run with few, divided by the rounds between them.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PARTS = ("amqp/codec/value", "amqp/codec/put", "amqp/codec/performative", "amqp/codec/message",
         "base/assert", "base/utf8")
PACKAGES = ("libqpid-proton11-dev", "valgrind")
FEW, MANY = 100, 600
CFLAGS = ["-std=gnu17", "-O2", "-g", "-D_GNU_SOURCE", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing",
          "-fstack-protector-strong", "-fstack-clash-protection", "-I" + os.path.join(ROOT, "src")]


def build(directory):
    program = os.path.join(directory, "amqp_codec")
    parts = [os.path.join(ROOT, "src", part + ".c") for part in PARTS]
    subprocess.run(["cc", *CFLAGS, "-o", program, os.path.join(HERE, "amqp_codec.c"), *parts,
                    "-l:libqpid-proton-core.so.10"], check=True)
    return program


def instructions(directory, program, words, rounds):
    out = os.path.join(directory, "callgrind.out")
    run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, program, *words, str(rounds)],
                         check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def cost(directory, program, *words):
    many, few = (instructions(directory, program, words, rounds) for rounds in (MANY, FEW))
    return round((many - few) / (MANY - FEW))


def main():
    subprocess.run([os.path.join(ROOT, "script", "deps"), "--run", *PACKAGES], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as directory:
        program = build(directory)
        print("| | gnatter | qpid-proton | times less |")
        print("|---|---|---|---|")
        for what in ("message", "transfer", "disposition", "flow"):
            for how in ("encode", "decode"):
                ours, theirs = (cost(directory, program, whose, what, how) for whose in ("ours", "proton"))
                print(f"| {what}, {how} | {ours:,} | {theirs:,} | {theirs / ours:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
