"""The crash states against programs with a known bug each: they have to find every one, and never to
accuse the right program."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import keeper
import shimmed
import states

COUNT, CUTS = 40, 400


class States(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gnatter-states-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data, self.trace, self.state = (os.path.join(self.folder, name)
                                             for name in ("data", "trace", "state"))

    def run_keeper(self, bug, **words):
        """Runs it to its end in a new directory; each acknowledgement is marked when it is seen."""
        shutil.rmtree(self.data, ignore_errors=True)
        os.mkdir(self.data)
        open(self.trace, "w").close()
        program = subprocess.Popen(
            [sys.executable, "-B", keeper.__file__, self.data, bug, str(COUNT)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=shimmed.environment(self.data, self.trace, **words))
        marker = states.Marker(self.trace)
        with program:
            for line in program.stdout:
                marker.mark(line.encode())
                program.stdin.write("\n")
                program.stdin.flush()
        marker.close()
        self.assertEqual(program.returncode, 0)
        return states.read_trace(self.trace)

    def accusations(self, records, seed=1):
        """What is missing in which of the states."""
        random_ = random.Random(seed)
        found = []
        for cut, disk in states.states(records, None, states.cuts(records, CUTS, random_)):
            way = disk.crash(self.state, random_.getrandbits(32))
            said = [mark.split() for mark in states.marks_before(records, cut)]
            numbers, value = keeper.recover(self.state)
            missing = {int(n) for what, n in said if what == b"log"} - numbers
            values = [int(n) for what, n in said if what == b"value"]
            if missing:
                found.append(f"cut {cut}, {way}: {sorted(missing)} lost")
            if value is None or values and value < values[-1]:
                found.append(f"cut {cut}, {way}: the value is {value}, not {values}")
        return found

    def test_right(self):
        records = self.run_keeper("none")
        self.assertEqual(self.accusations(records), [])

    def test_right_with_a_failure(self):
        for call, kind, most in (("sync", "eio", 60), ("write", "enospc", 40), ("open", "eio", 15)):
            for at in range(1, most, 12):
                with self.subTest(call=call, at=at):
                    records = self.run_keeper("none", kind=kind, call=call, at=at)
                    self.assertEqual(1, [r.kind for r in records].count(states.FAULT))
                    self.assertEqual(self.accusations(records), [])

    def test_bugs_that_crashes_show(self):
        for bug in ("early", "rename", "names"):
            with self.subTest(bug):
                self.assertNotEqual(self.accusations(self.run_keeper(bug)), [])

    def test_failed_sync_taken_for_success(self):
        # Two syncs make the log, one each record, and two the value, which is number 3.
        records = self.run_keeper("retry", kind="eio", call="sync", at=9)
        self.assertNotEqual(self.accusations(records), [])


if __name__ == "__main__":
    if not shimmed.SHIM:
        sys.exit("GNATTER_FAULT_SHIM has to name the shim")
    unittest.main(verbosity=2)
