"""mosquitto itself answers the cases of tests/support/access that are about its acl_file: what
tests/unit/auth/test_access.c expects of ours is what it does, but where a "!" says otherwise."""
import os
import pathlib
import shutil
import socket
import struct
import tempfile
import time
import unittest

import harness

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "support" / "access"
# Who sends everything.
OBSERVER = "user observer\ntopic readwrite #\ntopic readwrite $x/#\ntopic readwrite $a/#\n"
CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
NOT_AUTHORIZED = 0x87


def text(value):
    return struct.pack(">H", len(value.encode())) + value.encode()


class Client:
    """As little of MQTT 5 as it takes."""

    def __init__(self, port, client, user):
        self.socket = socket.create_connection(("127.0.0.1", port), harness.PATIENCE)
        self.stream = self.socket.makefile("rb")
        self.send(0x10, text("MQTT") + bytes([5, 0x82 if user else 2, 0, 60, 0]) + text(client)
                  + (text(user) if user else b""))
        assert self.read(CONNACK)[1] == 0

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, head, body):
        assert len(body) < 128
        self.socket.sendall(bytes([head, len(body)]) + body)

    def packet(self):
        head, size = self.stream.read(2)
        assert size < 128
        return head >> 4, self.stream.read(size)

    def read(self, kind):
        got, body = self.packet()
        assert got == kind, (got, body)
        return body

    def publish(self, topic):
        """Whether it was permitted."""
        self.send(0x32, text(topic) + b"\0\1\0x")
        body = self.read(PUBACK)
        return len(body) < 3 or body[2] != NOT_AUTHORIZED

    def subscribe(self, topic):
        self.send(0x82, b"\0\1\0" + text(topic) + b"\0")
        return self.read(SUBACK)[-1] != NOT_AUTHORIZED

    def got_something(self):
        """Whether a message has come; whatever the broker had for us comes before the PINGRESP."""
        got = False
        self.send(0xc0, b"")
        while (kind := self.packet()[0]) != PINGRESP:
            got |= kind == PUBLISH
        return got


class Mosquitto:
    def __init__(self, acl):
        self.directory = tempfile.mkdtemp(prefix="gnatter-access-")
        self.port = harness.free_port()
        for name, content in (("acl", acl),
                              ("conf", f"user root\nlistener {self.port} 127.0.0.1\n"
                                       f"allow_anonymous true\nacl_file {self.directory}/acl\n")):
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
                file.write(content)
        self.process = harness.Process([harness.MOSQUITTO, "-c", self.directory + "/conf"])
        self.started = self.answers()

    def answers(self):
        deadline = time.monotonic() + harness.PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                if self.process.popen.poll() is not None:
                    return False
                time.sleep(0.02)
        return False

    def remove(self):
        self.process.kill()
        shutil.rmtree(self.directory)


def cases():
    """list -> [(user, client, verb, answer, topic)]"""
    lists = {}
    for line in (FOLDER / "cases.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *fields = line.split(None, 5)
            lists.setdefault(name, []).append(fields)
    return lists


class Access(unittest.TestCase):
    def ask(self, port, user, client, verb, topic):
        one = Client(port, client, None if user == "-" else user)
        try:
            if verb == "publish":
                return one.publish(topic)
            if verb == "subscribe":
                return one.subscribe(topic)
            one.subscribe(topic)
            observer = Client(port, "observer", "observer")
            self.assertTrue(observer.publish(topic), topic)
            observer.close()
            return one.got_something()
        finally:
            one.close()

    def test_mosquitto_agrees(self):
        asked = 0
        for name, rows in cases().items():
            if (FOLDER / f"{name}.rules").exists():
                continue
            acl = (FOLDER / f"{name}.acl").read_text(encoding="utf-8")
            broker = Mosquitto(acl + OBSERVER)
            self.addCleanup(broker.remove)
            self.assertTrue(broker.started, name)
            for user, client, verb, answer, topic in rows:
                ours = answer.rstrip("!") not in ("no", "none")
                theirs = not ours if answer.endswith("!") else ours
                self.assertEqual(self.ask(broker.port, user, client, verb, topic), theirs,
                                 (name, user, client, verb, topic))
                asked += 1
        self.assertGreater(asked, 60)

    def test_mosquitto_refuses_the_same_files(self):
        """Lines of test_access.c's tells_every_mistake, each by itself."""
        good = ("topic read ok", "   ", "topic read", "pattern deny $SYS/#")
        bad = ("   # not at the beginning", "topic\tread a", "topic", "topic  ", "topic rd secret",
               "topic read a/#/b", "pattern read a+", "user", "user   ", "TOPIC a", "secret")
        for line in good + bad:
            broker = Mosquitto(line + "\n")
            self.addCleanup(broker.remove)
            self.assertEqual(broker.started, line in good, line)


if __name__ == "__main__":
    unittest.main()
