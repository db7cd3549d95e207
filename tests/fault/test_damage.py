"""Damaged data directories: bits flip, sectors are lost, files are cut short.  The broker says so and
does not start, or it starts, and then what it delivers is what was sent, and if something is missing,
or a session cannot be read at all, its log tells.

By hand:  ... tests/fault/test_damage.py COUNT SEED"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import types
import unittest

import durable
import load
from load import raw

COUNT, SEED = 100, 1

# The store has its own handlers for what LMDB does where its file is damaged, and does not give back
# what LMDB held then; any other error that the address sanitizer finds kills.
SANITIZER = "handle_segv=0:handle_sigbus=0:detect_leaks=0:abort_on_error=1"
os.environ["ASAN_OPTIONS"] = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), SANITIZER)))
END = b"that is all"
TOLD = r"data damaged|data torn|store state|(damaged|dropped)=[1-9]"  # in the log


def used_blocks(path):
    """Where in the file there is something but zeros."""
    with open(path, "rb") as f:
        data = f.read()
    return [at for at in range(0, len(data), 4096) if data[at:at + 4096].strip(b"\0")]


def flip(f, at, random_):
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 1 << random_.randrange(8)]))


def structure(data, random_):
    """A byte by which LMDB finds its way in DATA: of the head of a page, a pointer, or a node."""
    while True:
        page = random_.randrange(2, len(data) // 4096) * 4096
        kind, lower = struct.unpack_from("<HH", data, page + 10)
        count = (lower - 16) // 2
        if kind not in (1, 2) or not 0 < count < 1000 or random_.random() < (kind == 2) / 2:
            continue
        node = page + struct.unpack_from("<H", data, page + 16 + 2 * random_.randrange(count))[0]
        places = range(page, page + 16), range(page + 16, page + lower), range(node, node + 26)
        return min(random_.choice(random_.choice(places)), page + 4095)


def damage(folder, random_):
    """Does one thing to one file of FOLDER; returns what."""
    names = [name for name in sorted(os.listdir(folder))
             if name == "data.mdb" or name.startswith("journal-")]
    blocks = {}
    while not blocks.get(name := random_.choice(names)):
        blocks[name] = used_blocks(os.path.join(folder, name))
    at = random_.choice(blocks[name]) + random_.randrange(4096)
    way = random_.choice(("flip", "flip", "flip", "flips", "sector", "cut", "structure"))
    if way == "structure":
        way, name = "flip", "data.mdb"
        with open(os.path.join(folder, name), "rb") as f:
            at = structure(f.read(), random_)
    with open(os.path.join(folder, name), "r+b") as f:
        if way == "flip":
            flip(f, at, random_)
        elif way == "flips":
            for _ in range(8):
                flip(f, at // 4096 * 4096 + random_.randrange(4096), random_)
        elif way == "sector":
            f.seek(at // 512 * 512)
            f.write(random_.choice((bytes(512), random_.randbytes(512))))
        else:
            f.truncate(at)
    return f"{way} at {at} of {name}"


class Damage(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gnatter-damage-")
        self.addCleanup(self.folder.cleanup)
        self.broker = self.clients = None
        self.random = random.Random(SEED)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def fill(self):
        """A directory with something in the journal and in what it was moved to."""
        self.broker = durable.Gnatter(self.folder.name, self.path("data"))
        self.clients = load.Load(self.random)
        self.addCleanup(self.clients.close)
        for life in range(3):
            self.clients.start(self.broker.start())
            for subscriber in self.clients.subscribers[1:]:
                subscriber.drop()
                subscriber.away = True
            self.clients.run(0.3)
            self.broker.kill()
            self.clients.cut()

    def check_message(self, body, flags, version):
        topic, packet_id, data = raw.publication(body, flags >> 1 & 3, version)
        if data != END:
            number = load.number_in(topic, data)
            self.assertLess(number, self.clients.retained_ceiling().get(topic, 0), topic)
            return packet_id, (topic, number)
        return packet_id, None

    def next_packet(self, client):
        """None: nothing comes any more."""
        client.socket.settimeout(5)
        try:
            packet = client.read()
        except TimeoutError:
            return None
        return None if packet == "reset" else packet

    def deliveries(self, subscriber):
        """What waited for a subscriber, None if that cannot be read; its subscription, too, may have
        been lost."""
        client = raw.Raw(types.SimpleNamespace(port=self.broker.port))
        try:
            return self.taken_by(client, subscriber)
        finally:
            client.close()

    def taken_by(self, client, subscriber):
        found, version = [], subscriber.version
        client.connect(subscriber.name, version, clean=False,
                       properties=load.FOREVER if version >= 5 else b"")
        client.send(raw.subscribe(1, "load/#", 2, version))
        while True:
            packet = self.next_packet(client)
            if not packet:
                return None
            kind, flags, body = packet
            if kind == raw.SUBACK:
                if not self.publish_end():
                    return None
            elif kind == raw.PUBLISH:
                packet_id, message = self.check_message(body, flags, version)
                if not message:
                    return found
                found.append((flags >> 1 & 3, message))
                client.send(raw.ack(raw.PUBACK if flags & 2 else raw.PUBREC, packet_id))
            elif kind == load.PUBREL:
                client.send(raw.ack(load.PUBCOMP, raw.id_of(body)))

    def publish_end(self):
        """False: the store is in trouble, and takes nothing."""
        client = raw.Raw(types.SimpleNamespace(port=self.broker.port))
        client.connect("end")
        client.send(raw.publish("load/end", END, 1, 1))
        acknowledged = self.next_packet(client) is not None
        client.close()
        return acknowledged

    def all_is_there(self):
        whole = True
        for subscriber in self.clients.subscribers:
            found = self.deliveries(subscriber)
            if found is None:
                whole = False
                continue
            once = [message for qos, message in found if qos == 2]
            self.assertEqual(len(once), len(set(once)), "twice")
            seen = {message for _, message in found}
            for publisher in self.clients.publishers:
                for (topic, _, retain), acked in zip(publisher.topics, publisher.acked):
                    before = subscriber.seen.get(topic, set())
                    whole &= retain or all((topic, n) in seen for n in acked - before)
        return whole

    def retained_is_there(self):
        """Nothing says that no more comes, so what is missing is waited for a moment."""
        client = raw.Raw(types.SimpleNamespace(port=self.broker.port))
        found, floor = {}, self.clients.retained_floor()
        client.connect("retained")
        client.send(raw.subscribe(1, "keep/#", 0))
        client.socket.settimeout(0.5)
        try:
            while not found.keys() >= floor.keys():
                kind, flags, body = client.read() or (0, 0, b"")
                if kind == raw.PUBLISH:
                    _, (topic, number) = self.check_message(body, flags, 4)
                    found[topic] = number
        except TimeoutError:
            pass
        client.close()
        return all(found.get(topic, -1) >= number for topic, number in floor.items())

    def look_at(self, folder):
        """Starts a broker on FOLDER; returns how that ended."""
        self.broker = durable.Gnatter(self.folder.name, folder)
        try:
            self.broker.start()
        except durable.Ended as ended:
            self.assertGreater(ended.code, 0, "it was killed")
            self.assertRegex(self.broker.log(), "gnatter broker: data: (.* )?(data.mdb|journal)")
            return "refused"
        try:
            whole = self.retained_is_there() & self.all_is_there()
            self.assertGreaterEqual(self.broker.stop(), 0, "it was killed")
        finally:
            self.broker.kill()
        if not whole:
            self.assertRegex(self.broker.log(), TOLD)
        return "whole" if whole else "lost some"

    def copy(self):
        folder = self.path("damaged")
        subprocess.run(["rm", "-rf", folder], check=True)
        subprocess.run(["cp", "-r", "--sparse=always", self.path("data"), folder], check=True)
        return folder

    def test_damage(self):
        self.fill()
        self.assertEqual(self.look_at(self.copy()), "whole")
        outcomes = {}
        for number in range(COUNT):
            folder = self.copy()
            what = damage(folder, self.random)
            with self.subTest(what, seed=SEED, number=number):
                try:
                    outcome = self.look_at(folder)
                except Exception as error:
                    self.broker.kill()
                    durable.tell(self.broker, error, f"seed {SEED}, {number}: {what}")
                    raise
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        print(f"seed {SEED}: {outcomes}")


if __name__ == "__main__":
    COUNT, SEED = map(int, [*sys.argv[1:], *(str(n) for n in (COUNT, SEED)[len(sys.argv) - 1:])])
    unittest.main(argv=sys.argv[:1], verbosity=2)
