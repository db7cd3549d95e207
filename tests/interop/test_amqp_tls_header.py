#!/usr/bin/env python3
"""TLS that a client asks for by AMQP's header [AMQP 5.2.1], with Python's TLS, at a listener for AMQP
with a certificate of its own."""

import os
import pathlib
import socket
import ssl
import sys
import tempfile

import harness

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))

import amqp  # noqa: E402
from amqp import HEADERS, Value, composite  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="gnatter-tls-header-")
PKI = os.path.join(FOLDER.name, "pki")
USERS = os.path.join(FOLDER.name, "users")
CONFIG = """\
listeners:
  - url: mqtt://127.0.0.1:0
  - url: http://127.0.0.1:0
  - url: amqp://127.0.0.1:0
    certificate: {pki}/server.pem
    key: {pki}/server.key
    ca: {pki}/ca.pem
    client_certificates: optional
users: {users}
"""


def pki(name):
    return os.path.join(PKI, name)


def context(certified=False):
    tls = ssl.create_default_context(cafile=pki("ca.pem"))
    if certified:
        tls.load_cert_chain(pki("client.pem"), pki("client.key"))
    return tls


class Client:
    """A connection; what is read and written goes through TLS once secure() has returned."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.amqp_port), harness.PATIENCE)

    def close(self):
        self.socket.close()

    def read(self, size):
        """Fewer bytes: the end has come."""
        data = b""
        while len(data) < size:
            try:
                some = self.socket.recv(size - len(data))
            except ConnectionResetError:
                some = b""
            if not some:
                break
            data += some
        return data

    def ask(self, header):
        self.socket.sendall(header)
        return self.read(8)

    def secure(self, tls):
        self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def send(self, name, kind=0, **fields):
        fields = {key.replace("_", "-"): value for key, value in fields.items()}
        self.socket.sendall(amqp.frame(amqp.encode(composite(name, fields)), kind))

    def frame(self):
        size = self.read(4)
        return amqp.parse_frame(size + self.read(int.from_bytes(size, "big") - 4))

    def mechanisms(self):
        """That it is offered when it asks for SASL."""
        assert self.ask(HEADERS["sasl"]) == HEADERS["sasl"]
        offered = self.frame().fields["sasl-server-mechanisms"].value
        return [one.value for one in offered[1]] if isinstance(offered, tuple) else [offered]

    def log_in(self, mechanism, response):
        """The outcome's code."""
        self.send("sasl-init", 1, mechanism=Value("symbol", mechanism),
                  initial_response=Value("binary", response))
        return self.frame().fields["code"].value

    def open_and_close(self):
        assert self.ask(HEADERS["amqp"]) == HEADERS["amqp"]
        self.send("open", container_id=Value("string", "by-header"))
        opened = self.frame().name
        self.send("close")
        return [opened, self.frame().name]


class Test(harness.Test):
    options = ()

    def start_broker(self):
        class Gnatter(harness.Gnatter):
            def start(self, settings=(), workers=harness.WORKERS):
                self.spawn([harness.GNATTER, "broker", "--config", config, "--data", "none",
                            "--workers", str(workers), *settings])
                return self.wait_for_port()
        config = self.file("gnatter.yaml", CONFIG.format(pki=PKI, users=USERS).encode())
        return self.start(Gnatter(self.folder), self.options)

    def client(self):
        client = Client(self.broker)
        self.addCleanup(client.close)
        return client

    def secured(self, **options):
        client = self.client()
        self.assertEqual(client.ask(HEADERS["tls"]), HEADERS["tls"])
        client.secure(context(**options))
        return client


class ByHeader(Test):
    def test_password(self):
        client = self.secured()
        self.assertIn("PLAIN", client.mechanisms())
        self.assertEqual(client.log_in("PLAIN", b"\0ann\0secret"), 0)
        self.assertEqual(client.open_and_close(), ["open", "close"])

    def test_certificate(self):
        client = self.secured(certified=True)
        self.assertIn("EXTERNAL", client.mechanisms())
        self.assertEqual(client.log_in("EXTERNAL", b""), 0)
        self.assertEqual(client.open_and_close(), ["open", "close"])
        harness.wait_until(lambda: "by=EXTERNAL" in self.broker.log(), "a line in the log")

    def test_without_tls(self):
        """The header is the client's choice."""
        client = self.client()
        self.assertIn("PLAIN", client.mechanisms())
        self.assertEqual(client.log_in("PLAIN", b"\0ann\0secret"), 0)
        self.assertEqual(client.open_and_close(), ["open", "close"])

    def test_hello_behind_the_header(self):
        """A client need not wait for the answer; what it has sent is TLS's, however it is cut."""
        for cut in (0, 1, 5, 100, None):
            client = self.client()
            into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context().wrap_bio(into, out, server_hostname="localhost")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            hello = out.read()
            rest = b"" if cut is None else hello[cut:]
            client.socket.sendall(HEADERS["tls"] + hello[:cut])
            self.assertEqual(client.read(8), HEADERS["tls"])
            client.socket.sendall(rest)
            self.go_on(client, tls.do_handshake, into)
            client.socket.sendall(out.read())
            tls.write(HEADERS["sasl"])
            client.socket.sendall(out.read())
            answer = self.go_on(client, lambda: tls.read(8), into)
            self.assertEqual(answer, HEADERS["sasl"])

    def go_on(self, client, step, into):
        """STEP again, with more each time, until it is done."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                some = client.socket.recv(16384)
                self.assertTrue(some, "the end instead")
                into.write(some)


class Refused(Test):
    def check_that_others_come_in(self):
        client = self.secured()
        self.assertIn("PLAIN", client.mechanisms())
        self.assertEqual(client.log_in("PLAIN", b"\0ann\0secret"), 0)
        self.assertEqual(client.open_and_close(), ["open", "close"])

    def wait_for_line(self, why):
        harness.wait_until(lambda: why in self.broker.log(), why)
        self.check_that_others_come_in()

    def test_no_tls_behind_the_header(self):
        for header in (HEADERS["sasl"], b"GET / HTTP/1.1\r\n\r\n", bytes(100000)):
            for pipelined in (True, False):
                client = self.client()
                if pipelined:
                    client.socket.sendall(HEADERS["tls"] + header)
                    self.assertEqual(client.read(8), HEADERS["tls"])
                else:
                    self.assertEqual(client.ask(HEADERS["tls"]), HEADERS["tls"])
                    client.socket.sendall(header)
                self.assertLess(len(client.read(1000)), 1000)  # an alert at most, and the end
        self.wait_for_line("the peer speaks HTTP without TLS")

    def test_twice(self):
        client = self.secured()
        self.assertEqual(client.ask(HEADERS["tls"]), HEADERS["amqp"])
        self.assertEqual(client.read(1), b"")
        self.wait_for_line("a protocol header that is not expected")

    def test_after_sasl(self):
        client = self.secured()
        client.mechanisms()
        self.assertEqual(client.log_in("PLAIN", b"\0ann\0secret"), 0)
        self.assertNotEqual(client.ask(HEADERS["tls"]), HEADERS["tls"])
        self.wait_for_line("a protocol header that is not expected")

    def test_client_that_leaves(self):
        for behind in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00"):
            client = self.client()
            self.assertEqual(client.ask(HEADERS["tls"]), HEADERS["tls"])
            client.socket.sendall(behind)
            client.close()
        self.check_that_others_come_in()


class Late(Test):
    options = ("--set", "limits.connect_timeout=1s")

    def test_handshake_that_does_not_begin(self):
        client = self.client()
        self.assertEqual(client.ask(HEADERS["tls"]), HEADERS["tls"])
        self.assertEqual(client.read(1), b"")
        harness.wait_until(lambda: "no TLS handshake in time" in self.broker.log(), "a line")


if __name__ == "__main__":
    if harness.GNATTER:
        harness.run([harness.GNATTER, "cert", "init", "--dir", PKI])
        harness.run([harness.GNATTER, "passwd", "-b", USERS, "ann", "secret"])
    harness.main()
