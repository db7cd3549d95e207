"""The checks of load.py: each broken promise is found, and what the standard allows is none."""

import random
import unittest

import load

TOPIC_1, TOPIC_2 = "load/p0/1", "load/p0/2"


class Checks(unittest.TestCase):
    def setUp(self):
        self.load = load.Load(random.Random(1), publishers=1, subscribers=1)
        self.addCleanup(self.load.close)
        self.subscriber, self.publisher = self.load.clients

    def happen(self, client, *events):
        for event in events:
            client.happen(*event)

    def got(self, *deliveries):
        """(packet id, QoS, number) each."""
        self.happen(self.subscriber, *(("got", packet_id, qos, TOPIC_1 if qos == 1 else TOPIC_2,
                                        number) for packet_id, qos, number in deliveries))

    def broken(self, text):
        return self.assertRaisesRegex(load.Violation, text)

    def test_lost_session(self):
        self.happen(self.publisher, ("up", False), ("up", True))
        with self.broken("session is gone"):
            self.happen(self.publisher, ("up", False))

    def test_what_is_missing(self):
        self.happen(self.subscriber, ("sub",))
        self.happen(self.publisher, ("pub", 1, 0, 0), ("pub", 2, 1, 0), ("pub", 3, 0, 1),
                    ("pub", 4, 2, 0), ("done", 4))
        self.assertEqual(list(self.load.missing()), [])
        self.happen(self.publisher, ("done", 1), ("rec", 2))
        self.assertEqual(list(self.load.missing()), [("s0", TOPIC_1, [0]), ("s0", TOPIC_2, [0])])
        self.got((1, 1, 0), (2, 2, 0))
        self.assertEqual(list(self.load.missing()), [])

    def test_refused_is_not_acknowledged(self):
        self.happen(self.subscriber, ("sub",))
        self.happen(self.publisher, ("pub", 1, 0, 0), ("refused", 1))
        self.assertEqual(list(self.load.missing()), [])

    def test_qos_2_twice(self):
        self.got((1, 2, 0), (1, 2, 0))  # the same, which was not released
        self.happen(self.subscriber, ("rel", 1))
        with self.broken("second time"):
            self.got((1, 2, 0))

    def test_qos_2_twice_under_another_id(self):
        self.got((1, 2, 0))
        with self.broken("second time"):
            self.got((2, 2, 0))

    def test_id_used_again_too_early(self):
        self.got((1, 2, 0))
        with self.broken("packet id 1"):
            self.got((1, 2, 1))

    def test_qos_2_out_of_order(self):
        self.got((1, 2, 1))
        with self.broken("after"):
            self.got((2, 2, 0))

    def test_qos_1_again_but_in_order(self):
        self.got((1, 1, 0), (2, 1, 1), (1, 1, 0), (2, 1, 1), (3, 1, 3), (4, 1, 4))
        self.assertEqual((self.load.delivered, self.load.repeated), (4, 2))
        with self.broken("after"):
            self.got((5, 1, 2))

    def test_retained(self):
        self.happen(self.publisher, ("pub", 1, 2, 0), ("pub", 2, 3, 0), ("pub", 3, 2, 1))
        self.assertEqual(self.load.retained_floor(), {})
        self.happen(self.publisher, ("done", 1), ("rec", 2), ("done", 3))
        self.assertEqual(self.load.retained_floor(), {"keep/p0/1": 1})

    def test_what_nobody_sent(self):
        self.assertEqual(load.number_in(TOPIC_1, load.payload(TOPIC_1, 97)), 97)
        for data in (b"", load.payload(TOPIC_2, 1), load.payload(TOPIC_1, 97)[:-1],
                     load.payload(TOPIC_1, 97).replace(b"97", b"98")):
            with self.broken("nobody has sent"):
                load.number_in(TOPIC_1, data)

    def test_clients_made_again_from_their_marks(self):
        marks = []

        class Marker:
            def mark(self, data):
                marks.append(data)
        self.load.marker = Marker()
        self.happen(self.subscriber, ("up", False), ("sub",))
        self.happen(self.publisher, ("up", False), ("pub", 7, 1, 0), ("rec", 7), ("pub", 8, 0, 0))
        self.got((1, 2, 0))
        self.load.note()
        again = load.Load(random.Random(2), publishers=1, subscribers=1).replay(marks)
        for twin in (again, again.copy(random.Random(3))):
            self.addCleanup(twin.close)
            for client, other in zip(self.load.clients, twin.clients):
                for name in client.STATE:
                    self.assertEqual(getattr(client, name), getattr(other, name))
        self.assertIsNot(again.publishers[0].acked, twin.publishers[0].acked)


if __name__ == "__main__":
    unittest.main(verbosity=2)
