#!/usr/bin/env python3
"""AMQP 1.0, seen by Qpid Proton: its blocking API and its reactor."""

import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import harness
from paho_client import V5, Client
from proton import (UNDESCRIBED, Array, Condition, ConnectionException, Data, Delivery, Described,
                    Endpoint, Message, SSLDomain, Timeout, byte, char, decimal32, decimal64,
                    decimal128, float32, int32, short, symbol, timestamp, ubyte, uint, ulong, ushort)
from proton.handlers import MessagingHandler, TransactionHandler
from proton.reactor import AtMostOnce, Container, Copy, Filter, Selector
from proton.utils import BlockingConnection, LinkDetached, SendException, SyncRequestResponse


# Receives three messages, and goes without a word.
CUT = """
import os, sys
from proton.utils import BlockingConnection
receiver = BlockingConnection(sys.argv[1]).create_receiver("q", credit=3)
for _ in range(3):
    receiver.receive()
os._exit(0)
"""


class Proton(harness.Test):
    """A broker, and what connects to it."""

    def url(self, broker=None):
        return f"amqp://127.0.0.1:{(broker or self.broker).amqp_port}"

    def connect(self, to_be_cut=False, **options):
        connection = BlockingConnection(self.url(), timeout=harness.PATIENCE, **options)
        if not to_be_cut:
            self.addCleanup(self.close, connection)
        return connection

    @staticmethod
    def close(connection):
        try:
            connection.close()
        except (ConnectionException, LinkDetached, Timeout):
            pass

    def assert_empty(self, receiver):
        """Nothing more comes, says the broker, when it is asked to use the credit or drop it."""
        receiver.link.drain(0)
        receiver.connection.wait(lambda: not receiver.link.draining(), msg="draining")
        self.assertEqual(len(receiver.fetcher.incoming), 0)

    @staticmethod
    def settle(receiver, state, **local):
        """The first delivery that is not settled, as STATE, with what else there is to say."""
        delivery = receiver.fetcher.unsettled.popleft()
        for name, value in local.items():
            setattr(delivery.local, name, value)
        delivery.update(state)
        delivery.settle()

    def run_reactor(self, handler):
        """Until it has nothing to do any more."""
        thread = threading.Thread(target=Container(handler).run, daemon=True)
        thread.start()
        thread.join(harness.PATIENCE)
        self.assertFalse(thread.is_alive(), "the reactor goes on")


class Queues(Proton):
    def test_send_and_receive(self):
        connection = self.connect()
        sender, receiver = connection.create_sender("q"), connection.create_receiver("q")
        sent = Message(id="1", subject="greeting", correlation_id=7, reply_to="r", body="hello",
                       properties={"a": 1, "b": "two"}, annotations={symbol("x-opt-c"): 3},
                       durable=True, priority=7, ttl=60, content_type=symbol("text/plain"))
        sender.send(sent)
        got = receiver.receive()
        receiver.accept()
        for field in ("id", "subject", "correlation_id", "reply_to", "body", "properties",
                      "annotations", "durable", "priority", "content_type"):
            self.assertEqual(getattr(got, field), getattr(sent, field), field)
        self.assertTrue(0 < got.ttl <= 60, got.ttl)
        self.assertEqual((got.delivery_count, got.first_acquirer), (0, True))
        self.assert_empty(receiver)

    def test_names_without_case(self):
        connection = self.connect()
        connection.create_sender("Orders").send(Message(body=1))
        receiver = connection.create_receiver("amqp://elsewhere.example/orders")
        self.assertEqual(receiver.receive().body, 1)
        receiver.accept()
        connection.create_sender("queue://orders").send(Message(body=2))
        self.assertEqual(receiver.receive().body, 2)

    def test_order_and_many(self):
        connection = self.connect()
        count = 2000
        sender, receiver = connection.create_sender("q"), connection.create_receiver("q", credit=50)
        for i in range(count):
            sender.link.send(Message(body=i))
        for i in range(count):
            self.assertEqual(receiver.receive().body, i)
            receiver.accept()
        self.assert_empty(receiver)

    def test_every_type(self):
        connection = self.connect()
        sender, receiver = connection.create_sender("q"), connection.create_receiver("q")
        values = [
            None, True, False, ubyte(255), ushort(65535), uint(0), uint(4294967295), ulong(0),
            ulong(18446744073709551615), byte(-128), short(-32768), int32(-2147483648),
            -9223372036854775808, float32(1.5), float("inf"), float("-inf"), 2.5, char("\u20ac"),
            timestamp(1234567890123), timestamp(-1), uuid.UUID(int=1 << 127), b"", b"\x00\xff",
            "", "\u20ac" * 300, symbol("sym"), [], [1, [2, [3, [None]]]], {}, {"k": {"l": [b"m"]}},
            decimal32(1), decimal64(2), decimal128(b"\x01" * 16), Described(symbol("d"), [1, "x"]),
            Array(UNDESCRIBED, Data.INT, 1, 2, 3), "x" * 100000,
        ]
        for value in values:
            sender.send(Message(body=value, properties={"v": value} if not isinstance(
                value, (list, dict, Array, Described)) else None))
            got = receiver.receive()
            receiver.accept()
            self.assertEqual(got.body, value)
            self.assertIs(type(got.body), type(value))

    def test_settled_both_ways(self):
        connection = self.connect()
        sender = connection.create_sender("q", options=AtMostOnce())
        receiver = connection.create_receiver("q", options=AtMostOnce())
        for i in range(10):
            sender.link.send(Message(body=i))
        for i in range(10):
            self.assertEqual(receiver.receive().body, i)
        receiver.close()
        self.assert_empty(connection.create_receiver("q"))

    def test_competing(self):
        one, two = self.connect(), self.connect()
        receivers = [one.create_receiver("q", credit=10), two.create_receiver("q", credit=10)]
        sender = one.create_sender("q")
        for i in range(20):
            sender.send(Message(body=i))
        got = [sorted(r.receive().body for _ in range(10)) for r in receivers]
        self.assertEqual(sorted(got[0] + got[1]), list(range(20)))

    def test_browse(self):
        connection = self.connect()
        sender = connection.create_sender("q")
        for i in range(5):
            sender.send(Message(body=i))
        for _ in range(2):
            browser = connection.create_receiver("q", options=Copy())
            self.assertEqual([browser.receive().body for _ in range(5)], list(range(5)))
            self.assert_empty(browser)
            browser.close()
        receiver = connection.create_receiver("q", credit=5)
        self.assertEqual([receiver.receive().body for _ in range(5)], list(range(5)))


class Outcomes(Proton):
    def setUp(self):
        super().setUp()
        self.connection = self.connect()
        self.sender = self.connection.create_sender("q")

    def receiver(self, address="q", **more):
        return self.connection.create_receiver(address, **more)

    def test_release(self):
        self.sender.send(Message(body="x"))
        receiver = self.receiver()
        receiver.receive()
        receiver.release(delivered=False)
        got = receiver.receive()
        receiver.accept()
        self.assertEqual((got.body, got.delivery_count, got.first_acquirer), ("x", 0, False))

    def test_modified(self):
        self.sender.send(Message(body="x", annotations={symbol("old"): 1, symbol("both"): 1}))
        receiver = self.receiver()
        for count in range(3):
            got = receiver.receive()
            self.assertEqual((got.body, got.delivery_count), ("x", count))
            self.settle(receiver, Delivery.MODIFIED, failed=True,
                        annotations={symbol("new"): count, symbol("both"): 2})
        got = receiver.receive()
        receiver.accept()
        self.assertEqual(got.annotations, {symbol("old"): 1, symbol("both"): 2, symbol("new"): 2})

    def test_undeliverable_here(self):
        self.sender.send(Message(body="x"))
        receiver = self.receiver()
        receiver.receive()
        self.settle(receiver, Delivery.MODIFIED, undeliverable=True)
        self.assert_empty(receiver)
        other = self.receiver(name="other")
        self.assertEqual(other.receive().body, "x")

    def test_reject(self):
        self.sender.send(Message(body="x", id="5"))
        receiver = self.receiver()
        receiver.receive()
        self.settle(receiver, Delivery.REJECTED, condition=Condition("my:reason", "because"))
        self.assert_empty(receiver)
        dead = self.receiver("q/$DeadLetterQueue")
        got = dead.receive()
        dead.accept()
        self.assertEqual((got.body, got.id), ("x", "5"))
        self.assertEqual(got.annotations[symbol("DeadLetterReason")], "my:reason")
        self.assertEqual(got.annotations[symbol("DeadLetterErrorDescription")], "because")

    def test_failing_too_often(self):
        self.sender.send(Message(body="x"))
        receiver = self.receiver()
        for _ in range(10):
            receiver.receive()
            self.settle(receiver, Delivery.MODIFIED, failed=True)
        self.assert_empty(receiver)
        self.assertEqual(self.receiver("q/$deadletterqueue").receive().body, "x")

    def test_link_ends(self):
        """What it has not settled goes to the next, in order; failed only if the connection broke."""
        for i in range(3):
            self.sender.send(Message(body=i))
        first = self.connect()
        receiver = first.create_receiver("q", credit=3)
        for i in range(3):
            self.assertEqual(receiver.receive().body, i)
        receiver.close()
        second = self.connect()
        receiver = second.create_receiver("q", credit=3)
        got = [receiver.receive() for _ in range(3)]
        self.assertEqual([(m.body, m.delivery_count) for m in got], [(i, 0) for i in range(3)])
        second.close()
        subprocess.run([sys.executable, "-c", CUT, self.url()], check=True, timeout=harness.PATIENCE)
        receiver = self.receiver(credit=3)
        got = [receiver.receive() for _ in range(3)]
        self.assertEqual([(m.body, m.delivery_count) for m in got], [(i, 1) for i in range(3)])

    def test_unsettled_by_receiver(self):
        """A receiver that tells its outcome without settling: the broker settles."""
        self.sender.send(Message(body="x"))
        receiver = self.receiver()
        receiver.receive()
        delivery = receiver.fetcher.unsettled.popleft()
        delivery.update(Delivery.ACCEPTED)
        self.connection.wait(lambda: delivery.settled, msg="settling")
        self.assertEqual(delivery.remote_state, Delivery.ACCEPTED)
        delivery.settle()
        self.assert_empty(receiver)


class Limits(Proton):
    def test_large_in_small_frames(self):
        connection = self.connect(max_frame_size=4096)
        body = bytes(range(256)) * 4096 * 50 # 50 MiB
        connection.create_sender("q").send(Message(body=body))
        receiver = connection.create_receiver("q")
        self.assertEqual(receiver.receive().body, body)
        receiver.accept()
        self.assert_empty(receiver)

    def test_many_links(self):
        connection = self.connect()
        sessions = []
        for _ in range(100):
            session = connection.conn.session()
            session.open()
            sessions.append(session)
        links = []
        for i, session in enumerate(sessions):
            for j in range(10):
                link = session.sender(f"l{i}-{j}")
                link.target.address = f"q{i % 7}"
                link.open()
                links.append(link)
        connection.wait(lambda: all(l.state & Endpoint.REMOTE_ACTIVE and l.credit for l in links),
                        msg="attaching")
        deliveries = [link.send(Message(body=n)) for n, link in enumerate(links)]
        connection.wait(lambda: all(d.remote_state == Delivery.ACCEPTED for d in deliveries),
                        msg="sending")
        got = []
        for q in range(7):
            receiver = connection.create_receiver(f"q{q}", credit=200)
            for _ in range(sum(10 for i in range(100) if i % 7 == q)):
                got.append(receiver.receive().body)
                receiver.accept()
        self.assertEqual(sorted(got), list(range(1000)))


class SmallLimits(Proton):
    settings = ("limits.packet=10000", "limits.amqp_links=5", "limits.amqp_sessions=3")

    def test_message_size(self):
        connection = self.connect()
        sender = connection.create_sender("q")
        self.assertEqual(sender.link.remote_max_message_size, 10000)
        with self.assertRaises((LinkDetached, SendException)) as raised:
            sender.send(Message(body=b"x" * 20000))
        self.assertIn("amqp:link:message-size-exceeded", str(raised.exception))
        connection.create_sender("q", name="again").send(Message(body=b"x" * 5000))

    def test_links(self):
        connection = self.connect()
        for i in range(5):
            connection.create_sender("q", name=str(i))
        with self.assertRaises(LinkDetached) as raised:
            connection.create_sender("q", name="more")
        self.assertIn("amqp:resource-limit-exceeded", str(raised.exception))


class Idle(Proton):
    settings = ("limits.amqp_idle=1s",)

    def test_both_ways(self):
        """A peer that sends heartbeats stays; and it gets those that it asks for."""
        connection = self.connect(heartbeat=1)
        self.assertAlmostEqual(connection.conn.transport.remote_idle_timeout, 0.5)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                connection.wait(lambda: False, timeout=0.2)
            except Timeout:
                pass
        connection.create_sender("q").send(Message(body="still there"))

    def test_silence(self):
        """Nobody drives this one, so it is silent."""
        connection = self.connect()
        harness.wait_until(lambda: "nothing was heard in time" in self.broker.log(), "its end")
        del connection


class Dynamic(Proton):
    settings = ("entities.auto_create=false",)

    def test_dynamic_goes_with_its_link(self):
        connection = self.connect()
        receiver = connection.create_receiver(None, dynamic=True)
        address = receiver.link.remote_source.address
        connection.create_sender(address).send(Message(body=1))
        self.assertEqual(receiver.receive().body, 1)
        receiver.accept()
        receiver.close()

        def gone():
            try:
                connection.create_sender(address, name=str(uuid.uuid4())).close()
            except LinkDetached as error:
                return "amqp:not-found" in str(error)
            return False
        harness.wait_until(gone, "the queue's end")


class Nodes(Proton):
    def test_dynamic_reply_to(self):
        server = self.connect()
        requests = server.create_receiver("requests")

        def serve():
            request = requests.receive()
            requests.accept()
            server.create_sender(None).send(Message(address=request.reply_to,
                                                    correlation_id=request.correlation_id,
                                                    body=request.body.upper()))
        thread = threading.Thread(target=serve)
        thread.start()
        client = self.connect()
        rpc = SyncRequestResponse(client, "requests")
        self.assertTrue(rpc.reply_to)
        self.assertEqual(rpc.call(Message(body="abc")).body, "ABC")
        thread.join()

    def test_anonymous_relay(self):
        connection = self.connect()
        relay = connection.create_sender(None)
        relay.send(Message(address="a", body=1))
        relay.send(Message(address="amqp://host/b", body=2))
        for queue, body in (("a", 1), ("b", 2)):
            self.assertEqual(connection.create_receiver(queue).receive().body, body)
        with self.assertRaises(SendException):
            relay.send(Message(body="nowhere"))

    def test_unknown(self):
        connection = self.connect()
        for address in ("$management", "hub/Partitions/0", "t/Subscriptions/s", "/"):
            with self.assertRaises(LinkDetached) as raised:
                connection.create_receiver(address, name=address)
            self.assertIn("amqp:not-found", str(raised.exception))

    def test_capabilities(self):
        connection = self.connect()
        receiver = connection.create_receiver("q")
        capabilities = receiver.link.remote_source.capabilities
        capabilities.rewind()
        capabilities.next()
        self.assertIn("queue", str(capabilities.get_object()))


class Declared(Proton):
    def start_broker(self):
        path = self.file("gnatter.yaml", b"entities:\n  queues:\n"
                         b"    - {name: orders, max_deliveries: 2, bind: ['orders/#']}\n"
                         b"    - {name: small, max_messages: 2, overflow: reject}\n")
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        broker.spawn([harness.GNATTER, "broker", "--config", path, "--listen", "mqtt://127.0.0.1:0",
                      "--listen", "http://127.0.0.1:0", "--listen", "amqp://127.0.0.1:0", "--data",
                      "none", "--workers", str(harness.WORKERS)])
        return broker.wait_for_port()

    def test_only_these(self):
        connection = self.connect()
        connection.create_sender("orders").send(Message(body=1))
        with self.assertRaises(LinkDetached) as raised:
            connection.create_sender("others")
        self.assertIn("amqp:not-found", str(raised.exception))

    def test_options(self):
        connection = self.connect()
        sender = connection.create_sender("small")
        sender.send(Message(body=1))
        sender.send(Message(body=2))
        with self.assertRaises(SendException):
            sender.send(Message(body=3))
        connection.create_sender("orders").send(Message(body="x"))
        receiver = connection.create_receiver("orders")
        for _ in range(2):
            receiver.receive()
            self.settle(receiver, Delivery.MODIFIED, failed=True)
        self.assertEqual(connection.create_receiver("orders/$DeadLetterQueue").receive().body, "x")

    def test_bound_topics(self):
        publisher = Client("publisher", V5)
        self.addCleanup(publisher.close)
        publisher.connect(self.broker)
        publisher.publish("orders/7", "from MQTT", 1)
        receiver = self.connect().create_receiver("orders")
        got = receiver.receive()
        receiver.accept()
        self.assertEqual((bytes(got.body), got.address, got.durable),
                         (b"from MQTT", "orders/7", True))


class Topics(Proton):
    def client(self, name):
        client = Client(name, V5)
        self.addCleanup(client.close)
        client.connect(self.broker)
        return client

    def test_from_mqtt(self):
        receiver = self.connect().create_receiver("topic://site/+/temp")
        publisher = self.client("publisher")
        for qos in range(3):
            publisher.publish("site/a/temp", f"{qos}", qos)
            publisher.publish("site/a/other", "no", qos)
            got = receiver.receive()
            receiver.accept()
            self.assertEqual((bytes(got.body), got.address, got.durable),
                             (b"%d" % qos, "site/a/temp", qos > 0))

    def test_retained(self):
        publisher = self.client("publisher")
        for i in range(100):
            publisher.publish(f"r/{i}", f"{i}", 1, retain=True)
        receiver = self.connect().create_receiver("topic://r/#", credit=10)
        got = []
        for _ in range(100):
            got.append(int(bytes(receiver.receive().body)))
            receiver.accept()
        self.assertEqual(sorted(got), list(range(100)))

    def test_to_mqtt(self):
        subscriber = self.client("subscriber")
        subscriber.subscribe("to/#", 2)
        sender = self.connect().create_sender("topic://to/mqtt")
        sender.send(Message(body=b"bytes", durable=True, properties={"k": "v"}))
        got = subscriber.receive()
        self.assertEqual((got.topic, got.payload, got.qos), ("to/mqtt", b"bytes", 1))
        sender.send(Message(body="text"))
        got = subscriber.receive()
        self.assertEqual((got.payload, got.qos), (b"text", 0))

    def test_between_amqp(self):
        one, two = self.connect(), self.connect()
        receivers = [two.create_receiver("topic://t/#", name=str(i)) for i in range(3)]
        sent = Message(body={"a": [1, 2.5, None]}, subject="s", annotations={symbol("x"): 1})
        one.create_sender("topic://t/1").send(sent)
        for receiver in receivers:
            got = receiver.receive()
            receiver.accept()
            self.assertEqual((got.body, got.subject, got.annotations),
                             (sent.body, sent.subject, sent.annotations))

    def test_released_comes_again(self):
        connection = self.connect()
        receiver = connection.create_receiver("topic://t")
        sender = connection.create_sender("topic://t")
        sender.send(Message(body="x"))
        receiver.receive()
        self.settle(receiver, Delivery.MODIFIED, failed=True)
        got = receiver.receive()
        receiver.accept()
        self.assertEqual((got.body, got.delivery_count), ("x", 1))

    def test_bad_addresses(self):
        connection = self.connect()
        for make, address in ((connection.create_sender, "topic://a/+"),
                              (connection.create_receiver, "topic://a/#/b")):
            with self.assertRaises(LinkDetached) as raised:
                make(address)
            self.assertIn("amqp:invalid-field", str(raised.exception))


class Filters(Proton):
    def test_selector(self):
        connection = self.connect()
        sender = connection.create_sender("q")
        for i in range(10):
            sender.send(Message(body=i, properties={"n": i, "color": "red" if i % 2 else "blue"}))
        receiver = connection.create_receiver("q", credit=10,
                                              options=Selector("color = 'red' AND n > 3"))
        in_force = receiver.link.remote_source.filter
        self.assertTrue(in_force.next())
        self.assertEqual([receiver.receive().body for _ in range(3)], [5, 7, 9])
        self.assert_empty(receiver)
        rest = connection.create_receiver("q", name="rest", credit=10)
        self.assertEqual([rest.receive().body for _ in range(7)], [0, 1, 2, 3, 4, 6, 8])

    def test_properties(self):
        connection = self.connect()
        sender = connection.create_sender("q")
        for i, subject in enumerate(("alpha", "beta", "alphabet")):
            sender.send(Message(body=i, subject=subject))
        wanted = Described(symbol("amqp:properties-filter"), {symbol("subject"): "&p:alpha"})
        receiver = connection.create_receiver(
            "q", credit=10, options=Filter({symbol("properties"): wanted}))
        self.assertEqual([receiver.receive().body for _ in range(2)], [0, 2])
        self.assert_empty(receiver)

    def test_mistake(self):
        with self.assertRaises(LinkDetached) as raised:
            self.connect().create_receiver("q", options=Selector("color = "))
        self.assertIn("amqp:invalid-field", str(raised.exception))
        self.assertIn("selector, column", str(raised.exception))


class Drain(Proton):
    def test_drain(self):
        connection = self.connect()
        sender = connection.create_sender("q")
        for i in range(3):
            sender.send(Message(body=i))
        receiver = connection.create_receiver("q", credit=1)
        self.assertEqual(receiver.receive().body, 0)
        receiver.link.drain(10)
        connection.wait(lambda: not receiver.link.draining(), msg="draining")
        # receive() gives credit of its own, so what is left of it says nothing; rhea.js looks at that.
        self.assertEqual([receiver.receive().body for _ in range(2)], [1, 2])

    def test_drain_a_topic(self):
        connection = self.connect()
        receiver = connection.create_receiver("topic://t", credit=10)
        self.assert_empty(receiver)


class Logins(Proton):
    def start_broker(self):
        users = f"{self.folder}/users"
        for user, options in (("ann", ["--cost", "10"]), ("sam", ["--scram", "-I", "4096"])):
            harness.run([harness.GNATTER, "passwd", "-b", users, user, "secret", *options])
        return self.start(harness.Gnatter(self.folder),
                          (f"users={users}", "allow_anonymous=false"))

    def test_plain(self):
        for user in ("ann", "sam"):
            connection = self.connect(user=user, password="secret", allowed_mechs="PLAIN")
            connection.create_sender("q").send(Message(body=user))
            self.assertIn(f"user={user} by=PLAIN", self.broker.log())

    def test_refused(self):
        for options in ({"user": "ann", "password": "wrong", "allowed_mechs": "PLAIN"},
                        {"user": "nobody", "password": "secret", "allowed_mechs": "PLAIN"},
                        {"allowed_mechs": "ANONYMOUS"}, {"sasl_enabled": False}):
            with self.assertRaises(ConnectionException):
                self.connect(**options)
        self.assertEqual(self.broker.log().count("login failed"), 2)


class Tls(Proton):
    """Certificates say who a peer is, whatever mechanism it takes."""

    def start_broker(self):
        harness.run([harness.GNATTER, "cert", "init", "--dir", f"{self.folder}/pki"])
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        broker.spawn([harness.GNATTER, "broker", "--listen", "mqtts://127.0.0.1:0", "--listen",
                      "https://127.0.0.1:0", "--listen", "amqps://127.0.0.1:0", "--data", "none",
                      "--certificate", self.pki("server.pem"), "--key", self.pki("server.key"),
                      "--ca", self.pki("ca.pem"), "--workers", str(harness.WORKERS)])
        return broker.wait_for_port()

    def pki(self, name):
        return f"{self.folder}/pki/{name}"

    def test_external(self):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(self.pki("ca.pem"))
        domain.set_credentials(self.pki("client.pem"), self.pki("client.key"), None)
        for mechanism, by in (("EXTERNAL", "EXTERNAL"), ("ANONYMOUS", "certificate")):
            connection = BlockingConnection(f"amqps://localhost:{self.broker.amqp_port}",
                                            timeout=harness.PATIENCE, ssl_domain=domain,
                                            allowed_mechs=mechanism)
            self.addCleanup(self.close, connection)
            sender, receiver = connection.create_sender("q"), connection.create_receiver("q")
            sender.send(Message(body=b"x" * 100000))
            self.assertEqual(receiver.receive().body, b"x" * 100000)
            receiver.accept()
            self.assertRegex(self.broker.log(), f"user=[^ ]+ by={by}")


class Durable(Proton):
    """What was accepted is there after the process was killed, and what was settled is not."""

    def start_broker(self):
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        return self.spawn(broker)

    def spawn(self, broker):
        with open(broker.log_path, "w"):
            pass
        broker.spawn([harness.GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0", "--listen",
                      "http://127.0.0.1:0", "--listen", "amqp://127.0.0.1:0", "--data",
                      f"{self.folder}/data", "--workers", str(harness.WORKERS)])
        return broker.wait_for_port()

    def kill(self):
        self.broker.stop(signal.SIGKILL)
        self.spawn(self.broker)

    def test_killed(self):
        connection = self.connect(to_be_cut=True)
        senders = [connection.create_sender(f"q{i}") for i in range(3)]
        for n in range(30):
            senders[n % 3].send(Message(body=n, durable=n % 2 == 0))
        receiver = connection.create_receiver("q0", credit=3)
        self.assertEqual([receiver.receive().body for _ in range(3)], [0, 3, 6])
        delivery = receiver.fetcher.unsettled.popleft()
        delivery.update(Delivery.ACCEPTED)
        connection.wait(lambda: delivery.settled, msg="settling")
        self.kill()
        connection = self.connect()
        for i in range(3):
            wanted = [n for n in range(30) if n % 3 == i and n % 2 == 0 and n > 0]
            receiver = connection.create_receiver(f"q{i}", credit=20)
            self.assertEqual([receiver.receive().body for _ in wanted], wanted)
            self.assert_empty(receiver)

    def test_topics(self):
        """A publication is accepted when it is safe with a session that is away."""
        client = Client("away", V5, False)
        client.connect(self.broker, SessionExpiryInterval=600)
        client.subscribe("t/#", 1)
        client.close()
        sender = self.connect(to_be_cut=True).create_sender("topic://t/1")
        for n in range(10):
            sender.send(Message(body=b"%d" % n, durable=True))
        self.kill()
        client = Client("away", V5, False)
        self.addCleanup(client.close)
        client.connect(self.broker, SessionExpiryInterval=600)
        self.assertEqual([client.receive().payload for _ in range(10)],
                         [b"%d" % n for n in range(10)])


class WebSocket(Proton):
    def upgrade(self, path, protocol):
        stream = socket.create_connection(("127.0.0.1", self.broker.web_port), harness.PATIENCE)
        self.addCleanup(stream.close)
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.broker.web_port}\r\n"
                       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                       f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n".encode())
        file = stream.makefile("rb")
        head = []
        while not head or head[-1] != b"\r\n":
            head.append(file.readline())
        return stream, file, b"".join(head)

    def test_amqp(self):
        stream, file, head = self.upgrade("/amqp", "amqp")
        self.assertIn(b" 101 ", head)
        self.assertIn(b"Sec-WebSocket-Protocol: amqp\r\n", head)
        stream.sendall(b"\x82\x88\0\0\0\0AMQP\3\1\0\0")  # a binary frame, masked with zeros
        frame = file.read(10)
        self.assertEqual((frame[:1], frame[2:]), (b"\x82", b"AMQP\3\1\0\0"))

    def test_other_names(self):
        for path, protocol in (("/amqp", "mqtt"), ("/mqtt", "amqp")):
            self.assertIn(b" 400 ", self.upgrade(path, protocol)[2])


class Access(Proton):
    def start_broker(self):
        path = self.file("gnatter.yaml", b"access:\n"
                         b"  - {may: [send], on: out}\n  - {may: [listen], on: in}\n"
                         b"  - {may: [publish], on: t/1}\n  - {may: [subscribe], on: t/2}\n")
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        broker.spawn([harness.GNATTER, "broker", "--config", path, "--listen", "mqtt://127.0.0.1:0",
                      "--listen", "http://127.0.0.1:0", "--listen", "amqp://127.0.0.1:0", "--data",
                      "none", "--workers", str(harness.WORKERS)])
        return broker.wait_for_port()

    def test_links(self):
        connection = self.connect()
        for make, good, bad in ((connection.create_sender, "out", "in"),
                                (connection.create_receiver, "in", "out"),
                                (connection.create_sender, "topic://t/1", "topic://t/2"),
                                (connection.create_receiver, "topic://t/2", "topic://t/1")):
            make(good, name=f"good {good} {make}")
            with self.assertRaises(LinkDetached) as raised:
                make(bad, name=f"bad {bad} {make}")
            self.assertIn("amqp:unauthorized-access", str(raised.exception))

    def test_relay(self):
        relay = self.connect().create_sender(None)
        relay.send(Message(address="out", body=1))
        for address in ("in", "topic://t/2"):
            with self.assertRaises(SendException):
                relay.send(Message(address=address, body=1))


class Mover(MessagingHandler, TransactionHandler):
    """Moves three messages from one queue to another two, in a transaction; at the first try it
    thinks better of it."""

    def __init__(self, url, settles):
        MessagingHandler.__init__(self, prefetch=0, auto_accept=False)
        self.url, self.settles, self.seen = url, settles, []
        self.container = self.receiver = self.transaction = None
        self.senders, self.moved, self.aborted = [], 0, False

    def on_start(self, event):
        self.container = event.container
        connection = event.container.connect(self.url, reconnect=False)
        self.receiver = event.container.create_receiver(connection, "from")
        self.senders = [event.container.create_sender(connection, to) for to in ("to", "and")]
        self.declare(connection)

    def declare(self, connection):
        self.moved = 0
        self.container.declare_transaction(connection, handler=self,
                                           settle_before_discharge=self.settles)

    def on_transaction_declared(self, event):
        self.transaction = event.transaction
        self.receiver.flow(3)

    def on_message(self, event):
        self.transaction.send(self.senders[self.moved % 2], event.message)
        self.transaction.accept(event.delivery)
        self.moved += 1
        if self.moved == 3 and self.aborted:
            self.transaction.commit()
        elif self.moved == 3:
            self.transaction.abort()

    def on_transaction_aborted(self, event):
        self.seen.append("aborted")
        self.aborted = True
        self.declare(event.connection)

    def on_transaction_committed(self, event):
        self.seen.append("committed")
        event.connection.close()

    def on_transaction_commit_failed(self, event):
        self.seen.append("failed")
        event.connection.close()


class Transactions(Proton):
    def test_moving(self):
        for settles in (False, True):
            with self.subTest(settles=settles):
                connection = self.connect()
                sender = connection.create_sender("from")
                for body in "abc":
                    sender.send(Message(body=body))
                mover = Mover(self.url(), settles)
                Container(mover).run()
                self.assertEqual(mover.seen, ["aborted", "committed"])
                self.assert_empty(connection.create_receiver("from", name="again"))
                moved = []
                for address, count in (("to", 2), ("and", 1)):
                    receiver = connection.create_receiver(address, credit=5)
                    for _ in range(count):
                        moved.append(receiver.receive().body)
                        receiver.accept()
                self.assertEqual(sorted(moved), ["a", "b", "c"])
                connection.close()


class Pair(MessagingHandler):
    """Proton's example of a sender and a receiver, in one: as fast as credit allows."""

    def __init__(self, url, count):
        super().__init__(prefetch=100)
        self.url, self.count = url, count
        self.sent = self.accepted = 0
        self.got = []

    def on_start(self, event):
        connection = event.container.connect(self.url)
        self.sender = event.container.create_sender(connection, "pair")
        event.container.create_receiver(connection, "pair")

    def on_sendable(self, event):
        while event.sender.credit and self.sent < self.count:
            event.sender.send(Message(id=self.sent, body=self.sent))
            self.sent += 1

    def on_accepted(self, event):
        self.accepted += event.link.is_sender

    def on_message(self, event):
        self.got.append(event.message.body)
        if len(self.got) == self.count:
            event.connection.close()


class Reactor(Proton):
    def test_pair(self):
        pair = Pair(self.url(), 5000)
        self.run_reactor(pair)
        self.assertEqual(pair.got, list(range(5000)))


class Stop(Proton):
    def test_graceful(self):
        connection = self.connect()
        connection.create_receiver("q")
        self.stop(self.broker)
        with self.assertRaises(ConnectionException) as raised:
            connection.wait(lambda: False)
        self.assertIn("amqp:connection:forced", str(raised.exception))


if __name__ == "__main__":
    harness.main()
