"""Behind a proxy: what Debian's haproxy says of its clients, and what others would like to say.

The broker's proxies are on 127.0.0.2, from where haproxy connects to it too; its clients come from
127.0.0.1 and from wherever mosquitto_pub's -A has them.
"""
import os
import re
import shutil
import socket
import time
import unittest

import harness

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PROXY = "127.0.0.2"
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n"
# CONNECT with the client id x, clean start, and PINGREQ
CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 78") + b"\xc0\x00"
WELCOME = bytes.fromhex("20020000 d000")


def login(password):
    """CONNECT of the user u."""
    text = b"".join(len(word).to_bytes(2, "big") + word for word in (b"x", b"u", password))
    return bytes([0x10, 10 + len(text)]) + bytes.fromhex("0004 4d515454 04 c2 0000") + text


class Case(harness.Place):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "mqtt.sock")
        self.dialled = []

    def start(self, workers=1, proxies=f"[{PROXY}]", more=""):
        self.broker = self.spawn(harness.GNATTER, "broker", "--data", "none", "--workers", workers,
                                 "--config", self.file("gnatter.yaml", f"""
listeners:
  - {{url: "mqtt://127.0.0.1:0", proxies: {proxies}}}
  - {{url: "http://127.0.0.1:0", proxies: {proxies}}}
  - {{url: "unix://{self.path}", proxies: [unix]}}
allow_anonymous: true
sys_interval: 100ms
{more}"""))
        line = self.broker.line("stderr", b" ready ").decode()
        self.port = int(re.search(r"mqtt://127\.0\.0\.1:(\d+)", line)[1])
        self.http = int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1])

    def dial(self, source=PROXY, path=None):
        """A plain connection to the broker."""
        if path:
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
        else:
            s = socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE, (source, 0))
        s.settimeout(harness.PATIENCE)
        self.addCleanup(s.close)
        self.dialled.append(s)
        return s

    def welcome(self, s):
        got = b""
        while len(got) < len(WELCOME):
            more = s.recv(100)
            self.assertTrue(more, got)
            got += more
        self.assertEqual(got, WELCOME)

    def from_of(self, event=b" connect "):
        return re.search(rb'from="?([^" \n]*)', self.broker.line("stderr", event))[1].decode()

    def assert_closed(self, s):
        """With a reset, where it has not read all."""
        try:
            self.assertEqual(s.recv(100), b"")
        except ConnectionResetError:
            pass

    def refused(self, s, words):
        self.assert_closed(s)
        self.assertIn(words, self.broker.line("stderr", b" refuse "))

    def end(self):
        for s in self.dialled:  # who stays is waited for
            s.close()
        self.assertEqual(harness.terminate(self.broker), 0)
        self.assertIn(b" ledger ", self.broker.text["stderr"])


class Headers(Case):
    def test_the_client_is_told(self):
        for workers in 1, 2:
            self.start(workers)
            s = self.dial()
            s.sendall(LINE + CONNECT)
            self.welcome(s)
            self.assertEqual(self.from_of(), "192.0.2.1:56324")
            s.close()
            self.assertEqual(self.from_of(b" disconnect "), "192.0.2.1:56324")
            self.end()

    def test_in_pieces(self):
        self.start(2)
        s = self.dial()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LINE + CONNECT:
            s.sendall(bytes([byte]))
            time.sleep(0.001)
        self.welcome(s)
        self.assertEqual(self.from_of(), "192.0.2.1:56324")
        self.end()

    def test_others_say_nothing(self):
        self.start()
        s = self.dial("127.0.0.1")
        s.sendall(CONNECT)
        self.welcome(s)
        self.assertTrue(self.from_of().startswith("127.0.0.1:"))
        with self.dial("127.0.0.1") as liar:
            liar.sendall(LINE + CONNECT)
            self.assert_closed(liar)  # which is no MQTT
        self.assertTrue(self.from_of(b" refuse ").startswith("127.0.0.1:"))
        self.end()

    def test_unix_socket(self):
        self.start()
        s = self.dial(path=self.path)
        s.sendall(LINE + CONNECT)
        self.welcome(s)
        self.assertEqual(self.from_of(), "192.0.2.1:56324")
        self.end()

    def test_bad_ones_are_refused_and_counted(self):
        self.start()
        rows = [(CONNECT, b"sends no PROXY header"), (b"PROXY TCP4 no\r\n", b"malformed PROXY header"),
                (b"PROXY UNKNOWN " + 200 * b"x", b"PROXY header too large"),
                (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", b"PROXY header too large")]
        for bytes_, words in rows:
            s = self.dial()
            s.sendall(bytes_)
            self.refused(s, words)
        s = self.dial()
        s.close()
        self.assertIn(b"closed before", self.broker.line("stderr", b" refuse "))
        for topic, wanted in ("refused", len(rows) + 1), ("protocol_errors", len(rows)):
            sub = self.spawn("mosquitto_sub", "-p", self.port, "-t",
                             f"$SYS/broker/connections/{topic}", "-W", harness.PATIENCE)
            sub.line("stdout", str(wanted).encode())
        self.end()

    def test_in_time(self):
        self.start(more="limits: {connect_timeout: 300ms}\n")
        s = self.dial()
        s.sendall(LINE[:10])
        self.refused(s, b"no PROXY header in time")
        self.end()

    def test_it_ends_while_some_wait(self):
        self.start(2)
        waiting = [self.dial() for _ in range(10)]
        for s in waiting:
            s.sendall(LINE[:10])
        s = self.dial("127.0.0.1")
        s.sendall(CONNECT)
        self.welcome(s)
        s.close()
        self.dialled = []
        self.end()

    def test_who_guesses_is_blocked_and_not_the_proxy(self):
        users = os.path.join(self.directory, "users")
        made = self.spawn(harness.GNATTER, "passwd", "--create", "--batch", users, "u", "right")
        self.assertEqual(made.end(), 0, made.text)
        for workers in 1, 2:
            self.start(workers, more=f"users: {users}\nguessing: {{delay_after: off, block_after: 3}}\n")
            for _ in range(3):
                with self.dial() as s:
                    s.sendall(LINE + login(b"wrong"))
                    self.assertIn(s.recv(4)[3], (4, 5))
            self.assertIn(b"from=192.0.2.1:", self.broker.line("stderr", b" block address "))
            with self.dial() as s:
                s.sendall(LINE + login(b"right"))
                self.assert_closed(s)
            self.assertIn(b"from=192.0.2.1:", self.broker.line("stderr", b"passwords were guessed"))
            with self.dial() as s:
                s.sendall(LINE.replace(b"192.0.2.1", b"192.0.2.2") + login(b"right"))
                self.assertEqual(s.recv(4), b"\x20\x02\0\0")
            self.end()

    def test_others_come_through_it(self):
        """A loopback address is no protection where a proxy passes on who comes from elsewhere."""
        for url in "mqtt://127.0.0.1:0", f"unix://{self.path}":
            broker = self.spawn(harness.GNATTER, "broker", "--data", "none", "--config", self.file(
                "gnatter.yaml", f"listeners: [{{url: '{url}', proxies: [{PROXY}, unix]}}]\n"))
            self.assertEqual(broker.end(), 77)
            self.assertIn(b"without a password through its proxies; name who may", broker.text["stderr"])
            self.assertFalse(os.path.exists(self.path))

    def test_mistakes(self):
        for proxies, words in (("[localhost]", b"expected an address, a network"),
                               ("[10.0.0.1/8]", b"the address goes on behind its network's bits"),
                               ("[10.0.0.0/33]", b"expected 0 to 32 bits")):
            broker = self.spawn(harness.GNATTER, "broker", "--data", "none", "--config", self.file(
                "gnatter.yaml", f"listeners: [{{url: 'mqtt://127.0.0.1:0', proxies: {proxies}}}]\n"))
            self.assertEqual(broker.end(), 78)
            self.assertIn(words, broker.text["stderr"])


@unittest.skipUnless(HAPROXY, "no haproxy here: apt-get install haproxy")
class Haproxy(Case):
    def haproxy(self, servers, v6=False):
        """One haproxy with a door for each of SERVERS; their ports."""
        ports = [harness.free_port() for _ in servers]
        bind = "[::1]" if v6 else "127.0.0.1"
        text = "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
        for i, (port, server) in enumerate(zip(ports, servers)):
            text += f"listen l{i}\n  bind {bind}:{port}\n  server s {server}\n"
        self.spawn(HAPROXY, "-db", "-f", self.file("haproxy.cfg", text))
        deadline = time.monotonic() + harness.PATIENCE
        for port in ports:
            while True:
                try:
                    socket.create_connection(("::1" if v6 else "127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
        return ports

    def publish(self, port, *argv):
        process = self.spawn("mosquitto_pub", "-p", port, "-i", "x", "-t", "t", "-q", "1", "-m", "m", *argv)
        self.assertEqual(process.end(), 0, process.text)

    def test_every_kind_of_header(self):
        for workers in 1, 2:
            self.start(workers)
            here = f"127.0.0.1:{self.port} source {PROXY}"
            ports = self.haproxy([
                f"{here} send-proxy", f"{here} send-proxy-v2",
                f"{here} send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
                f"unix@{self.path} send-proxy-v2 proxy-v2-options crc32c"])
            for i, port in enumerate(ports):
                self.publish(port, "-A", f"127.0.0.{10 + i}")
                while not (peer := self.from_of()).startswith("127.0.0.1"):
                    pass
                self.assertRegex(peer, rf"^127\.0\.0\.{10 + i}:\d+$")
            self.end()

    def test_ipv6_clients(self):
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError as error:
                self.skipTest(f"no IPv6: {error}")
        self.start()
        here = f"127.0.0.1:{self.port} source {PROXY}"
        for port in self.haproxy([f"{here} send-proxy", f"{here} send-proxy-v2"], v6=True):
            self.publish(port, "-h", "::1")
            self.assertRegex(self.from_of(), r"^\[::1\]:\d+$")
        self.end()

    def test_websocket(self):
        self.start(2)
        port, = self.haproxy([f"127.0.0.1:{self.http} source {PROXY} send-proxy-v2"])
        sub = self.spawn(harness.GNATTER, "sub", "-d", "--url", f"ws://127.0.0.1:{port}/mqtt", "-t", "t",
                         "-C", "1", "-q", "1")
        sub.line("stderr", b"subscribed to")
        peer = self.from_of()
        self.publish(self.port, "-A", "127.0.0.1")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.text["stdout"], b"m\n")
        self.assertRegex(peer, r"^127\.0\.0\.1:\d+$")
        self.end()

    def test_tls_behind_the_header(self):
        pki = os.path.join(self.directory, "pki")
        made = self.spawn(harness.GNATTER, "cert", "init", "--dir", pki)
        self.assertEqual(made.end(), 0, made.text)
        self.broker = self.spawn(harness.GNATTER, "broker", "--data", "none", "--workers", "2", "--config",
                                 self.file("gnatter.yaml", f"""
listeners: [{{url: "mqtts://127.0.0.1:0", proxies: ["{PROXY}"]}}]
certificate: {pki}/server.pem
key: {pki}/server.key
ca: {pki}/ca.pem
"""))
        self.port = int(re.search(rb"mqtts://127\.0\.0\.1:(\d+)", self.broker.line("stderr", b" ready "))[1])
        port, = self.haproxy([f"127.0.0.1:{self.port} source {PROXY} send-proxy-v2"])
        self.publish(port, "-A", "127.0.0.9", "--cafile", f"{pki}/ca.pem", "--cert", f"{pki}/client.pem",
                     "--key", f"{pki}/client.key", "-h", "127.0.0.1")
        self.assertRegex(self.from_of(), r"^127\.0\.0\.9:\d+$")
        self.end()

    def test_health_checks(self):
        """They come from the proxy itself, say so (LOCAL), and leave at once."""
        self.start()
        self.haproxy([f"127.0.0.1:{self.port} source {PROXY} send-proxy-v2 check check-send-proxy inter 50ms"])
        while not self.from_of(b" refuse ").startswith(PROXY):
            pass  # it was who looked whether haproxy is there
        self.assertNotIn(b"malformed", self.broker.text["stderr"])
        self.end()

    def test_a_proxy_that_says_nothing(self):
        self.start()
        port, = self.haproxy([f"127.0.0.1:{self.port} source {PROXY}"])
        process = self.spawn("mosquitto_pub", "-p", port, "-t", "t", "-m", "m")
        self.assertNotEqual(process.end(), 0)
        self.broker.line("stderr", b"sends no PROXY header")
        self.end()


if __name__ == "__main__":
    unittest.main()
