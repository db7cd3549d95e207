#!/usr/bin/env python3
"""Publishers that wait for nothing but their window, towards one who reads slowly, or no more: what
was acknowledged arrives, in order, everybody else is as well off as before, and the ledger adds up.
"""

import struct
import time

import peers
from peers import PUBACK, PUBLISH, V5, Peer, harness, raw
from raw import PUBCOMP, PUBREC, PUBREL, Raw

WINDOW = 150
PAYLOAD = b"x" * 3000


class Publisher(Raw):
    """Publishes its own name and numbers, up to WINDOW unacknowledged."""

    def __init__(self, broker, name, qos):
        super().__init__(broker)
        self.name, self.qos, self.acknowledged = name, qos, 0
        assert self.connect(name, keep_alive=0)[1] == 0

    def hear(self):
        """Takes one packet, and counts it if that settles a message."""
        kind, _, body = self.read()
        if kind == PUBREC:
            self.send(raw.ack(PUBREL, raw.id_of(body)))
        self.acknowledged += kind in (PUBACK, PUBCOMP)
        assert kind in (PUBACK, PUBREC, PUBCOMP), kind

    def flood(self, total):
        for i in range(total):
            while i - self.acknowledged >= WINDOW:
                self.hear()
            text = b"%s %d " % (self.name.encode(), i)
            self.send(raw.publish("flood", text + PAYLOAD, self.qos, 1 + i % 60000))
        while self.acknowledged < total:
            self.hear()


class Flood(peers.Test):
    def publishers(self):
        return [self.own(Publisher(self.broker, f"p{i}-{qos}", qos))
                for i in range(2) for qos in (1, 2)]

    def ledger(self, received):
        """$SYS/broker/ledger/# when so many deliveries, and the bystanders', are in it."""
        received += sum(bystander.trips for bystander in self.bystanders)

        def watch():
            client = self.own(Peer(self.broker))
            assert client.connect(f"watcher {time.monotonic()}", version=V5)[1] == 0
            client.send(raw.subscribe(1, "$SYS/broker/ledger/#", 0, V5))
            rows = {}
            while len(rows) < 15:  # all of them, in any order
                kind, _, body = client.read()
                if kind == PUBLISH:
                    topic, _, value = raw.publication(body, 0, V5)
                    rows[topic.removeprefix("$SYS/broker/ledger/")] = int(value)
            client.close()
            dropped = sum(n for name, n in rows.items() if name.startswith("dropped/"))
            out = sum(rows[name] for name in ("delivered", "expired", "dead_lettered", "queued"))
            out += dropped
            return rows if rows["received"] == out >= received else None
        return harness.wait_until(watch, "a ledger that adds up")

    def read_slowly(self, client, total, pause):
        """Takes TOTAL messages, a few at a time; {publisher: numbers}."""
        seen = {}
        for i in range(total):
            kind, flags, body = client.read()
            while kind == PUBREL:
                client.send(raw.ack(PUBCOMP, raw.id_of(body)))
                kind, flags, body = client.read()
            self.assertEqual(kind, PUBLISH)
            qos = flags >> 1 & 3
            _, packet_id, payload = raw.publication(body, qos, V5)
            name, number = payload.split(b" ")[:2]
            seen.setdefault(name.decode(), []).append(int(number))
            client.send(raw.ack(PUBACK if qos == 1 else PUBREC, packet_id))
            if i % 50 == 0:
                time.sleep(pause)
        return seen


class Slow(Flood):
    settings = ("sys_interval=1s",)

    def test_all_that_was_acknowledged_arrives(self):
        each = 1000
        slow = self.peer("slow", receive=1 << 16, keep_alive=0)
        slow.subscribe("flood", 2)
        publishers = self.publishers()
        reader = peers.InBackground(self.read_slowly, slow, each * len(publishers), 0.02)
        floods = [peers.InBackground(publisher.flood, each) for publisher in publishers]
        rounds = self.trips_while(reader)
        self.assertTrue(rounds)
        seen = reader.join()
        for flood in floods:
            flood.join()
        for publisher in publishers:
            self.assertEqual(seen[publisher.name], list(range(each)), publisher.name)
        rows = self.ledger(each * len(publishers))
        self.assertEqual(rows["dropped/queue_full"], 0)


class Deaf(Flood):
    wait = 1
    settings = ("sys_interval=1s", f"queue_full_wait={wait}s")

    def test_nobody_waits_for_ever(self):
        """It is waited for once; then its publishers go on without it, and a healthy one that has
        subscribed to the same has everything."""
        each = 1500
        deaf, healthy = self.peer("deaf", receive=1, keep_alive=0), self.peer("healthy")
        deaf.subscribe("flood", 1)
        healthy.subscribe("flood", 2)
        publishers = self.publishers()
        begin = time.monotonic()
        reader = peers.InBackground(self.read_slowly, healthy, each * len(publishers), 0)
        floods = [peers.InBackground(publisher.flood, each) for publisher in publishers]
        rounds = self.trips_while(reader)
        self.assertTrue(rounds)
        self.assertGreater(time.monotonic() - begin, self.wait)
        seen = reader.join()
        for flood in floods:
            flood.join()
        for publisher in publishers:
            self.assertEqual(seen[publisher.name], list(range(each)), publisher.name)
        rows = self.ledger(2 * each * len(publishers))
        self.assertGreater(rows["dropped/queue_full"], 0)
        deaf.send(raw.packet(peers.PINGREQ))  # it is still connected


class NotRead(Flood):
    settings = ("limits.receive_maximum=2", "limits.queued_per_session=2")

    def test_what_has_been_read_is_not_forgotten(self):
        """What came in one piece with too many messages, behind a SUBSCRIBE that takes several
        turns, is acted on when there is room again, though nothing more is sent."""
        slow = self.peer("slow", properties=b"\x21\0\1", keep_alive=0)
        slow.subscribe("flood", 1)
        publisher = self.peer("publisher", version=4, keep_alive=0)
        ids = range(1, 21)
        many = b"".join(raw.text(f"f{i}") + b"\0" for i in range(700))
        publisher.send(*[raw.publish("flood", b"p %d " % i, 1, i) for i in ids],
                       raw.packet(raw.SUBSCRIBE, struct.pack(">H", 99) + many, 2),
                       raw.packet(peers.PINGREQ))
        self.assertEqual(self.read_slowly(slow, len(ids), 0), {"p": list(ids)})
        kinds = [kind for kind, _, _ in publisher.read_all(len(ids) + 2)]
        self.assertEqual(sorted(kinds), [PUBACK] * len(ids) + [peers.SUBACK, peers.PINGRESP])


if __name__ == "__main__":
    peers.main()
