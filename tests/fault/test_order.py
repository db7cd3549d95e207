"""Damage that leads LMDB astray: a key by which it finds its way to records has become too low, or
too high.  No record is damaged, so none is missing for the client that they wait for, and a check
of the directory names the damage."""

import os
import shutil
import struct
import subprocess
import tempfile
import types
import unittest

import durable
from durable import harness
from load import raw

COUNT = 1500
PAGE = 4096
BRANCH = 1
LOG = b"\x09s"  # the keys of sessions' entries begin like this, and end with a number


def branches(data):
    """Where nodes begin, for each page of DATA that leads to entries of sessions."""
    for page in range(2 * PAGE, len(data), PAGE):
        flags, lower = struct.unpack_from("<HH", data, page + 10)
        count = (lower - 16) // 2
        if flags != BRANCH or not 4 <= count < PAGE // 2:
            continue
        nodes = [page + at for at in struct.unpack_from(f"<{count}H", data, page + 16)]
        if data[nodes[count // 2] + 8:].startswith(LOG):
            yield nodes


def lead_astray(path, number):
    """Look-ups begin in the middle of a page."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    pages = list(branches(data))
    for nodes in pages:
        node = nodes[len(nodes) // 2]
        size, = struct.unpack_from("<H", data, node + 6)
        data[node + size:node + 8 + size] = struct.pack(">Q", number)
    with open(path, "wb") as f:
        f.write(data)
    return len(pages)


class Order(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gnatter-order-")
        self.addCleanup(self.folder.cleanup)
        self.broker = None

    def start(self, name):
        self.broker = durable.Gnatter(self.folder.name, os.path.join(self.folder.name, name))
        self.addCleanup(self.broker.kill)
        self.broker.start()

    def client(self, name, clean):
        client = raw.Raw(types.SimpleNamespace(port=self.broker.port))
        self.addCleanup(client.close)
        client.connect(name, clean=clean)
        return client

    def fill(self):
        """So many messages wait in data.mdb: the next start moves them there."""
        self.start("data")
        client = self.client("s", clean=False)
        client.send(raw.subscribe(1, "t", 1))
        client.read()
        client.close()
        publisher = self.client("p", clean=True)
        for at in range(0, COUNT, 100):
            publisher.send(*(raw.publish("t", b"%d" % n, 1, n % 100 + 1)
                             for n in range(at, at + 100)))
            for _ in range(100):
                self.assertEqual(publisher.read()[0], raw.PUBACK)
        self.broker.kill()
        self.start("data")
        self.broker.stop()

    def fetch(self):
        client = self.client("s", clean=False)
        client.socket.settimeout(harness.PATIENCE)
        for n in range(COUNT):
            kind, _, body = client.read()
            self.assertEqual((kind, body[5:]), (raw.PUBLISH, b"%d" % n))
            client.send(raw.ack(raw.PUBACK, struct.unpack_from(">H", body, 3)[0]))

    def check(self, name):
        return subprocess.run([harness.GNATTER, "store", "check",
                               os.path.join(self.folder.name, name)],
                              capture_output=True, text=True)

    def test_keys_on_the_way(self):
        self.fill()
        self.assertEqual(self.check("data").returncode, 0)
        for name, number in ("low", 0), ("high", 1 << 40):
            with self.subTest(name):
                shutil.copytree(os.path.join(self.folder.name, "data"),
                                os.path.join(self.folder.name, name))
                path = os.path.join(self.folder.name, name, "data.mdb")
                self.assertGreater(lead_astray(path, number), 0)
                checked = self.check(name)
                self.assertEqual(checked.returncode, os.EX_DATAERR)
                self.assertRegex(checked.stderr, "records are not in their places")
                self.start(name)
                self.fetch()
                self.assertEqual(self.broker.stop(), 0)
                self.assertRegex(self.broker.log(), "data damaged.*data.mdb")


if __name__ == "__main__":
    unittest.main(verbosity=2)
