#!/usr/bin/env python3
"""What every version of MQTT promises, seen by Paho in 3.1, 3.1.1 and 5."""

import time

import harness
from paho_client import V31, V311, V5, Client


class Common:
    """Runs in each of the classes below, which say the version."""

    version = 0
    transport = "tcp"
    tls = None  # what Paho's tls_set takes
    large = 10 * 1024 * 1024

    def client(self, name, clean=True, connect=True):
        client = Client(name, self.version, clean, self.transport, self.tls)
        self.addCleanup(client.close)
        if connect:
            client.connect(self.broker)
        return client

    def lasting(self, name):
        """A client whose session outlives its connections; returns it and whether there was one."""
        client = self.client(name, clean=False, connect=False)
        expiry = {"SessionExpiryInterval": 600} if self.version == V5 else {}
        return client, client.connect(self.broker, **expiry)[0]

    def assert_order(self, got, sent):
        """Once each, and in order at each QoS: Paho hands on QoS 2 only when it is released."""
        self.assertEqual(sorted(got), sorted(sent))
        for qos in "012":
            self.assertEqual([p for p in got if p[-1] == qos], [p for p in sent if p[-1] == qos])

    def test_every_qos(self):
        publisher, subscriber = self.client("publisher"), self.client("subscriber")
        for wanted in range(3):
            self.assertEqual(subscriber.subscribe(f"to/{wanted}", wanted), [wanted])
        for qos in range(3):
            for wanted in range(3):
                publisher.publish(f"to/{wanted}", f"{qos}", qos)
                message = subscriber.receive()
                got = (message.topic, message.payload, message.qos, message.retain, message.dup)
                self.assertEqual(got, (f"to/{wanted}", b"%d" % qos, min(qos, wanted), 0, 0))

    def test_order(self):
        publisher, subscriber = self.client("publisher"), self.client("subscriber")
        for qos in range(3):
            subscriber.subscribe(f"order/{qos}", qos)
            sent = [f"{qos} {i}" for i in range(1000)]
            for payload in sent:
                publisher.send(f"order/{qos}", payload, qos)
            self.assertEqual(subscriber.payloads(1000), sent)
        publisher.publish("order/2", "last")
        self.assertEqual(subscriber.payloads(1), ["last"], "one came twice")

    def test_large_and_empty(self):
        publisher, subscriber = self.client("publisher"), self.client("subscriber")
        subscriber.subscribe("size", 2)
        large = bytes(range(256)) * (self.large // 256)
        for qos in range(3):
            for payload in (large, b"", b"\0"):
                publisher.publish("size", payload, qos)
                self.assertTrue(subscriber.receive().payload == payload, f"{len(payload)} bytes")

    def test_retained(self):
        publisher = self.client("publisher")
        live = self.client("live")
        live.subscribe("kept/#", 1)
        for text in ("first", "second"):
            publisher.publish("kept/it", text, retain=True)
            self.assertEqual(live.receive().retain, 0, "a live delivery is not a retained one")
        late = self.client("late")
        late.subscribe("kept/+", 1)
        message = late.receive()
        self.assertEqual((message.payload, message.retain, message.qos), (b"second", 1, 1))
        publisher.publish("kept/it", b"", retain=True)
        self.assertEqual((late.receive().payload, live.receive().payload), (b"", b""))
        publisher.publish("kept/never", b"", retain=True)
        self.assertEqual((late.receive().payload, live.receive().payload), (b"", b""))
        later = self.client("later")
        later.subscribe("kept/#", 1)
        publisher.publish("kept/end", "live")
        self.assertEqual(later.payloads(1), ["live"], "nothing is retained any more")

    def test_will(self):
        watcher = self.client("watcher")
        watcher.subscribe("gone/#", 2)
        for qos in range(3):
            mortal = self.client(f"mortal{qos}", connect=False)
            mortal.paho.will_set(f"gone/{qos}", f"{qos}", qos, retain=qos == 1)
            mortal.connect(self.broker)
            mortal.vanish()
            message = watcher.receive()
            self.assertEqual((message.topic, message.payload, message.qos),
                             (f"gone/{qos}", b"%d" % qos, qos))
        polite = self.client("polite", connect=False)
        polite.paho.will_set("gone/polite", "never", 1)
        polite.connect(self.broker)
        polite.disconnect()
        watcher.publish("gone/end", "end")
        self.assertEqual(watcher.payloads(1), ["end"], "who says goodbye has no will")
        late = self.client("late")
        late.subscribe("gone/#")
        self.assertEqual((late.receive().topic, late.messages.empty()), ("gone/1", True))

    def test_take_over(self):
        watcher = self.client("watcher")
        watcher.subscribe("will/#", 1)
        old = self.client("same", connect=False)
        old.paho.will_set("will/same", "displaced", 1)
        old.connect(self.broker)
        new = self.client("same")
        self.assertNotEqual(old.wait_end(), 0)
        self.assertEqual(watcher.payloads(1), ["displaced"])
        new.subscribe("ours")
        watcher.publish("ours", "still here")
        self.assertEqual(new.payloads(1), ["still here"])

    def test_take_over_keeps_the_session(self):
        old, _ = self.lasting("same")
        old.subscribe("ours", 2)
        new, present = self.lasting("same")
        old.wait_end()
        self.assertTrue(present or self.version == V31)
        self.client("publisher").publish("ours", "for the new one", 2)
        self.assertEqual(new.payloads(1), ["for the new one"])

    def test_queued_while_away(self):
        client, present = self.lasting("away")
        self.assertFalse(present)
        client.subscribe("queue/#", 2)
        publisher = self.client("publisher")
        for leave in (client.disconnect, client.vanish):
            leave()
            sent = [f"{i} at {1 + i % 2}" for i in range(500)]
            for i, payload in enumerate(sent):
                publisher.send(f"queue/{i % 3}", payload, 1 + i % 2)
            publisher.publish("queue/end", "end at 2", 2)
            expiry = {"SessionExpiryInterval": 600} if self.version == V5 else {}
            present, _ = client.connect(self.broker, **expiry)
            self.assertTrue(present or self.version == V31)
            self.assert_order(client.payloads(501), sent + ["end at 2"])
        client.disconnect()
        publisher.publish("queue/last", "not for a clean start")
        fresh = self.client("away")
        fresh.subscribe("queue/#")
        publisher.publish("queue/last", "new")
        self.assertEqual(fresh.payloads(1), ["new"])

    def test_subscribing_again_replaces(self):
        publisher, subscriber = self.client("publisher"), self.client("subscriber")
        for qos in (0, 2, 1):
            subscriber.subscribe("again", qos)
            publisher.publish("again", "once", 2)
            self.assertEqual(subscriber.receive().qos, qos)
        subscriber.unsubscribe("again")
        publisher.publish("again", "to nobody", 2)
        subscriber.subscribe("again")
        publisher.publish("again", "end")
        self.assertEqual(subscriber.payloads(1), ["end"])

    def test_filters(self):
        """What GnatMQ's regular expressions got wrong: [MQTT5 4.7], and characters of theirs."""
        table = {
            "a/+/c": ("a/b/c", "a//c"), "x/#": ("x", "x/", "x/y/z"), "exact": ("exact",),
            "/+": ("/q",), "a(b": ("a(b",), "a[b": ("a[b",), "a.b": ("a.b",), "a$b/#": ("a$b",),
            "a*": ("a*",), "a\\": ("a\\",), "sp ace/+": ("sp ace/ ",), "$own/#": ("$own/x",),
            "gr\u00fc\u00dfe/\U0001f98a/#": ("gr\u00fc\u00dfe/\U0001f98a/1",),
        }
        extra = ("axb", "a/x/y/c", "exact/no", "X", "ab", "a", "other/x/y")
        topics = sorted({t for row in table.values() for t in row} | set(extra))
        table["#"] = [t for t in topics if t[0] != "$"]
        table["+"] = [t for t in table["#"] if "/" not in t]
        table["+/+"] = [t for t in table["#"] if t.count("/") == 1]
        publisher, subscriber = self.client("publisher"), self.client("subscriber")
        subscriber.subscribe("$end", 1)
        for pattern, expected in table.items():
            subscriber.subscribe(pattern, 1)
            for topic in topics + ["$end"]:
                publisher.send(topic, topic, 1)
            got = []
            while got[-1:] != ["$end"]:
                got += subscriber.payloads(1)
            self.assertEqual(sorted(got[:-1]), sorted(expected), pattern)
            subscriber.unsubscribe(pattern)


class Version31(Common, harness.Test):
    version = V31


class Version311(Common, harness.Test):
    version = V311

    def test_keep_alive(self):
        watcher = self.client("watcher")
        watcher.subscribe("silent", 1)
        silent = self.client("silent", connect=False)
        silent.paho.will_set("silent", "fell silent", 1)
        started = time.monotonic()
        silent.connect(self.broker, keep_alive=1)
        silent.fall_silent()
        self.assertEqual(watcher.payloads(1), ["fell silent"])
        self.assertGreaterEqual(time.monotonic() - started, 1.5)


class Version5(Common, harness.Test):
    version = V5

    def test_many(self):
        """A hundred subscribers that come while messages flow: GnatMQ's process died of it."""
        publisher = self.client("publisher")
        subscribers = []
        for i in range(100):
            subscribers.append(self.client(f"many{i}"))
            subscribers[-1].subscribe("many", i % 3)
            publisher.publish("many", f"{i}", 2)
        sent = [f"{i}" for i in range(100)]
        for i, subscriber in enumerate(subscribers):
            got = []  # what was still under way when it subscribed may have come, too
            while got[-1:] != sent[-1:]:
                got += subscriber.payloads(1)
            self.assertEqual(got[i - 100:], sent[i:])


if __name__ == "__main__":
    harness.main()
