"""Brokers with a data directory: started, ended in all ways, and started again on the same port.

Environment: GNATTER is the command under test, GNATTER_WORKERS how many workers it has."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness  # noqa: E402
import raw  # noqa: E402


# A start may take long on a busy machine, however impatient a test is.
START_PATIENCE = max(harness.PATIENCE, 30)

AMQP_BEHIND = 1  # the port of AMQP is so far behind that of MQTT

# What a broker has besides the settings of a test.
CONFIG = """\
entities:
  auto_create: true
  queues:
    - {name: plain}
    - {name: strict, max_deliveries: 3}
"""


def quiet_port():
    """A port that nobody gets by chance while the broker is down, nor the one behind it: below those
    that the system hands out."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low = int(f.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(max(1024, low - 12000), low)
        with socket.socket() as s, socket.socket() as behind:
            try:
                s.bind(("127.0.0.1", port))
                behind.bind(("127.0.0.1", port + AMQP_BEHIND))
                return port
            except OSError:
                pass


def answers(port):
    """Whether there is a broker: one that listens may still be about to open its data, or to fail
    at that."""
    try:
        with socket.create_connection(("127.0.0.1", port), START_PATIENCE) as s:
            s.sendall(raw.connect("probe"))
            return s.recv(1) != b""
    except OSError:
        return False


class Ended(Exception):
    """The broker did not come up; `code` is its exit code."""

    def __init__(self, broker):
        super().__init__(f"{broker.name} has ended with {broker.process.returncode}")
        self.code = broker.process.returncode


class Durable(harness.Broker):
    """DATA is its directory (None: it keeps all in memory), SETTINGS what else it is started with."""

    def __init__(self, folder, data, settings=()):
        super().__init__(folder)
        self.data, self.settings = data, settings
        self.environment = None
        self.port = quiet_port()
        if data:
            os.makedirs(data, exist_ok=True)

    def spawn(self, words):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(harness.tied(words), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder,
                                            env=self.environment)

    def begin(self, environment=None):
        """Starts it and does not wait."""
        self.environment = environment
        self.spawn(self.words())

    def start(self, environment=None):
        """Starts it and waits until it takes clients; returns the port."""
        self.begin(environment)
        end = time.monotonic() + START_PATIENCE
        while not answers(self.port):
            if self.process.poll() is not None:
                raise Ended(self)
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} takes no clients after {START_PATIENCE} s")
            time.sleep(0.005)
        return self.port

    def kill(self):
        if self.process:
            self.stop(signal.SIGKILL)


class Gnatter(Durable):
    name = "gnatter"

    def words(self):
        config = os.path.join(self.folder, "gnatter.yaml")
        with open(config, "w") as f:
            f.write(CONFIG)
        words = [harness.GNATTER, "broker", "--config", config,
                 "--listen", f"mqtt://127.0.0.1:{self.port}",
                 "--listen", f"amqp://127.0.0.1:{self.port + AMQP_BEHIND}", "--data",
                 self.data or "none", "--workers", str(harness.WORKERS)]
        for setting in ("limits.queued_per_session=1000000", *self.settings):
            words += ["--set", setting]
        return words


class Mosquitto(Durable):
    name = "mosquitto"

    def words(self):
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w") as conf:
            conf.write("\n".join([f"listener {self.port} 127.0.0.1", "allow_anonymous true",
                                  "persistence true", f"persistence_location {self.data}/",
                                  "max_queued_messages 0", "user root", *self.settings, ""]))
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        return [program, "-c", path]


class Toy(Durable):
    """toy.py, whose bug is the setting."""

    name = "toy"

    def words(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "toy.py")
        return [sys.executable, "-B", program, str(self.port), self.data, *self.settings]


BROKERS = {broker.name: broker for broker in (Gnatter, Mosquitto, Toy)}


def add_options(parser):
    parser.add_argument("--broker", choices=BROKERS, default="gnatter")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the broker's, or a line of mosquitto's configuration")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")


def tell(broker, error, story):
    """What a failed run says; the log of the broker ends in what came last."""
    print(f"{story}: {error}\n--- log of {broker.name}\n{broker.log()[-4000:]}---", flush=True)
