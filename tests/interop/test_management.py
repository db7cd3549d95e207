#!/usr/bin/env python3
"""The node $management, asked by Qpid Proton: the AMQP Management draft, for queues."""

import unittest

from proton import Message, int32, ulong
from proton.utils import LinkDetached, SendException, SyncRequestResponse

from test_proton import Proton


class Management(Proton):
    def setUp(self):
        super().setUp()
        self.requests = SyncRequestResponse(self.connect(), "$management")

    def ask(self, operation, name=None, body=None, **more):
        """The status of the answer, and its body."""
        properties = {"operation": operation, "type": "queue", **more}
        if name is not None:
            properties["name"] = name
        answer = self.requests.call(Message(properties=properties, body=body))
        self.assertIsInstance(answer.properties["statusCode"], int32)
        self.assertTrue(answer.properties["statusDescription"])
        return answer.properties["statusCode"], answer.body

    def test_a_life(self):
        status, shown = self.ask("CREATE", "orders", {"lock": 5000, "overflow": "reject"})
        self.assertEqual((status, shown["name"], shown["lock"], shown["overflow"]),
                         (201, "orders", ulong(5000), "reject"))
        self.assertEqual(self.ask("CREATE", "Orders"), (409, {}))
        sender = self.connect().create_sender("orders")
        for _ in range(3):
            sender.send(Message(body="x"))
        status, shown = self.ask("UPDATE", "orders", {"lock": None, "max_messages": 3})
        self.assertEqual((status, shown["lock"], shown["ready"], shown["full"]),
                         (200, ulong(0), ulong(3), True))
        with self.assertRaises(SendException):
            sender.send(Message(body="x"))
        self.assertEqual(self.ask("PURGE", "orders"), (200, {"purged": ulong(3)}))
        self.assertEqual(self.ask("READ", "orders")[1]["ready"], ulong(0))
        self.assertEqual(self.ask("DELETE", "orders"), (204, {}))
        self.assertEqual(self.ask("DELETE", "orders"), (404, {}))

    def test_query(self):
        for name in "a", "b":
            self.ask("CREATE", name)
        status, shown = self.ask("QUERY", body={"attributeNames": ["consumers", "name"]})
        self.assertEqual((status, shown["attributeNames"], shown["more"]),
                         (200, ["consumers", "name"], False))
        self.assertTrue({(0, "a"), (0, "b")} <= {tuple(row) for row in shown["results"]})
        rows = self.ask("QUERY")[1]
        self.assertEqual(rows["attributeNames"][:3], ["name", "type", "lock"])
        self.assertEqual({len(row) for row in rows["results"]}, {len(rows["attributeNames"])})

    def test_many_requests(self):
        for n in range(100):
            self.assertEqual(self.ask("CREATE", f"q{n}")[0], 201)
        names = {row[0] for row in self.ask("QUERY", body={"attributeNames": ["name"]})[1]["results"]}
        self.assertTrue({f"q{n}" for n in range(100)} <= names)

    def test_what_is_no_request(self):
        sender = self.connect().create_sender("$management")
        with self.assertRaises(SendException):
            sender.send(Message(properties={"operation": "CREATE", "name": "x"}))
        self.assertEqual(self.ask("READ", "x")[0], 404)
        self.assertEqual(self.ask("EXPLODE", "x")[0], 501)
        self.assertEqual(self.ask("CREATE", "x", {"colour": "red"})[0], 400)

    def test_it_gives_nothing(self):
        with self.assertRaises(LinkDetached):
            self.connect().create_receiver("$management")
        with self.assertRaises(LinkDetached):
            self.connect().create_sender("orders/$management")


if __name__ == "__main__":
    unittest.main()
