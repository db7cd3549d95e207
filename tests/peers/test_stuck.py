#!/usr/bin/env python3
"""Clients that take nothing of what they are sent: the broker holds a bounded part of it for them,
the others are as well off as before, and the connection ends after a while."""

import struct
import time

import peers
from peers import PUBLISH, V5, harness, raw

MIB = 1024  # KiB
PAYLOAD = b"x" * 10000
BATCH = 50


def flood(publisher, healthy, batches):
    """Publishes to "flood"; the next batch is sent when HEALTHY has got all of the last one."""
    for number in range(batches):
        publisher.send(*[raw.publish("flood", b"%d %d " % (number, i) + PAYLOAD, properties=b"")
                         for i in range(BATCH)])
        for i in range(BATCH):
            payload = raw.publication(healthy.answer(PUBLISH), 0, V5)[2]
            assert payload.startswith(b"%d %d " % (number, i)), payload[:20]


class Bounded(peers.Test):
    settings = ("limits.output_per_connection=256KiB", "limits.queued_per_session=200",
                "limits.write_timeout=0")

    def test_who_does_not_read(self):
        """A hundred megabytes for each of ten who read nothing: what is kept for them is bounded by
        queue and output, and everybody else gets everything, in order."""
        stuck = [self.peer(f"stuck {i}", receive=1, keep_alive=0) for i in range(10)]
        for client in stuck:
            client.subscribe("flood")
        healthy, publisher = self.peer("healthy"), self.peer("publisher")
        healthy.subscribe("flood")
        flood(publisher, healthy, 20)  # the queues are full now
        before = self.resident()
        work = peers.InBackground(flood, publisher, healthy, 200)
        rounds = self.trips_while(work)
        work.join()
        self.assertTrue(rounds)
        # 200 queued messages are shared, 256 KiB of output each has for itself: it was all there
        # before.  What is new is noise.
        self.assertLess(self.resident(), before + 16 * MIB)
        for client in stuck:
            client.send(raw.packet(peers.PINGREQ))  # they are still connected
        self.round_trips()

    def test_zero_window_and_all_kinds_of_answers(self):
        """One that asks and asks, and takes no answer, is not listened to any more."""
        greedy = self.peer("greedy", receive=1, keep_alive=0)
        greedy.socket.settimeout(1)
        before = self.resident()
        sent = 0
        pings = raw.packet(peers.PINGREQ) * 32768
        try:
            while sent < 256 * len(pings):
                sent += greedy.socket.send(pings)
        except TimeoutError:
            pass
        self.assertLess(sent, 256 * len(pings), "it was read as if it took its answers")
        self.assertLess(self.resident(), before + 16 * MIB)
        self.round_trips()
        answers = 0  # and goes on where it stopped, when it reads
        greedy.socket.settimeout(harness.PATIENCE)
        while answers < sent // 2 * 2:
            answers += greedy.take(1 << 20)
        self.assertEqual(answers, sent // 2 * 2)


class Stalled(peers.Test):
    timeout = 2
    settings = (f"limits.write_timeout={timeout}s", "limits.output_per_connection=64KiB",
                "limits.queued_per_session=100000")

    def test_it_ends(self):
        """Who takes nothing for a while loses the connection, however it talks; and gets what its
        session has kept when it comes again."""
        expiry = b"\x11" + struct.pack(">I", 60)
        stuck = self.peer("stuck", receive=1, clean=False, properties=expiry, keep_alive=0)
        stuck.subscribe("kept", 1)
        publisher = self.peer("publisher")
        total = 2000
        for i in range(total):
            publisher.send(raw.publish("kept", b"%d " % i + PAYLOAD, 1, 1, properties=b""))
            publisher.answer(peers.PUBACK)

        def talk_until_it_ends():
            try:
                while True:
                    stuck.send(raw.packet(peers.PINGREQ))
                    self.round_trips()
            except (ConnectionResetError, BrokenPipeError):
                pass
        talk_until_it_ends()
        again = self.peer()
        self.assertEqual(again.connect("stuck", version=V5, clean=False, properties=expiry)[0], 1)
        # What was written to the one that took nothing comes again, marked as such.
        seen = []
        while len(seen) < total:
            _, packet_id, payload = raw.publication(again.answer(PUBLISH), 1, V5)
            seen.append(int(payload.split(b" ")[0]))
            again.send(raw.ack(peers.PUBACK, packet_id))
        self.assertEqual(seen, list(range(total)))

    def test_slow_is_not_stuck(self):
        """Who takes a little now and then stays, though it is far too little for the broker to write
        more: what the kernel still has of it counts."""
        slow = self.peer("slow", receive=1, keep_alive=0)
        slow.subscribe("slow")
        publisher = self.peer("publisher")
        total = 1000
        for i in range(total):
            publisher.send(raw.publish("slow", b"%04d " % i + PAYLOAD, properties=b""))
        publisher.ping()
        size = total * len(raw.publish("slow", b"0000 " + PAYLOAD, properties=b""))
        end = time.monotonic() + 4 * self.timeout
        while time.monotonic() < end:
            size -= slow.take(1000)
            time.sleep(0.1)
        self.assertGreater(size, 5 << 20, "that was not slow")
        while size:
            size -= slow.take(min(size, 1 << 20))
        slow.ping()


class HeldUp(peers.Test):
    settings = ("limits.write_timeout=0", "limits.output_per_connection=4KiB",
                "limits.queued_per_session=10")

    def test_many_who_stall_in_turns(self):
        """They come, take nothing, and go by RST: nothing of them stays."""
        publisher = self.peer("publisher")
        descriptors = self.descriptors()
        for _ in range(5):
            stuck = [self.peer(f"s{i}", receive=1) for i in range(20)]
            for client in stuck:
                client.subscribe("burst")
            for _ in range(50):
                publisher.send(raw.publish("burst", PAYLOAD, properties=b""))
            publisher.ping()
            for client in stuck:
                client.reset()
            self.round_trips()
        self.no_descriptor_left(descriptors)


if __name__ == "__main__":
    peers.main()
