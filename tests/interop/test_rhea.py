#!/usr/bin/env python3
"""rhea, an AMQP 1.0 client in JavaScript, at a gnatter broker: rhea.js has the tests, this starts the
broker and node."""

import harness


class Rhea(harness.Test):
    settings = ("limits.packet=64MiB",)

    def test_rhea(self):
        harness.run_node(self, "rhea.js", seconds=280, PORT=str(self.broker.amqp_port),
                         WEB_PORT=str(self.broker.web_port), MQTT_PORT=str(self.broker.port))


if __name__ == "__main__":
    harness.need_node_module("rhea")
    harness.main()
