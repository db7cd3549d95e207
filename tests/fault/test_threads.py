"""Several workers and a store under the load of both protocols, for the sanitizer that looks at
threads; without it, that the broker ends content.  It is long enough for queues and sessions at
every worker, deliveries between them, purges, and connections that break."""

import random
import subprocess
import tempfile
import unittest

import durable
import queues
from durable import harness

WORKERS = 2
ROUNDS = 4
BENCH = ("--publishers", "4", "--subscribers", "4", "--qos", "1", "--duration", "2s", "--warm-up",
         "100ms")


class Threads(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="gnatter-threads-")
        self.addCleanup(folder.cleanup)
        harness.WORKERS = WORKERS
        self.broker = durable.Gnatter(folder.name, f"{folder.name}/data", [])
        self.addCleanup(self.broker.kill)
        self.clients = queues.Load(random.Random(1))
        self.addCleanup(self.clients.close)

    def beside(self):
        """Pairs of our own clients, each on a queue of its own."""
        return subprocess.Popen(harness.tied([
            harness.GNATTER, "bench", "--protocol", "amqp", "-p",
            str(self.broker.port + durable.AMQP_BEHIND), *BENCH]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test_load(self):
        port = self.broker.start()
        bench = self.beside()
        self.clients.start(port)
        for _ in range(ROUNDS):
            self.clients.publishing = True
            self.clients.run(0.5)
            away = self.clients.random.choice(self.clients.clients)
            away.drop()
            self.clients.run(0.2)
        self.assertEqual(bench.wait(harness.PATIENCE), 0)
        self.clients.drain()
        self.clients.cut()
        self.assertEqual(self.broker.stop(), 0, self.broker.log()[-8000:])
        self.assertNotIn("ThreadSanitizer", self.broker.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
