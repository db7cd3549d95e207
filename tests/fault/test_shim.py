"""The shim: what the trace leads to is the directory as it is, and the calls that are to fail do."""

import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import shimmed
import states

# Everything that changes a directory, in an order from a seed.
MESS = """
import os, random, sys
folder, seed = sys.argv[1], int(sys.argv[2])
random_ = random.Random(seed)
os.chdir(folder)
os.makedirs("deep", exist_ok=True)
fds = {}

def some_bytes():
    return random_.randbytes(random_.choice((1, 100, 511, 512, 513, 4096, 9000)))

def new():
    name = random_.choice(("a", "b", "deep/c", os.path.join(folder, "d")))
    if name in fds:
        os.close(fds.pop(name))
    flags = random_.choice((0, os.O_TRUNC, os.O_APPEND, os.O_DSYNC))
    fds[name] = os.open(name, os.O_RDWR | os.O_CREAT | flags, 0o600)

def remove():
    name, fd = random_.choice(list(fds.items()))
    os.close(fd)
    del fds[name]
    os.unlink(name)

def rename():
    name, fd = random_.choice(list(fds.items()))
    if os.path.dirname(name) == "" and os.path.exists(name):
        os.rename(name, "renamed")
        os.close(fds.pop(name))

def fd():
    return random_.choice(list(fds.values()))

def append():
    this = fd()
    os.lseek(this, random_.randrange(20000), os.SEEK_SET)
    random_.choice((lambda: os.write(this, some_bytes()),
                    lambda: os.writev(this, [some_bytes(), some_bytes()])))()

steps = [new, append,
         lambda: os.pwrite(fd(), some_bytes(), random_.randrange(20000)),
         lambda: os.pwritev(fd(), [some_bytes(), b"", some_bytes()], random_.randrange(20000)),
         lambda: os.ftruncate(fd(), random_.randrange(20000)),
         lambda: os.posix_fallocate(fd(), random_.randrange(9000), 9000),
         lambda: os.fsync(fd()), lambda: os.fdatasync(fd())]
for step in range(300):
    todo = new if not fds or random_.random() < .05 else random_.choice(steps)
    todo = random_.choice((remove, rename)) if fds and random_.random() < .03 else todo
    todo()
"""

FAIL = """
import os, sys
folder, count = sys.argv[1], int(sys.argv[2])
fd = os.open(os.path.join(folder, "f"), os.O_RDWR | os.O_CREAT, 0o600)
for i in range(count):
    for call in (lambda: os.pwrite(fd, b"x" * 100, i * 100), lambda: os.fsync(fd)):
        try:
            print(call(), flush=True)
        except OSError as error:
            print(-error.errno, flush=True)
        sys.stdin.readline() if len(sys.argv) > 3 else None
"""


class Shim(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gnatter-shim-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data, self.trace, self.again = (os.path.join(self.folder, name)
                                             for name in ("data", "trace", "again"))
        os.mkdir(self.data)

    def start(self, program, *words, stdin=None, **settings):
        return subprocess.Popen([sys.executable, "-B", "-c", program, self.data, *words], text=True,
                                stdin=stdin, stdout=subprocess.PIPE,
                                env=shimmed.environment(self.data, self.trace, **settings))

    def run_program(self, program, *words, **settings):
        process = self.start(program, *words, **settings)
        out = process.communicate()[0]
        self.assertEqual(process.returncode, 0)
        return [int(word) if word != "None" else None for word in out.split()]

    def test_whole_trace_is_the_directory(self):
        for seed in range(12):
            with self.subTest(seed=seed):
                self.run_program(MESS, str(seed))
                records = states.read_trace(self.trace)
                self.assertGreater(len(records), 200)
                for _, disk in states.states(records, None, [len(records)]):
                    disk.whole(self.again)
                self.assertEqual(states.differences(self.data, self.again), [])
                os.unlink(self.trace)
                shutil.rmtree(self.data)
                os.mkdir(self.data)

    def test_base_is_where_a_trace_begins(self):
        self.run_program(FAIL, "30")
        base = os.path.join(self.folder, "base")
        shutil.copytree(self.data, base)
        os.unlink(self.trace)
        self.run_program(FAIL, "7", kind="eio", call="sync", at=1)
        records = states.read_trace(self.trace)
        for _, disk in states.states(records, base, [len(records)]):
            disk.whole(self.again)
        self.assertEqual(states.differences(self.data, self.again), [])

    def test_states_of_any_seed_can_be_built(self):
        self.run_program(MESS, "3")
        records = states.read_trace(self.trace)
        random_ = random.Random(1)
        for _, disk in states.states(records, None, states.cuts(records, 300, random_)):
            seed = random_.random()
            way = disk.crash(self.again, seed)
            other = os.path.join(self.folder, "other")
            self.assertEqual(disk.crash(other, seed), way)
            self.assertEqual(states.differences(self.again, other), [])

    def test_failures(self):
        good = [100, None] * 4
        for call, kind, at, number, value in (
                ("write", "enospc", 2, 2, -errno.ENOSPC), ("write", "eio", 1, 0, -errno.EIO),
                ("sync", "eio", 3, 5, -errno.EIO), ("write", "short", 3, 4, 50),
                (None, "eio", 4, 2, -errno.EIO)):
            with self.subTest(call=call, kind=kind, at=at):
                expected = good[:number] + [value] + good[number + 1:]
                self.assertEqual(
                    self.run_program(FAIL, "4", call=call, kind=kind, at=at), expected)
                shutil.rmtree(self.data)
                os.mkdir(self.data)

    def test_failures_until_room_returns(self):
        control = os.path.join(self.folder, "full")
        process = self.start(FAIL, "6", "ask", stdin=subprocess.PIPE, kind="enospc", call="write",
                             at=1, until=control)
        said = []
        with process:
            for line in process.stdout:
                said.append(line.strip())
                if len(said) == 4:
                    open(control, "w").close()
                if len(said) == 8:
                    os.unlink(control)
                process.stdin.write("\n")
                process.stdin.flush()
        full = str(-errno.ENOSPC)
        self.assertEqual(said, ["100", "None"] * 2 + [full, "None"] * 2 + ["100", "None"] * 2)


if __name__ == "__main__":
    if not shimmed.SHIM:
        sys.exit("GNATTER_FAULT_SHIM has to name the shim")
    unittest.main(verbosity=2)
