#!/usr/bin/env python3
"""rhea, an AMQP 1.0 client in JavaScript, at a gnatter broker: rhea.js has the tests, this starts the
broker and node."""

import os
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.abspath(__file__))


class Rhea(harness.Test):
    settings = ("limits.packet=64MiB",)

    def test_rhea(self):
        environment = dict(os.environ, PORT=str(self.broker.amqp_port),
                           WEB_PORT=str(self.broker.web_port), MQTT_PORT=str(self.broker.port))
        done = subprocess.run(harness.tied(["node", "--test-reporter=spec", "rhea.js"]), cwd=HERE,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=280, check=False)
        sys.stderr.write(done.stdout.decode(errors="replace"))
        self.assertEqual(done.returncode, 0, "node's exit code")


if __name__ == "__main__":
    if not os.path.isdir(os.path.join(HERE, "node_modules", "rhea")):
        sys.exit("rhea is missing: script/deps installs it")
    harness.main()
