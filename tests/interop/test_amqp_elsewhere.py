#!/usr/bin/env python3
"""Our AMQP client at brokers that are not ours (amqp_client.c): at one by qpid-proton, and at
RabbitMQ where that is installed; and at ours."""

import glob
import os
import re
import subprocess
import sys
import unittest

import harness

CLIENT = os.environ.get("GNATTER_AMQP_CLIENT", "")
HERE = os.path.dirname(os.path.abspath(__file__))
EVERYWHERE = ("in-order", "all-types", "released", "large", "many-links", "idle", "settled")


class Proton(harness.Broker):
    name = "proton_broker"

    def start(self, settings=()):
        self.port = harness.free_port()
        self.spawn([sys.executable, "-B", os.path.join(HERE, "proton_broker.py"), str(self.port)])
        harness.wait_until(lambda: self.check_alive() or "listening" in self.log(), "its start")
        return self

    def stop(self, signum=None):
        self.process.kill()
        self.process.wait()
        return 0


class OurAmqp(harness.Broker):
    name = "gnatter"

    def start(self, settings=()):
        self.spawn([harness.GNATTER, "broker", "--listen", "amqp://127.0.0.1:0", "--data", "none"])
        listens = re.compile(r"amqp://127\.0\.0\.1:([1-9]\d*)")
        found = harness.wait_until(lambda: self.check_alive() or listens.search(self.log()),
                                   "its start")
        self.port = int(found[1])
        return self


class RabbitMQ(harness.Broker):
    """Debian's, with its plugin for AMQP 1.0; Erlang wants a port mapper beside it."""

    name = "rabbitmq"
    server = next(iter(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")),
                  None)

    def start(self, settings=()):
        self.port, mapper = harness.free_port(), harness.free_port()
        conf = self.write("rabbitmq.conf", f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                                           "amqp1_0.default_user = guest\n")
        said = {"HOME": self.folder, "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODENAME": "interop@localhost",
                "RABBITMQ_DIST_PORT": harness.free_port(),
                "RABBITMQ_MNESIA_BASE": self.folder + "/mnesia",
                "RABBITMQ_LOG_BASE": self.folder + "/log", "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": conf, "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_ENABLED_PLUGINS_FILE": self.write("plugins", "[rabbitmq_amqp1_0].\n")}
        self.mapper = subprocess.Popen(harness.tied(["epmd", "-port", str(mapper), "-address",
                                                     "127.0.0.1"]), stdin=subprocess.DEVNULL)
        os.environ.update({name: str(value) for name, value in said.items()})
        self.spawn([self.server])
        harness.wait_until(lambda: self.check_alive() or "completed with" in self.log(),
                           "its start", 120)
        return self

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def stop(self, signum=None):
        super().stop()
        self.mapper.kill()
        self.mapper.wait()
        return 0


class AtProton(harness.Test):
    def start_broker(self):
        return self.start(Proton(self.folder))

    def test_all(self):
        run(self, self.broker.port, "", (*EVERYWHERE, "drained", "reply-to", "outcomes"))


@unittest.skipUnless(RabbitMQ.server, "rabbitmq-server is not installed")
class AtRabbitMQ(harness.Test):
    def start_broker(self):
        return self.start(RabbitMQ(self.folder))

    def test_all(self):
        # 3.10.8 has no dynamic addresses, and ends a session that drains with an error of its own.
        run(self, self.broker.port, "/queue/", EVERYWHERE)


class AtOurs(harness.Test):
    def start_broker(self):
        return self.start(OurAmqp(self.folder))

    def test_all(self):
        run(self, self.broker.port, "", (*EVERYWHERE, "drained", "reply-to"))


def run(test, port, prefix, checks):
    said = test.process([CLIENT, f"amqp://127.0.0.1:{port}", prefix, *checks]).wait()
    test.assertEqual(said, [f"ok {check}" for check in checks])


if __name__ == "__main__":
    harness.main()
