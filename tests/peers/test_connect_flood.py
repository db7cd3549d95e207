#!/usr/bin/env python3
"""More connections, sessions and connects a second than there may be."""

import time

import peers
from peers import V5, harness, raw

MOST = 300


class Connections(peers.Test):
    settings = (f"limits.connections={MOST}", "limits.connect_timeout=30s")

    def outcomes(self, count):
        """COUNT clients that connect at once: what each was told, None for nothing."""
        clients = [self.peer() for _ in range(count)]
        for i, client in enumerate(clients):
            try:
                client.send(raw.connect(f"flood {i}", version=V5))
            except (BrokenPipeError, ConnectionResetError):
                pass
        answers = [client.read_or_end() for client in clients]
        return clients, [None if a is None else a[2][1] for a in answers]

    def test_up_to_the_limit(self):
        """As many as may be are let in, the rest is closed, again and again, and those who were
        there first do not suffer."""
        room = MOST - len(self.bystanders)
        before = self.descriptors()
        for _ in range(3):
            clients, outcomes = self.outcomes(MOST + 100)
            self.assertEqual(outcomes.count(0), room)
            self.assertEqual(outcomes.count(None), MOST + 100 - room)
            self.round_trips()
            for client in clients:
                client.reset()
            self.no_descriptor_left(before)

    def test_silent_ones_count(self):
        """Those that say nothing hold a place, for as long as connect_timeout lets them."""
        room = MOST - len(self.bystanders)
        silent = [self.peer() for _ in range(room)]
        harness.wait_until(lambda: self.descriptors() >= room, "all of them accepted")
        self.round_trips()
        late = self.peer()
        self.assertIsNone(late.read_or_end())
        silent[0].close()

        def let_in():
            client = self.peer()
            try:
                client.send(raw.connect("late", version=V5))
            except (BrokenPipeError, ConnectionResetError):
                return False
            return client.read_or_end() is not None
        harness.wait_until(let_in, "room for another one")


class Surplus(Connections):
    settings = (f"limits.connections={MOST}", "moved.to=b.example:1883", "moved.clients=surplus",
                "limits.connect_timeout=30s")

    def test_up_to_the_limit(self):
        """Those for whom there is no room are told where to go."""
        room = MOST - len(self.bystanders)
        clients = [self.peer() for _ in range(MOST)]
        for i, client in enumerate(clients):
            client.send(raw.connect(f"flood {i}", version=V5))
        answers = [client.answer(raw.CONNACK) for client in clients]
        self.assertEqual([a[1] for a in answers].count(0), room)
        elsewhere = [a for a in answers if a[1] == peers.USE_ANOTHER_SERVER]
        self.assertEqual(len(elsewhere), MOST - room)
        self.assertEqual({peers.reference_of(a, 2) for a in elsewhere}, {"b.example:1883"})
        self.round_trips()

    def test_silent_ones_count(self):
        """Who waits to be told is bounded, too."""
        before = self.descriptors()
        clients = []
        for _ in range(4 * MOST + 1024):
            clients.append(self.peer())
        harness.wait_until(lambda: any(is_over(client) for client in clients), "one that is closed")
        self.assertLessEqual(self.descriptors() - before, MOST + 1024)
        self.round_trips()


def is_over(client):
    client.socket.setblocking(False)
    try:
        return client.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


class Rate(peers.Test):
    BYSTANDERS = 2
    rate = 10
    settings = (f"limits.connect_rate={rate}",)

    def test_rate(self):
        """Not more than the rate, a second's worth at once; the others are told why."""
        begin = time.monotonic()
        outcomes = []
        while outcomes.count(0) < 3 * self.rate:
            client = self.peer()
            client.send(raw.connect("flood", version=V5))
            outcomes.append(client.answer(raw.CONNACK)[1])
            client.close()
        took = time.monotonic() - begin
        self.assertEqual(set(outcomes), {0, peers.RATE_EXCEEDED})
        self.assertGreater(took, 1.9, "30 at 10 a second, of which less than 10 came at once")
        self.round_trips()


class Sessions(peers.Test):
    settings = ("limits.sessions=100",)

    def test_sessions_of_the_absent(self):
        """Sessions of clients that are away count, at all workers together; they may come again."""
        room = 100 - len(self.bystanders)
        expiry = b"\x11" + b"\0\0\1\0"
        codes = []
        for i in range(120):
            client = self.peer()
            codes.append(client.connect(f"s{i}", version=V5, properties=expiry)[1])
            client.close()
        self.assertEqual(codes, [0] * room + [peers.QUOTA_EXCEEDED] * (120 - room))
        self.assertEqual(self.peer().connect("s0", version=V5, clean=False,
                                             properties=expiry)[:2], b"\1\0")
        self.round_trips()


if __name__ == "__main__":
    peers.main()
