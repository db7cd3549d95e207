"""gnatter store at what a broker has left: what is there, what is damaged, what mends it."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness

MESSAGES = 20


def payload(i):
    return f"payload number {i} of the store's test"


class Case(unittest.TestCase):
    def setUp(self):
        base = tempfile.mkdtemp(prefix="gnatter-store-")
        self.addCleanup(shutil.rmtree, base)
        self.data = os.path.join(base, "data")

    def store(self, *argv):
        done = subprocess.run([harness.GNATTER, "store", *argv, self.data], check=False,
                              capture_output=True, text=True, timeout=harness.PATIENCE)
        return done.returncode, done.stdout, done.stderr

    def told(self, *argv, code=0):
        """What it says as JSON, and on stderr."""
        done, out, err = self.store(*argv, "--json")
        self.assertEqual(done, code, (out, err))
        return json.loads(out), err

    def broker(self, *argv):
        process = harness.Process([harness.GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0",
                                   "--data", self.data, *argv])
        self.addCleanup(process.kill)
        ready = process.line("stderr", b" ready ")
        self.port = re.search(rb"127\.0\.0\.1:(\d+)", ready)[1].decode()
        return process, ready.decode()

    def client(self, command, *argv):
        process = harness.Process([harness.GNATTER, command, "-p", self.port, *argv])
        self.addCleanup(process.kill)
        self.assertEqual(process.end(), 0, process.text)
        return process.text["stdout"].decode()

    def subscribe(self):
        """A durable session that waits for messages."""
        self.client("sub", "-i", "dur", "-c", "-q", "1", "-t", "a/#", "-E")

    def share(self):
        """Another one that shares them out, in a group that nobody else is in."""
        self.client("sub", "-i", "member", "-c", "-q", "1", "-t", "$share/g/a/#", "-E")

    def fill(self):
        """A session for which messages wait, some of them retained; the broker is killed.  With
        one worker, so that all are in the sessions' own logs when they are acknowledged."""
        process, _ = self.broker("--workers", "1")
        self.subscribe()
        self.share()
        for i in range(MESSAGES):
            self.client("pub", "-t", f"a/{i}", "-q", "1", "-m", payload(i), *["-r"][:i % 2])
        process.send(signal.SIGKILL)
        process.end()

    def settle(self):
        """What the journal has gets into data.mdb."""
        process, _ = self.broker()
        self.assertEqual(harness.terminate(process), 0)

    def flip(self, path, text):
        """Changes one bit of TEXT, each time that it stands in the file; how often it did."""
        with open(path, "r+b") as file:
            found = [m.start() for m in re.finditer(re.escape(text.encode()), file.read())]
            for at in found:
                file.seek(at)
                file.write(bytes([text.encode()[0] ^ 1]))
        return len(found)

    def flip_in_journal(self, text):
        return sum(self.flip(path, text) for path in glob.glob(self.data + "/journal-*"))


class Info(Case):
    def expect_counts(self, found):
        counts = {"sessions": 2, "subscriptions": 2, "shared_groups": 1,
                  "messages_waiting": 2 * MESSAGES, "retained_messages": MESSAGES // 2}
        self.assertEqual({key: found[key] for key in counts}, counts)

    def test_counts_what_waits_wherever_it_lies(self):
        self.fill()
        found, err = self.told("info")
        self.assertEqual((found["held_by"], err), ("nobody", ""))
        self.expect_counts(found)
        self.assertGreater(found["journal_commits"], 0)
        before = {name: os.stat(os.path.join(self.data, name)).st_mtime_ns
                  for name in os.listdir(self.data) if not name.startswith("lock")}
        self.expect_counts(self.told("info")[0])
        for name, time in before.items():
            self.assertEqual(os.stat(os.path.join(self.data, name)).st_mtime_ns, time, name)
        self.settle()
        found, _ = self.told("info")
        self.expect_counts(found)
        self.assertGreater(found["data.mdb"], 16384)

    def test_counts_queues(self):
        """What waits in queues, and as dead letters."""
        process, ready = self.broker("--listen", "amqp://127.0.0.1:0")
        amqp = re.search(r"amqp://127\.0\.0\.1:(\d+)", ready)[1]
        for priority in ("4", "9"):
            done = subprocess.run([harness.GNATTER, "send", "orders", "-m", "x", "--durable", "-p", amqp,
                                   "--priority", priority, "--count", "3"], capture_output=True,
                                  timeout=harness.PATIENCE, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        done = subprocess.run([harness.GNATTER, "receive", "orders", "-C", "1", "--reject", "-p", amqp],
                              capture_output=True, timeout=harness.PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(harness.terminate(process), 0)
        found, _ = self.told("info")
        self.assertEqual((found["queues"], found["messages_waiting"], found["sessions"]), (1, 6, 0))

    def test_lines_for_people(self):
        self.fill()
        code, out, err = self.store("info")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^held by +nobody$")
        self.assertRegex(out, rf"(?m)^messages waiting +{2 * MESSAGES}$")
        self.assertRegex(out, r"(?m)^reserve +16\.0 MiB$")

    def test_while_a_broker_has_it(self):
        process, ready = self.broker("--sync", "200ms")
        self.assertIn('loss_window="200 ms"', ready)
        found, _ = self.told("info")
        self.assertEqual(found["held_by"], f"process {process.popen.pid}")
        self.assertNotIn("sessions", found)
        for verb in "check", "compact":
            code, out, err = self.store(verb)
            self.assertEqual((code, out), (75, ""))
            self.assertIn(f"another process, {process.popen.pid}, has {self.data}", err)
        second = harness.Process([harness.GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0",
                                  "--data", self.data])
        self.addCleanup(second.kill)
        self.assertEqual(second.end(), 69)
        self.assertIn(b"(--data DIR), or keep all in memory (--data none).", second.text["stderr"])
        told = self.client("sub", "-t", "$SYS/broker/store/#", "-v", "--retained-only")
        for line in "loss_window 200 ms", "state ok", "damaged 0":
            self.assertIn(f"$SYS/broker/store/{line}\n", told)
        self.assertRegex(told, r"(?m)^\$SYS/broker/store/syncs \d+$")

    def test_no_store(self):
        for verb in "info", "check", "compact":
            code, out, err = self.store(verb)
            self.assertEqual((code, out), (66, ""), err)
        os.mkdir(self.data)
        code, _, err = self.store("info")
        self.assertEqual((code, err), (66, f"gnatter store: there is no store in {self.data}\n"))
        self.assertEqual(os.listdir(self.data), [])
        self.assertEqual(self.store("chek")[0], 64)
        os.rmdir(self.data)
        with open(self.data, "w"):
            pass
        for verb in "info", "check", "compact":
            code, _, err = self.store(verb)
            self.assertEqual((code, err), (66, f"gnatter store: {self.data} is no directory\n"))


class Check(Case):
    def test_nothing_is_wrong(self):
        self.fill()
        found, err = self.told("check")
        self.assertEqual((found["damaged"], err), (0, ""))
        self.settle()
        found, err = self.told("check")
        self.assertEqual((found["damaged"], err), (0, ""))
        self.assertGreater(found["good_records"], MESSAGES)

    def test_a_flipped_bit_in_the_journal(self):
        self.fill()
        self.assertEqual(self.flip_in_journal(payload(3)), 1)
        found, err = self.told("check", code=65)
        self.assertGreaterEqual(found["damaged"], 1)
        self.assertRegex(err, r"gnatter store: journal-\d+ at [\d,]+: damaged")

    def test_a_torn_end(self):
        """Nobody was told that the last write was safe, as far as the journal can say."""
        self.fill()
        self.assertEqual(self.flip_in_journal(payload(MESSAGES - 1)), 1)
        code, out, err = self.store("check")
        if code == 0:
            self.assertRegex(out, r"(?m)^torn +journal-\d+ at ")
        else:  # something was written behind it, so that it is known to have been safe
            self.assertRegex(err, r"journal-\d+ at [\d,]+: damaged")

    def test_a_flipped_bit_in_a_message_and_in_a_subscription(self):
        self.fill()
        self.settle()
        data = os.path.join(self.data, "data.mdb")
        self.assertGreaterEqual(self.flip(data, payload(4)), 1)  # waits
        self.assertGreaterEqual(self.flip(data, payload(5)), 1)  # waits, and is retained
        self.assertGreaterEqual(self.flip(data, "a/#"), 1)
        found, err = self.told("check", code=65)
        self.assertRegex(err, r"data\.mdb, entries, record \d+: message \d+ of those that wait for "
                              r"session 'dur'\n")
        self.assertRegex(err, r"message \d+ of those that wait for a shared group\n")
        self.assertRegex(err, r"data\.mdb, payloads, record \d+: a message that several wait for\n")
        self.assertRegex(err, r"retained message 'a/5'\n")
        self.assertRegex(err, r"data\.mdb, tables, record \d+: the subscription '\S*' of session "
                              r"'dur'\n")
        self.assertGreaterEqual(found["damaged"], 4)

    def test_a_flipped_bit_in_the_session(self):
        self.fill()
        self.settle()
        self.assertGreaterEqual(self.flip(os.path.join(self.data, "data.mdb"), "dur"), 1)
        self.assertRegex(self.told("check", code=65)[1], r"the record of session number \d+\n")

    def test_a_file_that_is_none(self):
        self.fill()
        with open(os.path.join(self.data, "data.mdb"), "r+b") as file:
            file.write(b"\xff" * 16384)
        for verb in "info", "check", "compact":
            code, _, err = self.store(verb)
            self.assertEqual(code, 65, (verb, err))
            self.assertIn("data.mdb", err)
        process = harness.Process([harness.GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0",
                                   "--data", self.data])
        self.addCleanup(process.kill)
        self.assertEqual(process.end(), 65)
        self.assertIn(b"gnatter store check", process.text["stderr"])


class Compact(Case):
    def test_what_is_small_stays(self):
        process, _ = self.broker()
        self.assertEqual(harness.terminate(process), 0)
        data = os.path.join(self.data, "data.mdb")
        before = os.stat(data)
        for _ in range(2):
            found, _ = self.told("compact")
            self.assertLessEqual(found["after"], before.st_size)
        if found["after"] == found["before"]:
            self.assertIn("stays as it is", found["which_means"])
        self.assertEqual(os.stat(data).st_size, found["after"])
        self.assertEqual(self.told("check")[0]["damaged"], 0)

    def test_damage_is_left_out_and_the_rest_stays(self):
        self.fill()
        self.settle()
        self.assertGreaterEqual(self.flip(os.path.join(self.data, "data.mdb"), payload(4)), 1)
        damaged = self.told("check", code=65)[0]["damaged"]
        found, _ = self.told("compact")
        self.assertEqual(found["left_out"], damaged)
        self.assertGreater(found["before"], 0)
        self.assertEqual(found["after"], os.stat(os.path.join(self.data, "data.mdb")).st_size)
        self.assertEqual(self.told("check")[0]["damaged"], 0)
        self.assertEqual(self.told("info")[0]["messages_waiting"], 2 * (MESSAGES - 1))
        self.broker()
        got = self.client("sub", "-i", "dur", "-c", "-q", "1", "-t", "a/#", "-C",
                          str(MESSAGES - 1), "-R")
        self.assertEqual(got.splitlines(), [payload(i) for i in range(MESSAGES) if i != 4])


if __name__ == "__main__":
    unittest.main()
