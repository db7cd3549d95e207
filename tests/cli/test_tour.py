"""docs/amqp-tour.md: each command in it is run, in order, and prints what stands there.

A listing is a block of code with lines that begin with "$ ", the commands; what follows each is what
it prints.  --write puts what they print into the page.  What differs from run to run (random names and
tags, the order in which the two directions of a trace meet) is not compared.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import harness

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/amqp-tour.md"
BLOCK = re.compile(r"```\n(\$ .*?)```\n", re.S)

# The commands of the page are for a broker at the usual ports.
WRAPPER = """#!/bin/sh
command=$1
shift
case $command in
send|receive|peek|queue) set -- "$@" --port {amqp} ;;
pub|sub) set -- "$@" --port {mqtt} ;;
esac
exec {gnatter} "$command" "$@"
"""

RANDOM = [(re.compile(r'container-id="gnatter[0-9a-f]{16}"'), 'container-id="gnatter4f0c2a9b7e31d580"'),
          (re.compile(r'name="[0-9a-f]{16}-(\d+)"'), r'name="b2d4a6c8e0f13579-\1"'),
          (re.compile(r'delivery-tag=b"(?:\\x[0-9a-f]{2}|\\.|[^"\\])*"'),
           r'delivery-tag=b"\\x9e\\x10\\xef\\xba\\x00\\x01"'),
          (re.compile(r"version': \"[\d.]+\""), "version': \"0.1.0\""),
          (re.compile(r'"(x-opt-[a-z-]*time)": "[^"]*"'), r'"\1": "2026-11-23T03:45:00.123Z"'),
          (re.compile(r"timeout=\d+"), "timeout=0")]


def commands(block):
    """The commands of a block, each with what it is said to print."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def steady(text):
    """The lines without what chance has put into them."""
    for pattern, instead in RANDOM:
        text = pattern.sub(instead, text)
    return text.splitlines()


def by_direction(lines):
    """What goes, what comes, what is printed: each keeps its order, but not among each other."""
    return [[line for line in lines if line.startswith(mark)] for mark in ("->", "<-")] + [
        [line for line in lines if not line.startswith(("->", "<-"))]]


class Tour:
    """A broker for the page's commands."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.broker = harness.Process(
            [harness.GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0", "--listen",
             "amqp://127.0.0.1:0", "--data", "none", "--workers", "1"])
        line = self.broker.line("stderr", b"ready").decode()
        mqtt, amqp = (re.search(kind + r"://127\.0\.0\.1:(\d+)", line)[1]
                      for kind in ("mqtt", "amqp"))
        wrapper = pathlib.Path(self.folder.name) / "gnatter"
        wrapper.write_text(WRAPPER.format(amqp=amqp, mqtt=mqtt, gnatter=harness.GNATTER))
        wrapper.chmod(0o755)

    def run(self, command):
        """What COMMAND prints."""
        environment = dict(os.environ, PATH=f"{self.folder.name}:{os.environ['PATH']}")
        done = subprocess.run(["bash", "-c", command], cwd=self.folder.name, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout.decode()}")
        return steady(done.stdout.decode())

    def end(self):
        harness.terminate(self.broker)
        self.folder.cleanup()


class Page(unittest.TestCase):
    def test_each_listing_is_what_is_printed(self):
        tour = Tour()
        self.addCleanup(tour.end)
        blocks = BLOCK.findall(PAGE.read_text())
        self.assertGreater(len(blocks), 5)
        for block in blocks:
            for command, said in commands(block):
                printed = tour.run(command)
                self.assertEqual(by_direction(said), by_direction(printed), command)


def write():
    tour = Tour()

    def listing(block):
        text = ""
        for command, _ in commands(block[1]):
            text += "".join(line + "\n" for line in ["$ " + command, *tour.run(command)])
        return f"```\n{text}```\n"
    try:
        PAGE.write_text(BLOCK.sub(listing, PAGE.read_text()))
    finally:
        tour.end()


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        unittest.main()
