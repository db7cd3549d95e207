#!/usr/bin/env python3
"""Peers of AMQP that take nothing of what they are sent, or want ever more: what the broker holds for
them is bounded, and nobody waits for them."""

import amqp_peers
import peers
from amqp_peers import TRUE, amqp, harness, uint

MIB = 1024  # KiB
BODY = "x" * 10000
PLENTY = 2 ** 31 - 1
BATCH = 50


def fill(sender, count):
    """COUNT messages, numbered, and all are accepted."""
    for first in range(0, count, BATCH):
        last = min(first + BATCH, count) - 1
        for number in range(first, last + 1):
            sender.transfer(f"{number} {BODY}")
        sender.do_settled(f"accepted {first}..{last}")


def number_of(frame):
    return int(amqp.sections(frame.payload)[-1][1].value.split(b" ")[0])


def take(receiver, count, seen):
    """COUNT messages, which are accepted and settled; their numbers go into SEEN."""
    while len(seen) < count:
        got = receiver.next_whole()
        assert got and got.name in ("transfer", "flow"), (got, len(seen), count)
        if got.name == "flow":
            continue
        seen.append(number_of(got))
        receiver.put("disposition", {"role": TRUE, "first": got.fields["delivery-id"],
                                     "settled": TRUE, "state": amqp_peers.ACCEPTED})


class Stuck(amqp_peers.Test):
    settings = ("limits.output_per_connection=256KiB", "limits.write_timeout=0")
    receivers = 2

    def receiver(self, name, queue, credit):
        peer = self.amqp(name).begin("max-frame-size=65536")
        peer.do_attach(f'receiver "{queue}"')
        if name.startswith("stuck"):
            peer.narrow()
        peer.do_flow(f"handle=0 link-credit={credit} incoming-window={PLENTY}")
        return peer

    def test_who_does_not_read(self):
        """Two with all the credit that there is read nothing: each is given so much and no more.
        Who comes later gets the rest, and when they have gone what they had, each once."""
        stuck = [self.receiver(f"stuck{i}", "flood", PLENTY) for i in range(self.receivers)]
        sender = self.amqp("sender").begin()
        sender.do_attach('sender "flood"')
        total = 4000
        work = peers.InBackground(fill, sender, total)
        self.assertTrue(self.trips_while(work))
        work.join()
        before = self.resident()
        told, = self.management("show", "flood")
        self.assertEqual(told["ready"] + told["held"], total)
        self.assertGreater(told["ready"], total // 4, "those who do not read have it all")
        healthy = self.receiver("healthy", "flood", 100000)
        seen = []
        take(healthy, total // 4, seen)
        self.assertEqual(seen, sorted(seen))
        self.assertLess(self.resident(), before + 16 * MIB)
        for one in stuck:
            one.hang_up(reset=True)
        take(healthy, total, seen)
        self.assertEqual(sorted(seen), list(range(total)))
        self.left_without(healthy, "flood")

    def left_without(self, healthy, queue):
        healthy.hang_up()
        told = self.left_alone(queue)
        self.assertEqual((told["ready"], told["bytes"]), (0, 0))

    def test_no_answer_is_taken(self):
        """One that asks and asks, and takes no answer, is not listened to any more."""
        greedy = self.amqp("greedy").begin()
        greedy.narrow()
        before = self.resident()
        ask = amqp.frame(amqp.encode(amqp.composite("flow", {
            "next-incoming-id": uint(0), "incoming-window": uint(100), "next-outgoing-id": uint(0),
            "outgoing-window": uint(100), "echo": TRUE}))) * 8192
        greedy.socket.settimeout(1)
        sent = 0
        try:
            while sent < 1000 * len(ask):
                sent += greedy.socket.send(ask)
        except TimeoutError:
            pass
        self.assertLess(sent, 1000 * len(ask), "it was read as if it took its answers")
        self.assertLess(self.resident(), before + 8 * MIB)
        self.round_trips()

    def test_credit_floods(self):
        """Credit given, taken back, and asked to be used or dropped, ten thousand times, on a queue
        with something in it and on one without."""
        sender = self.amqp("sender").begin()
        sender.do_attach('sender "credit"')
        fill(sender, 10)
        before = self.resident()
        for queue in ("credit", "empty"):
            peer = self.amqp(f"on-{queue}").begin()
            peer.do_attach(f'receiver "{queue}"')
            base = {"next-incoming-id": uint(0), "incoming-window": uint(PLENTY),
                    "next-outgoing-id": uint(0), "outgoing-window": uint(PLENTY),
                    "handle": uint(0), "delivery-count": uint(0)}
            flows = b"".join(amqp.frame(amqp.encode(amqp.composite("flow", {
                **base, "link-credit": uint(credit), **more})))
                for credit, more in ((PLENTY, {}), (0, {}), (2 ** 32 - 1, {"drain": TRUE}),
                                     (1, {"echo": TRUE}), (0, {"drain": TRUE})))

            def flood(peer=peer, flows=flows):
                for _ in range(100):
                    peer.socket.sendall(flows * 20)
            work = peers.InBackground(flood)
            reading = peers.InBackground(peer.ended)
            self.assertGreaterEqual(self.trips_while(work), 0)
            work.join()
            peer.socket.shutdown(1)
            reading.join()
            peer.close()
        self.round_trips()
        self.assertEqual(self.left_alone("credit")["ready"], 10)
        self.assertLess(self.resident(), before + 8 * MIB)


class Timeout(amqp_peers.Test):
    settings = ("limits.write_timeout=2s", "limits.output_per_connection=64KiB",
                "limits.amqp_idle=0")

    def test_it_ends(self):
        """Who takes nothing for a while loses the connection, and others get what it had."""
        stuck = self.amqp("stuck").begin("max-frame-size=65536")
        stuck.narrow()
        stuck.do_attach('receiver "kept"')
        stuck.do_flow(f"handle=0 link-credit={PLENTY} incoming-window={PLENTY}")
        sender = self.amqp("sender").begin()
        sender.do_attach('sender "kept"')
        fill(sender, 1500)
        told = self.left_alone("kept")
        self.assertEqual(told["ready"], 1500)
        self.round_trips()


if __name__ == "__main__":
    peers.main()
