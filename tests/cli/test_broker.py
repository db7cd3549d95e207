"""gnatter broker as a process: the line that says all, exit codes, signals, reload, systemd."""
import os
import re
import signal
import socket
import tempfile
import unittest

import harness


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="gnatter-cli-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def file(self, text):
        path = os.path.join(self.directory, "gnatter.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def broker(self, *argv, **options):
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", *argv],
                                  **options)
        self.addCleanup(process.kill)
        return process

    def fails(self, code, *argv):
        process = self.broker(*argv)
        self.assertEqual(process.end(), code, process.text)
        return process.text["stderr"].decode()


class Starting(Case):
    def test_one_line_says_all(self):
        process = self.broker("--listen", "mqtt://127.0.0.1:0", "--listen", "mqtt://[::1]:0",
                              "--workers", "2")
        line = process.line("stderr", b" ready ").decode()
        self.assertRegex(line, r'notice ready listen="mqtt://127\.0\.0\.1:[1-9]\d* '
                               r'mqtt://\[::1\]:[1-9]\d*" workers=2 data=none loss_window="everything: memory only" '
                               r'access="anonymous, this machine only"')
        self.assertEqual(harness.terminate(process), 0)
        self.assertEqual(process.text["stdout"], b"")

    def test_it_serves(self):
        process = self.broker("--listen", "mqtt://127.0.0.1:0")
        port = re.search(rb"127\.0\.0\.1:(\d+)", process.line("stderr", b" ready "))[1].decode()
        for command in ["pub", "-t", "x", "-r", "-q", "1", "-m", "y"], ["sub", "-t", "x", "-C", "1"]:
            client = harness.Process([harness.GNATTER, *command, "-p", port])
            self.addCleanup(client.kill)
            self.assertEqual(client.end(), 0)
        self.assertEqual(client.text["stdout"], b"y\n")

    def test_exit_codes(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            err = self.fails(69, "--listen", f"mqtt://127.0.0.1:{taken.getsockname()[1]}")
            self.assertIn("Address already in use", err)
        self.assertIn("did you mean '--listen'?", self.fails(64, "--lisen", "mqtt://:1883"))
        self.assertIn("expected", self.fails(64, "--listen", "gopher://x"))
        self.assertIn("did you mean 'http'?", self.fails(64, "--listen", "htp://x"))
        self.assertIn("/amqp of an http listener", self.fails(64, "--listen", "ws://127.0.0.1"))
        err = self.fails(78, "--config", self.file("workers: 2\nworkrs: 3\n"))
        self.assertRegex(err, r"^gnatter broker: .*gnatter\.yaml:2:1: .*did you mean 'workers'\?\n$")
        self.assertEqual(self.fails(78, "--config", "/nonexistent.yaml").count("\n"), 1)
        self.assertIn("--allow-anonymous=true", self.fails(77, "--listen", "mqtt://0.0.0.0:0"))

    def test_json_log(self):
        process = self.broker("--listen", "mqtt://127.0.0.1:0", "--log-format", "json")
        self.assertRegex(process.line("stderr"), rb'^{"time":".*"event":"ready"')


class Signals(Case):
    def test_each_ends_it_well(self):
        for number in signal.SIGINT, signal.SIGTERM:
            process = self.broker("--listen", "mqtt://127.0.0.1:0")
            process.line("stderr", b" ready ")
            process.send(number)
            self.assertEqual(process.end(), 0)
            self.assertIn(b" stop signal=" + number.name[3:].encode(), process.text["stderr"])

    def test_reload(self):
        listen = "listeners: [{url: mqtt://127.0.0.1:0}]\n"
        path = self.file(listen + "log: {level: notice}\n")
        process = self.broker("--config", path)
        process.line("stderr", b" ready ")

        self.file(listen + "log: {level: info}\nlimits: {packet: 2MiB}\n")
        process.send(signal.SIGHUP)
        self.assertRegex(process.line("stderr", b"log.level"), rb"from=notice to=info")
        self.assertRegex(process.line("stderr", b"limits.packet"), rb"to=2MiB")
        self.assertIn(b"changes=2", process.line("stderr", b" reload "))

        self.file(listen + "log: {levl: info}\n")
        process.send(signal.SIGHUP)
        self.assertIn(b"gnatter.yaml:2:", process.line("stderr", b"reload-mistake"))
        self.assertIn(b"as before", process.line("stderr", b"reload-failed"))

        self.file(listen + "log: {level: info}\nlimits: {packet: 2MiB}\nworkers: 3\n")
        process.send(signal.SIGHUP)
        self.assertIn(b"next start", process.line("stderr", b"name=workers"))
        self.assertEqual(harness.terminate(process), 0)


class Systemd(Case):
    def notified(self, address):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(harness.PATIENCE)
            name = address.replace("\0", "@")
            process = self.broker("--listen", "mqtt://127.0.0.1:0",
                                  env={**os.environ, "NOTIFY_SOCKET": name})
            self.assertEqual(manager.recv(1000), b"READY=1")
            process.send(signal.SIGHUP)
            self.assertRegex(manager.recv(1000), rb"^RELOADING=1\nMONOTONIC_USEC=\d+$")
            self.assertEqual(manager.recv(1000), b"READY=1")
            process.send(signal.SIGTERM)
            self.assertEqual(manager.recv(1000), b"STOPPING=1")
            self.assertEqual(process.end(), 0)

    def test_socket_by_path(self):
        self.notified(os.path.join(self.directory, "notify"))

    def test_abstract_socket(self):
        self.notified(f"\0gnatter-cli-test-{os.getpid()}")

    def test_without_anybody_who_listens(self):
        process = self.broker("--listen", "mqtt://127.0.0.1:0",
                              env={**os.environ, "NOTIFY_SOCKET": "/nonexistent/notify"})
        process.line("stderr", b" ready ")
        self.assertEqual(harness.terminate(process), 0)


if __name__ == "__main__":
    unittest.main()
