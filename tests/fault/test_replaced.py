"""The power goes while a command replaces a file: there is the old one or the new one then, and once the
command has said that it is done, the new one."""

import os
import shutil
import subprocess
import tempfile
import unittest

import shimmed
import states
from durable import harness

SEEDS = 10  # crash states at each place


class Replaced(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gnatter-replaced-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data, self.base, self.state, self.trace = (
            os.path.join(self.folder, name) for name in ("data", "base", "state", "trace"))
        os.mkdir(self.data)

    def passwd(self, user, environment=None):
        """Adds USER; returns the file."""
        file = os.path.join(self.data, "users")
        subprocess.run([harness.GNATTER, "passwd", "--scram", "-I", "4096", "--batch", file, user,
                        "secret"], check=True, env=environment, stdout=subprocess.DEVNULL)
        with open(file, "rb") as f:
            return f.read()

    def after_crash(self):
        try:
            with open(os.path.join(self.state, "users"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def replaces(self, old):
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.copytree(self.data, self.base)
        open(self.trace, "w").close()
        new = self.passwd("ann" if old is None else "bob",
                          shimmed.environment(self.data, self.trace))
        self.assertNotEqual(old, new)
        records = states.read_trace(self.trace)
        for cut, disk in states.states(records, self.base, range(len(records) + 1)):
            for seed in range(SEEDS):
                way = disk.crash(self.state, seed)
                allowed = (new,) if cut == len(records) else (old, new)
                self.assertIn(self.after_crash(), allowed, f"cut {cut} of {len(records)}, {way}")
        return new

    def test_passwd(self):
        self.replaces(self.replaces(None))


if __name__ == "__main__":
    harness.main()
