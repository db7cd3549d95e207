#!/usr/bin/env python3
"""MQTT.js at a gnatter broker: mqttjs.js has the tests, this starts the broker and node."""

import harness


class MqttJs(harness.Test):
    settings = ("limits.packet=16MiB", "sys_interval=200ms")

    def url(self):
        return f"mqtt://127.0.0.1:{self.broker.port}"

    def test_mqttjs(self):
        harness.run_node(self, "mqttjs.js", BROKER=self.url())


if __name__ == "__main__":
    harness.need_node_module("mqtt")
    harness.main()
