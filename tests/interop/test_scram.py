#!/usr/bin/env python3
"""Users of a gnatter broker whose clients are not ours: MQTT.js by SCRAM-SHA-256, Paho by password."""

import os
import pathlib
import sys
import tempfile
import threading

import paho.mqtt.client as paho

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scram  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="gnatter-scram-")
USERS = os.path.join(FOLDER.name, "users")
with open(os.open(USERS, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as users:
    for user, password in (("ann", "secret"), ("bob", "other")):
        users.write(f"{user}:{scram.verifiers(password)}\n")


class Scram(harness.Test):
    settings = (f"users={USERS}", "allow_anonymous=false")

    def test_mqttjs(self):
        for method in scram.METHODS:
            with self.subTest(method):
                self.mqttjs(method)

    def mqttjs(self, method):
        harness.run_node(self, "scram.js", seconds=100, METHOD=method,
                         BROKER=f"mqtt://127.0.0.1:{self.broker.port}")


class Password(harness.Test):
    settings = (f"users={USERS}", "allow_anonymous=false")

    def connack(self, protocol, user, password):
        """The code of the CONNACK that Paho gets."""
        codes, came = [], threading.Event()

        def on_connect(_client, _userdata, _flags, code, _properties=None):
            codes.append(code if isinstance(code, int) else code.value)
            came.set()
        client = paho.Client("", protocol=protocol)
        client.on_connect = on_connect
        if user:
            client.username_pw_set(user, password)
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        try:
            self.assertTrue(came.wait(harness.PATIENCE), "CONNACK")
        finally:
            client.disconnect()
            client.loop_stop()
        return codes[0]

    def test_paho(self):
        for protocol, wrong, none in ((paho.MQTTv311, 4, 5), (paho.MQTTv5, 0x86, 0x87)):
            self.assertEqual(self.connack(protocol, "ann", "secret"), 0)
            self.assertEqual(self.connack(protocol, "bob", "other"), 0)
            self.assertEqual(self.connack(protocol, "ann", "other"), wrong)
            self.assertEqual(self.connack(protocol, "nobody", "secret"), wrong)
            self.assertEqual(self.connack(protocol, None, None), none)


if __name__ == "__main__":
    harness.need_node_module("mqtt")
    harness.main()
