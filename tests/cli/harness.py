"""What the tests of the command share: brokers and commands as processes, every wait bounded.

GNATTER is the program, BROKER the kind of broker to test against (mosquitto or gnatter).
"""
import os
import pty
import queue
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

GNATTER = os.environ["GNATTER"]
KIND = os.environ.get("BROKER", "gnatter")
MOSQUITTO = "/usr/sbin/mosquitto"
PATIENCE = 30  # seconds: for what should take a moment


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A process whose output arrives line by line; it never outlives its test."""

    def __init__(self, argv, **options):
        self.argv = argv
        self.popen = subprocess.Popen(
            argv, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **options)
        self.lines = {"stdout": queue.Queue(), "stderr": queue.Queue()}
        self.read = {"stdout": [], "stderr": []}
        self.threads = [threading.Thread(target=self._read, args=(name,), daemon=True)
                        for name in self.lines]
        for thread in self.threads:
            thread.start()

    def _read(self, name):
        for line in getattr(self.popen, name):
            self.read[name].append(line)
            self.lines[name].put(line)
        self.lines[name].put(None)

    @property
    def text(self):
        """All that has come."""
        return {name: b"".join(lines) for name, lines in self.read.items()}

    def line(self, name="stdout", having=b""):
        """The next line with HAVING in it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.lines[name].get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"{self.argv}: no line with {having!r} in {self.text}")
            if having in line:
                return line.rstrip(b"\n")

    def send(self, number):
        self.popen.send_signal(number)

    def end(self):
        """Waits for the end; returns the exit code."""
        code = self.popen.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        return code

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.end()
        self.popen.stdout.close()
        self.popen.stderr.close()
        if self.popen.stdin:
            self.popen.stdin.close()


class Terminal:
    """A command on a terminal of its own; `shown` is all that has been shown there."""

    def __init__(self, argv, cwd="."):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execv(argv[0], argv)
        self.shown = b""

    def until(self, text):
        """Until TEXT is shown; None: until nothing more comes."""
        shown = b""
        while text is None or text not in shown:
            if not select.select([self.fd], [], [], PATIENCE)[0]:
                raise AssertionError(f"{text!r} is not shown, but {self.shown + shown!r}")
            try:
                data = os.read(self.fd, 1000)
            except OSError:  # Linux' way to say that the other side has gone
                data = b""
            if not data and text is not None:
                raise AssertionError(f"{text!r} was never shown, but {self.shown + shown!r}")
            if not data:
                break
            shown += data
        self.shown += shown

    def type(self, line):
        os.write(self.fd, line)

    def end(self):
        """Waits for the end; returns the exit code, and what was shown."""
        self.until(None)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.shown.decode()


class Broker:
    """A broker of KIND on a loopback port, in a directory of its own."""

    def __init__(self, kind=KIND, anonymous=True, port=None):
        self.kind, self.anonymous = kind, anonymous
        self.directory = tempfile.mkdtemp(prefix="gnatter-cli-")
        # Somebody else may take the port that was free.
        for _ in range(1 if port else 10):
            self.port = port or free_port()
            if self.try_start():
                return
        raise AssertionError(f"the broker did not start: {self.process.text}")

    def start(self):
        if not self.try_start():
            raise AssertionError(f"the broker did not start: {self.process.text}")

    def try_start(self):
        """Whether it listens, and not whether somebody answers there; false: it has ended."""
        if self.kind == "gnatter":
            argv = [GNATTER, "broker", "--listen", f"mqtt://127.0.0.1:{self.port}", "--data", "none"]
            argv += [] if self.anonymous else ["--allow-anonymous=false"]
            listens = f"mqtt://127.0.0.1:{self.port}".encode()
        else:
            path = os.path.join(self.directory, "mosquitto.conf")
            with open(path, "w", encoding="ascii") as conf:
                print(f"listener {self.port} 127.0.0.1", file=conf)
                print(f"allow_anonymous {'true' if self.anonymous else 'false'}", file=conf)
            argv = [MOSQUITTO, "-c", path]
            listens = b" running"
        self.process = Process(argv)
        deadline = time.monotonic() + PATIENCE
        while listens not in self.process.text["stderr"]:
            if self.process.popen.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                return False
            time.sleep(0.02)
        return True

    def stop(self):
        self.process.kill()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory)


class Spawning(unittest.TestCase):
    def spawn(self, *argv, **options):
        process = Process([str(a) for a in argv], **options)
        self.addCleanup(process.kill)
        return process


class Place(Spawning):
    """A directory for each test."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="gnatter-cli-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Case(Spawning):
    """Commands against one broker for the whole class."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.topics = 0

    @classmethod
    def tearDownClass(cls):
        cls.broker.remove()

    def setUp(self):
        type(self).topics += 1
        self.topic = f"t{self.topics}"

    def start(self, command, *argv, **options):
        """A gnatter command, or mosquitto_pub or mosquitto_sub, at this broker."""
        program = [command] if command.startswith("mosquitto_") else [GNATTER, command]
        return self.spawn(*program, "-p", self.broker.port, *argv, **options)

    def run_command(self, command, *argv, data=None):
        """The same to its end: (exit code, stdout, stderr)."""
        process = self.start(command, *argv,
                             **({} if data is None else {"stdin": subprocess.PIPE}))
        if data is not None:
            try:
                process.popen.stdin.write(data)
                process.popen.stdin.close()
            except BrokenPipeError:
                pass
        code = process.end()
        return code, process.text["stdout"], process.text["stderr"]

    def ok(self, command, *argv, data=None):
        """The same, which has to end well; its stdout."""
        code, out, err = self.run_command(command, *argv, data=data)
        self.assertEqual(code, 0, (command, argv, out[:500], err[:500]))
        return out

    def subscriber(self, *argv):
        """A gnatter sub whose subscriptions stand."""
        process = self.start("sub", "-d", *argv)
        process.line("stderr", b"subscribed to")
        return process


def terminate(process):
    process.send(signal.SIGTERM)
    return process.end()
