#!/usr/bin/env python3
"""The commands, mosquitto's and ours, at a gnatter broker."""

import harness
from commands import (GNATTER_PUB, GNATTER_SUB, MOSQUITTO_PUB, MOSQUITTO_SUB, VERSIONS, Commands)


class Mosquitto(Commands, harness.Test):
    pub, sub = MOSQUITTO_PUB, MOSQUITTO_SUB

    def test_request_and_response(self):
        for version in VERSIONS:
            asked = self.subscriber("-V", "mqttv5", "-t", "question", "-q", "1", "-C", "1",
                                    show="%p %R %D")
            asker = self.process(["mosquitto_rr", *self.at(), "-V", "mqttv5", "-t", "question",
                                  "-e", "answer", "-m", version, "-q", "1",
                                  "-D", "publish", "correlation-data", "id7"])
            self.assertEqual(self.got(asked), [f"{version} answer id7"])
            self.publish("-V", version, "-t", "answer", "-m", f"yes: {version}", "-q", "1")
            self.assertEqual(asker.wait(), [f"yes: {version}"])


class Gnatter(Commands, harness.Test):
    pub, sub = GNATTER_PUB, GNATTER_SUB


if __name__ == "__main__":
    harness.main()
