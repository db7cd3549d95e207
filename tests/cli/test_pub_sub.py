"""Messages from gnatter pub and to gnatter sub, with mosquitto's commands at the other end."""
import hashlib
import os
import re
import signal
import subprocess
import tempfile
import unittest

import harness

VERSIONS = ["mqttv31", "mqttv311", "mqttv5"]


class Messages(harness.Case):
    def test_every_version_and_qos_to_mosquitto_and_back(self):
        for version in VERSIONS:
            for qos in "012":
                topic = f"{self.topic}/{version}/{qos}"
                common = ["-V", version, "-q", qos, "-t", topic]
                self.ok("pub", *common, "-r", "-m", "from gnatter")
                self.assertEqual(self.ok("mosquitto_sub", *common, "-C", "1"), b"from gnatter\n")
                self.ok("mosquitto_pub", *common, "-r", "-m", "from mosquitto")
                self.assertEqual(self.ok("sub", *common, "-C", "1", "-v"),
                                 topic.encode() + b" from mosquitto\n")

    def test_formats_are_mosquitto_subs(self):
        formats = ["%t|%p|%q|%r|%l|%%", "%x|%X", "%C|%D|%F|%R|%S|%P", "%A|%5A|%05A|%-5A|",
                   "%3t|%30t|%-30t|%.2t|%6.2t|", "%5l|%05l|%-5l|", "%30p|%-30p|%030p|",
                   "%40C|%-40C|%.4C|%40R|", "%m|%4m|%04m|%-4m|", "%5S|%05F|%-5F|", "%t\\t%p\\n\\e\\0\\a\\v\\r\\\\",
                   "@@|%p", "plain"]
        for name, publish in {
                "full": ["-V", "5", "-m", 'hello "w"\u00e9',
                         *"-D publish user-property k 1 -D publish user-property k 2 "
                         "-D publish content-type text/plain -D publish correlation-data c-d "
                         "-D publish payload-format-indicator 1 "
                         "-D publish response-topic re/sp".split()],
                "bare": ["-m", "bare"]}.items():
            topic = f"{self.topic}/{name}"
            self.ok("mosquitto_pub", "-t", topic, "-q", "1", "-r", *publish)
            subscribe = ["-V", "5", "-q", "1", "-t", topic, "-C", "1",
                         *"-D subscribe subscription-identifier 7".split()]
            for shown in formats:
                if name == "bare" and "%40R" in shown:
                    continue  # mosquitto_sub pads an absent %C, and not an absent %R
                theirs = self.ok("mosquitto_sub", *subscribe, "-F", shown)
                self.assertEqual(self.ok("sub", *subscribe, "-F", shown), theirs, shown)

    def test_json_is_mosquitto_subs(self):
        topic = self.topic
        self.ok("mosquitto_pub", "-t", topic, "-q", "1", "-r", "-V", "5", "-m", 'q"\\\t\u00e9',
                *"-D publish user-property k 1 -D publish content-type a/b "
                "-D publish user-property k 2 -D publish payload-format-indicator 1".split())
        for version in VERSIONS:
            subscribe = ["-V", version, "-q", "1", "-t", topic, "-C", "1", "-F", "%j"]
            time = re.compile(rb'"tst":"[^"]*"')
            theirs, ours = self.ok("mosquitto_sub", *subscribe), self.ok("sub", *subscribe)
            self.assertEqual(time.sub(b"", ours), time.sub(b"", theirs))
            self.assertRegex(ours, rb'"tst":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d{4}"')

    def test_json_payloads(self):
        self.ok("pub", "-t", self.topic, "-r", "-m", '{"a": 27.0,\n "b":[1, 2.50]}')
        out = self.ok("sub", "-t", self.topic, "-C", "1", "-F", "%J")
        self.assertTrue(out.endswith(b'"payload":{"a":27.0,"b":[1,2.50]}}\n'), out)
        self.ok("pub", "-t", self.topic, "-r", "-m", "no json")
        code, out, err = self.run_command("sub", "-t", self.topic, "-C", "1", "-F", "%J")
        self.assertEqual((code, out), (0, b""))
        self.assertIn(b"the payload is not JSON", err)

    def test_empty_payloads(self):
        # Without -v and -F mosquitto_sub leaves out the line end that its manual promises.
        for form in ["-v"], ["-F", "%t|%p|%x|%l|%5p|"], ["-N"]:
            outputs = []
            for subscriber in "sub", "mosquitto_sub":
                session = [subscriber, "-t", self.topic, "-q", "1", "-i", "empty-" + subscriber,
                           "-c"]
                self.ok(*session, "-E")
                self.ok("pub", "-t", self.topic, "-q", "1", "-n")
                outputs.append(self.ok(*session, "-C", "1", *form))
            self.assertEqual(outputs[0], outputs[1], form)
        subscriber = self.subscriber("-t", self.topic, "-C", "1")
        self.ok("pub", "-t", self.topic, "-n")
        self.assertEqual(subscriber.end(), 0)
        self.assertEqual(subscriber.text["stdout"], b"\n")

    def test_ten_mebibytes_by_file_and_stdin(self):
        payload = os.urandom(10 << 20)
        with tempfile.NamedTemporaryFile() as file:
            file.write(payload)
            file.flush()
            for publish, data in (["-f", file.name], None), (["-s"], payload):
                subscriber = self.subscriber("-t", self.topic, "-q", "1", "-N", "-C", "1")
                self.ok("pub", "-t", self.topic, "-q", "1", *publish, data=data)
                self.assertEqual(subscriber.end(), 0)
                self.assertEqual(hashlib.sha256(subscriber.text["stdout"]).digest(),
                                 hashlib.sha256(payload).digest())

    def test_lines_from_stdin_all_of_them_in_order(self):
        lines = [f"line {i}".encode() for i in range(900)]  # below any broker's bounds
        for qos in "012":
            subscriber = self.subscriber("-t", self.topic, "-q", qos, "-C", len(lines))
            self.ok("pub", "-t", self.topic, "-q", qos, "-l", data=b"\n".join(lines))
            self.assertEqual(subscriber.end(), 0)
            self.assertEqual(subscriber.text["stdout"].splitlines(), lines)

    def test_lines_as_mosquitto_pub_cuts_them(self):
        text = b"a\nb\r\n\n  c  \n\xc3\xa9"
        outputs = []
        for publisher in "pub", "mosquitto_pub":
            subscriber = self.subscriber("-t", self.topic, "-C", "5", "-F", "%x")
            self.ok(publisher, "-t", self.topic, "-l", data=text)
            self.assertEqual(subscriber.end(), 0)
            outputs.append(subscriber.text["stdout"])
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0].split()[0], b"61")

    def test_a_line_goes_when_it_is_there(self):
        subscriber = self.subscriber("-t", self.topic)
        publisher = self.start("pub", "-t", self.topic, "-l", stdin=subprocess.PIPE)
        for text in b"first", b"second":
            publisher.popen.stdin.write(text + b"\n")
            publisher.popen.stdin.flush()
            self.assertEqual(subscriber.line(), text)
        publisher.popen.stdin.close()
        self.assertEqual(publisher.end(), 0)
        self.assertEqual(harness.terminate(subscriber), 0)

    def test_properties_arrive_at_mosquitto_sub(self):
        self.ok("pub", "-t", self.topic, "-r", "-m", "x",
                *"-D publish user-property k 1 -D publish user-property k 2 "
                "-D publish content-type text/plain -D publish correlation-data c-d "
                "-D publish message-expiry-interval 1000 "
                "-D publish payload-format-indicator 1 -D publish response-topic re/sp "
                "-D publish topic-alias 3".split())
        out = self.ok("mosquitto_sub", "-V", "5", "-t", self.topic, "-C", "1", "-F",
                      "%P|%C|%D|%F|%R")
        self.assertEqual(out, b"k:1 k:2|text/plain|c-d|1|re/sp\n")

    def test_repeat(self):
        subscriber = self.subscriber("-t", self.topic, "-q", "1", "-C", "3")
        self.ok("pub", "-t", self.topic, "-q", "1", "-m", "again", "--repeat", "3",
                "--repeat-delay", "0.05")
        self.assertEqual(subscriber.end(), 0)
        self.assertEqual(subscriber.text["stdout"], b"again\n" * 3)


class Ends(harness.Case):
    def test_a_reader_that_goes_ends_it_quietly(self):
        for writes in True, False:
            reader, writer = os.pipe()
            with open(os.path.join(self.broker.directory, "errors"), "w+b") as errors:
                subscriber = subprocess.Popen(
                    [harness.GNATTER, "sub", "-p", str(self.broker.port), "-t", self.topic],
                    stdout=writer, stderr=errors)
                self.addCleanup(subscriber.kill)
                os.close(writer)
                self.ok("pub", "-t", self.topic, "-q", "1", "-r", "-m", "x")
                self.assertEqual(os.read(reader, 2), b"x\n")
                os.close(reader)
                if writes:
                    self.ok("pub", "-t", self.topic, "-q", "1", "-m", "y")
                self.assertEqual(subscriber.wait(harness.PATIENCE), 0)
                errors.seek(0)
                self.assertEqual(errors.read(), b"")

    def test_a_reader_that_does_not_read_keeps_nobody(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        subscriber = subprocess.Popen([harness.GNATTER, "sub", "-p", str(self.broker.port), "-t",
                                       self.topic, "-d"], stdout=writer, stderr=subprocess.PIPE)
        self.addCleanup(subscriber.stderr.close)
        self.addCleanup(subscriber.kill)
        os.close(writer)
        while b"subscribed to" not in subscriber.stderr.readline():
            pass
        self.ok("pub", "-t", self.topic, "-q", "1", "-s", data=b"x" * (1 << 20))
        self.assertEqual(os.read(reader, 1), b"x")
        subscriber.terminate()
        self.assertIn(subscriber.wait(harness.PATIENCE), (0, -signal.SIGALRM))

    def test_signals(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            subscriber = self.subscriber("-t", self.topic)
            subscriber.send(number)
            self.assertEqual(subscriber.end(), 0)
        publisher = self.start("pub", "-t", self.topic, "-l", "-d", stdin=subprocess.PIPE)
        publisher.line("stderr", b"connected")
        self.assertEqual(harness.terminate(publisher), 0)

    def test_nothing_is_lost_between_two_runs(self):
        session = ["-i", "runs", "-c", "-q", "1", "-t", self.topic]
        self.ok("sub", *session, "-E")
        self.ok("pub", "-t", self.topic, "-q", "1", "-l", data=b"a\nb\nc\nd\n")
        got = [self.ok("sub", *session, "-C", "1") for _ in range(4)]
        self.assertEqual(got, [b"a\n", b"b\n", b"c\n", b"d\n"])

    def test_a_will_is_published(self):
        victim = self.subscriber("-t", self.topic, "--will-topic", self.topic + "/will",
                                 "--will-payload", "gone", "--will-qos", "1", "--will-retain")
        victim.send(signal.SIGKILL)
        out = self.ok("mosquitto_sub", "-t", self.topic + "/will", "-C", "1", "-v")
        self.assertEqual(out, self.topic.encode() + b"/will gone\n")

    def test_no_will_after_a_signal(self):
        watcher = self.subscriber("-t", self.topic + "/#", "-v", "-C", "1")
        polite = self.subscriber("-t", self.topic, "--will-topic", self.topic + "/will")
        self.assertEqual(harness.terminate(polite), 0)
        self.ok("pub", "-t", self.topic + "/after", "-m", "x")
        self.assertEqual(watcher.line(), self.topic.encode() + b"/after x")


class Away(unittest.TestCase):
    def test_sub_waits_for_a_broker_that_went_away(self):
        broker = harness.Broker()
        self.addCleanup(broker.remove)
        subscriber = harness.Process([harness.GNATTER, "sub", "-p", str(broker.port), "-t", "x",
                                      "-d"])
        self.addCleanup(subscriber.kill)
        subscriber.line("stderr", b"subscribed to")
        broker.stop()
        self.assertIn(b"Trying again", subscriber.line("stderr", b"lost the connection"))
        broker.start()
        subscriber.line("stderr", b"gnatter sub: connected to localhost")
        published = subprocess.run(
            [harness.GNATTER, "pub", "-p", str(broker.port), "-t", "x", "-r", "-q", "1", "-m",
             "back"], timeout=harness.PATIENCE, check=False)
        self.assertEqual(published.returncode, 0)
        self.assertEqual(subscriber.line(), b"back")
        self.assertEqual(harness.terminate(subscriber), 0)
        self.assertEqual(subscriber.text["stderr"].count(b"Trying again"), 1)


if __name__ == "__main__":
    unittest.main()
