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


class Ours(harness.Broker):
    """Ours: `ports` by scheme, certificates in `pki`, and a user who is known by SCRAM."""

    name = "gnatter"

    def start(self, settings=()):
        self.pki, users = self.folder + "/pki", self.folder + "/users"
        harness.run([harness.GNATTER, "cert", "init", "--dir", self.pki, "--name", "localhost"])
        harness.run([harness.GNATTER, "passwd", "--scram", "--create", users, "user"], b"secret\n")
        words = [harness.GNATTER, "broker", "--data", "none", "--allow-anonymous",
                 "--pfx", self.pki + "/server.pfx", "--ca", self.pki + "/ca.pem",
                 "--set", "users=" + users, "--set", "limits.packet=64MiB"]
        for scheme in ("amqp", "amqps", "http", "https"):
            words += ["--listen", scheme + "://127.0.0.1:0"]
        self.spawn(words)
        ready = re.compile(r" ready listen=(.*?) workers=")
        said = harness.wait_until(lambda: self.check_alive() or ready.search(self.log()), "start")
        self.ports = dict(re.findall(r"(\w+)://127\.0\.0\.1:(\d+)", said[1]))
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
        return self.start(Ours(self.folder))

    def test_all(self):
        run(self, self.broker.ports["amqp"], "", (*EVERYWHERE, "huge", "drained", "reply-to",
                                               "selector", "browse", "transaction"))

    def test_every_transport(self):
        for scheme, listener in (("amqps", "amqps"), ("ws", "http"), ("wss", "https")):
            url = f"{scheme}://localhost:{self.broker.ports[listener]}"
            self.ask(url, ("in-order", "large"), **(self.tls() if listener != "http" else {}))

    def tls(self):
        return {"AMQP_CA": self.broker.pki + "/ca.pem", "AMQP_PFX": self.broker.pki + "/client.pfx"}

    def ask(self, url, checks, **settings):
        done = subprocess.run([CLIENT, url, "", *checks], env={**os.environ, **settings},
                              check=False, capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual((done.returncode, done.stdout.decode().split("\n")[:-1], done.stderr),
                         (0, [f"ok {check}" for check in checks], b""))

    def test_mechanisms(self):
        plain, tls = self.broker.ports["amqp"], self.broker.ports["amqps"]
        self.ask(f"amqp://user:secret@127.0.0.1:{plain}", ("mechanism",),
                 AMQP_MECHANISM="SCRAM-SHA-512")
        self.ask(f"amqp://127.0.0.1:{plain}", ("mechanism",), AMQP_MECHANISM="ANONYMOUS")
        self.ask(f"amqps://localhost:{tls}", ("mechanism",), AMQP_MECHANISM="EXTERNAL",
                 **self.tls())

    def test_wrong_password(self):
        done = subprocess.run([CLIENT, f"amqp://user:wrong@127.0.0.1:{self.broker.ports['amqp']}",
                               "", "in-order"], check=False, capture_output=True,
                              timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"does not accept user and password", done.stderr)


def run(test, port, prefix, checks):
    said = test.process([CLIENT, f"amqp://127.0.0.1:{port}", prefix, *checks]).wait()
    test.assertEqual(said, [f"ok {check}" for check in checks])


if __name__ == "__main__":
    harness.main()
