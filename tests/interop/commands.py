"""mosquitto_pub and mosquitto_sub, or `gnatter pub` and `gnatter sub`: they have the same options,
so the same tests run with either, against either broker."""

import re
import signal
import subprocess
import time

import harness

# mosquitto_sub keeps its lines to itself for a while where its output is a pipe.
MOSQUITTO_PUB, MOSQUITTO_SUB = ["mosquitto_pub"], ["stdbuf", "-oL", "mosquitto_sub"]
GNATTER_PUB, GNATTER_SUB = [harness.GNATTER, "pub"], [harness.GNATTER, "sub"]
VERSIONS = ("mqttv31", "mqttv311", "mqttv5")

# With -d both say that they have subscribed; a message's line is told from the others by its start.
SUBSCRIBED = {"stdbuf": "Subscribed (mid", harness.GNATTER: "subscribed to"}
MARK = "MESSAGE "


class Commands:
    """Mixed into a harness.Test, which says whose commands `pub` and `sub` are."""

    pub, sub = [], []
    large = 10 * 1024 * 1024
    unfit = ()  # pairs of version and QoS that these commands cannot keep up with at this broker

    def at(self):
        return ["-h", "127.0.0.1", "-p", str(self.broker.port)]

    def publish(self, *words, stdin=None):
        return harness.run([*self.pub, *self.at(), *words], stdin)

    def publish_lines(self, lines, *words):
        """mosquitto_pub is not waited for: having sent the last line at QoS 0, version 2.0.11 may
        wait for ever, at any broker, because its two threads tell each other in any order."""
        text = "".join(f"{line}\n" for line in lines).encode()
        if self.pub != MOSQUITTO_PUB:
            self.publish(*words, "-l", stdin=text)
            return
        with open(self.file("lines", text), "rb") as source:
            publisher = subprocess.Popen([*self.pub, *self.at(), *words, "-l"], stdin=source,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(publisher.wait)
        self.addCleanup(publisher.kill)

    def subscriber(self, *words, show="%q %r %t %p"):
        """A subscriber that has subscribed."""
        process = self.process([*self.sub, *self.at(), "-d", "-F", MARK + show, *words])
        return process.wait_for(SUBSCRIBED[self.sub[0]])

    def got(self, process):
        """What a subscriber with -C has shown, once it has ended."""
        return self.shown(process.wait())

    @staticmethod
    def shown(lines):
        return [line[len(MARK):] for line in lines if line.startswith(MARK)]

    def test_every_qos(self):
        for version in VERSIONS:
            for wanted in "012":
                subscriber = self.subscriber("-V", version, "-t", "a/b", "-q", wanted, "-C", "3")
                for qos in "012":
                    self.publish("-V", version, "-t", "a/b", "-m", f"at {qos}", "-q", qos)
                expected = [f"{min(qos, wanted)} 0 a/b at {qos}" for qos in "012"]
                self.assertEqual(sorted(self.got(subscriber)), sorted(expected))

    def test_versions_meet(self):
        for version in VERSIONS:
            subscribers = [self.subscriber("-V", other, "-t", "meet", "-q", "2", "-C", "1")
                           for other in VERSIONS]
            self.publish("-V", version, "-t", "meet", "-m", version, "-q", "2")
            for subscriber in subscribers:
                self.assertEqual(self.got(subscriber), [f"2 0 meet {version}"])

    def test_order(self):
        lines = [f"line {i}" for i in range(1000)]
        for version in VERSIONS:
            for qos in [q for q in "012" if (version, q) not in self.unfit]:
                subscriber = self.subscriber("-V", version, "-t", "order", "-q", qos, "-C", "1000",
                                             show="%p")
                self.publish_lines(lines, "-V", version, "-t", "order", "-q", qos)
                self.assertEqual(self.got(subscriber), lines)

    def test_large_and_empty(self):
        content = bytes(range(256)) * (self.large // 256)
        path = self.file("large", content)
        for version, qos in zip(VERSIONS, "012"):
            subscriber = self.subscriber("-V", version, "-t", "size", "-q", qos, "-C", "2",
                                         show="%l %x")
            self.publish("-V", version, "-t", "size", "-q", qos, "-f", path)
            self.publish("-V", version, "-t", "size", "-q", qos, "-n")
            empty, large = sorted(self.got(subscriber), key=len)  # of two publishers, at QoS 0
            self.assertTrue(large == f"{len(content)} {content.hex()}", large[:100])
            self.assertEqual(empty, "0 ")

    def test_retained(self):
        for version in VERSIONS:
            for text in ("first", "second"):
                self.publish("-V", version, "-t", "kept", "-m", text, "-r", "-q", "1")
            late = self.subscriber("-V", version, "-t", "kept", "-q", "1", "-C", "2")
            self.publish("-V", version, "-t", "kept", "-r", "-n", "-q", "1")
            self.assertEqual(self.got(late), ["1 1 kept second", "1 0 kept "])
            later = self.subscriber("-V", version, "-t", "kept", "-q", "1", "-C", "1")
            self.publish("-V", version, "-t", "kept", "-m", "live", "-q", "1")
            self.assertEqual(self.got(later), ["1 0 kept live"])

    def test_will(self):
        for version in VERSIONS:
            watcher = self.subscriber("-V", version, "-t", "gone/#", "-q", "2", "-C", "2")
            polite = self.subscriber("-V", version, "-t", "x", "-C", "1", "--will-topic",
                                     "gone/polite", "--will-payload", "never")
            self.publish("-t", "x", "-m", "end")
            polite.wait()
            mortal = self.subscriber("-V", version, "-t", "x", "--will-topic", "gone/it",
                                     "--will-payload", version, "--will-qos", "2", "--will-retain")
            mortal.end(signal.SIGKILL)
            watcher.wait_for(version)
            self.publish("-t", "gone/it", "-r", "-n")
            self.assertEqual(self.got(watcher), [f"2 0 gone/it {version}", "0 0 gone/it "])

    def test_shared(self):
        for version in VERSIONS:
            members = [self.subscriber("-V", version, "-t", "$share/group/work/#", "-q", "1",
                                       show="%p") for _ in range(2)]
            self.publish("-V", version, "-t", "work/piece", "-q", "1", "-l",
                         stdin="".join(f"{i}\n" for i in range(100)).encode())

            def all_there():
                return sum(len(self.shown(m.lines)) for m in members) >= 100
            harness.wait_until(all_there, "100 messages for the group")
            for member in members:
                member.end()
            shares = [self.shown(member.lines) for member in members]
            self.assertEqual(sorted(map(int, sum(shares, []))), list(range(100)))
            self.assertTrue(all(shares), "a member got nothing")

    def test_queued_while_away(self):
        for version in VERSIONS:
            here = ["-V", version, "-i", "away", "-c", "-t", "jobs", "-q", "1"]
            if version == "mqttv5":
                here += ["-x", "600"]
            harness.run([*self.sub, *self.at(), *here, "-E"])
            self.publish("-t", "jobs", "-q", "1", "-l", stdin=b"one\ntwo\nthree\n")
            back = self.process([*self.sub, *self.at(), *here, "-C", "3"])
            self.assertEqual(back.wait(), ["one", "two", "three"])
            harness.run([*self.sub, *self.at(), "-V", version, "-i", "away", "-t", "x", "-E"])

    def test_properties(self):
        subscriber = self.subscriber("-V", "mqttv5", "-t", "p", "-C", "1",
                                     "-D", "subscribe", "subscription-identifier", "42",
                                     show="%C|%R|%D|%E|%F|%P|%S")
        words = ["-V", "mqttv5", "-t", "p", "-m", "x"]
        for pair in (("content-type", "a/b"), ("response-topic", "answers"),
                     ("correlation-data", "id7"), ("message-expiry-interval", "100"),
                     ("payload-format-indicator", "1"), ("user-property", "b", "2"),
                     ("user-property", "a", "1"), ("user-property", "b", "2")):
            words += ["-D", "publish", *pair]
        self.publish(*words)
        got = re.sub(r"\|(9\d|100)\|", "|about 100|", self.got(subscriber)[0])
        self.assertEqual(got, "a/b|answers|id7|about 100|1|b:2 a:1 b:2|42")

    def test_message_expiry(self):
        here = ["-V", "mqttv5", "-i", "away", "-c", "-x", "600", "-t", "news", "-q", "1"]
        harness.run([*self.sub, *self.at(), *here, "-E"])
        for text, expiry in (("stale", "1"), ("fresh", "1000")):
            self.publish("-V", "mqttv5", "-t", "news", "-q", "1", "-m", text,
                         "-D", "publish", "message-expiry-interval", expiry)
        time.sleep(2.1)
        back = self.process([*self.sub, *self.at(), *here, "-C", "1"])
        self.assertEqual(back.wait(), ["fresh"])

    def test_will_delay(self):
        watcher = self.subscriber("-t", "gone", "-C", "1")
        mortal = self.subscriber("-V", "mqttv5", "-x", "600", "-i", "mortal", "-t", "x",
                                 "--will-topic", "gone", "--will-payload", "will",
                                 "-D", "will", "will-delay-interval", "1")
        killed = time.monotonic()
        mortal.end(signal.SIGKILL)
        self.assertEqual(self.got(watcher), ["0 0 gone will"])
        self.assertGreaterEqual(time.monotonic() - killed, 1)

    def test_many_topics(self):
        """Filters given together, and one that ends again."""
        subscriber = self.subscriber("-t", "a/+", "-t", "b/#", "-t", "c", "-C", "4", show="%t")
        for topic in ("a/1", "d", "b", "a/b/c", "b/2/3", "c"):
            self.publish("-t", topic, "-m", "x")
        self.assertEqual(self.got(subscriber), ["a/1", "b", "b/2/3", "c"])
