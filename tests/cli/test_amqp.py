"""gnatter send, receive, peek and queue, and --trace, against gnatter broker."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import harness

PKI = None


def setUpModule():
    global PKI
    directory = tempfile.mkdtemp(prefix="gnatter-amqp-")
    unittest.addModuleCleanup(shutil.rmtree, directory)
    PKI = os.path.join(directory, "pki")
    subprocess.run([harness.GNATTER, "cert", "init", "--dir", PKI], check=True,
                   stdout=subprocess.DEVNULL, timeout=harness.PATIENCE)


class AmqpBroker:
    """gnatter broker with the protocols' ports, and the options OPTIONS."""

    def __init__(self, *options):
        for _ in range(10):
            self.port, self.mqtt, self.tls = (harness.free_port() for _ in range(3))
            listens = [f"amqp://127.0.0.1:{self.port}", f"mqtt://127.0.0.1:{self.mqtt}",
                       f"amqps://127.0.0.1:{self.tls}"]
            self.process = harness.Process(
                [harness.GNATTER, "broker", "--data", "none", *(f"--listen={url}" for url in listens),
                 "--certificate", os.path.join(PKI, "server.pem"),
                 "--key", os.path.join(PKI, "server.key"), *options])
            if self.is_up(listens):
                return
        raise AssertionError(f"the broker did not start: {self.process.text}")

    def is_up(self, listens):
        deadline = time.monotonic() + harness.PATIENCE
        while not all(url.encode() in self.process.text["stderr"] for url in listens):
            if self.process.popen.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                return False
            time.sleep(0.02)
        return True

    def remove(self):
        self.process.kill()


class Case(harness.Case):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.broker = AmqpBroker(*cls.OPTIONS)
        cls.topics = 0

    def fails(self, code, words, command, *argv, data=None):
        """The command ends with CODE and says WORDS."""
        got, out, err = self.run_command(command, *argv, data=data)
        self.assertEqual((got, out), (code, b""), err)
        self.assertIn(words, err.decode())

    def waiting(self, queue=None):
        """What is in the queue: its messages' bodies."""
        return self.ok("peek", queue or self.topic).decode().split("\n")[:-1]


class Bodies(Case):
    def test_a_text(self):
        self.assertEqual(self.ok("send", self.topic, "-m", "hello"), b"")
        self.assertEqual(self.ok("receive", self.topic, "-C", "1"), b"hello\n")
        self.assertEqual(self.waiting(), [])

    def test_files(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(range(256)))
            file.flush()
            self.ok("send", self.topic, "-f", file.name)
        self.ok("send", self.topic, "-s", data=b"a\nb\n")
        self.ok("send", self.topic, "-n")
        self.assertEqual(self.ok("receive", self.topic, "-C", "3", "-N"),
                         bytes(range(256)) + b"a\nb\n")

    def test_large(self):
        body = os.urandom(5 << 20)
        self.ok("send", self.topic, "-s", data=body)
        self.assertEqual(self.ok("receive", self.topic, "-C", "1", "-N"), body)

    def test_lines(self):
        self.ok("send", self.topic, "-l", data=b"".join(b"%d\n" % n for n in range(3000)))
        out = self.ok("receive", self.topic, "--drain")
        self.assertEqual(out.split(), [b"%d" % n for n in range(3000)])

    def test_lines_go_as_they_come(self):
        sender = self.start("send", self.topic, "-l", stdin=subprocess.PIPE)
        receiver = self.start("receive", self.topic)
        for line in b"one", b"two":
            sender.popen.stdin.write(line + b"\n")
            sender.popen.stdin.flush()
            self.assertEqual(receiver.line(), line)
        sender.popen.stdin.close()
        self.assertEqual(sender.end(), 0)
        self.assertEqual(harness.terminate(receiver), 0)

    def test_a_full_queue(self):
        self.ok("queue", "create", self.topic, "max_messages=1")
        self.ok("send", self.topic, "-m", "one")
        waits = f"gnatter send: waiting for credit from '{self.topic}' (the queue may be full)"
        sender = self.start("send", self.topic, "-m", "two")
        self.assertEqual(sender.line("stderr", b"credit"), waits.encode())
        self.assertEqual(self.ok("receive", self.topic, "-C", "1"), b"one\n")
        self.assertEqual(sender.end(), 0)
        code, _, err = self.run_command("send", self.topic, "-m", "three", "-W", "1")
        self.assertEqual((code, err), (27, b"gnatter send: time is up: not accepted: 1\n"))
        code, _, err = self.run_command("send", self.topic, "-l", "-W", "2", data=b"three\nfour\n")
        self.assertEqual(code, 27)
        self.assertIn(b"time is up: not accepted: 2\n", err)
        self.assertEqual(self.waiting(), ["two"])

    def test_text_is_a_value(self):
        self.ok("send", self.topic, "-m", "grün", "--as", "text")
        shown = json.loads(self.ok("peek", self.topic, "--json"))
        self.assertEqual((shown["body-type"], shown["body"]), ("value", "grün"))
        self.assertEqual(self.ok("receive", self.topic, "-C", "1"), "grün\n".encode())

    def test_count_and_rate(self):
        begun = time.monotonic()
        self.ok("send", self.topic, "-m", "x", "--count", "6", "--rate", "10")
        self.assertGreaterEqual(time.monotonic() - begun, 0.5)
        self.assertEqual(self.waiting(), ["x"] * 6)

    def test_settled(self):
        self.ok("send", self.topic, "-m", "x", "--count", "3", "--settled")
        self.assertEqual(self.ok("receive", self.topic, "-C", "3", "--settled"), b"x\n" * 3)


class Fields(Case):
    def test_json(self):
        self.ok("send", self.topic, "-m", "\xff", "--subject", "s", "--content-type", "text/plain",
                "--message-id", "m1", "--correlation-id", "c1", "--reply-to", "answers", "--to", "you",
                "--group-id", "g", "--durable", "--priority", "7", "--ttl", "1h", "-A", "x-opt-a=1",
                "-A", "x-opt-b:symbol=two", "-D", "a=b=c", "-D", "url:http=x", "-D", "i:int=-3",
                "-D", "u:ulong=18446744073709551615", "-D", "t:boolean=true", "-D", "d:double=0.1",
                "-D", "when:timestamp=1000", "-D", "n:null=", "-D", "b:binary=00ff",
                "-D", "id:uuid=00112233-4455-6677-8899-aabbccddeeff", "-D", "f:float=nan")
        shown = json.loads(self.ok("receive", self.topic, "-C", "1", "--json"))
        header = shown["header"]
        self.assertTrue(0 < header.pop("ttl") <= 3600000)
        self.assertEqual(header, {"durable": True, "priority": 7, "first-acquirer": True,
                                  "delivery-count": 0})
        self.assertEqual(shown["properties"], {
            "message-id": "m1", "to": "you", "subject": "s", "reply-to": "answers",
            "correlation-id": "c1", "content-type": "text/plain", "group-id": "g"})
        self.assertEqual(shown["message-annotations"], {"x-opt-a": "1", "x-opt-b": "two"})
        self.assertEqual(shown["application-properties"], {
            "a": "b=c", "url:http": "x", "i": -3, "u": 18446744073709551615, "t": True, "d": 0.1,
            "when": "1970-01-01T00:00:01.000Z", "n": None, "b": [0, 255], "f": "NaN",
            "id": "00112233-4455-6677-8899-aabbccddeeff"})
        self.assertEqual((shown["body-type"], shown["body"]), ("data", "\xff"))

    def test_verbose(self):
        self.ok("send", self.topic, "-m", "hello", "--subject", "two\nlines", "-D", "n:int=3",
                "-A", "x-opt-a=1", "-D", "who=me")
        self.assertEqual(self.ok("receive", self.topic, "-C", "1", "-v").decode(),
                         "first-acquirer: true\ndelivery-count: uint 0\nsubject: two\\x0alines\n"
                         "x-opt-a: 1\nn: int 3\nwho: me\n\nhello\n\n")

    def test_mistakes(self):
        for entry, words in {"x": "expected NAME=VALUE", "=x": "expected NAME=VALUE",
                             "x:int=1.5": "expected a number of 32 bits as the int x",
                             "x:byte=128": "8 bits", "x:byte=-129": "8 bits", "x:ubyte=256": "8 bits",
                             "x:ulong=-1": "64 bits", "x:long=9223372036854775808": "64 bits",
                             "x:boolean=7": "true or false", "x:binary=abc": "hex digits",
                             "x:binary=a-b0": "hex digits", "x:uuid=00": "32 hex digits",
                             "x:double=": "a number such as", "x:double=1x": "a number such as",
                             "x:null=1": "nothing"}.items():
            self.fails(64, words, "send", self.topic, "-m", "x", "-D", entry)
        for entry in "x:byte=-128", "x:byte=127", "x:long=-9223372036854775808", "x:int=0":
            self.ok("send", self.topic, "-m", "x", "-D", entry)


class Settling(Case):
    def test_peek_leaves_them(self):
        self.ok("send", self.topic, "-l", data=b"a\nb\nc\n")
        self.assertEqual(self.ok("peek", self.topic, "-C", "2"), b"a\nb\n")
        self.assertEqual(self.waiting(), ["a", "b", "c"])
        self.assertEqual(self.waiting(), ["a", "b", "c"])

    def test_peek_follows(self):
        self.ok("send", self.topic, "-m", "a")
        peek = self.start("peek", self.topic, "--follow")
        self.assertEqual(peek.line(), b"a")
        self.ok("send", self.topic, "-m", "b")
        self.assertEqual(peek.line(), b"b")
        self.assertEqual(harness.terminate(peek), 0)

    def test_count_takes_no_more(self):
        self.ok("send", self.topic, "-l", data=b"a\nb\nc\n")
        self.assertEqual(self.ok("receive", self.topic, "-C", "1"), b"a\n")
        shown = json.loads(self.ok("peek", self.topic, "-C", "1", "--json"))
        self.assertEqual((shown["body"], shown["header"]["first-acquirer"]), ("b", True))

    def test_release(self):
        self.ok("send", self.topic, "-l", data=b"a\nb\nc\n")
        self.assertEqual(self.ok("receive", self.topic, "--release", "--drain"), b"a\nb\nc\n")
        self.assertEqual(self.ok("receive", self.topic, "--release", "-C", "2"), b"a\nb\n")
        self.assertEqual(self.waiting(), ["a", "b", "c"])

    def test_reject(self):
        self.ok("send", self.topic, "-m", "bad")
        self.assertEqual(self.ok("receive", self.topic, "-C", "1", "--reject=spoilt"), b"bad\n")
        self.assertEqual(self.waiting(), [])
        dead = json.loads(self.ok("peek", self.topic + "/$DeadLetterQueue", "--json"))
        self.assertEqual(dead["body"], "bad")
        self.assertEqual(dead["message-annotations"]["DeadLetterErrorDescription"], "spoilt")
        self.ok("send", self.topic, "-m", "worse")
        self.ok("receive", self.topic, "-C", "1", "--reject")
        self.assertEqual(self.waiting(self.topic + "/$DeadLetterQueue"), ["bad", "worse"])

    def test_drain_of_nothing(self):
        self.assertEqual(self.ok("receive", self.topic, "--drain"), b"")

    def test_drain_in_many_rounds(self):
        self.ok("send", self.topic, "-m", "x", "--count", "50")
        self.assertEqual(self.ok("receive", self.topic, "--drain", "--credit", "7"), b"x\n" * 50)
        self.assertEqual(self.waiting(), [])

    def test_time_is_up(self):
        code, out, err = self.run_command("receive", self.topic, "-W", "1")
        self.assertEqual((code, out, err), (27, b"", b"gnatter receive: time is up\n"))

    def test_selector(self):
        for colour in "red", "blue", "red":
            self.ok("send", self.topic, "-m", colour, "-D", "colour=" + colour)
        self.assertEqual(self.ok("receive", self.topic, "--selector", "colour = 'red'", "--drain"),
                         b"red\nred\n")
        self.assertEqual(self.waiting(), ["blue"])
        self.fails(64, "cannot receive from", "receive", self.topic, "--selector", "colour = = 1")

    def test_a_reader_that_goes(self):
        self.ok("send", self.topic, "-m", "x" * 1000, "--count", "200")
        receive = subprocess.Popen(
            [harness.GNATTER, "receive", "-p", str(self.broker.port), self.topic],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(receive.kill)
        self.assertTrue(receive.stdout.read(10))
        receive.stdout.close()
        self.assertEqual((receive.wait(harness.PATIENCE), receive.stderr.read()), (0, b""))
        receive.stderr.close()


class Topics(Case):
    def test_from_mqtt(self):
        receiver = self.start("receive", "topic://a/+", "-v", "-d")
        receiver.line("stderr", b"attached to")
        pub = self.spawn(harness.GNATTER, "pub", "-p", self.broker.mqtt, "-t", "a/b", "-m", "21.5")
        self.assertEqual(pub.end(), 0)
        receiver.line(having=b"21.5")
        self.assertEqual(harness.terminate(receiver), 0)

    def test_to_mqtt(self):
        sub = self.spawn(harness.GNATTER, "sub", "-p", self.broker.mqtt, "-t", "x/#", "-d", "-v")
        sub.line("stderr", b"subscribed to")
        self.ok("send", "topic://x/y", "-m", "cold", "-D", "unit=C")
        self.assertEqual(sub.line(), b"x/y cold")
        self.assertEqual(harness.terminate(sub), 0)


class Queues(Case):
    def test_a_life(self):
        self.assertEqual(self.ok("queue", "create", self.topic, "lock=90s", "overflow=reject",
                                 "max_messages=2", "groups=true", "bind=a/#", "bind=b/#"), b"")
        shown = json.loads(self.ok("queue", "show", self.topic, "--json"))
        self.assertEqual((shown["name"], shown["lock"], shown["overflow"], shown["groups"],
                          shown["max_deliveries"]), (self.topic, 90000, "reject", True, 10))
        pub = self.spawn(harness.GNATTER, "pub", "-p", self.broker.mqtt, "-t", "b/c", "-m", "1")
        self.assertEqual(pub.end(), 0)
        self.fails(65, "rejected: amqp:resource-limit-exceeded: the queue is full", "send",
                   self.topic, "-l", data=b"2\n3\n")
        self.assertEqual(self.waiting(), ["1", "2"])
        self.ok("queue", "set", self.topic, "max_messages=0", "lock=0")
        lines = dict(line.split() for line in self.ok("queue", "show", self.topic).decode().splitlines())
        self.assertEqual((lines["lock"], lines["max_bytes"], lines["ready"], lines["groups"]),
                         ("0", "1GiB", "2", "true"))
        self.assertEqual(self.ok("queue", "purge", self.topic), b"2 messages dropped\n")
        self.assertEqual(self.waiting(), [])
        self.ok("queue", "delete", self.topic)
        self.fails(66, "no such queue", "queue", "show", self.topic)

    def test_list(self):
        self.ok("queue", "create", self.topic)
        self.ok("send", self.topic, "-m", "x")
        out = self.ok("queue", "list").decode()
        self.assertRegex(out, r"^ +READY +HELD +DEAD +RECEIVERS +BYTES  NAME\n")
        self.assertRegex(out, rf"\n +1 +0 +0 +0 +\d+  {self.topic}\n")
        self.assertNotIn("dynamic-", out)
        self.assertIn("dynamic-", self.ok("queue", "list", "--all").decode())
        rows = [json.loads(line) for line in self.ok("queue", "list", "--json").splitlines()]
        self.assertIn((self.topic, 1), [(row["name"], row["ready"]) for row in rows])

    def test_mistakes(self):
        self.ok("queue", "create", self.topic)
        for code, words, argv in (
                (73, "there is such a queue", ("create", self.topic)),
                (66, "nowhere: no such queue", ("delete", "nowhere")),
                (66, "nowhere: no such queue", ("set", "nowhere", "lock=1s")),
                (64, "colour=red: no setting of queues", ("create", "q", "colour=red")),
                (64, "name=x: no setting of queues", ("create", "q", "name=x")),
                (64, "lock=soon: expected", ("create", "q", "lock=soon")),
                (64, "lock: expected SETTING=VALUE", ("create", "q", "lock")),
                (64, "bind=a/#/b: expected a topic filter", ("create", "q", "bind=a/#/b")),
                (64, "expected list, show", ("explode",)),
                (64, "the name of a queue is missing", ("show",)),
                (64, "unexpected word 'b'", ("show", "a", "b")),
                (64, "unexpected word 'a'", ("list", "a"))):
            self.fails(code, words, "queue", *argv)


class Mixed(Case):
    """Some users whose lines are for SCRAM, and one whose line is not."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="gnatter-amqp-")
        cls.addClassCleanup(shutil.rmtree, directory)
        users = os.path.join(directory, "users")
        for user, options in ("ann", ["--scram", "--iterations", "4096"]), ("zoe", ["--cost", "10"]):
            subprocess.run([harness.GNATTER, "passwd", "-b", *options, users, user, "secret"],
                           check=True, timeout=harness.PATIENCE, stdout=subprocess.DEVNULL)
        cls.OPTIONS = "--users", users
        super().setUpClass()

    def send(self, user, *argv):
        """By the best mechanism that is offered; which one it was."""
        code, _, err = self.run_command("send", self.topic, "-m", "x", "-u", user, "-P", "secret", *argv)
        self.assertIn(code, (0, 77), err)
        word = b" connect container=" if code == 0 else b" login failed user="
        line = self.broker.process.line("stderr", word).decode()
        return line.partition(" by=")[2].split()[0] if code == 0 else line

    def test_best_mechanism(self):
        tls = "--cafile", os.path.join(PKI, "ca.pem"), "--url", f"amqps://localhost:{self.broker.tls}"
        self.assertEqual(self.send("ann", *tls), "PLAIN")
        self.assertEqual(self.send("zoe", *tls), "PLAIN")
        self.assertIn(self.send("ann"), ("SCRAM-SHA-256", "SCRAM-SHA-512"))
        self.assertIn('reason="its line in the file of users is not for SCRAM"', self.send("zoe"))
        self.assertEqual(self.send("zoe", "--auth-method", "PLAIN"), "PLAIN")


class Closed(Case):
    """A broker that makes no queues by itself, with users and an access list."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="gnatter-amqp-")
        cls.addClassCleanup(shutil.rmtree, directory)
        config, users = (os.path.join(directory, n) for n in ("broker.yaml", "users"))
        for user in "admin", "clerk":
            subprocess.run([harness.GNATTER, "passwd", "-b", users, user, "secret"], check=True,
                           timeout=harness.PATIENCE, stdout=subprocess.DEVNULL)
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"users: {users}\n"
                       "entities: {queues: [{name: orders}]}\n"
                       "access:\n"
                       "  - {who: admin, may: [manage, send, listen], on: '#'}\n"
                       "  - {who: clerk, may: [send], on: orders}\n")
        cls.OPTIONS = ("--config", config)
        super().setUpClass()

    ADMIN = "-u", "admin", "-P", "secret"
    CLERK = "-u", "clerk", "-P", "secret"

    def test_who_may(self):
        self.ok("send", "orders", "-m", "x", *self.CLERK)
        self.fails(77, "cannot receive from orders: amqp:unauthorized-access", "receive", "orders",
                   *self.CLERK)
        self.fails(77, "orders: not permitted", "queue", "show", "orders", *self.CLERK)
        self.assertNotIn(b"orders", self.ok("queue", "list", *self.CLERK))
        self.assertIn(b"orders", self.ok("queue", "list", *self.ADMIN))
        self.assertEqual(self.ok("receive", "orders", "--drain", *self.ADMIN), b"x\n")

    def test_not_found(self):
        self.fails(66, "cannot send to nowhere: amqp:not-found: no such queue", "send", "nowhere",
                   "-m", "x", *self.ADMIN)
        self.fails(66, "cannot receive from nowhere: amqp:not-found", "receive", "nowhere", *self.ADMIN)
        self.fails(66, "cannot receive from nowhere: amqp:not-found", "peek", "nowhere", *self.ADMIN)

    def test_wrong_password(self):
        for argv in ("send", "orders", "-m", "x"), ("receive", "orders"), ("queue", "list"):
            self.fails(77, "denied", *argv, "-u", "admin", "-P", "wrong")
        self.fails(77, "cannot send to orders: amqp:unauthorized-access", "send", "orders", "-m", "x")


class Connection(Case):
    def test_nobody_listens(self):
        port = str(harness.free_port())
        for argv in (("send", "q", "-m", "x"), ("send", "q", "-l"), ("receive", "q"), ("peek", "q"),
                     ("queue", "list"), ("receive", "q", "--drain")):
            done = subprocess.run([harness.GNATTER, *argv, "-p", port], stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=harness.PATIENCE, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (69, ""), argv)
            self.assertEqual(done.stderr, f"gnatter {argv[0]}: cannot connect to localhost port {port}: "
                                          "refused by the peer. Is a broker running there? Start one "
                                          "with: gnatter broker\n")

    def test_another_protocol(self):
        code, _, err = harness_run("send", "q", "-m", "x", "-p", str(self.broker.mqtt))
        self.assertIn(code, (69, 76), err)
        self.assertIn("cannot connect to localhost port", err)

    def test_tls(self):
        ca = os.path.join(PKI, "ca.pem")
        argv = "-p", str(self.broker.tls), "--cafile", ca
        self.assertEqual(harness_run("send", self.topic, "-m", "x", *argv)[0], 0)
        code, out, err = harness_run("receive", self.topic, "-C", "1", "--trace", *argv)
        self.assertEqual((code, out), (0, "x\n"), err)
        self.assertIn("\n<- 0 transfer ", err)
        code, _, err = harness_run("send", self.topic, "-m", "x", "-p", str(self.broker.tls),
                                   "--tls-use-os-certs")
        self.assertEqual(code, 77, err)
        code, out, err = harness_run("peek", self.topic, "--url",
                                     f"amqps://localhost:{self.broker.tls}", "--cafile", ca)
        self.assertEqual((code, out, err), (0, "", ""))

    def test_a_broker_that_comes_back(self):
        relay = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(relay.close)
        receiver = self.spawn(harness.GNATTER, "receive", self.topic, "-p",
                              relay.getsockname()[1])
        ends = forward(relay, self.broker.port)
        self.ok("send", self.topic, "-m", "before")
        self.assertEqual(receiver.line(), b"before")
        while self.waiting():  # until it is accepted
            pass
        cut(ends)
        receiver.line("stderr", b"Trying again.")
        self.addCleanup(cut, forward(relay, self.broker.port))
        self.ok("send", self.topic, "-m", "after")
        self.assertEqual(receiver.line(), b"after")
        receiver.line("stderr", b"connected to")
        self.assertEqual(harness.terminate(receiver), 0)


class Trace(Case):
    def test_amqp(self):
        code, out, err = self.run_command("send", self.topic, "-m", "hello", "--trace",
                                          "-D", "n:int=3")
        lines = err.decode().splitlines()
        self.assertEqual((code, out), (0, b""))
        self.assertTrue(all(line[:3] in ("-> ", "<- ") for line in lines), lines)
        verbs = [(line[:2], line[3:].split()[1 if line[3] == "0" else 0]) for line in lines]
        expected = [("->", "AMQP"), ("->", "open"), ("<-", "AMQP"), ("<-", "open"), ("->", "begin"),
                    ("->", "attach"), ("<-", "attach"), ("<-", "flow"), ("->", "transfer"),
                    ("<-", "disposition"), ("->", "close"), ("<-", "close")]
        places = [verbs.index(verb) for verb in expected if verb not in (("<-", "AMQP"), ("<-", "open"))]
        self.assertEqual(places, sorted(places), lines)
        self.assertTrue(set(expected) <= set(verbs), lines)
        self.assertTrue(any('"n": int 3' in line and 'b"hello"' in line for line in lines), lines)

    def test_each_connection_begins_anew(self):
        relay = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(relay.close)
        receiver = self.spawn(harness.GNATTER, "receive", self.topic, "--trace", "-p",
                              relay.getsockname()[1])
        ends = forward(relay, self.broker.port)
        receiver.line("stderr", b"<- 0 attach")
        ends[0].sendall(b"\x00\x00\x00\x20\x02\x00")  # the beginning of a frame
        cut(ends)
        receiver.line("stderr", b"Trying again.")
        self.addCleanup(cut, forward(relay, self.broker.port))
        receiver.line("stderr", b"-> AMQP 1.0.0")
        receiver.line("stderr", b"<- 0 attach")
        self.assertEqual(harness.terminate(receiver), 0)
        self.assertNotIn(b"the trace of one side ends", receiver.text["stderr"])

    def test_no_passwords(self):
        _, _, err = self.run_command("send", self.topic, "-m", "x", "--trace", "-u", "me", "-P",
                                     "sesame", "--auth-method", "PLAIN")
        self.assertNotIn(b"sesame", err)
        self.assertNotIn(b"sesame".hex().encode(), err)

    def test_mqtt(self):
        sub = self.spawn(harness.GNATTER, "sub", "-p", self.broker.mqtt, "-t", "a", "-C", "1", "-q",
                         "1", "--trace", "-V", "5")
        sub.line("stderr", b"<- SUBACK")
        pub = self.spawn(harness.GNATTER, "pub", "-p", self.broker.mqtt, "-t", "a", "-m", "hi", "-q",
                         "1", "--trace", "-u", "me", "-P", "sesame")
        self.assertEqual((pub.end(), sub.end()), (0, 0))
        for words in b"-> CONNECT", b"<- CONNACK", b"-> PUBLISH qos=1", b"<- PUBACK", b"-> DISCONNECT":
            self.assertIn(words, pub.text["stderr"])
        self.assertNotIn(b"sesame", pub.text["stderr"])
        self.assertIn(b'<- PUBLISH', sub.text["stderr"])
        self.assertEqual(sub.text["stdout"], b"hi\n")


class Bench(Case):
    TIME = "--duration", "300ms", "--warm-up", "100ms"

    def bench(self, *argv):
        code, out, err = harness_run("bench", "--json", *self.TIME, *argv)
        self.assertEqual(code, 0, err)
        return [run["result"] if "result" in run else run for run in json.loads(out)["runs"]]

    def test_scenarios(self):
        port = str(self.broker.port)
        for argv in (("-q", "0"), ("-q", "1"), ("-s", "fan-in", "-q", "1", "--rate", "200"),
                     ("-s", "idle", "--subscribers", "20"), ("-q", "1", "--size", "100KiB"),
                     ("-q", "0", "--credit", "10")):
            self.bench("--protocol", "amqp", "-p", port, "--publishers", "3", *argv)
        # What was made for it is gone.
        deadline = time.monotonic() + harness.PATIENCE
        while self.ok("queue", "list", "--all").count(b"dynamic-") > 1:
            self.assertLess(time.monotonic(), deadline)

    def test_targets(self):
        runs = self.bench("--publishers", "2", "-q", "1", "--cafile", os.path.join(PKI, "ca.pem"),
                          "-t", f"plain=amqp://127.0.0.1:{self.broker.port}",
                          "-t", f"tls=amqps://localhost:{self.broker.tls}",
                          "-t", f"mqtt=mqtt://127.0.0.1:{self.broker.mqtt}")
        self.assertEqual(len(runs), 3)

    def test_mistakes(self):
        for argv, words in {("-s", "wild"): "scenarios are pairs, fan-in", ("-q", "2"): "QoS is 0 or 1",
                            ("-s", "fan-in", "--subscribers", "2"): "with one subscriber",
                            ("--size", "1MiB"): "512 KiB"}.items():
            code, out, err = harness_run("bench", "--protocol", "amqp", *argv)
            self.assertEqual((code, out), (64, ""))
            self.assertIn(words, err)


def harness_run(*argv):
    done = subprocess.run([harness.GNATTER, *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=harness.PATIENCE, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def cut(ends):
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()


def forward(listener, port):
    """Takes one connection and carries its bytes to PORT and back; the two sockets of it."""
    listener.settimeout(harness.PATIENCE)
    ends = listener.accept()[0], socket.create_connection(("127.0.0.1", port))

    def carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        cut(ends)

    for pair in ends, ends[::-1]:
        harness.threading.Thread(target=carry, args=pair, daemon=True).start()
    return ends


if __name__ == "__main__":
    unittest.main()
