#!/usr/bin/env python3
"""A server that sends its clients elsewhere, as a reload says so; and our client, which tells."""

import signal
import subprocess

import peers
from peers import V5, harness, raw

CONFIG = """\
listeners:
  - url: mqtt://127.0.0.1:0
moved: {to: "%s", permanent: %s}
"""


class Moved(peers.Test):
    def start_broker(self):
        self.configure("none", "false")
        broker = harness.Gnatter(self.folder)
        broker.start = lambda settings=(): self.start_with_file(broker)
        return self.start(broker)

    def configure(self, to, permanent):
        self.path = self.file("gnatter.yaml", (CONFIG % (to, permanent)).encode())

    def start_with_file(self, broker):
        broker.spawn([harness.GNATTER, "broker", "--config", self.path, "--data", "none",
                      "--workers", str(harness.WORKERS)])
        broker.wait_for_port()
        return broker

    def reload(self, to, permanent="false"):
        self.configure(to, permanent)
        self.broker.process.send_signal(signal.SIGHUP)

    def test_reload(self):
        """Everybody who is connected is told and goes; who comes is told; and back."""
        old = self.peer("old", version=4)
        watcher = self.bystanders.pop()
        self.reload("b.example:1883 [2001:db8::1]:1883", "true")
        for client in self.bystanders + [watcher]:
            body = client.answer(peers.DISCONNECT)
            self.assertEqual(body[0], peers.SERVER_MOVED)
            self.assertEqual(peers.reference_of(body, 1), "b.example:1883 [2001:db8::1]:1883")
            self.assertIsNone(client.read_or_end())
        self.assertIsNone(old.read_or_end())
        client = self.peer()
        body = client.connect("new", version=V5)
        self.assertEqual(body[1], peers.SERVER_MOVED)
        self.assertEqual(peers.reference_of(body, 2), "b.example:1883 [2001:db8::1]:1883")
        self.assertIsNone(client.read_or_end())
        self.assertEqual(self.peer().connect("new", version=4), b"\0\3")

        self.reload("none")

        def back():
            return self.peer().connect("back", version=V5)[1] == 0
        harness.wait_until(back, "the broker takes clients again")

    def run_client(self, *words):
        return subprocess.run([harness.GNATTER, *words, "-p", str(self.broker.port)],
                              capture_output=True, text=True, timeout=harness.PATIENCE, check=False)

    def test_our_clients_tell(self):
        """gnatter pub and sub say where they were sent, and do not go there."""
        sub = self.process([harness.GNATTER, "sub", "-V", "5", "-d", "-t", "x",
                            "-p", str(self.broker.port)])
        sub.wait_for("subscribed to")
        self.reload("b.example:1883")
        sub.wait_for("use another server: b.example:1883")
        done = self.run_client("pub", "-V", "5", "-t", "x", "-m", "y")
        self.assertIn("the broker says: use another server: b.example:1883.", done.stderr)
        self.assertEqual(done.returncode, peers.USE_ANOTHER_SERVER)
        done = self.run_client("pub", "-V", "311", "-t", "x", "-m", "y")
        self.assertIn("server unavailable", done.stderr)
        self.assertEqual(done.returncode, 3)


if __name__ == "__main__":
    peers.main()
