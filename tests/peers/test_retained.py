#!/usr/bin/env python3
"""A subscriber to a hundred thousand retained messages gets them in slices: nobody waits for them,
they take no memory, and those who subscribe at once do not add up."""

import peers
from peers import PUBLISH, SUBACK, V5, raw

TOTAL = 100_000
FEW = 10


class Flood(peers.Test):
    settings = ("limits.output_per_connection=64KiB", "limits.write_timeout=0")

    def setUp(self):
        super().setUp()
        self.publisher = self.peer("publisher", keep_alive=0)
        for start in range(0, TOTAL, 1000):
            self.publisher.send(*[raw.publish(f"r/{i % 100}/{i}", b"%06d" % i, retain=True,
                                              properties=b"") for i in range(start, start + 1000)])
        self.publisher.ping()

    def take_all(self, client):
        """What comes of all retained messages: each of them once, whatever bystanders say."""
        seen, left = bytearray(TOTAL), TOTAL
        while left:
            topic, _, payload = raw.publication(client.answer(PUBLISH), 0, V5)
            if topic.startswith("bystander/"):
                continue
            self.assertEqual(topic, f"r/{int(payload) % 100}/{int(payload)}")
            seen[int(payload)] += 1
            left -= 1
        self.assertEqual(bytes(seen), b"\1" * TOTAL)

    def test_bystanders(self):
        """Their round trips go on between the first of the messages and the last."""
        client = self.peer("client", keep_alive=0)
        client.subscribe("r/#")
        work = peers.InBackground(self.take_all, client)
        self.assertTrue(self.trips_while(work))
        work.join()
        client.ping()  # and nothing more comes

    def test_many_at_once(self):
        """Eight that read and eight that do not: memory is bounded, each reader gets all."""
        stuck = [self.peer(f"stuck {i}", receive=1, keep_alive=0) for i in range(8)]
        readers = [self.peer(f"reader {i}", keep_alive=0) for i in range(8)]
        before = self.resident()
        for client in stuck + readers:
            client.subscribe("#")
        works = []
        for client in readers:
            works.append(peers.InBackground(self.take_all, client))
        rounds = 0
        while any(work.going_on for work in works):
            self.round_trips()
            rounds += 1
        for work in works:
            work.join()
        self.assertTrue(rounds)
        self.assertLess(self.resident(), before + 16 * 1024)
        # One that did not read goes on where it stopped.
        self.take_all(stuck[0])

    def test_changes_meanwhile(self):
        """What is published while the flood is on its way comes, too, after its old self or instead
        of it; who unsubscribes in the middle gets no more of it."""
        client = self.peer("client", receive=1, keep_alive=0)
        client.subscribe("r/#")
        for i in (0, TOTAL // 2, TOTAL - 1):
            self.publisher.send(raw.publish(f"r/{i % 100}/{i}", b"new", retain=True, properties=b""))
        self.publisher.ping()
        self.round_trips()
        new = 0
        while new < 3:
            _, _, payload = raw.publication(client.answer(PUBLISH), 0, V5)
            new += payload == b"new"
        client.send(peers.filters(peers.UNSUBSCRIBE, 2, ["r/#"]))
        self.assertLess(self.publications_before(client, peers.UNSUBACK), TOTAL)
        # What waited for it already may come behind the answer [MQTT-3.10.4-3].
        client.send(peers.packet(peers.PINGREQ))
        self.assertLess(self.publications_before(client, peers.PINGRESP), FEW)

    def publications_before(self, client, last):
        count = 0
        while (kind := client.read()[0]) != last:
            self.assertEqual(kind, PUBLISH)
            count += 1
        return count

    def test_again_and_again(self):
        """One who subscribes again before it has taken anything starts anew each time, and does not
        pile up what it is due."""
        client = self.peer("client", receive=1, keep_alive=0)
        before = self.resident()
        for i in range(200):
            client.send(raw.subscribe(i + 1, "r/#", 0, V5))
            self.bystanders[0].round_trip()
        self.assertLess(self.resident(), before + 16 * 1024)
        client.reset()
        self.round_trips()


if __name__ == "__main__":
    peers.main()
