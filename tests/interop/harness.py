"""What the test programs of this directory share: brokers to talk to, and bounded waits.

Each test has brokers and files of its own: a broker listens on a free port of the loopback
interface, has its log in the test's temporary directory, and is ended by its process id.  When a
test fails, the log of each of its brokers is printed.

Environment: GNATTER is the command under test, GNATTER_WORKERS how many workers it has.
By hand:     GNATTER=build/debug/gnatter GNATTER_WORKERS=2 tests/interop/test_paho.py [Class.test]
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

# A wait ends as soon as what it waits for is there; this is for when it never comes.
PATIENCE = float(os.environ.get("GNATTER_PATIENCE", "30"))

GNATTER = os.environ.get("GNATTER", "")
WORKERS = int(os.environ.get("GNATTER_WORKERS", "1"))


def wait_until(condition, what, patience=PATIENCE):
    """For states that nothing reports: looks again and again until CONDITION holds."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.02)


def tied(words):
    """The same command, which ends when this program does, however that comes about."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *words]


def need_node_module(name):
    if not os.path.isdir(os.path.join(HERE, "node_modules", name)):
        sys.exit(f"{name} is missing: script/deps installs it")


def run_node(test, script, seconds=200, **environment):
    """The tests of SCRIPT, by node; TEST fails where one of them does."""
    done = subprocess.run(tied(["node", "--test-reporter=spec", script]), cwd=HERE,
                          env=dict(os.environ, **environment), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                          check=False)
    sys.stderr.write(done.stdout.decode(errors="replace"))
    test.assertEqual(done.returncode, 0, "node's exit code")


class Broker:
    """A broker's process; `port` is where it listens once start() has returned, `web_port` where it
    does for WebSockets, and `amqp_port` for AMQP."""

    name = ""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.port = 0
        self.web_port = 0
        self.amqp_port = 0
        self.log_path = os.path.join(folder, f"{self.name}-{id(self)}.log")

    def spawn(self, words):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(tied(words), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}")

    def stop(self, signum=signal.SIGTERM):
        """Ends it and returns its exit code; nothing to do the second time."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signum)
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not stop within {PATIENCE} s") from None


class Gnatter(Broker):
    name = "gnatter"

    def start(self, settings=(), workers=WORKERS):
        words = [GNATTER, "broker", "--listen", "mqtt://127.0.0.1:0", "--listen",
                 "http://127.0.0.1:0", "--listen", "amqp://127.0.0.1:0", "--data", "none",
                 "--workers", str(workers)]
        for setting in settings:
            words += ["--set", setting]
        self.spawn(words)
        return self.wait_for_port()

    def wait_for_port(self):
        listens = re.compile(r"mqtts?://127\.0\.0\.1:([1-9]\d*)(?: https?://127\.0\.0\.1:(\d+))?"
                             r"(?: amqps?://127\.0\.0\.1:(\d+))?")

        def listening():
            self.check_alive()
            return listens.search(self.log())
        found = wait_until(listening, "gnatter's start")
        self.port, self.web_port = int(found[1]), int(found[2] or 0)
        self.amqp_port = int(found[3] or 0)
        return self


class Mosquitto(Broker):
    name = "mosquitto"

    def start(self, settings=()):
        # It cannot choose a port by itself, so somebody else may take the one that was free.
        for _ in range(10):
            self.port, self.web_port = free_port(), free_port()
            if self.try_start(settings):
                return self
        raise AssertionError("mosquitto found no port to listen on")

    def try_start(self, settings):
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w") as conf:
            conf.write("\n".join([f"listener {self.port} 127.0.0.1", "allow_anonymous true",
                                  "persistence false", "max_queued_messages 0", *settings,
                                  f"listener {self.web_port} 127.0.0.1", "protocol websockets", ""]))
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        runs = self.log().count(" running")
        self.spawn([program, "-c", path])
        # Not whether somebody accepts there: that may be who has taken the port.
        wait_until(lambda: self.process.poll() is not None or
                   self.log().count(" running") > runs, "mosquitto's start")
        return self.process.poll() is None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A client's process: `lines` is what it has written to its output, `said` to its errors."""

    def __init__(self, words, stdin=None):
        self.words = words
        self.lines, self.said = [], []
        self.changed = threading.Condition()
        self.reading = 2
        self.process = subprocess.Popen(tied(words), stdin=stdin or subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.readers = [threading.Thread(target=self.read, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.said))]
        for reader in self.readers:
            reader.start()

    def read(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.rstrip(b"\n").decode(errors="replace"))
                self.changed.notify_all()
        with self.changed:
            self.reading -= 1
            self.changed.notify_all()

    def story(self):
        return "\n".join([" ".join(self.words)] +
                         [line[:300] for line in (self.lines + self.said)[-40:]])

    def wait_for(self, text):
        """Until a line contains TEXT."""
        def there():
            return any(text in line for line in self.lines + self.said)
        with self.changed:
            self.changed.wait_for(lambda: there() or not self.reading, PATIENCE)
            if not there():
                raise AssertionError(f"{text!r} was never said: {self.story()}")
        return self

    def wait(self):
        """Until it has ended by itself, content; returns its lines."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = f"none within {PATIENCE} s"
        if code == 0:
            self.join()
            return self.lines
        raise AssertionError(f"exit code {code}: {self.story()}")

    def join(self):
        for reader in self.readers:
            reader.join(PATIENCE)

    def end(self, signum=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.join()
        self.process.stdout.close()
        self.process.stderr.close()


def run(words, stdin=None):
    """Runs a program that has to end well; returns what it wrote to its standard output."""
    done = subprocess.run(words, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                          capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit code {done.returncode}\n"
                             + (done.stdout + done.stderr).decode(errors="replace")[-2000:])
    return done.stdout


class Test(unittest.TestCase):
    """A test with a broker, self.broker; `settings` are what it is started with."""

    maxDiff = 2000
    settings = ()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gnatter-interop-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.brokers = []
        self.broker = self.start_broker()

    def start_broker(self):
        return self.start(Gnatter(self.folder), self.settings)

    def start(self, broker, settings=()):
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        return broker.start(settings)

    def stop(self, broker):
        self.assertEqual(broker.stop(), 0, f"{broker.name}'s exit code")

    def process(self, words, stdin=None):
        process = Process(words, stdin)
        self.addCleanup(process.end)
        return process

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content)
        return path


class Result(unittest.TextTestResult):
    """Prints the brokers' logs where a test fails: soon they are gone."""

    def tell(self, test):
        for broker in getattr(test, "brokers", ()):
            log = broker.log()
            self.stream.writeln(f"--- log of {broker.name} in {test}\n{log[-6000:]}---")

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test)


def main():
    if not GNATTER:
        sys.exit("GNATTER has to name the command under test")
    unittest.main(module="__main__", verbosity=2,
                  testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=2))
