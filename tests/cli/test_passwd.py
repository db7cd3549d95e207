"""gnatter passwd, and a broker that reads what it has written."""
import base64
import hashlib
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import scram  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="gnatter-passwd-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.file = os.path.join(directory.name, "users")

    def passwd(self, *argv, data=""):
        done = subprocess.run([harness.GNATTER, "passwd", *argv], input=data, check=False,
                              capture_output=True, timeout=harness.PATIENCE, text=True)
        return done.returncode, done.stdout, done.stderr

    def text(self):
        with open(self.file, encoding="utf-8") as file:
            return file.read()

    def write(self, text, mode=0o600):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, mode)

    def mode(self):
        return stat.S_IMODE(os.stat(self.file).st_mode)


class File(Case):
    def test_adds_changes_and_deletes(self):
        os.umask(0o022)
        self.assertEqual(self.passwd(self.file, "ann", data="secret\n"), (0, "ann: added\n", ""))
        self.assertEqual(self.mode(), 0o600)
        self.assertRegex(self.text(), r"\Aann:\$scrypt\$ln=15,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}\n\Z")
        ann = self.text()
        self.assertEqual(self.passwd("-b", self.file, "bob", "other", "--scram", "-I", "4096"),
                         (0, "bob: added\n", ""))
        self.assertTrue(self.text().startswith(ann + "bob:SCRAM-SHA-256$4096:"))
        bob = self.text()[len(ann):]
        self.assertEqual(self.passwd(self.file, "ann", data="secret"), (0, "ann: changed\n", ""))
        self.assertTrue(self.text().endswith(bob))
        self.assertNotIn(ann, self.text())  # another salt
        self.assertEqual(self.passwd("--delete", self.file, "ann"), (0, "ann: deleted\n", ""))
        self.assertEqual(self.text(), bob)
        self.assertEqual(self.passwd("--delete", self.file, "ann"),
                         (67, "", f"gnatter passwd: {self.file}: there is no user 'ann'\n"))
        self.assertEqual(os.listdir(self.directory), ["users"])

    def test_is_what_others_make_of_the_password(self):
        self.passwd("--scram", "-I", "5000", self.file, "ann", data="s\u00e9cret\r\n")
        verifiers = self.text().strip().split(":", 1)[1].split(",")
        salts = [base64.b64decode(each.split("$")[1].split(":")[1]) for each in verifiers]
        self.assertEqual(verifiers, [scram.verifier("s\u00e9cret", 5000, salt, method)
                                     for salt, method in zip(salts, scram.METHODS)])
        self.assertEqual(len(set(salts)), 2)
        self.passwd("-c", "--cost", "11", self.file, "bob", data="s\u00e9cret\r\n")
        self.assertEqual(self.text().count("\n"), 1)
        _, method, costs, salt, key = self.text().strip().split("$")
        self.assertEqual((method, costs), ("scrypt", "ln=11,r=8,p=1"))
        made = hashlib.scrypt("s\u00e9cret".encode(), salt=base64.b64decode(salt + "=="), n=2048,
                              r=8, p=1, dklen=32)
        self.assertEqual(key + "=", base64.b64encode(made).decode())

    def test_leaves_the_rest_alone(self):
        others = "# who may\n\nannabel:x\nnonsense\nan:y\n#ann:z\n"
        self.write(others + "ann:old\nann:older\nlast", 0o640)
        self.assertEqual(self.passwd(self.file, "ann", data="secret\n")[0], 0)
        self.assertRegex(self.text(), r"\A" + others + r"ann:\$scrypt\S+\nlast\n\Z")
        self.assertEqual(self.mode(), 0o640)

    def test_follows_a_link(self):
        link = os.path.join(self.directory, "link")
        os.symlink(self.file, link)
        self.write("")
        self.assertEqual(self.passwd(link, "ann", data="secret\n")[0], 0)
        self.assertTrue(os.path.islink(link))
        self.assertIn("ann:", self.text())

    def test_what_is_no_file_stays_what_it_is(self):
        os.mkfifo(self.file)
        for argv in ([self.file, "ann"], ["-c", self.file, "ann"], ["-U", self.file]):
            self.assertEqual(self.passwd(*argv, data="secret\n")[0], 66)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.file).st_mode))

    def test_what_cannot_be(self):
        rows = [
            (["file"], "", 64),
            ([self.file, "a", "b"], "", 64),
            ([self.file], "", 64),
            (["-I", "4095", self.file, "ann"], "secret\n", 64),
            (["--cost", "9", self.file, "ann"], "secret\n", 64),
            (["--delete", "-b", self.file, "ann"], "", 64),
            (["--delete", "-c", self.file, "ann"], "", 64),
            (["-b", self.file, "ann"], "secret\n", 64),
            (["-b", self.file, "ann", "x" * 1025], "", 65),
            (["-b", self.file, "ann", ""], "", 65),
            (["-U", self.file, "ann"], "", 64),
            (["-U", self.file], "", 66),
            ([self.file, "a:b"], "secret\n", 65),
            ([self.file, "#a"], "secret\n", 65),
            ([self.file, ""], "secret\n", 65),
            ([self.file, "a\nb"], "secret\n", 65),
            ([self.file, "a" * 256], "secret\n", 65),
            ([self.file, "ann"], "", 65),
            ([self.file, "ann"], "\n", 65),
            ([self.file, "ann"], "se\tcret\n", 65),
            ([self.file, "ann"], "s" * 1025 + "\n", 65),
            ([self.directory, "ann"], "secret\n", 66),
            ([self.directory + "/no/users", "ann"], "secret\n", 73),
        ]
        for argv, data, code in rows:
            done, out, err = self.passwd(*argv, data=data)
            self.assertEqual((done, out), (code, ""), (argv, err))
            self.assertTrue(err.startswith("gnatter passwd: "), err)
            self.assertNotIn("secret", err)
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual(self.passwd(self.file, "ann", data="s" * 1024)[0], 0)


    def test_begins_anew(self):
        self.write("ann:old\nbob:older\n", 0o640)
        self.assertEqual(self.passwd("-c", "-b", self.file, "zoe", "secret"), (0, "zoe: added\n", ""))
        self.assertRegex(self.text(), r"\Azoe:\$scrypt\S+\n\Z")
        self.assertEqual(self.mode(), 0o640)

    def test_upgrades_plain_text(self):
        self.write("# all of us\n\nann:secret\r\nbob:$7$101$AAAA$x\nnonsense\nzoe:se:cret\nabe:\nmia:top", 0o640)
        code, out, err = self.passwd("-U", self.file)
        self.assertEqual((code, out), (0, f"{self.file}: 3 upgraded\n"))
        self.assertEqual(err, "".join(f"gnatter passwd: {self.file}:{n}: not USER:PASSWORD, left as it is\n"
                                      for n in (5, 7)))
        hashed = r"\$scrypt\$[^\s:]+\n"
        self.assertRegex(self.text(), rf"\A# all of us\n\nann:{hashed}bob:\$7\$101\$AAAA\$x\n"
                                      rf"nonsense\nzoe:{hashed}abe:\nmia:{hashed}\Z")
        self.assertEqual(self.mode(), 0o640)
        for text in (out, err, self.text()):
            self.assertNotIn("cret", text)
        once = self.text()
        self.assertEqual(self.passwd("-U", self.file)[:2], (0, f"{self.file}: 0 upgraded\n"))
        self.assertEqual(self.text(), once)


class Terminal(Case):
    def talk(self, *lines, end=None):
        """What is shown on a terminal on which LINES are typed."""
        terminal = harness.Terminal([harness.GNATTER, "passwd", self.file, "ann"])
        for prompt, line in zip((b"Password: ", b"Once more: "), lines):
            terminal.until(prompt)
            terminal.type(line)
        if end:
            terminal.until(b"Password: ")
            os.kill(terminal.pid, end)
        return terminal.end()

    def test_asks_twice_and_shows_nothing(self):
        code, shown = self.talk(b"secret\n", b"secret\n")
        self.assertEqual((code, shown), (0, "Password: \r\nOnce more: \r\nann: added\r\n"))

    def test_two_that_differ(self):
        code, shown = self.talk(b"secret\n", b"secret2\n")
        self.assertEqual(code, 65)
        self.assertIn("not the same", shown)
        self.assertNotIn("secret", shown)
        self.assertFalse(os.path.exists(self.file))

    def test_can_be_interrupted(self):
        code, shown = self.talk(end=signal.SIGINT)
        self.assertEqual(code, 65)
        self.assertIn("no password", shown)


class Broker(Case):
    def broker(self, *argv):
        broker = harness.Process([harness.GNATTER, "broker", "--data", "none", "--listen", "mqtt://127.0.0.1:0",
                                  "--users", self.file, *argv])
        self.addCleanup(broker.kill)
        self.port = broker.line("stderr", b" ready ").split(b"127.0.0.1:")[1].split()[0].decode()
        return broker

    def pub(self, *argv):
        done = subprocess.run([harness.GNATTER, "pub", "-p", self.port, "-t", "t", "-m", "m", "-q",
                               "1", *argv], check=False, capture_output=True,
                              timeout=harness.PATIENCE, text=True)
        return done.returncode

    def test_who_may_come_changes_on_sighup(self):
        self.passwd(self.file, "ann", data="secret")
        broker = self.broker("--allow-anonymous=false")
        ann = ["-u", "ann", "-P", "secret"]
        bob = ["-u", "bob", "-P", "other"]
        self.assertEqual(self.pub(*ann), 0)
        self.assertEqual(self.pub(*ann, "-V", "mqttv5"), 0)
        self.assertEqual(self.pub(*bob), 4)
        self.assertEqual(self.pub(*bob, "-V", "mqttv5"), 0x86)
        self.assertEqual(self.pub("-u", "ann", "-P", "nope-nope"), 4)
        self.assertEqual(self.pub(), 5)
        self.passwd("--scram", self.file, "bob", "-I", "4096", data="other")
        self.passwd("--delete", self.file, "ann")
        with open(self.file, "a", encoding="ascii") as file:
            file.write("zoe:top secret\n")
        broker.send(signal.SIGHUP)
        line = broker.line("stderr", b"problem=")
        self.assertIn(f"file={self.file} line=2".encode(), line)
        self.assertIn(b"count=1", broker.line("stderr", b"count="))
        self.assertEqual(self.pub(*ann), 4)
        self.assertEqual(self.pub(*bob), 0)
        os.rename(self.file, self.file + ".gone")
        broker.send(signal.SIGHUP)
        line = broker.line("stderr", b"reload-failed")
        self.assertIn(b"No such file", line)
        self.assertIn(b'users="as before"', line)
        self.assertEqual(self.pub(*bob), 0)
        self.assertEqual(harness.terminate(broker), 0)
        log = broker.text["stderr"]
        for secret in (b"secret", b"other", b"nope-nope", b"SCRAM"):
            self.assertNotIn(secret, log.replace(b"expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name", b""))

    def test_scram(self):
        self.passwd("--scram", self.file, "z\u00eb, =x", "-I", "4096", data="secret")
        self.passwd(self.file, "bob", data="secret")
        with open(self.file, "a", encoding="ascii") as file:  # as it was written before SHA-512
            file.write(f"old:{scram.verifier('secret')}\n")
        broker = self.broker("--allow-anonymous=false")
        for method, user, password, code in (("256", "z\u00eb, =x", "secret", 0),
                                             ("512", "z\u00eb, =x", "secret", 0),
                                             ("512", "z\u00eb, =x", "nope-nope", 0x87),
                                             ("256", "old", "secret", 0),
                                             ("512", "old", "secret", 0x87)):
            argv = ["--auth-method", f"SCRAM-SHA-{method}", "-u", user, "-P", password]
            self.assertEqual(self.pub(*argv), code, argv)
        scram_ = ["--auth-method", "SCRAM-SHA-256", "-u", "z\u00eb, =x"]
        self.assertEqual(self.pub(*scram_, "-P", "secret"), 0)
        self.assertEqual(self.pub(*scram_, "-P", "nope-nope"), 0x87)
        self.assertEqual(self.pub("-u", scram_[3], "-P", "secret"), 0)
        bob = ["-u", "bob", "-P", "secret"]  # has no line for SCRAM
        self.assertEqual(self.pub(*bob), 0)
        self.assertEqual(self.pub(*scram_[:2], *bob), 0x87)
        self.assertEqual(self.pub(*scram_), 64)
        self.assertEqual(self.pub("--auth-method", "PLAIN"), 64)
        sub = harness.Process([harness.GNATTER, "sub", "-p", self.port, "-t", "t", "-d", "-C", "1",
                               *scram_, "-P", "secret"])
        self.addCleanup(sub.kill)
        sub.line("stderr", b"subscribed to")
        self.assertEqual(self.pub(*scram_, "-P", "secret"), 0)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(harness.terminate(broker), 0)
        self.assertIn("user=".encode(), broker.text["stderr"])

    def test_mosquitto_passwd(self):
        """Files that mosquitto_passwd writes, and lines of ours among them."""
        for user, *argv in (("ann",), ("bob", "-H", "sha512"), ("zoe", "-I", "5000")):
            new = ["-c"] if user == "ann" else []
            subprocess.run(["mosquitto_passwd", *new, *argv, "-b", self.file, user, "secret " + user],
                           check=True, capture_output=True, timeout=harness.PATIENCE)
        self.assertRegex(self.text(), r"\Aann:\$7\$101\$\S+\nbob:\$6\$\S+\nzoe:\$7\$5000\$\S+\n\Z")
        theirs = self.text()
        self.passwd(self.file, "mia", data="secret mia")
        self.assertTrue(self.text().startswith(theirs))
        self.broker("--allow-anonymous=false")
        for user in ("ann", "bob", "zoe", "mia"):
            self.assertEqual(self.pub("-u", user, "-P", "secret " + user), 0)
            self.assertEqual(self.pub("-u", user, "-P", "secret abe"), 4)
        self.assertEqual(self.pub("-u", "abe", "-P", "secret abe"), 4)

    def test_bench(self):
        self.passwd("--scram", self.file, "ann", "-I", "4096", data="secret")
        self.broker("--allow-anonymous=false")
        for method, argv, code in (("256", ["-P", "secret"], 0), ("512", ["-P", "secret"], 0),
                                   ("256", ["-P", "nope-nope"], 69), ("256", [], 64)):
            done = subprocess.run([harness.GNATTER, "bench", "-p", self.port, "-s", "pairs",
                                   "--subscribers", "3", "--duration", "200ms", "--warm-up", "100ms",
                                   "--auth-method", f"SCRAM-SHA-{method}", "-u", "ann", *argv],
                                  check=False, capture_output=True, timeout=harness.PATIENCE)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)

    def test_users_are_enough_for_other_machines(self):
        self.passwd("--scram", self.file, "ann", "-I", "4096", data="secret")
        broker = self.broker("--listen", "mqtt://0.0.0.0:0")
        self.assertIn(b'access="users only"', b"".join(broker.read["stderr"]))
        self.assertEqual(self.pub(), 5)
        self.assertEqual(self.pub("-u", "ann", "-P", "secret"), 0)

    def test_a_file_that_cannot_be(self):
        for text, words in ((None, b"No such file"), ("nonsense\n", b"no line of it")):
            if text:
                self.write(text)
            broker = harness.Process([harness.GNATTER, "broker", "--data", "none", "--listen", "mqtt://127.0.0.1:0",
                                      "--users", self.file])
            self.addCleanup(broker.kill)
            self.assertEqual(broker.end(), 78)
            self.assertIn(words, broker.text["stderr"])


if __name__ == "__main__":
    unittest.main()
