#!/usr/bin/env python3
"""Our commands at mosquitto's broker, among themselves and together with mosquitto's commands."""

import harness
from commands import GNATTER_PUB, GNATTER_SUB, MOSQUITTO_PUB, MOSQUITTO_SUB, Commands


class AtMosquitto(Commands):
    def start_broker(self):
        return self.start(harness.Mosquitto(self.folder), self.settings)


class Ours(AtMosquitto, harness.Test):
    pub, sub = GNATTER_PUB, GNATTER_SUB


class OursOverWebSocket(AtMosquitto, harness.Test):
    pub, sub = GNATTER_PUB, GNATTER_SUB
    # mosquitto 2.0.11 never sends a larger packet over WebSocket, to MQTT.js neither.
    large = 64 * 1024

    def at(self):
        return ["--url", f"ws://127.0.0.1:{self.broker.web_port}/mqtt"]


class OursToTheirs(AtMosquitto, harness.Test):
    pub, sub = GNATTER_PUB, MOSQUITTO_SUB
    # Whoever publishes: mosquitto 2.0.11 sends more QoS 2 messages than mosquitto_sub's receive
    # maximum allows, and mosquitto_sub ends with a protocol error.
    unfit = (("mqttv5", "2"),)


class TheirsToOurs(AtMosquitto, harness.Test):
    pub, sub = MOSQUITTO_PUB, GNATTER_SUB


if __name__ == "__main__":
    harness.main()
