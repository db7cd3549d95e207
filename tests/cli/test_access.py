"""Who may do what: the cases of tests/support/access, asked over sockets of gnatter and, where the
list is an acl_file, of mosquitto itself, of which the table says by "!" where it answers otherwise;
and the list of a running broker read again."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import tempfile
import time
import unittest

import harness

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "support" / "access"
# Who sends and removes everything.
OBSERVER = "\nuser observer\ntopic readwrite #\ntopic readwrite $x/#\ntopic readwrite $a/#\n"
WIDE = ("#", "$x/#", "$a/#")  # they reach all topics of the cases
CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
NOT_AUTHORIZED = 0x87
CONFIG_MISTAKE = 78


def text(value):
    return struct.pack(">H", len(value.encode())) + value.encode()


class Client:
    """As little of MQTT 5 as it takes."""

    def __init__(self, port, client, user=None):
        self.socket = socket.create_connection(("127.0.0.1", port), harness.PATIENCE)
        self.stream = self.socket.makefile("rb")
        login = text(user) + text("secret") if user else b""
        self.send(0x10, text("MQTT") + bytes([5, 0xc2 if user else 2, 0, 60, 0]) + text(client) + login)
        assert self.read(CONNACK)[1] == 0

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, head, body):
        assert len(body) < 128
        self.socket.sendall(bytes([head, len(body)]) + body)

    def packet(self):
        head, size, *more = self.stream.read(2)
        if size > 127:  # CONNACK's properties may need no more than that
            size += (self.stream.read(1)[0] - 1) * 128
        return head >> 4, self.stream.read(size)

    def read(self, kind):
        got, body = self.packet()
        assert got == kind, (got, body)
        return body

    def publish(self, topic, payload="x", retain=False):
        """Whether it was permitted."""
        self.send(0x33 if retain else 0x32, text(topic) + b"\0\1\0" + payload.encode())
        body = self.read(PUBACK)
        return len(body) < 3 or body[2] != NOT_AUTHORIZED

    def subscribe(self, topic):
        """Whether it was permitted; retained messages come behind the answer."""
        self.send(0x82, b"\0\1\0" + text(topic) + b"\0")
        return self.read(SUBACK)[-1] != NOT_AUTHORIZED

    def message(self):
        """The next one: its topic and payload."""
        body = self.read(PUBLISH)
        size = struct.unpack(">H", body[:2])[0]
        rest = body[2 + size:]
        return body[2:2 + size].decode(), rest[1 + rest[0]:].decode()

    def topics(self):
        """Of all that has come; whatever a broker of one thread has for us comes before the PINGRESP."""
        topics = []
        self.send(0xc0, b"")
        while (packet := self.packet())[0] != PINGRESP:
            assert packet[0] == PUBLISH, packet
            size = struct.unpack(">H", packet[1][:2])[0]
            topics.append(packet[1][2:2 + size].decode())
        return topics


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


class Broker:
    """A broker under an acl_file, in a directory of its own."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="gnatter-access-")
        self.acl = self.directory + "/acl"
        self.port = harness.free_port()

    def start(self, argv, sign):
        """Whether it runs, which it says by SIGN."""
        self.process = harness.Process(argv)
        deadline = time.monotonic() + harness.PATIENCE
        while sign not in self.process.text["stderr"]:
            if self.process.popen.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def remove(self):
        self.process.kill()
        shutil.rmtree(self.directory)


class Mosquitto(Broker):
    def __init__(self, acl):
        super().__init__()
        write(self.acl, acl)
        write(self.directory + "/conf", f"user root\nlistener {self.port} 127.0.0.1\n"
                                        f"allow_anonymous true\nacl_file {self.acl}\n")
        self.started = self.start([harness.MOSQUITTO, "-c", self.directory + "/conf"], b" running")


def user_line(name):
    salt = b"0123456789ab"
    key = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 101)
    return f"{name}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n"


class Gnatter(Broker):
    """RULES are lines of the configuration; ACL NULL: there is no file."""

    def __init__(self, acl, rules=(), users=(), more="", workers=1):
        super().__init__()
        self.conf = self.directory + "/gnatter.yaml"
        self.amqp = harness.free_port()
        write(self.directory + "/users", "".join(map(user_line, users)) or "# nobody\n")
        self.settings = (f"listeners: [{{url: 'mqtt://127.0.0.1:{self.port}'}}, "
                         f"{{url: 'amqp://127.0.0.1:{self.amqp}'}}]\ndata: none\n"
                         f"workers: {workers}\nallow_anonymous: true\n{more}")
        if users:
            self.settings += f"users: {self.directory}/users\n"
        self.configure(acl, rules)
        self.started = self.start([harness.GNATTER, "broker", "--config", self.conf], b" ready ")

    def configure(self, acl, rules=()):
        text = self.settings
        if acl is not None:
            write(self.acl, acl)
            text += f"access_file: {self.acl}\n"
        if rules:
            text += "access:\n" + "".join(f"  - {rule}\n" for rule in rules)
        write(self.conf, text)

    def reload(self, sign=b" reload "):
        self.process.send(signal.SIGHUP)
        return self.process.line("stderr", sign).decode()


def rule_of(line):
    """A line of a .rules file, as it stands in the configuration."""
    who, verb, words, on = line.split(None, 3)
    rule = {} if who == "everybody" else {"who": who}
    return json.dumps(rule | {verb: words.split(","), "on": on})


def cases():
    """list -> [(user, client, verb, answer, topic)], without what is AMQP's."""
    lists = {}
    for line in (FOLDER / "cases.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, user, *fields = line.split(None, 5)
            if fields[1] in ("publish", "subscribe", "receive"):
                lists.setdefault(name, []).append((None if user == "-" else user, *fields))
    return lists


class Table(unittest.TestCase):
    def read(self, name, kind):
        path = FOLDER / f"{name}.{kind}"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def gnatter(self, name, rows):
        users = sorted({row[0] for row in rows if row[0]} | {"observer"})
        rules = [rule_of(line) for line in self.read(name, "rules").splitlines()]
        broker = Gnatter(self.read(name, "acl") + OBSERVER, rules, users)
        self.addCleanup(broker.remove)
        self.assertTrue(broker.started, (name, broker.process.text))
        return broker

    def mosquitto(self, name):
        broker = Mosquitto(self.read(name, "acl") + OBSERVER)
        self.addCleanup(broker.remove)
        self.assertTrue(broker.started, (name, broker.process.text))
        return broker

    def brokers(self):
        """(broker, whether it is mosquitto, list, its rows)"""
        for name, rows in cases().items():
            yield self.gnatter(name, rows), False, name, rows
            if not self.read(name, "rules"):
                yield self.mosquitto(name), True, name, rows

    def client(self, *words):
        client = Client(*words)
        self.addCleanup(client.close)
        return client

    def ask(self, port, user, client, verb, topic):
        one = self.client(port, client, user)
        if verb == "publish":
            answer = one.publish(topic)
        elif verb == "subscribe":
            answer = one.subscribe(topic)
        else:
            one.subscribe(topic)
            observer = self.client(port, "observer", "observer")
            self.assertTrue(observer.publish(topic), topic)
            observer.close()
            answer = topic in one.topics()
        one.close()
        return answer

    def test_every_case(self):
        asked = 0
        for broker, is_mosquitto, name, rows in self.brokers():
            for user, client, verb, answer, topic in rows:
                expected = answer.rstrip("!") not in ("no", "none")
                if is_mosquitto and answer.endswith("!"):
                    expected = not expected
                if verb == "receive" and (user, client, "subscribe", "none", topic) in rows:
                    continue  # it may not ask for it; the next test has it
                if verb == "publish" and set(topic) & set("+#"):
                    continue  # that is no topic name
                self.assertEqual(self.ask(broker.port, user, client, verb, topic), expected,
                                 (type(broker).__name__, name, user, client, verb, topic))
                asked += 1
            broker.process.kill()
        self.assertGreater(asked, 250)

    def test_wide_subscriptions(self):
        """What reaches all topics delivers those that may be received, live and retained."""
        for broker, _, name, rows in self.brokers():
            receive = [row for row in rows if row[2] == "receive"]
            topics = sorted({row[4] for row in receive})
            observer = self.client(broker.port, "observer", "observer")
            for topic in topics:
                self.assertTrue(observer.publish(topic, retain=True), (name, topic))
            for user, client in sorted({(row[0] or "", row[1]) for row in receive}):
                mine = {row[4]: row[3] for row in receive if row[:2] == (user or None, client)}
                permitted = sorted(topic for topic in mine if mine[topic] == "yes")
                one, stored = self.client(broker.port, client, user), set()
                for filter in WIDE:
                    one.subscribe(filter)  # may be refused, where nothing of it may be received
                    stored |= set(one.topics())
                self.assertEqual(sorted(stored & set(mine)), permitted, (name, user, client))
                for topic in mine:
                    observer.publish(topic, retain=True)
                self.assertEqual(sorted(one.topics()), permitted, (name, user, client))
                one.close()
            observer.close()
            broker.process.kill()

    def test_mosquitto_refuses_the_same_files(self):
        """Lines of test_access.c's tells_every_mistake, each by itself."""
        good = ("topic read ok", "   ", "topic read", "pattern deny $SYS/#")
        bad = ("   # not at the beginning", "topic\tread a", "topic", "topic  ", "topic rd secret",
               "topic read a/#/b", "pattern read a+", "user", "user   ", "TOPIC a", "secret")
        for line in good + bad:
            broker = Mosquitto(line + "\n")
            self.addCleanup(broker.remove)
            self.assertEqual(broker.started, line in good, line)


class Start(unittest.TestCase):
    """A broker does not start with a list that has mistakes, and says which."""

    def refused(self, *words, **options):
        broker = Gnatter(*words, **options)
        self.addCleanup(broker.remove)
        self.assertFalse(broker.started)
        self.assertEqual(broker.process.end(), CONFIG_MISTAKE)
        said = broker.process.text["stderr"].decode()
        return said.replace(broker.directory, "DIR")

    def test_file(self):
        said = self.refused("topic read a\ntopic rd secret\n\nuser\n")
        self.assertIn("gnatter broker: DIR/acl:2: expected read, write, readwrite or deny before the filter"
                      " (the log has 1 more)", said)
        self.assertEqual(said.count("acl:2"), 1)
        self.assertNotIn("line=2", said)
        self.assertNotIn("ledger", said)
        self.assertIn("access file=DIR/acl line=4 problem=\"expected a user name\"", said)
        self.assertNotIn("secret", said)

    def test_no_file(self):
        said = self.refused(None, more="access_file: /nonexistent/acl\n")
        self.assertIn("access_file: /nonexistent/acl: No such file or directory", said)

    def test_rules(self):
        for rule, expected in (
                ("{may: [pubish], on: a}",
                 "access[0].may: expected publish, subscribe, receive, send, listen or manage, got 'pubish'"),
                ("{may_not: [all], on: a}",
                 "access[0].may_not: expected publish, subscribe, receive, send, listen or manage, got 'all'"),
                ("{on: a}", "access[0]: expected either may or may_not"),
                ("{may: [publish], may_not: [subscribe], on: a}",
                 "access[0]: expected either may or may_not"),
                ("{may: [publish], on: 'a/#/b'}",
                 "access[0].on: expected a topic filter of at most 200 levels, got 'a/#/b'"),
                ("{may: [publish], on: 'topic://a/#'}", "access[0].on: expected a topic filter, without "
                 "topic:// in front, got 'topic://a/#'"),
                ("{may: [send], on: /orders}", "access[0].on: expected the name of a queue: neither $ nor / "
                 "in front, got '/orders'"),
                ("{may: [publish], on: 'a/${cleint}'}",
                 "access[0].on: expected no other ${...} than ${client} and ${user}, got 'a/${cleint}'")):
            self.assertIn("DIR/gnatter.yaml:6: " + expected, self.refused(None, [rule]))


def documented():
    """The rules that docs/access.md shows for queues."""
    text = (FOLDER.parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
    block = text.split("### Queues and AMQP", 1)[1].split("```yaml\naccess:\n", 1)[1].split("```", 1)[0]
    return [line.removeprefix("  - ") for line in block.splitlines()]


class Queues(unittest.TestCase):
    """What the example in docs/access.md says about queues is so."""

    def setUp(self):
        self.broker = Gnatter(None, documented(), ("shop", "packer", "admin", "gateway"), workers=2)
        self.addCleanup(self.broker.remove)
        self.assertTrue(self.broker.started, self.broker.process.text)

    def start(self, user, command, *argv):
        process = harness.Process([harness.GNATTER, command, "-p", str(self.broker.amqp), "-u", user,
                                   "-P", "secret", *argv])
        self.addCleanup(process.kill)
        return process

    def may(self, *words):
        process = self.start(*words)
        self.assertEqual(process.end(), 0, (words, process.text))

    def may_not(self, *words, why=b"not permitted"):
        process = self.start(*words)
        self.assertNotEqual(process.end(), 0, words)
        self.assertIn(why, process.text["stderr"], words)

    def test_example(self):
        self.may("shop", "send", "orders", "-m", "1")
        self.may("shop", "send", "ORDERS", "-m", "2")
        self.may_not("shop", "receive", "orders", "-C", "1")
        self.may_not("shop", "send", "others", "-m", "1")
        self.may("packer", "receive", "Orders", "-C", "2")
        self.may("packer", "peek", "orders/$DeadLetterQueue")
        self.may_not("packer", "send", "orders", "-m", "1")
        self.may("admin", "queue", "create", "salaries")
        self.may("admin", "send", "salaries", "-m", "1")
        for name in ("salaries", "SALARIES", "Salaries", "Salaries/$DeadLetterQueue"):
            self.may_not("admin", "peek", name)
        self.may("admin", "queue", "create", "all", "bind=devices/#")
        self.may_not("admin", "queue", "create", "more", "bind=#", why=b"not permitted to be given all")
        self.may("gateway", "send", "topic://devices/1", "-m", "1")
        self.may_not("gateway", "send", "topic://DEVICES/1", "-m", "1")
        self.may("admin", "receive", "all", "-C", "1")
        self.may_not("admin", "send", "orders/$DeadLetterQueue", "-m", "1", why=b"dead letters can only")

    def test_revoked(self):
        receiver = self.start("packer", "receive", "orders")
        self.may("shop", "send", "orders", "-m", "first")
        receiver.line("stdout", b"first")
        self.broker.configure(None, [rule for rule in documented() if "packer" not in rule])
        self.broker.reload()
        self.assertNotEqual(receiver.end(), 0)
        self.assertIn(b"not permitted any more", receiver.text["stderr"])
        self.may("shop", "send", "orders", "-m", "second")
        self.may("admin", "receive", "orders", "-C", "1")


class Reload(unittest.TestCase):
    """Of a broker with two workers, under connected clients."""

    def broker(self, *words, **options):
        broker = Gnatter(*words, users=("ann", "bob"), workers=2, **options)
        self.addCleanup(broker.remove)
        self.assertTrue(broker.started, broker.process.text)
        return broker

    def client(self, broker, name):
        client = Client(broker.port, name, name)
        self.addCleanup(client.close)
        return client

    def until(self, what, expected):
        """WHAT() comes to EXPECTED."""
        deadline = time.monotonic() + harness.PATIENCE
        while (got := what()) != expected:
            self.assertLess(time.monotonic(), deadline, got)
            time.sleep(0.01)

    def test_publications(self):
        broker = self.broker("user ann\ntopic write a\n")
        ann = self.client(broker, "ann")
        self.assertTrue(ann.publish("a"))
        self.assertFalse(ann.publish("b"))
        broker.configure("user ann\ntopic write b\n")
        broker.reload()
        self.until(lambda: ann.publish("b"), True)
        self.assertFalse(ann.publish("a"))
        broker.configure(None)
        self.assertIn("changes=1", broker.reload())
        self.until(lambda: ann.publish("a"), True)
        broker.configure(None, ["{who: ann, may: [publish], on: c}"])
        broker.reload()
        self.until(lambda: ann.publish("a"), False)
        self.assertTrue(ann.publish("c"))

    def deliveries(self, filter):
        """Ann's subscription stays, and what it delivers changes."""
        end = "topic read end\n"
        broker = self.broker("user ann\ntopic read a/#\n" + end + "user bob\ntopic write #\n")
        ann, bob = self.client(broker, "ann"), self.client(broker, "bob")
        self.assertTrue(ann.subscribe(filter))
        self.assertTrue(ann.subscribe("end"))

        def got():
            """What of a/1 and b/1 comes."""
            for topic in ("a/1", "b/1", "end"):
                self.assertTrue(bob.publish(topic))
            came = set()
            while (topic := ann.message()[0]) != "end":
                came.add(topic)
            return came
        self.assertEqual(got(), {"a/1"})
        broker.configure("user ann\ntopic read b/#\n" + end + "user bob\ntopic write #\n")
        broker.reload()
        self.until(got, {"b/1"})
        broker.configure("user ann\ntopic read #\n" + end + "user bob\ntopic write #\n")
        broker.reload()
        self.until(got, {"a/1", "b/1"})
        broker.configure("user ann\n" + end + "user bob\ntopic write #\n")
        broker.reload()
        self.until(got, set())

    def test_deliveries(self):
        self.deliveries("+/1")

    def test_shared_deliveries(self):
        self.deliveries("$share/g/+/1")

    def test_what_sub_says(self):
        broker = self.broker("user ann\ntopic read a\n")
        for version, code, why in (("311", 128, ""), ("5", 135, ": not authorized")):
            process = harness.Process([harness.GNATTER, "sub", "-p", str(broker.port), "-V", version,
                                       "-t", "b"])
            self.addCleanup(process.kill)
            self.assertEqual(process.end(), code)
            self.assertEqual(process.text["stderr"].decode(),
                             f"gnatter sub: the broker refuses the subscription to b{why}\n")

    def test_mistakes_change_nothing(self):
        broker = self.broker("user ann\ntopic write a\n")
        ann = self.client(broker, "ann")
        broker.configure("user ann\ntopic write b\ntopic writ b\n")
        said = broker.reload(b"reload-failed")
        self.assertIn(f"{broker.acl}:3: expected read, write, readwrite or deny before the filter", said)
        self.assertIn("settings=\"as before\"", said)
        os.remove(broker.acl)
        self.assertIn("No such file", broker.reload(b"reload-failed"))
        broker.configure("user ann\ntopic write b\n", ["{who: ann, may: [publis], on: c}"])
        self.assertIn("gnatter.yaml:8: access[0].may: expected publish", broker.reload(b"problem=\"/"))
        self.assertTrue(ann.publish("a"))
        self.assertFalse(ann.publish("b"))
        broker.configure("user ann\ntopic write b\n")
        broker.reload()
        self.until(lambda: ann.publish("b"), True)

    def test_counted(self):
        broker = self.broker("user bob\ntopic read $SYS/#\n", more="sys_interval: 50ms\n")
        ann, bob = self.client(broker, "ann"), self.client(broker, "bob")
        for i in range(3):
            self.assertFalse(ann.publish("a"))
        ann.send(0x30, text("a") + b"\0x")
        self.assertFalse(ann.subscribe("#"))
        broker.process.line("stderr", b"publish denied topic=a")
        broker.process.line("stderr", b"subscribe denied filter=#")
        for topic, count in (("publish", "4"), ("subscriptions", "1")):
            self.assertTrue(bob.subscribe(f"$SYS/broker/{topic}/refused/access"))
            self.until(lambda: bob.message()[1], count)
            bob.close()
            bob = self.client(broker, "bob")


if __name__ == "__main__":
    unittest.main()
