"""Options of gnatter pub and gnatter sub that need a broker, and the exit codes of refusals."""
import unittest

import harness


class Choosing(harness.Case):
    """What of the messages is shown."""

    def setUp(self):
        super().setUp()
        self.ok("pub", "-t", self.topic + "/a", "-r", "-m", "A")
        self.ok("pub", "-t", self.topic + "/b", "-r", "-m", "B")

    def all_shown(self, *argv, code=27):
        """Of what is retained, in a second; gnatter sub's and mosquitto_sub's agree."""
        ours = self.run_command("sub", "-t", self.topic + "/#", "-W", "1", "-v", *argv)
        theirs = self.run_command("mosquitto_sub", "-t", self.topic + "/#", "-W", "1", "-v", *argv)
        self.assertEqual((ours[0], sorted(ours[1].splitlines())),
                         (theirs[0], sorted(theirs[1].splitlines())), argv)
        self.assertEqual(ours[0], code)
        return sorted(line.split()[-1] for line in ours[1].splitlines())

    def test_filters(self):
        self.assertEqual(self.all_shown(), [b"A", b"B"])
        self.assertEqual(self.all_shown("-R"), [])
        self.assertEqual(self.all_shown("-T", self.topic + "/b"), [b"A"])
        self.assertEqual(self.all_shown("-T", "+/a", "-T", self.topic + "/#"), [])
        self.assertEqual(self.all_shown("--retained-only"), [b"A", b"B"])

    def test_retained_only_ends_with_the_first_fresh_one(self):
        subscriber = self.subscriber("-t", self.topic + "/#", "--retained-only")
        self.ok("pub", "-t", self.topic + "/c", "-m", "fresh")
        self.assertEqual(subscriber.end(), 0)
        self.assertEqual(sorted(subscriber.text["stdout"].split()), [b"A", b"B"])

    def test_remove_retained(self):
        out = self.ok("sub", "-t", self.topic + "/#", "--remove-retained", "-T", self.topic + "/b",
                      "-C", "1")
        self.assertEqual(out, b"A\n")
        self.assertEqual(self.all_shown(), [b"B"])

    def test_retain_as_published(self):
        subscriber = self.subscriber("-t", self.topic + "/#", "-V", "5", "-R", "-C", "1", "-W", "9")
        plain = self.subscriber("-t", self.topic + "/#", "-V", "5", "--retain-as-published", "-C",
                                "3", "-F", "%p%r")
        self.ok("pub", "-t", self.topic + "/c", "-r", "-m", "C")
        self.assertEqual(plain.end(), 0)
        self.assertEqual(sorted(plain.text["stdout"].split()), [b"A1", b"B1", b"C1"])
        self.assertEqual(subscriber.end(), 0)
        self.assertEqual(subscriber.text["stdout"], b"C\n")

    def test_unsubscribe(self):
        session = ["-i", "unsubscriber", "-c", "-q", "1"]
        self.ok("sub", *session, "-t", self.topic + "/x", "-t", self.topic + "/y", "-E")
        self.ok("sub", *session, "-U", self.topic + "/x")
        self.ok("pub", "-t", self.topic + "/x", "-q", "1", "-m", "X")
        self.ok("pub", "-t", self.topic + "/y", "-q", "1", "-m", "Y")
        self.assertEqual(self.ok("sub", *session, "-t", self.topic + "/y", "-C", "1"), b"Y\n")

    def test_no_newline_and_count(self):
        out = self.ok("sub", "-t", self.topic + "/a", "-t", self.topic + "/b", "-N", "-C", "2")
        self.assertEqual(sorted(out.decode()), ["A", "B"])

    def test_time_is_up(self):
        code, out, err = self.run_command("sub", "-t", self.topic, "-W", "1")
        self.assertEqual((code, out, err), (27, b"", b"gnatter sub: time is up\n"))
        code, out, err = self.run_command("sub", "-t", self.topic, "-W", "1", "--quiet")
        self.assertEqual((code, out, err), (27, b"", b""))


class Sessions(harness.Case):
    def test_expiry_of_mqtt_5(self):
        for expiry, survives in ("100", True), ("-1", True), ("0", False):
            session = ["-V", "5", "-i", f"expiry{expiry}", "-q", "1", "-t", self.topic, "-x", expiry,
                       "-c"]
            self.ok("sub", *session, "-E")
            self.ok("pub", "-t", self.topic, "-q", "1", "-m", "kept")
            code, out, _ = self.run_command("sub", *session, "-W", "1")
            self.assertEqual((code, out), (27, b"kept\n" if survives else b""), expiry)

    def test_id_prefix(self):
        subscriber = self.start("sub", "-I", "prefix", "-d", "-t", self.topic)
        line = subscriber.line("stderr", b"connected to")
        self.assertIn(f"as 'prefix-{subscriber.popen.pid}'".encode(), line)

    def test_properties_of_connect_and_subscribe(self):
        out = self.ok("pub", "-t", self.topic, "-r", "-m", "x", "-q", "1")
        self.assertEqual(out, b"")
        out = self.ok("sub", "-t", self.topic, "-C", "1", "-F", "%S %p",
                      *"-D connect receive-maximum 5 -D connect user-property a b "
                      "-D connect topic-alias-maximum 3 -D connect maximum-packet-size 2000 "
                      "-D connect session-expiry-interval 10 -D subscribe user-property c d "
                      "-D subscribe subscription-identifier 77 "
                      "-D disconnect user-property e f".split())
        self.assertEqual(out, b"77 x\n")


class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = harness.Broker(anonymous=False)

    @classmethod
    def tearDownClass(cls):
        cls.broker.remove()

    def test_the_exit_code_is_the_connacks(self):
        for version, code in ("mqttv31", 5), ("mqttv311", 5), ("mqttv5", 135):
            for command in ["sub", "-t", "x"], ["pub", "-t", "x", "-m", "y"], \
                    ["thermometer", "--sensor", "sim"]:
                process = harness.Process([harness.GNATTER, *command, "-p", str(self.broker.port),
                                           "-V", version])
                self.addCleanup(process.kill)
                self.assertEqual(process.end(), code, (command, version))
                self.assertIn(b"not authorized", process.text["stderr"])
                self.assertIn(b"(-u, -P)", process.text["stderr"])


if __name__ == "__main__":
    unittest.main()
