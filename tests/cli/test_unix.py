"""Listeners on Unix sockets: clients of ours and others, the file's life and its mode."""
import os
import signal
import socket
import stat
import unittest

import harness


class Case(harness.Place):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "mqtt.sock")
        self.url = f"unix://{self.path}"

    def broker(self, *argv):
        return self.spawn(harness.GNATTER, "broker", "--data", "none", *argv)

    def ready(self, *argv):
        process = self.broker(*(argv or ("--listen", self.url)))
        process.line("stderr", b" ready ")
        return process

    def run_client(self, *argv):
        process = self.spawn(*argv)
        return process.end(), process.text["stdout"].decode(), process.text["stderr"].decode()


class Clients(Case):
    def test_ours_and_mosquittos(self):
        for workers in "1", "2":
            broker = self.ready("--listen", self.url, "--workers", workers)
            code, _, err = self.run_client(harness.GNATTER, "pub", "--url", self.url, "-t", "x",
                                           "-r", "-q", "1", "-m", "ours")
            self.assertEqual(code, 0, err)
            self.assertIn(b"from=unix", broker.line("stderr", b" connect "))
            code, out, err = self.run_client("mosquitto_sub", "--unix", self.path, "-t", "x", "-C", "1")
            self.assertEqual((code, out), (0, "ours\n"), err)
            code, _, err = self.run_client("mosquitto_pub", "--unix", self.path, "-t", "x", "-r",
                                           "-q", "1", "-m", "theirs")
            self.assertEqual(code, 0, err)
            code, out, err = self.run_client(harness.GNATTER, "sub", "--url", self.url, "-t", "x",
                                             "-C", "1")
            self.assertEqual((code, out), (0, "theirs\n"), err)
            self.assertEqual(harness.terminate(broker), 0)

    def test_amqp(self):
        self.ready("--listen", f"amqp+{self.url}")
        for url, what in (self.url, "one"), (f"amqp+{self.url}", "two"):
            code, _, err = self.run_client(harness.GNATTER, "send", "q", "--url", url, "-m", what)
            self.assertEqual(code, 0, err)
            code, out, err = self.run_client(harness.GNATTER, "receive", "q", "--url", url, "--drain")
            self.assertEqual((code, out), (0, f"{what}\n"), err)
        code, _, err = self.run_client(harness.GNATTER, "pub", "--url", f"amqp+{self.url}", "-t", "x",
                                       "-m", "y")
        self.assertEqual(code, 64, err)

    def test_bench(self):
        self.ready()
        code, out, err = self.run_client(harness.GNATTER, "bench", "-s", "pairs", "--publishers", "3",
                                         "--subscribers", "3", "--rate", "100", "--duration", "300ms",
                                         "--warm-up", "0", "--target", self.url)
        self.assertEqual(code, 0, (out, err))

    def test_nobody_there(self):
        code, _, err = self.run_client(harness.GNATTER, "pub", "--url", self.url, "-t", "x", "-m", "y")
        self.assertEqual(code, 69)
        self.assertIn(f"cannot connect to {self.url}: there is no such socket. Is a broker running", err)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.path)
            code, _, err = self.run_client(harness.GNATTER, "pub", "--url", self.url, "-t", "x", "-m", "y")
        self.assertEqual(code, 69)
        self.assertIn(f"cannot connect to {self.url}: refused", err)

    def test_usage(self):
        for url, words in (("unix://run/x", "whole path"), ("unix:///" + 107 * "x", "107 bytes at most")):
            for argv in (["pub", "-t", "x", "-m", "y", "--url"], ["broker", "--listen"]):
                code, _, err = self.run_client(harness.GNATTER, *argv, url)
                self.assertEqual(code, 64, err)
                self.assertIn(words, err)


class File(Case):
    def test_it_comes_and_goes(self):
        broker = self.ready()
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        self.assertEqual(harness.terminate(broker), 0)
        self.assertFalse(os.path.exists(self.path))

    def test_mode(self):
        for mode, wanted in ("0600", 0o600), ("666", 0o666), ('"0777"', 0o777):
            broker = self.ready("--config", self.file(
                "gnatter.yaml", f"listeners: [{{url: '{self.url}', mode: {mode}}}]\n"))
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), wanted)
            self.assertEqual(harness.terminate(broker), 0)
        broker = self.broker("--config", self.file(
            "gnatter.yaml", f"listeners: [{{url: '{self.url}', mode: 888}}]\n"))
        self.assertEqual(broker.end(), 78)
        self.assertIn(b"expected the mode of a file in octal, such as 0660", broker.text["stderr"])

    def test_a_dead_brokers_is_replaced(self):
        broker = self.ready()
        broker.send(signal.SIGKILL)
        broker.end()
        self.assertTrue(os.path.exists(self.path))
        broker = self.ready()
        self.assertEqual(self.run_client(harness.GNATTER, "pub", "--url", self.url, "-t", "x",
                                         "-q", "1", "-m", "y")[0], 0)
        self.assertEqual(harness.terminate(broker), 0)

    def test_a_live_brokers_is_not(self):
        first = self.ready()
        second = self.broker("--listen", self.url)
        self.assertEqual(second.end(), 69)
        self.assertIn(f"cannot listen on {self.path}: somebody listens there".encode(),
                      second.text["stderr"])
        self.assertTrue(os.path.exists(self.path))
        self.assertEqual(self.run_client("mosquitto_pub", "--unix", self.path, "-t", "x", "-q", "1",
                                         "-m", "y")[0], 0)
        self.assertEqual(harness.terminate(first), 0)

    def test_what_is_no_socket_stays(self):
        with open(self.path, "w", encoding="ascii") as file:
            file.write("precious")
        broker = self.broker("--listen", self.url)
        self.assertNotEqual(broker.end(), 0)
        self.assertIn(b"what is there is no socket", broker.text["stderr"])
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    def test_none_is_left_where_another_listener_fails(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            broker = self.broker("--listen", self.url, "--listen",
                                 f"mqtt://127.0.0.1:{taken.getsockname()[1]}")
            self.assertEqual(broker.end(), 69)
        self.assertFalse(os.path.exists(self.path))

    def test_many_at_once(self):
        """Of brokers that start at the same time one gets it, and keeps it."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.path)
        brokers = [self.broker("--listen", self.url) for _ in range(4)]
        codes = []
        alive = []
        for broker in brokers:
            try:
                broker.line("stderr", b" ready ")
                alive.append(broker)
            except AssertionError:
                codes.append(broker.end())
        self.assertEqual((len(alive), codes), (1, [69, 69, 69]))
        self.assertEqual(self.run_client("mosquitto_pub", "--unix", self.path, "-t", "x", "-q", "1",
                                         "-m", "y")[0], 0)
        self.assertEqual(harness.terminate(alive[0]), 0)
        self.assertFalse(os.path.exists(self.path))


class Anonymous(Case):
    def test_it_is_this_machine(self):
        """Nobody else's machine: no allow_anonymous is needed."""
        broker = self.ready("--listen", self.url, "--listen", "mqtt://127.0.0.1:0")
        self.assertIn(b"this machine only", broker.text["stderr"])


class V6(Case):
    def test_listeners_on_ipv6(self):
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError as error:
                self.skipTest(f"no IPv6: {error}")
        broker = self.broker("--listen", "mqtt://[::1]:0")
        line = broker.line("stderr", b" ready ").decode()
        port = line.split("[::1]:")[1].split('"')[0].split()[0]
        for argv in ([harness.GNATTER, "pub", "--url", f"mqtt://[::1]:{port}"],
                     ["mosquitto_pub", "-h", "::1", "-p", port]):
            code, _, err = self.run_client(*argv, "-t", "x", "-q", "1", "-m", "y")
            self.assertEqual(code, 0, err)
            self.assertIn(b"from=[::1]:", broker.line("stderr", b" connect ").replace(b'"', b""))
        self.assertEqual(harness.terminate(broker), 0)


if __name__ == "__main__":
    unittest.main()
