#!/usr/bin/env python3
"""Peers of AMQP that begin and do not go on, drip, or are gone without a word: nobody waits for them,
and what they had goes to others."""

import socket
import time
import unittest

import amqp_peers
import peers
from amqp_peers import amqp, harness

TCP_REPAIR = 19
GREETING = amqp.HEADERS["amqp"] + amqp.frame(amqp.encode(amqp.composite(
    "open", {"container-id": amqp.Value("string", "never")})))


def drip(peer, data, pause):
    """Byte by byte; False if the connection ended meanwhile."""
    for byte in data:
        try:
            peer.socket.sendall(bytes([byte]))
        except OSError:
            return False
        time.sleep(pause)
    return True


class Silent(amqp_peers.Test):
    settings = ("limits.connect_timeout=1s",)

    def test_silence(self):
        """Two hundred that say nothing, or a part of what comes first, for as long as they may."""
        before = self.descriptors()
        silent = [self.amqp() for _ in range(200)]
        for number, peer in enumerate(silent):
            peer.write(GREETING[:number % (len(GREETING) - 1)])
        self.round_trips()
        for peer in silent:
            peer.ended()
        for peer in silent:
            peer.close()
        self.no_descriptor_left(before)
        self.round_trips()

    def test_dripping_open(self):
        """Whoever takes longer for it than it may is closed, though it never falls silent."""
        peer = self.amqp()
        peer.write(b"")
        drips = peers.InBackground(drip, peer, GREETING[:8] + b"\0\0\x20\0\2\0\0\0" + bytes(8000),
                                   0.02)
        self.assertTrue(self.trips_while(drips))
        self.assertFalse(drips.join(), "it could take longer than 1 s")


class Idle(amqp_peers.Test):
    settings = ("limits.amqp_idle=5s",)

    def setUp(self):
        super().setUp()
        for client in self.bystanders[self.BYSTANDERS:]:  # they are silent while others are
            client.close()
        self.bystanders = self.bystanders[:self.BYSTANDERS]

    def test_dripping_transfer(self):
        """A frame may come as slowly as it likes within the idle time-out, and no slower; what was
        announced and has not come takes no memory."""
        before = self.resident()
        announced = [self.amqp(f"announces{i}").begin() for i in range(20)]
        for peer in announced:
            peer.do_attach('sender "announced"')
            peer.socket.sendall(b"\0\0\xff\xff\2\0\0\0")
        peer, slower = self.amqp("drips").begin(), self.amqp("slower").begin()
        for one in (peer, slower):
            one.do_attach('sender "drips"')
        data = peer.frames_of('transfer handle=0 delivery-id=0 delivery-tag=<00> : data("drips")')
        drips = peers.InBackground(drip, peer, data, 0.5 / len(data))
        drops = peers.InBackground(drip, slower, data, 8 / len(data))
        self.assertTrue(self.trips_while(drips))
        self.assertTrue(drips.join())
        peer.do_settled("accepted 0")
        self.assertTrue(self.trips_while(drops))
        drops.join()
        slower.do_expect("close error=amqp:resource-limit-exceeded")
        for peer in announced:
            peer.ended()
        self.assertLess(self.resident(), before + 8 * 1024)

    def vanish(self, peer):
        """Its machine is gone: nothing is sent, and nobody answers."""
        try:
            peer.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            raise unittest.SkipTest("only root can let a connection vanish") from None
        peer.close()

    def test_vanished(self):
        """What a receiver had that has vanished goes to the next one."""
        peer = self.amqp("vanishes").begin()
        peer.do_attach('sender "left"')
        peer.do_attach('receiver "left" handle=1')
        peer.do_flow("handle=1 link-credit=10")
        for number in range(5):
            peer.transfer(f"{number}")
        peer.do_skip("disposition")
        for number in range(5):
            peer.do_expect(f'message handle=1 : data("{number}")')
        self.vanish(peer)

        def back():
            told, = self.management("show", "left")
            return told["ready"] == 5 and not told["consumers"]
        harness.wait_until(back, "what it had to be given back")
        self.round_trips()


if __name__ == "__main__":
    peers.main()
