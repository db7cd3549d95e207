"""What the tests of slow, stuck and greedy peers share: clients byte for byte, those who must not
suffer, and what the broker holds meanwhile.

They are about order and bounds, not about speed: a bystander's round trips are counted between two
events, and nothing is said of how long they took.

By hand:  GNATTER=build/debug/gnatter GNATTER_WORKERS=2 tests/peers/test_stuck.py [Class.test]
"""

import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness  # noqa: E402
import raw  # noqa: E402
from raw import (CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, SUBACK,  # noqa: E402
                 Raw, id_of, length, packet, text)

UNSUBSCRIBE, UNSUBACK = 10, 11
V5 = 5
QUOTA_EXCEEDED, USE_ANOTHER_SERVER, SERVER_MOVED, RATE_EXCEEDED = 0x97, 0x9C, 0x9D, 0x9F
SERVER_REFERENCE = 0x1C


class Peer(Raw):
    """A Raw whose window can be made small: RECEIVE is its kernel's buffer."""

    def __init__(self, broker, receive=None):
        self.socket = socket.socket()
        self.socket.settimeout(harness.PATIENCE)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", broker.port))
        self.stream = self.socket.makefile("rb")

    def answer(self, kind):
        """The body of the next packet, which has to be of this kind."""
        got = self.read()
        assert got is not None and got != "reset" and got[0] == kind, (kind, got)
        return got[2]

    def subscribe(self, topic, qos=0):
        self.send(raw.subscribe(1, topic, qos, V5))
        code = self.answer(SUBACK)[-1]
        assert code == qos, code

    def take(self, most):
        """The size of what has come next; the connection has to stand."""
        size = len(self.socket.recv(most))
        assert size, "the broker has ended the connection"
        return size

    def ping(self):
        self.send(packet(PINGREQ))
        self.answer(PINGRESP)

    def reset(self):
        """Ends the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def ended(self):
        """Reads up to the end of the connection, however that comes."""
        while self.read_or_end() is not None:
            pass

    def read_or_end(self):
        """The next packet; None at the end, also if that comes within a packet."""
        try:
            got = self.read()
        except (IndexError, ConnectionResetError):
            return None
        return None if got == "reset" else got


class Bystander(Peer):
    """A client that talks to itself, and wants an answer to each word."""

    def __init__(self, broker, name):
        super().__init__(broker)
        self.name, self.trips = name, 0
        assert self.connect(name, version=V5, keep_alive=0)[1] == 0
        self.subscribe(f"bystander/{name}", 1)

    def round_trip(self):
        """A message to itself: acknowledged, delivered, and nothing else comes."""
        self.trips += 1
        mine = b"%d" % self.trips
        self.send(raw.publish(f"bystander/{self.name}", mine, 1, 1, properties=b""))
        kinds = []
        for _ in range(2):
            kind, _, body = self.read()
            kinds.append(kind)
            if kind == PUBLISH:
                _, packet_id, payload = raw.publication(body, 1, V5)
                assert payload == mine, (payload, mine)
                self.send(raw.ack(PUBACK, packet_id))
        assert sorted(kinds) == [PUBLISH, PUBACK], kinds


def user_property(name, value):
    return b"\x26" + text(name) + text(value)


def filters(kind, packet_id, names, qos=0):
    """SUBSCRIBE or UNSUBSCRIBE with many filters."""
    tail = bytes([qos]) if kind == raw.SUBSCRIBE else b""
    body = b"".join(text(name) + tail for name in names)
    return packet(kind, struct.pack(">H", packet_id) + b"\0" + body, 2)


def reference_of(body, at):
    """The server reference in the properties of a CONNACK or DISCONNECT, which begin at AT."""
    size, properties = body[at], body[at + 1:]
    assert size == len(properties) and properties[0] == SERVER_REFERENCE, body
    return properties[3:].decode()


class InBackground:
    """Runs WORK on a thread; join() gives its result or raises what it raised."""

    def __init__(self, work, *words):
        self.result = self.error = None
        self.thread = threading.Thread(target=self.run, args=(work, words), daemon=True)
        self.thread.start()

    def run(self, work, words):
        try:
            self.result = work(*words)
        except BaseException as error:  # told by join()
            self.error = error

    @property
    def going_on(self):
        return self.thread.is_alive()

    def join(self):
        self.thread.join(4 * harness.PATIENCE)
        if self.thread.is_alive():
            raise AssertionError("it never came to an end")
        if self.error:
            raise self.error
        return self.result


class Test(harness.Test):
    """A test with a broker, and bystanders at each of its workers."""

    BYSTANDERS = 4

    def setUp(self):
        super().setUp()
        self.bystanders = [self.own(Bystander(self.broker, f"b{i}"))
                           for i in range(self.BYSTANDERS)]

    def own(self, client):
        self.addCleanup(client.close)
        return client

    def peer(self, name=None, receive=None, **options):
        client = self.own(Peer(self.broker, receive))
        if name is not None:
            options.setdefault("version", V5)
            self.assertEqual(client.connect(name, **options)[1], 0)
        return client

    def round_trips(self):
        """Each bystander once: the broker is alive and has nothing else for them."""
        for bystander in self.bystanders:
            bystander.round_trip()

    def trips_while(self, work):
        """How many rounds of all bystanders there were until WORK had ended.  One is what counts: it
        shares the interpreter with the thread that does the work, so there may be few."""
        rounds = 0
        while work.going_on:
            self.round_trips()
            rounds += 1
        return rounds

    def resident(self):
        """The broker's memory in KiB."""
        with open(f"/proc/{self.broker.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.broker.process.pid}/fd"))

    def no_descriptor_left(self, before):
        """What has come has gone."""
        harness.wait_until(lambda: self.descriptors() <= before,
                           f"the broker's descriptors as before, {before}")


main = harness.main
