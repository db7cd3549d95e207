"""kill.py, powercut.py and faults.py against toy.py: nothing is said against it as it is, and each of
its bugs is found by those that can."""

import os
import subprocess
import sys
import unittest

import shimmed
import toy

HERE = os.path.dirname(os.path.abspath(__file__))


class Harness(unittest.TestCase):
    def run_script(self, script, *words, bug=None, patience="30"):
        """(exit code, what it says)"""
        done = subprocess.run(
            [sys.executable, "-B", os.path.join(HERE, script), "--broker", "toy", "--seed", "1",
             *words, *(("--set", bug) if bug else ())],
            stdout=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "GNATTER_PATIENCE": patience})
        return done.returncode, done.stdout

    def passes(self, *words):
        code, said = self.run_script(*words)
        self.assertEqual(code, 0, said)

    def finds(self, bug, text, *words):
        self.assertIn(bug, toy.BUGS)
        code, said = self.run_script(*words, bug=bug, patience="3")
        self.assertEqual(code, 1, said)
        self.assertRegex(said, text)

    def test_right(self):
        self.passes("kill.py", "--rounds", "6")
        self.passes("powercut.py", "--states", "20")
        self.passes("faults.py", "--rounds", "8")

    LOST = r"retained: only|the session is gone|no progress|the retained value|second time"

    def test_power_cut_finds(self):
        for bug in ("early", "unsynced", "retry", "names"):
            with self.subTest(bug):
                self.finds(bug, self.LOST, "powercut.py", "--states", "400")

    def test_kill_finds(self):
        self.finds("forgetful", "second time", "kill.py", "--rounds", "30")

    def test_faults_find(self):
        self.finds("early", "acknowledged without room", "faults.py", "--rounds", "1")


if __name__ == "__main__":
    if not shimmed.SHIM:
        sys.exit("GNATTER_FAULT_SHIM has to name the shim")
    unittest.main(verbosity=2)
