"""The checks of queues.py: each broken promise is found, and what at-least-once allows is none."""

import random
import unittest

import queues

PLAIN, STRICT = 0, 1


class Checks(unittest.TestCase):
    def setUp(self):
        self.load = queues.Load(random.Random(1), publishers=0, subscribers=0)
        self.addCleanup(self.load.close)
        self.sender, self.receiver = self.load.senders[0], self.load.receivers[0]
        self.other, self.dead = self.load.receivers[1:]
        for receiver in self.load.receivers:
            receiver.happen("up")
            receiver.up = True

    def broken(self, text):
        return self.assertRaisesRegex(queues.Violation, text)

    def sent(self, number, queue=PLAIN, outcome="accepted"):
        self.sender.happen("send", number, queue)
        if outcome:
            self.sender.happen("outcome", number, outcome)

    def got(self, number, receiver=None, failed=0, reason=None):
        (receiver or self.receiver).happen("got", self.sender.index, number, failed, reason)

    def settled(self, number, outcome, receiver=None, sure=True):
        for event in ("settle", "sure")[:1 + sure]:
            (receiver or self.receiver).happen(event, self.sender.index, number, outcome)

    def break_off(self, receiver):
        receiver.up = False
        receiver.happen("up")

    def test_what_is_left(self):
        self.sent(0)
        self.sent(1, outcome="refused")
        self.sent(2, outcome=None)
        self.assertEqual(self.load.left(), ["a0 0", "a0 2"])
        self.sender.happen("up")  # nobody knows of 2 any more
        self.assertEqual(self.load.left(), ["a0 0"])
        self.got(0)
        self.assertEqual(self.load.left(), ["a0 0"])
        self.settled(0, "accepted", sure=False)
        self.assertEqual(self.load.left(), [])
        self.break_off(self.receiver)
        self.got(0)
        self.assertEqual(self.load.left(), ["a0 0"], "it is still there")

    def test_what_is_gone(self):
        self.sent(0)
        self.got(0)
        self.settled(0, "accepted")
        with self.broken("all the same"):
            self.got(0, self.other)

    def test_what_was_refused(self):
        self.sent(0, outcome="refused")
        with self.broken("all the same"):
            self.got(0)

    def test_what_nobody_sent(self):
        with self.broken("before it was sent"):
            self.got(0)

    def test_two_at_a_time(self):
        self.sent(0)
        self.got(0)
        with self.broken("two at a time"):
            self.got(0, self.other)
        self.break_off(self.receiver)
        self.got(0, self.other)

    def test_dead_letters(self):
        self.sent(0)
        self.sent(1)
        self.got(0)
        self.settled(0, "rejected")
        with self.broken("no dead letter"):
            self.got(0)
        self.got(0, self.dead, reason=queues.REJECTED)
        for reason in (queues.REJECTED, "MaxDeliveryCountExceeded", None):
            with self.broken("is a dead letter"):
                self.got(1, self.dead, reason=reason)

    def test_counts(self):
        self.sent(0, STRICT)
        for failed in range(3):
            with self.broken("failed, it says"):
                self.got(0, failed=failed + 4)  # each of three may have broken once
            with self.broken("failed, it says"):
                self.got(0, failed=failed - 1)
            self.got(0, failed=failed)
            self.settled(0, "modified")
        with self.broken("no dead letter"):
            self.got(0, failed=3)
        self.got(0, self.dead, reason="MaxDeliveryCountExceeded")

    def test_confirmed_is_what_was_said(self):
        self.sent(0)
        self.got(0)
        self.settled(0, "rejected", sure=False)
        self.got(0, self.dead, reason=queues.REJECTED)
        self.settled(0, "accepted", self.dead, sure=False)
        self.receiver.happen("sure", self.sender.index, 0, "rejected")  # that, and nothing else
        self.break_off(self.dead)
        self.got(0, self.dead, reason=queues.REJECTED)

    def test_stretches(self):
        self.assertEqual(queues.stretches({5: "a", 3: "a", 4: "a", 7: "a", 8: "b"}),
                         [[3, 5, "a"], [7, 7, "a"], [8, 8, "b"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
