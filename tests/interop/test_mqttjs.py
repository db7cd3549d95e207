#!/usr/bin/env python3
"""MQTT.js at a gnatter broker: mqttjs.js has the tests, this starts the broker and node."""

import os
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.abspath(__file__))


class MqttJs(harness.Test):
    settings = ("limits.packet=16MiB", "sys_interval=200ms")

    def url(self):
        return f"mqtt://127.0.0.1:{self.broker.port}"

    def test_mqttjs(self):
        environment = dict(os.environ, BROKER=self.url())
        done = subprocess.run(harness.tied(["node", "--test-reporter=spec", "mqttjs.js"]), cwd=HERE,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=200, check=False)
        sys.stderr.write(done.stdout.decode(errors="replace"))
        self.assertEqual(done.returncode, 0, "node's exit code")


if __name__ == "__main__":
    if not os.path.isdir(os.path.join(HERE, "node_modules", "mqtt")):
        sys.exit("MQTT.js is missing: script/deps installs it")
    harness.main()
