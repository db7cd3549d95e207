#!/usr/bin/env python3
"""A hundred thousand subscriptions of one session: nobody waits for them to be made or ended, and
what is over the limit is refused."""

import struct

import peers
from peers import PUBLISH, SUBACK, UNSUBACK, UNSUBSCRIBE, V5, raw

TOTAL = 100_000
NAMES = [f"many/{i % 100}/{i}" for i in range(TOTAL)]


class Many(peers.Test):
    settings = (f"limits.subscriptions_per_session={TOTAL}",)

    def all_succeed(self, body):
        self.assertEqual(body[3:], bytes(TOTAL))

    def test_in_one_packet(self):
        """SUBSCRIBE and UNSUBSCRIBE with all filters at once, while bystanders talk; a message for
        the first filter comes before the last one is subscribed to; one filter more is refused."""
        client = self.peer("many", keep_alive=0)
        publisher = self.peer("publisher", keep_alive=0)
        client.send(peers.filters(raw.SUBSCRIBE, 1, NAMES), raw.packet(peers.PINGREQ))

        def answers():
            early = 0
            while True:
                kind, _, body = client.read()
                if kind == SUBACK:
                    return early, body
                self.assertEqual(raw.publication(body, 0, V5)[0], NAMES[0])
                early += 1
        work, rounds = peers.InBackground(answers), 0
        while work.going_on:
            publisher.send(raw.publish(NAMES[0], b"x", properties=b""))
            self.round_trips()
            rounds += 1
        early, body = work.join()
        self.all_succeed(body)
        self.assertTrue(rounds)
        self.assertGreater(early, 0, "nothing came before the last subscription")
        while client.read()[0] == PUBLISH:  # PINGRESP, which stood behind SUBSCRIBE, stays behind
            pass
        publisher.ping()
        client.send(raw.packet(peers.PINGREQ))
        while client.read()[0] == PUBLISH:
            pass

        client.send(peers.filters(raw.SUBSCRIBE, 2, ["one/more", NAMES[-1], "and/another"]))
        self.assertEqual(client.answer(SUBACK)[3:], b"\x97\x00\x97")
        publisher.send(raw.publish(NAMES[-1], b"last", properties=b""))
        self.assertEqual(raw.publication(client.answer(PUBLISH), 0, V5)[2], b"last")

        client.send(peers.filters(UNSUBSCRIBE, 3, NAMES))
        work = peers.InBackground(client.answer, UNSUBACK)
        self.assertTrue(self.trips_while(work))
        self.all_succeed(work.join())
        publisher.send(raw.publish(NAMES[7], b"nobody", properties=b""))
        publisher.ping()
        client.ping()

    def test_in_many_packets(self):
        """The same in as many packets as there are filters, sent without waiting."""
        client = self.peer("many", keep_alive=0)
        client.socket.settimeout(None)
        packets = [peers.filters(raw.SUBSCRIBE, i % 60000 + 1, [name])
                   for i, name in enumerate(NAMES)]
        sends = peers.InBackground(client.send, *packets)
        answers = peers.InBackground(
            lambda: [raw.id_of(client.answer(SUBACK)) for _ in range(TOTAL)])
        self.assertTrue(self.trips_while(answers))
        sends.join()
        self.assertEqual(answers.join(), [i % 60000 + 1 for i in range(TOTAL)])

    def test_the_end(self):
        """The session ends with all its subscriptions, again and again, and nobody minds."""
        for _ in range(3):
            client = self.peer("many", keep_alive=0)
            client.send(peers.filters(raw.SUBSCRIBE, 1, NAMES))
            self.all_succeed(client.answer(SUBACK))
            client.reset()
            self.round_trips()

    def test_too_many_in_one_packet(self):
        for kind in (raw.SUBSCRIBE, UNSUBSCRIBE):
            client = self.peer("too many")
            client.send(peers.filters(kind, 1, NAMES + ["one/more"]))
            self.assertEqual(client.answer(peers.DISCONNECT)[0], peers.QUOTA_EXCEEDED)
            self.assertIsNone(client.read_or_end())

    def test_shared(self):
        """Ten thousand shared ones, whose groups live at all workers."""
        client = self.peer("shared", keep_alive=0)
        names = [f"$share/g/{name}" for name in NAMES[:10_000]]
        client.send(peers.filters(raw.SUBSCRIBE, 1, names))
        work = peers.InBackground(client.answer, SUBACK)
        self.trips_while(work)
        self.assertEqual(work.join()[3:], bytes(10_000))
        publisher = self.peer("publisher")
        publisher.send(raw.publish(NAMES[9_999], b"last", properties=b""))
        self.assertEqual(raw.publication(client.answer(PUBLISH), 0, V5)[2], b"last")
        client.send(peers.filters(UNSUBSCRIBE, 2, names))
        self.assertEqual(client.answer(UNSUBACK)[3:], bytes(10_000))


class Kept(peers.Test):
    def test_a_session_that_is_kept(self):
        """They are all there when the client comes again."""
        expiry = b"\x11" + struct.pack(">I", 60)
        client = self.peer("kept", clean=False, properties=expiry)
        client.send(peers.filters(raw.SUBSCRIBE, 1, NAMES, 1))
        self.assertEqual(client.answer(SUBACK)[3:], b"\1" * TOTAL)
        client.reset()
        publisher = self.peer("publisher")
        for i in range(0, TOTAL, 1000):
            publisher.send(raw.publish(NAMES[i], b"x", 1, 1, properties=b""))
            publisher.answer(peers.PUBACK)
        again = self.peer()
        self.assertEqual(again.connect("kept", version=V5, clean=False, properties=expiry)[0], 1)
        got = [raw.publication(again.answer(PUBLISH), 1, V5)[0] for _ in range(0, TOTAL, 1000)]
        self.assertEqual(got, NAMES[::1000])


if __name__ == "__main__":
    peers.main()
