#!/usr/bin/env python3
"""Connections that begin and do not go on, or end without a word: nobody waits for them, and nothing
of them stays."""

import socket
import time
import unittest

import peers
from peers import PUBLISH, V5, harness, raw

TCP_REPAIR = 19


def with_will(name, topic):
    """CONNECT of MQTT 5 with a will for TOPIC."""
    head = raw.text("MQTT") + bytes([V5, 0x06, 0, 0, 0])
    return raw.packet(raw.CONNECT, head + raw.text(name) + b"\0" + raw.text(topic)
                      + raw.text("gone"))


class Silent(peers.Test):
    settings = ("limits.connect_timeout=1s",)

    def test_connect_and_silence(self):
        """Two hundred that say nothing, or a part of CONNECT, for as long as they may."""
        before = self.descriptors()
        greeting = raw.connect("never", version=V5)
        clients = [self.peer() for _ in range(200)]
        for i, client in enumerate(clients):
            client.send(greeting[:i % len(greeting)])
        self.round_trips()
        for client in clients:
            self.assertIsNone(client.read_or_end())
        self.no_descriptor_left(before)
        self.round_trips()

    def test_connect_cut_everywhere(self):
        """CONNECT that ends after each of its bytes: by FIN, by half a close, by RST."""
        before = self.descriptors()
        greeting = with_will("cut", "bystander/b0")
        for size in range(len(greeting)):
            for how in (peers.Peer.close, peers.Peer.reset,
                        lambda half: half.socket.shutdown(socket.SHUT_WR)):
                client = self.peer()
                client.send(greeting[:size])
                how(client)
        self.round_trips()  # none of the wills was anybody's: b0 would have heard it
        self.no_descriptor_left(before)


class Gone(peers.Test):
    def watcher(self):
        client = self.peer("watcher", keep_alive=0)
        client.subscribe("wills/#")
        return client

    def test_wills_of_the_lost(self):
        """FIN and RST without DISCONNECT: the will is published, also of one within a packet, and of
        one who had not taken its messages."""
        watcher, publisher = self.watcher(), self.peer("publisher")
        publication = raw.publish("x", b"y" * 1000, properties=b"")
        for number, (part, how) in enumerate((p, h) for p in (b"", publication[:500])
                                             for h in (peers.Peer.close, peers.Peer.reset)):
            client = self.peer(receive=1)
            client.send(with_will(f"lost {number}", f"wills/{number}"))
            client.answer(raw.CONNACK)
            client.subscribe("x")
            for _ in range(50):
                publisher.send(publication)
            publisher.ping()
            client.send(part)
            how(client)
            topic, _, payload = raw.publication(watcher.answer(PUBLISH), 0, V5)
            self.assertEqual((topic, payload), (f"wills/{number}", b"gone"))
        self.round_trips()

    def vanish(self, client):
        """The client's machine is gone: nothing is sent, and nobody answers."""
        try:
            client.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            raise unittest.SkipTest("only root can let a connection vanish") from None
        client.close()

    def test_vanished(self):
        """What has vanished is found out by its keep alive."""
        watcher = self.watcher()
        greeting = bytearray(with_will("vanishes", "wills/vanished"))
        greeting[11] = 1  # keep alive: 1 s
        client = self.peer()
        client.send(bytes(greeting))
        client.answer(raw.CONNACK)
        self.vanish(client)
        self.assertEqual(raw.publication(watcher.answer(PUBLISH), 0, V5)[2], b"gone")
        self.round_trips()

    def test_kernel_looks_after_the_rest(self):
        """A client without keep alive is looked after by the kernel: that timer runs on its
        connection."""
        client = self.peer("no keep alive", keep_alive=0)
        client.ping()
        ours = "0100007F:%04X" % self.broker.port
        theirs = "0100007F:%04X" % client.socket.getsockname()[1]

        def timer():
            with open("/proc/net/tcp") as table:
                for line in table:
                    words = line.split()
                    if words[1:3] == [ours, theirs]:
                        return words[5].split(":")[0]
            return None
        # 01 would be what has just been sent and is not acknowledged yet
        harness.wait_until(lambda: timer() == "02", "the kernel's keep alive timer")


class Dripping(peers.Test):
    settings = ("limits.connect_timeout=2s",)

    def drip(self, client, data, pause):
        """Byte by byte; False if the connection ended meanwhile."""
        try:
            for byte in data:
                client.send(bytes([byte]))
                time.sleep(pause)
            return True
        except (ConnectionResetError, BrokenPipeError):
            return False

    def test_connect(self):
        """Whoever takes longer for its CONNECT than it may is closed in the middle of it, though it
        never falls silent."""
        client = self.peer()
        drips = peers.InBackground(self.drip, client, raw.connect("x" * 1000, version=V5), 0.02)
        rounds = self.trips_while(drips)
        self.assertFalse(drips.join(), "it could take longer than 2 s")
        self.assertGreater(rounds, 10)
        self.assertIsNone(client.read_or_end())

    def test_publish(self):
        """A packet that drips is a sign of life: it may take longer than the keep alive."""
        before = self.resident()
        clients = [self.peer(f"drips {i}", keep_alive=1) for i in range(20)]
        watcher = self.peer("watcher", keep_alive=0)
        watcher.subscribe("drips/#")
        # All of it is announced at once: 20 of 200 MB.  What has not come takes no memory.
        large = self.peer("announces", keep_alive=1)
        large.send(b"\x30" + raw.length(200_000_000) + raw.text("never"))
        drips = [peers.InBackground(self.drip, client,
                                    raw.publish(f"drips/{i}", b"x" * 30, properties=b""), 0.06)
                 for i, client in enumerate(clients)]
        announced = peers.InBackground(self.drip, large, b"y" * 40, 0.06)
        rounds = self.trips_while(drips[-1])
        self.assertGreater(rounds, 10)
        self.assertTrue(all(d.join() for d in drips + [announced]))
        seen = {raw.publication(watcher.answer(PUBLISH), 0, V5)[0] for _ in clients}
        self.assertEqual(seen, {f"drips/{i}" for i in range(20)})
        self.assertLess(self.resident(), before + 16 * 1024)


if __name__ == "__main__":
    peers.main()
