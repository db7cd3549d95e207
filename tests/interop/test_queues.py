#!/usr/bin/env python3
"""Queues, seen by MQTT clients (Paho, mosquitto's commands) and AMQP clients (Qpid Proton) at once."""

import time

import harness
from paho_client import V5, V311, Client
from proton import Delivery, Described, Message, Timeout, symbol
from proton.reactor import Filter
from proton.utils import BlockingConnection, LinkDetached

CONFIG = b"""
entities:
  auto_create: true
  queues:
    - {name: narrow, max_messages: 2}
    - {name: small, max_messages: 1, overflow: reject}
    - {name: bound, bind: ['site/#']}
"""


class Queues(harness.Test):
    SETTINGS = ()
    DATA = "none"

    def start_broker(self):
        path = self.file("gnatter.yaml", CONFIG)
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        broker.spawn([harness.GNATTER, "broker", "--config", path, "--listen", "mqtt://127.0.0.1:0",
                      "--listen", "http://127.0.0.1:0", "--listen", "amqp://127.0.0.1:0", "--data",
                      self.DATA, "--workers", str(harness.WORKERS)] +
                     [word for setting in self.SETTINGS for word in ("--set", setting)])
        return broker.wait_for_port()

    def mqtt(self, name, version=V5, **properties):
        client = Client(name, version)
        self.addCleanup(client.close)
        client.connect(self.broker, **properties)
        return client

    def amqp(self):
        connection = BlockingConnection(f"amqp://127.0.0.1:{self.broker.amqp_port}",
                                        timeout=harness.PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def user(self, message):
        return dict(message.properties.UserProperty) if hasattr(message.properties,
                                                                "UserProperty") else {}


class FromMqtt(Queues):
    def test_every_version_and_qos(self):
        receiver = self.amqp().create_receiver("orders")
        for version in V311, V5:
            publisher = self.mqtt(f"publisher{version}", version)
            for qos in range(3):
                publisher.publish("$queue/Orders", b"%d" % qos, qos)
                got = receiver.receive()
                receiver.accept()
                self.assertEqual((bytes(got.body), got.durable), (b"%d" % qos, qos > 0))

    def test_mosquitto_pub(self):
        receiver = self.amqp().create_receiver("orders")
        harness.run(["mosquitto_pub", "-p", str(self.broker.port), "-q", "1", "-t",
                     "$queue/orders", "-m", "hello"])
        self.assertEqual(bytes(receiver.receive().body), b"hello")

    def test_full(self):
        """The third waits for its acknowledgement until there is room."""
        publisher = self.mqtt("publisher")
        publisher.publish("$queue/narrow", "1")
        mids = [publisher.send("$queue/narrow", body, 1) for body in ("2", "3")]
        receiver = self.amqp().create_receiver("narrow", credit=1)
        for body in (b"1", b"2", b"3"):
            self.assertEqual(bytes(receiver.receive().body), body)
            receiver.accept()
        for mid in mids:
            publisher.wait_answer(mid)

    def test_rejects(self):
        publisher = self.mqtt("publisher")
        for body in ("1", "2"):  # Paho does not tell the reason: PUBACK comes in any case
            publisher.publish("$queue/small", body)
        connection = self.amqp()
        receiver = connection.create_receiver("small")
        self.assertEqual(bytes(receiver.receive().body), b"1")
        receiver.accept()
        connection.create_sender("small").send(Message(body="end"))
        self.assertEqual(receiver.receive().body, "end")


class ToMqtt(Queues):
    def test_every_qos(self):
        connection = self.amqp()
        sender = connection.create_sender("orders")
        for qos in range(3):
            subscriber = self.mqtt(f"subscriber{qos}")
            self.assertEqual(subscriber.subscribe("$queue/orders", qos), [min(qos, 1)])
            for body in "ab":
                sender.send(Message(body=body, durable=True))
            for body in (b"a", b"b"):
                got = subscriber.receive()
                self.assertEqual((got.topic, got.payload, got.qos),
                                 ("$queue/orders", body, min(qos, 1)))
            subscriber.unsubscribe("$queue/orders")
        receiver = connection.create_receiver("orders")  # all that has been acknowledged is gone
        sender.send(Message(body="end"))
        self.assertEqual(receiver.receive().body, "end")

    def test_mosquitto_sub(self):
        subscriber = self.process(["mosquitto_sub", "-p", str(self.broker.port), "-q", "1", "-t",
                                   "$queue/orders", "-C", "2"])
        sender = self.amqp().create_sender("orders")
        for body in ("one", "two"):
            sender.send(Message(body=body))
        self.assertEqual(subscriber.wait(), ["one", "two"])

    def test_fields(self):
        subscriber = self.mqtt("subscriber")
        subscriber.subscribe("$queue/orders", 1)
        self.amqp().create_sender("orders").send(Message(
            body="x", content_type="text/plain", reply_to="topic://answers/7",
            properties={"color": "red"}))
        got = subscriber.receive()
        self.assertEqual((got.properties.ContentType, got.properties.ResponseTopic,
                          self.user(got)["color"]), ("text/plain", "answers/7", "red"))

    def test_bound(self):
        """What a topic has brought says which."""
        subscriber = self.mqtt("subscriber")
        subscriber.subscribe("$queue/bound", 1)
        self.mqtt("publisher").publish("site/a/temp", "21")
        got = subscriber.receive()
        self.assertEqual((got.topic, got.payload, self.user(got)["x-opt-topic"]),
                         ("$queue/bound", b"21", "site/a/temp"))

    def test_competing_with_amqp(self):
        connection = self.amqp()
        sender = connection.create_sender("orders")
        subscriber = self.mqtt("subscriber")
        subscriber.subscribe("$queue/orders", 1)
        receiver = connection.create_receiver("orders", credit=10)
        for n in range(10):
            sender.send(Message(body=str(n)))
        theirs, deadline = [], time.monotonic() + harness.PATIENCE
        while len(theirs) + subscriber.messages.qsize() < 10:
            self.assertLess(time.monotonic(), deadline)
            try:
                theirs.append(receiver.receive(timeout=0.1).body)
                receiver.accept()
            except Timeout:
                pass
        ours = [got.payload.decode() for got in subscriber.receive_all(10 - len(theirs))]
        self.assertEqual(sorted(theirs + ours), [str(n) for n in range(10)])
        # They take turns, from when the queue knows of both.
        self.assertGreaterEqual(min(len(theirs), len(ours)), 3)

    def test_comes_back(self):
        """What a subscriber had when its connection broke goes to others, and has failed."""
        connection = self.amqp()
        subscriber = self.mqtt("subscriber", ReceiveMaximum=1)
        subscriber.paho._send_puback = lambda *_: 0
        subscriber.subscribe("$queue/orders", 1)
        connection.create_sender("orders").send(Message(body="x"))
        subscriber.receive()
        subscriber.vanish()
        receiver = connection.create_receiver("orders")
        got = receiver.receive()
        receiver.reject()
        receiver.close()  # only now it is said
        self.assertEqual((got.body, got.delivery_count), ("x", 1))
        other = self.mqtt("other")
        other.subscribe("$queue/orders/$DeadLetterQueue", 1)
        dead = other.receive()
        self.assertEqual((dead.payload, self.user(dead)["x-opt-deadletter-source"]),
                         (b"x", "orders"))

    def test_no_such_filters(self):
        subscriber = self.mqtt("subscriber")
        self.assertEqual(subscriber.subscribe("$queue/+", 1), [0x8f])
        self.assertEqual(subscriber.subscribe("$share/g/$queue/orders", 1), [0x8f])


class Topics(Queues):
    SETTINGS = ("limits.queued_per_session=10",)

    def test_slow_receiver(self):
        """While too much waits for a link publishers wait for their acknowledgements: nothing is lost."""
        receiver = self.amqp().create_receiver("topic://t", credit=1)
        publisher = self.mqtt("publisher")
        mids = [publisher.send("t", b"%d" % n, 1) for n in range(30)]
        for n in range(30):
            self.assertEqual(bytes(receiver.receive().body), b"%d" % n)
            receiver.accept()
        for mid in mids:
            publisher.wait_answer(mid)

    def test_slow_receiver_holds_a_sender(self):
        """The same for one by AMQP."""
        connection = self.amqp()
        receiver = connection.create_receiver("topic://t", credit=1)
        sender = connection.create_sender("topic://t")
        deliveries = [sender.link.send(Message(body=n, durable=True)) for n in range(30)]
        for n in range(30):
            self.assertEqual(receiver.receive().body, n)
            receiver.accept()
        connection.wait(lambda: all(delivery.settled for delivery in deliveries))
        self.assertEqual({delivery.remote_state for delivery in deliveries}, {Delivery.ACCEPTED})

    def test_topic_is_told(self):
        """By delivery annotations, if the message does not say it itself; through a queue as well."""
        connection = self.amqp()
        receivers = [connection.create_receiver(a) for a in ("topic://site/#", "bound")]
        connection.create_sender("topic://site/a").send(Message(body=1))
        for receiver in receivers:
            got = receiver.receive()
            self.assertEqual((got.address, got.instructions), (None, {"x-opt-topic": "site/a"}))

    def test_no_local(self):
        connection, other = self.amqp(), self.amqp()
        local = Filter({"no-local": Described(symbol("apache.org:no-local-filter:list"), [])})
        for address in "topic://t", "q":
            receiver = connection.create_receiver(address, options=local)
            for by, body in ((connection, "own"), (other, "other")):
                by.create_sender(address).send(Message(body=body))
            self.assertEqual(receiver.receive().body, "other")


class Shared(Queues):
    """One group of members that speak MQTT and AMQP."""

    def join(self, connection, publisher):
        """A receiver that has credit for ten, by now."""
        receiver = connection.create_receiver("topic://$share/g/t/#", credit=11)
        publisher.publish("t/a", "first", 1)
        self.assertEqual(bytes(receiver.receive().body), b"first")
        receiver.accept()
        return receiver

    def test_each_message_once(self):
        publisher = self.mqtt("publisher")
        receiver = self.join(self.amqp(), publisher)
        subscriber = self.mqtt("subscriber")
        subscriber.subscribe("$share/g/t/#", 1)
        sent = [b"%d" % n for n in range(10)]
        for body in sent:
            publisher.publish("t/a", body, 1)
        got = [m.payload for m in subscriber.receive_all(5)]
        for _ in range(5):
            got.append(bytes(receiver.receive().body))
            receiver.accept()
        self.assertEqual(sorted(got), sent)

    def test_a_member_that_goes(self):
        """What a receiver has not settled comes to a subscriber, and nothing that it has."""
        publisher, connection = self.mqtt("publisher"), self.amqp()
        receiver = self.join(connection, publisher)
        for n in range(10):
            publisher.publish("t/a", b"%d" % n, 1)
        receiver.receive()
        receiver.accept()
        receiver.receive()
        subscriber = self.mqtt("subscriber")
        subscriber.subscribe("$share/g/t/#", 1)
        connection.close()
        self.assertEqual(subscriber.payloads(9), [str(n) for n in range(1, 10)])

    def test_bad_names(self):
        connection = self.amqp()
        for bad in "g", "/t", "+/t", "g/", "g/a/#/b", "g/$queue/q":
            with self.assertRaises(LinkDetached) as raised:
                connection.create_receiver(f"topic://$share/{bad}")
            self.assertIn("amqp:invalid-field", str(raised.exception))


class SharedAndKept(Queues):
    """The group of a session that outlives its connection."""
    DATA = "data"

    def keeper(self):
        client = Client("keeper", V5, clean=False)
        self.addCleanup(client.close)
        client.connect(self.broker, SessionExpiryInterval=3600)
        return client

    def test_a_restart(self):
        """What a receiver has settled is over; what it has not comes again."""
        keeper = self.keeper()
        keeper.subscribe("$share/g/t", 1)
        keeper.close()
        connection = BlockingConnection(f"amqp://127.0.0.1:{self.broker.amqp_port}",
                                        timeout=harness.PATIENCE)
        receiver = connection.create_receiver("topic://$share/g/t", credit=5)
        publisher = self.mqtt("publisher")
        for n in range(5):
            publisher.publish("t", b"%d" % n, 1)
        for _ in range(3):
            receiver.receive()
            receiver.accept()
        connection.create_sender("q").send(Message(body="safe", durable=True))
        self.stop(self.brokers[0])
        self.broker = self.start_broker()
        self.assertEqual(self.keeper().payloads(2), ["3", "4"])


if __name__ == "__main__":
    harness.main()
