"""What comes back after a broker was killed: sessions with many subscriptions and with strange
names, and what expires, whatever became of the clock meanwhile."""

import os
import shutil
import struct
import tempfile
import unittest

import durable
from durable import harness, raw
from raw import CONNACK, DISCONNECT, PUBACK, PUBLISH, SUBACK, Raw, packet, text

V5 = 5
MANY = 10000
EXPIRY, MESSAGE_EXPIRY, WILL_DELAY = b"\x11", b"\x02", b"\x18"
SECOND = 10**9
YEARS = 10 * 365 * 86400


def seconds(name, value):
    return name + struct.pack(">I", value)


def properties(*all_of_them):
    body = b"".join(all_of_them)
    return raw.length(len(body)) + body


class Client(Raw):
    """Of MQTT 5, with a session of so many seconds; `present` is CONNACK's word."""

    def __init__(self, broker, client_id, expiry, will=None):
        super().__init__(broker)
        protocol = text("MQTT") + struct.pack(">BBH", V5, 12 if will else 0, 0)
        words = properties(seconds(EXPIRY, expiry)) + text(client_id)
        if will:
            words += properties(seconds(WILL_DELAY, will)) + text("will") + text(client_id)
        self.send(packet(raw.CONNECT, protocol + words))
        body = self.expect(CONNACK)
        assert body[1] == 0, f"refused: {body[1]:#x}"
        self.present = bool(body[0])

    def expect(self, kind):
        got = self.read()
        assert got and got != "reset" and got[0] == kind, (kind, got)
        return got[2]

    def subscribe(self, names, qos=1):
        body = b"".join(text(name) + bytes([qos]) for name in names)
        self.send(packet(raw.SUBSCRIBE, b"\0\1\0" + body, 2))
        assert set(self.expect(SUBACK)[3:]) == {qos}

    def publish(self, topic, payload, *words):
        """At QoS 1, until it is acknowledged."""
        self.send(packet(PUBLISH, text(topic) + b"\0\1" + properties(*words) + payload, 2))
        self.expect(PUBACK)

    def delivery(self):
        """(topic, properties, payload) of the next one, which is acknowledged."""
        body = self.expect(PUBLISH)
        size = raw.id_of(body)
        topic, rest = body[2:2 + size].decode(), body[2 + size:]
        self.send(raw.ack(PUBACK, raw.id_of(rest)))
        props = rest[3:3 + rest[2]]
        return topic, props, rest[3 + rest[2]:]

    def nothing_comes(self):
        self.send(packet(raw.PINGREQ))
        self.expect(raw.PINGRESP)

    def disconnect(self, *words):
        """Until the broker has closed the connection."""
        self.send(packet(DISCONNECT, b"\0" + properties(*words)))
        assert self.read() is None
        self.close()


class Restarted(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gnatter-restart-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.broker = durable.Gnatter(self.folder, os.path.join(self.folder, "data"))
        self.brokers = [self.broker]
        self.environment = dict(os.environ)
        self.start()
        self.addCleanup(self.broker.kill)

    def start(self):
        self.broker.start(self.environment)

    def killed(self):
        self.broker.kill()
        self.start()

    def client(self, *words, **options):
        client = Client(self.broker, *words, **options)
        self.addCleanup(client.close)
        return client


class Sessions(Restarted):
    def test_many_subscriptions(self):
        """Each of ten thousand is there, once, and no more."""
        names = [f"many/{i}/{i % 7}" for i in range(MANY)]
        client = self.client("many", 1000)
        for at in range(0, MANY, 1000):
            client.subscribe(names[at:at + 1000])
        for _ in range(2):
            self.killed()
        publisher = self.client("publisher", 0)
        for at in range(0, MANY, 500):
            part = names[at:at + 500]
            publisher.send(*[raw.publish(name, b"x", 1, 1 + i, properties=b"")
                             for i, name in enumerate(part)])
            for _ in part:
                publisher.expect(PUBACK)
        client = self.client("many", 1000)
        self.assertTrue(client.present)
        self.assertEqual([client.delivery()[0] for _ in names], names)
        client.nothing_comes()

    def test_strange_names(self):
        """Sessions are found by client identifiers of any kind, and are not mistaken for another."""
        names = ["x" * 65535, "x" * 65534, "\u00e4" * 32767 + "y", "a/b", "+", "#", "$SYS", "$share/a/b",
                 "' OR 1=1", '"', "\\", "%s%n", " ", "  ", "\u2028", "\U0001f99f", "../../data.mdb",
                 "\u202eabc", "\ufeff", "e\u0301", "\u00e9", "A", "a"]
        for i, name in enumerate(names):
            client = self.client(name, 1000)
            self.assertFalse(client.present, ascii(name[:40]))
            client.subscribe([f"strange/{i}", "strange/all"])
            client.close()
        self.killed()
        publisher = self.client("publisher", 0)
        for i in range(len(names)):
            publisher.publish(f"strange/{i}", b"%d" % i)
        publisher.publish("strange/all", b"all")
        for i, name in enumerate(names):
            client = self.client(name, 1000)
            self.assertTrue(client.present, ascii(name[:40]))
            got = {client.delivery()[2] for _ in range(2)}
            self.assertEqual(got, {b"%d" % i, b"all"}, ascii(name[:40]))
            client.nothing_comes()

    def test_the_end_by_disconnect(self):
        """Who says that its session ends with DISCONNECT, and sees the connection closed, has none
        any more [MQTT5 3.14.2.2.2], whatever happens to the broker at that moment."""
        for _ in range(10):
            client = self.client("ends", 1000)
            self.assertFalse(client.present)
            client.subscribe(["ends"])
            self.client("publisher", 0).publish("unheard", b"")
            client.disconnect(seconds(EXPIRY, 0))
            self.killed()
        client = self.client("ends", 1000)
        self.assertFalse(client.present)
        self.client("publisher", 0).publish("ends", b"")
        client.nothing_comes()


class Clocks(Restarted):
    """What expires does so by the time that has passed, not by what the wall clock was set to."""

    def setUp(self):
        self.path = None
        super().setUp()

    def start(self):
        if self.path is None:
            self.path = os.path.join(self.folder, "clock")
            self.moved = [0, 0]
            self.move()
            self.environment = dict(os.environ, LD_PRELOAD=os.environ["GNATTER_CLOCK_SHIM"],
                                    GNATTER_CLOCK=self.path)
        super().start()

    def move(self, wall=0, monotonic=0):
        self.moved[0] += wall * SECOND
        self.moved[1] += monotonic * SECOND
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=qq", *self.moved))

    def goes_by(self, time):
        self.move(time, time)

    def leave_things(self):
        """A session of 100 s with a message of 100 s in it and a will after 100 s, and one that
        stays and is subscribed to the will; 30 s ago."""
        watcher = self.client("watcher", 0xFFFFFFFF)
        watcher.subscribe(["will"])
        watcher.disconnect()
        stays = self.client("stays", 0xFFFFFFFF)
        stays.subscribe(["t"])
        stays.disconnect()
        parts = self.client("parts", 200, will=100)
        parts.subscribe(["t"])
        parts.close()
        brief = self.client("brief", 100)
        brief.disconnect()
        self.client("publisher", 0).publish("t", b"x", seconds(MESSAGE_EXPIRY, 100))
        self.goes_by(30)
        self.client("writes", 1000).disconnect()

    def there_for(self, at_least, at_most):
        """The message is still there, for so many seconds."""
        stays = self.client("stays", 0xFFFFFFFF)
        topic, props, payload = stays.delivery()
        self.assertEqual((topic, props[:1], payload), ("t", MESSAGE_EXPIRY, b"x"))
        left = struct.unpack(">I", props[1:5])[0]
        self.assertGreaterEqual(left, at_least)
        self.assertLessEqual(left, at_most)
        brief = self.client("brief", 100)
        self.assertTrue(brief.present)
        brief.close()
        self.client("watcher", 0xFFFFFFFF).nothing_comes()
        self.client("watcher", 0xFFFFFFFF).disconnect()

    def gone(self):
        """All of it, and the will has come."""
        self.assertFalse(self.client("brief", 0).present)
        self.client("stays", 0xFFFFFFFF).nothing_comes()
        watcher = self.client("watcher", 0xFFFFFFFF)
        self.assertEqual(watcher.delivery()[2], b"parts")
        watcher.nothing_comes()

    def test_without_a_jump(self):
        self.leave_things()
        self.broker.kill()
        self.goes_by(40)
        self.start()
        self.there_for(25, 30)

    def test_time_passes_while_it_is_down(self):
        self.leave_things()
        self.broker.kill()
        self.goes_by(71)
        self.start()
        self.gone()

    def jumps(self, then):
        """Ten years ahead or back while it runs, and it is killed."""
        for jump in YEARS, -YEARS:
            with self.subTest(jump=jump):
                self.leave_things()
                self.move(wall=jump)
                self.client("writes", 1000).publish("nobody", b"")
                self.killed()
                then()
                self.tearDown()
                self.doCleanups()
                self.setUp()

    def test_jumps_while_it_runs(self):
        """Nothing expires for that, though it is killed once more."""
        def then():
            self.killed()
            self.there_for(60, 70)
        self.jumps(then)

    def test_jumps_and_then_passes(self):
        """And nothing lives for ever for that."""
        def then():
            self.goes_by(71)
            self.gone()
        self.jumps(then)

    def test_set_back_while_it_is_down(self):
        """How much time has passed nobody knows but for what was written last: nothing expires early
        for it, and nothing lives longer from then on than it was to."""
        self.leave_things()
        self.broker.kill()
        self.move(wall=-YEARS)
        self.start()
        self.there_for(60, 71)

    def test_set_back_while_it_is_down_and_then_passes(self):
        self.leave_things()
        self.broker.kill()
        self.move(wall=-YEARS)
        self.start()
        self.goes_by(80)  # what was written last may be seconds old on a busy machine
        self.gone()

    def test_the_machine_starts_anew(self):
        """Its monotonic clock begins again, the wall clock has gone on."""
        self.leave_things()
        self.broker.kill()
        self.move(wall=40, monotonic=-20)
        self.start()
        self.there_for(25, 30)


if __name__ == "__main__":
    harness.main()
