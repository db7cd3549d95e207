#!/usr/bin/env python3
"""Our container (gnatter/amqp_container.h, in amqp_host.c) and peers that are not ours: Qpid Proton's
Python, and rhea (container.js)."""

import os
import subprocess
import tempfile
import unittest
import uuid

import harness
from proton import ConnectionException, Delivery, Message, SSLDomain, Terminus
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection, LinkDetached, SendException, SyncRequestResponse


class Host:
    """amqp_host, up to close()."""

    def __init__(self, url="amqp://127.0.0.1:0", **environment):
        self.process = subprocess.Popen(
            harness.tied([os.environ["GNATTER_AMQP_HOST"], url]), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=dict(os.environ, **environment))
        self.url = self.process.stdout.readline().decode().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(harness.PATIENCE)
        self.process.stdout.close()
        return code


class Containers(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(lambda: self.assertEqual(self.host.close(), 0))

    def connect(self, url=None, **options):
        connection = BlockingConnection(url or self.host.url, timeout=harness.PATIENCE, **options)
        self.addCleanup(self.close, connection)
        return connection

    @staticmethod
    def close(connection):
        try:
            connection.close()
        except ConnectionException:
            pass

    def test_outcomes(self):
        sender = self.connect().create_sender("in")
        self.assertEqual(sender.send(Message(body=b"good")).remote_state, Delivery.ACCEPTED)
        for body, state in ((b"bad", Delivery.REJECTED), (b"later", Delivery.RELEASED),
                            (b"elsewhere", Delivery.MODIFIED)):
            with self.assertRaises(SendException) as raised:
                sender.send(Message(body=body), error_states=[state])
            self.assertEqual(raised.exception.state, state)

    def test_large_and_many(self):
        sender = self.connect().create_sender("in")
        sender.send(Message(body=b"x" * (10 << 20)))
        for _ in range(300):
            sender.send(Message(body=b"m"))

    def test_settled(self):
        connection = self.connect()
        sender = connection.create_sender("in", options=AtMostOnce())
        sender.send(Message(body=b"bad"))
        connection.create_sender("in", name="other").send(Message(body=b"good"))

    def test_receive(self):
        receiver = self.connect().create_receiver("out", credit=3)
        for i in range(10):
            self.assertEqual(receiver.receive().body, i)
            if i % 2:
                receiver.accept()
            else:
                receiver.release()

    def test_requests(self):
        service = SyncRequestResponse(self.connect(), "echo")
        for body in ("hello", {"a": [1, 2]}, uuid.uuid4()):
            answer = service.call(Message(body=body, id=str(body)))
            self.assertEqual(answer.body, body)

    def test_named_answers(self):
        """As AMQP .Net Lite asks: a receiver from the address, whose target is the reply-to."""
        connection = self.connect()

        class Named:
            def apply(self, link):
                link.target.type = Terminus.TARGET
                link.target.address = "my-answers"

            def test(self, link):
                return link.is_receiver

        receiver = connection.create_receiver("echo", credit=1, options=Named())
        connection.create_sender("echo").send(
            Message(body="hello", reply_to="my-answers", correlation_id=7))
        answer = receiver.receive()
        self.assertEqual((answer.body, answer.correlation_id), ("hello", 7))
        receiver.accept()

    def test_refused(self):
        connection = self.connect()
        for attach in (lambda: connection.create_sender("nowhere"),
                       lambda: connection.create_sender("out"),
                       lambda: connection.create_receiver("in"),
                       lambda: connection.create_sender("users")):
            with self.assertRaises(LinkDetached):
                attach()
        connection.create_sender("in").send(Message(body=b"and others go on"))

    def test_users(self):
        connection = self.connect(f"amqp://user:secret@127.0.0.1:{self.host.port}",
                                  allowed_mechs="PLAIN")
        connection.create_sender("users").send(Message(body=b"m"))
        with self.assertRaises(ConnectionException):
            self.connect(f"amqp://user:wrong@127.0.0.1:{self.host.port}", allowed_mechs="PLAIN")

    def test_tls(self):
        with tempfile.TemporaryDirectory() as pki:
            subprocess.run([os.environ["GNATTER"], "cert", "init", "--dir", f"{pki}/pki", "--name",
                            "localhost"], check=True, stdout=subprocess.DEVNULL)
            both = f"{pki}/both.pem"
            with open(both, "wb") as out:
                for name in ("server.pem", "server.key"):
                    with open(f"{pki}/pki/{name}", "rb") as part:
                        out.write(part.read())
            host = Host("amqps://127.0.0.1:0", AMQP_PEM=both)
            self.addCleanup(host.close)
            domain = SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(f"{pki}/pki/ca.pem")
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER)
            connection = self.connect(f"amqps://localhost:{host.port}", ssl_domain=domain)
            connection.create_sender("in").send(Message(body=b"m"))
            self.close(connection)

    def test_rhea(self):
        harness.run_node(self, "container.js", PORT=str(self.host.port))


if __name__ == "__main__":
    harness.need_node_module("rhea")
    unittest.main()
