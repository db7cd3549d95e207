#!/usr/bin/env python3
"""Clients that are not ours at a gnatter broker by TLS, with what `gnatter cert init` makes:
mosquitto's commands and Paho with client certificates, MQTT.js over wss."""

import os
import subprocess
import tempfile

import harness
import test_mqttjs
import test_paho
from commands import MOSQUITTO_PUB, MOSQUITTO_SUB, Commands
from paho_client import V311, V5

FOLDER = tempfile.TemporaryDirectory(prefix="gnatter-tls-")
CA, CERTIFICATE, KEY, SERVER, SERVER_KEY = (
    os.path.join(FOLDER.name, "pki", name)
    for name in ("ca.pem", "client.pem", "client.key", "server.pem", "server.key"))


class Gnatter(harness.Gnatter):
    """`port` is of an mqtts listener, `web_port` of one for https."""

    def start(self, settings=(), workers=harness.WORKERS):
        words = [harness.GNATTER, "broker", "--listen", "mqtts://127.0.0.1:0", "--listen",
                 "https://127.0.0.1:0", "--certificate", SERVER, "--key", SERVER_KEY, "--ca", CA,
                 "--data", "none", "--workers", str(workers)]
        for setting in settings:
            words += ["--set", setting]
        self.spawn(words)
        return self.wait_for_port()


class ByTls:
    """Mixed into a harness.Test."""

    def start_broker(self):
        return self.start(Gnatter(self.folder), self.settings)


class Mosquittos(ByTls, Commands, harness.Test):
    pub, sub = MOSQUITTO_PUB, MOSQUITTO_SUB

    def at(self):
        return ["-h", "localhost", "-p", str(self.broker.port), "--cafile", CA, "--cert",
                CERTIFICATE, "--key", KEY]

    def test_without_a_certificate(self):
        done = subprocess.run([*MOSQUITTO_PUB, "-h", "localhost", "-p", str(self.broker.port),
                               "--cafile", CA, "-t", "t", "-m", "m", "-q", "1"],
                              capture_output=True, timeout=harness.PATIENCE, check=False)
        self.assertNotEqual(done.returncode, 0)
        harness.wait_until(lambda: "missing client certificate" in self.broker.log(), "a line")


class Paho(ByTls, test_paho.Common):
    tls = {"ca_certs": CA, "certfile": CERTIFICATE, "keyfile": KEY}
    large = 1024 * 1024  # Paho reads byte by byte


class PahoV311(Paho, harness.Test):
    version = V311


class PahoV5(Paho, harness.Test):
    version = V5


class PahoWebSocket(Paho, harness.Test):
    version = V5
    transport = "websockets"
    large = 64 * 1024


class MqttJs(ByTls, test_mqttjs.MqttJs):
    settings = (*test_mqttjs.MqttJs.settings, "client_certificates=optional")

    def setUp(self):
        os.environ["NODE_EXTRA_CA_CERTS"] = CA
        super().setUp()

    def url(self):
        return f"wss://localhost:{self.broker.web_port}/mqtt"


class MqttJsPlain(MqttJs):
    def url(self):
        return f"mqtts://localhost:{self.broker.port}"


if __name__ == "__main__":
    harness.need_node_module("mqtt")
    if harness.GNATTER:
        harness.run([harness.GNATTER, "cert", "init", "--dir", os.path.join(FOLDER.name, "pki")])
    harness.main()
