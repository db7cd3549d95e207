#!/usr/bin/env python3
"""Bytes by hand: old and odd clients are met kindly, bad ones harm only themselves."""

import socket
import struct
import threading

import harness
import raw
from paho_client import Client
from raw import (CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, Raw, ack,
                 id_of, publication)


class RawTest(harness.Test):
    def raw(self, name=None, **options):
        client = Raw(self.broker)
        self.addCleanup(client.close)
        if name is not None:
            self.assertEqual(client.connect(name, **options)[1], 0)
        return client

    def paho(self, name, topic=None, qos=2):
        client = Client(name)
        self.addCleanup(client.close)
        client.connect(self.broker)
        if topic:
            client.subscribe(topic, qos)
        return client


class OldClients(RawTest):
    def test_refusal_is_readable(self):
        """CONNACK with the reason comes before the end of the connection, which is in order."""
        for packet, answer in (
                (raw.connect("", 4, clean=False), b"\0\2"), (raw.connect("", 3), b"\0\2"),
                (raw.connect("x", 6), b"\0\1"), (raw.connect("x", 2), b"\0\1")):
            client = self.raw()
            client.send(packet, raw.publish("early", b"a client that does not wait") * 100)
            kind, _, body = client.read()
            self.assertEqual((kind, body), (CONNACK, answer))
            self.assertIsNone(client.read(), "the end")

    def test_thousand_unreleased(self):
        """A 3.1.1 client has no receive maximum: all its QoS 2 messages are taken, once each."""
        watcher = self.paho("watcher", "many")
        client = self.raw("old", clean=False)
        ids = range(1, 1001)
        client.send(*[raw.publish("many", b"%d" % i, 2, i) for i in ids])
        self.assertEqual([(k, id_of(b)) for k, _, b in client.read_all(1000)],
                         [(PUBREC, i) for i in ids])
        client.close()
        again = self.raw("old", clean=False)
        again.send(*[raw.publish("many", b"%d" % i, 2, i, dup=True) for i in ids])
        again.send(*[ack(PUBREL, i) for i in ids])
        answers = [(k, id_of(b)) for k, _, b in again.read_all(2000)]
        self.assertEqual(answers, [(PUBREC, i) for i in ids] + [(PUBCOMP, i) for i in ids])
        watcher.publish("many", "end", 2)
        self.assertEqual(watcher.payloads(1001), [f"{i}" for i in ids] + ["end"])

    def test_repeated_with_dup(self):
        """Clients that repeat a PUBLISH on a live connection, as M2Mqtt does."""
        watcher = self.paho("watcher", "again")
        client = self.raw("impatient")
        client.send(raw.publish("again", b"two", 2, 7),
                    raw.publish("again", b"two", 2, 7, dup=True))
        self.assertEqual([(k, id_of(b)) for k, _, b in client.read_all(2)], [(PUBREC, 7)] * 2)
        client.send(ack(PUBREL, 7), ack(PUBREL, 7))
        self.assertEqual([(k, id_of(b)) for k, _, b in client.read_all(2)], [(PUBCOMP, 7)] * 2)
        client.send(raw.publish("again", b"one", 1, 8),
                    raw.publish("again", b"one", 1, 8, dup=True))
        self.assertEqual([(k, id_of(b)) for k, _, b in client.read_all(2)], [(PUBACK, 8)] * 2)
        watcher.publish("again", "end", 2)
        # Paho shows a QoS 2 message once it is released, so one of QoS 1 may overtake it there.
        self.assertEqual(sorted(watcher.payloads(4)), ["end", "one", "one", "two"])

    def test_acknowledgement_comes_late(self):
        """The broker does not repeat on a live connection [MQTT5 4.4], but on the next one."""
        client = self.raw("late", clean=False)
        client.send(raw.subscribe(1, "late", 2))
        self.assertEqual(client.read()[0], SUBACK)
        publisher = self.paho("publisher")
        for qos in (1, 2):
            publisher.publish("late", f"{qos}", qos)
        first = client.read_all(2)
        self.assertEqual([(k, f >> 1) for k, f, _ in first], [(PUBLISH, 1), (PUBLISH, 2)])
        client.send(ack(PUBREC, publication(first[1][2], 2)[1]))
        self.assertEqual(client.read()[0], PUBREL)
        client.close()
        again = self.raw("late", clean=False)
        kind, flags, body = again.read()
        self.assertEqual((kind, flags, body), (PUBLISH, 8 | 2, first[0][2]))
        kind, _, body = again.read()
        self.assertEqual((kind, id_of(body)), (PUBREL, publication(first[1][2], 2)[1]))

    def test_publish_and_goodbye(self):
        """PUBLISH at QoS 0, and DISCONNECT and the end right behind it."""
        watcher = self.paho("watcher", "quick", 0)
        client = self.raw()
        client.send(raw.connect("quick"), *[raw.publish("quick", b"%d" % i) for i in range(1000)],
                    raw.packet(DISCONNECT))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(watcher.payloads(1000), [f"{i}" for i in range(1000)])

    def test_qos_3(self):
        client = self.raw("asks for 3")
        client.send(raw.subscribe(1, "x", 3))
        self.assertIsNone(client.read())

    def test_keep_alive(self):
        client = self.raw("silent", keep_alive=1)
        self.assertIsNone(client.read(), "closed by the broker")


class BadPeers(RawTest):
    settings = ("limits.connect_timeout=500ms",)

    def test_others_are_served(self):
        watcher = self.paho("watcher", "fine")
        for sent in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x01", b"\0" * 100,
                     raw.connect("x") + b"\xff" * 50, raw.publish("x", b"before CONNECT"),
                     raw.connect("x") * 2, raw.connect("x") + raw.publish("a/+", b""),
                     raw.connect("x") + raw.publish(b"\xc3\x28", b""),
                     raw.connect("x") + raw.publish("x", b"", 1, 0)):
            client = self.raw()
            client.send(sent)
            if not sent:
                client.close()
            else:
                while client.read() not in (None, "reset"):
                    pass
            watcher.publish("fine", "yes")
            self.assertEqual(watcher.payloads(1), ["yes"])

    def test_filters_that_are_none(self):
        for version, code in ((3, 0x80), (4, 0x80), (5, 0x8F)):
            client = self.raw("x", version=version)
            for topic in ("a/#/b", "a#", "a+/b", "+a", "$share/g", "$share//a", "$share/g+/a"):
                client.send(raw.subscribe(1, topic, 0, version))
                kind, _, body = client.read()
                self.assertEqual((kind, body[-1]), (SUBACK, code), (version, topic))

    def test_who_says_nothing(self):
        """A connection without CONNECT ends; nobody waits for it."""
        mute = [self.raw() for _ in range(10)]
        self.paho("talks").publish("x", "y")
        for client in mute:
            self.assertIsNone(client.read())

    def test_who_reads_nothing(self):
        """One that takes no messages does not keep the publisher or others waiting."""
        stuck = self.raw("stuck")
        stuck.send(raw.subscribe(1, "flood", 0))
        self.assertEqual(stuck.read()[0], SUBACK)
        watcher = self.paho("watcher", "flood", 1)
        publisher = self.paho("publisher")
        payload = b"x" * 100000
        for _ in range(200):
            publisher.publish("flood", payload, 1)
        publisher.publish("flood", "end", 1)
        self.assertEqual(len([m for m in watcher.receive_all(201) if m.payload == payload]), 200)


class Flow(RawTest):
    settings = ("limits.receive_maximum=10",)

    def test_clients_receive_maximum(self):
        """No more than 3 unacknowledged, the next one for each acknowledgement, in order."""
        client = self.raw("narrow", version=5, properties=b"\x21" + struct.pack(">H", 3))
        client.send(raw.subscribe(1, "flow", 2, version=5))
        self.assertEqual(client.read()[0], SUBACK)
        publisher = self.paho("publisher")
        for i in range(20):
            publisher.publish("flow", f"{i}", 1)
        held, seen = [], []
        for _ in range(3):
            held.append(client.read())
        for _ in range(20):
            # All that is allowed has come; a packet more would stand before this answer.
            client.send(raw.packet(raw.PINGREQ))
            self.assertEqual(client.read()[0], raw.PINGRESP)
            _, packet_id, payload = publication(held.pop(0)[2], 1, version=5)
            seen.append(payload.decode())
            client.send(ack(PUBACK, packet_id))
            if len(seen) + len(held) < 20:
                held.append(client.read())
        self.assertEqual(seen, [f"{i}" for i in range(20)])

    def test_brokers_receive_maximum(self):
        client = self.raw()
        client.send(raw.connect("greedy", 5))
        client.read()
        client.send(*[raw.publish("x", b"", 2, i, properties=b"") for i in range(1, 12)])
        *answers, last = client.read_all(11)
        self.assertEqual([a[0] for a in answers], [PUBREC] * 10)
        self.assertEqual((last[0], last[2][0]), (DISCONNECT, 0x93))
        self.assertIsNone(client.read())

    def test_shared_member_with_a_full_window(self):
        """Its share goes to the others; what it never acknowledged goes to them when it leaves."""
        stuck = self.raw("stuck", version=5, properties=b"\x21" + struct.pack(">H", 2))
        stuck.send(raw.subscribe(1, "$share/g/work", 1, version=5))
        self.assertEqual(stuck.read()[0], SUBACK)
        works = self.paho("works", "$share/g/work", 1)
        publisher = self.paho("publisher")
        for i in range(100):
            publisher.publish("work", f"{i}", 1)
        held = {publication(b, 1, version=5)[2].decode() for _, _, b in stuck.read_all(2)}
        got = works.payloads(98)
        stuck.close()
        rest = works.payloads(2)
        self.assertEqual(set(rest), held)
        self.assertEqual(sorted(got + rest, key=int), [f"{i}" for i in range(100)])

    def test_connections_at_once(self):
        """Clients that come from many threads while others go."""
        failures = []

        def come_and_go(number):
            try:
                for i in range(10):
                    client = Raw(self.broker)
                    client.connect(f"busy {number} {i % 3}", clean=i % 2 == 0)
                    client.send(raw.subscribe(1, f"busy/{number}", 1))
                    client.send(raw.publish(f"busy/{number}", b"own", 1, 2))
                    kinds = set()
                    while kinds != {SUBACK, PUBACK, PUBLISH}:
                        kinds.add(client.read()[0])
                    client.close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * harness.PATIENCE)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    harness.main()
