"""gnatter thermometer at a broker: what it publishes, and a broker that goes away."""
import json
import unittest

import harness

SIM = ["--sensor", "sim:1", "--interval", "50ms"]


class Publishing(harness.Case):
    def test_readings_arrive_as_json(self):
        subscriber = self.subscriber("-t", self.topic + "/#", "-v", "-q", "1")
        self.ok("thermometer", *SIM, "-t", self.topic, "-C", "3")
        for _ in range(3):
            topic, text = subscriber.line().split(b" ", 1)
            self.assertEqual(topic.decode(), self.topic)
            reading = json.loads(text)
            self.assertEqual(list(reading), ["value", "unit", "time", "sensor"])
            self.assertIsInstance(reading["value"], float)
            self.assertEqual((reading["unit"], reading["sensor"]), ("C", "sim:1"))

    def test_a_change_of_the_alert_is_retained(self):
        for limit, alert in ("-20", True), ("120", False):
            self.ok("thermometer", *SIM, "-t", self.topic, "-C", "2", "--alert-above", limit, "-r")
            for topic in self.topic, self.topic + "/alert":
                reading = json.loads(self.ok("sub", "-t", topic, "-C", "1", "-W", "10"))
                self.assertIs(reading["alert"], alert)

    def test_a_signal_ends_it(self):
        subscriber = self.subscriber("-t", self.topic)
        process = self.start("thermometer", *SIM, "-t", self.topic)
        subscriber.line()
        self.assertEqual(harness.terminate(process), 0)
        self.assertEqual(process.text["stderr"], b"")


class Away(unittest.TestCase):
    def test_readings_wait_for_the_broker(self):
        port = harness.free_port()
        process = harness.Process([harness.GNATTER, "thermometer", *SIM, "-p", str(port), "-C",
                                   "5", "-r"])
        self.addCleanup(process.kill)
        process.line("stderr", b"refused by the peer")
        broker = harness.Broker(port=port)
        self.addCleanup(broker.remove)
        process.line("stderr", b"connected to")
        self.assertEqual(process.end(), 0)
        self.assertEqual(len(process.text["stderr"].splitlines()), 2)
        last = harness.Process([harness.GNATTER, "sub", "-p", str(port), "-t", "/pi2mqtt/temp",
                                "-C", "1", "-W", "10"])
        self.addCleanup(last.kill)
        self.assertEqual(last.end(), 0)
        self.assertEqual(json.loads(last.text["stdout"])["unit"], "C")


if __name__ == "__main__":
    unittest.main()
