"""gnatter bench at a broker: every scenario counts what must come, and says what it saw."""
import json
import os
import signal
import unittest

import harness

SHORT = ["--duration", "300ms", "--warm-up", "100ms", "--rate", "2000"]
FAN = {"pairs": 1, "fan-in": 2, "fan-out": 3, "shared": 2, "wild": 1}


class Load(harness.Case):
    def runs(self, *argv):
        return json.loads(self.ok("bench", "--json", *SHORT, *argv))["runs"]

    def test_every_scenario_at_every_qos(self):
        for qos in range(3):
            for name, fan in FAN.items():
                sizes = {"pairs": (4, 4), "fan-out": (1, 3)}.get(name, (4, 2))
                [run] = self.runs("-s", name, "-q", qos, "--publishers", sizes[0],
                                  "--subscribers", sizes[1], "--groups", 2)
                self.assertEqual(run["received"], fan * run["sent"], run)
                self.assertEqual(run["expected"], run["received"])
                # All that was due in 0.4 s, whatever the machine had to do meanwhile.
                self.assertGreaterEqual(run["sent"], 800)
                self.assertEqual(run["lost"] + run["duplicated"] + run["disordered"]
                                 + run["malformed"] + run["closed"] + run["not_sent"], 0, run)
                self.assertGreater(run["p50_us"], 0)
                self.assertGreaterEqual(run["max_us"], run["p999_us"])

    def test_mqtt_5_and_large_messages_as_fast_as_it_goes(self):
        [run] = self.runs("-V", "5", "-q", "1", "--rate", "0", "--size", "20KiB", "--publishers",
                          "3", "--credit", "50")
        self.assertGreater(run["received"], 0)
        self.assertEqual(run["lost"], 0)

    def test_idle_connections_come_up_at_the_ramp(self):
        [run] = self.runs("-s", "idle", "--subscribers", "100", "--ramp", "200")
        self.assertEqual((run["connected"], run["received"]), (100, 0))
        self.assertGreaterEqual(run["connect_s"], 0.49)

    def test_targets_in_turns(self):
        url = f"mqtt://127.0.0.1:{self.broker.port},pid={self.broker.process.popen.pid}"
        text = self.ok("bench", *SHORT, "--publishers", "2", "-t", f"one={url}", "-t",
                       f"two={url}", "--rounds", "2").decode()
        self.assertEqual(text.count("\none (") + text.count("\ntwo ("), 4)
        self.assertIn("pairs: medians of 2 rounds; ratio to one\n", text)
        self.assertRegex(text, r"\n  broker CPU, us/delivery +[\d.]+ +[\d.]+ +[\d.]+\n")
        self.assertRegex(text, r"\n  lost 0  duplicated 0  disordered 0  malformed 0\n")

    def test_a_signal_ends_it_with_what_there_is(self):
        process = self.start("bench", "--live", "--duration", "1h", "--rate", "1000", "--json")
        process.line("stderr", b"measuring")
        process.send(signal.SIGINT)
        process.end()
        [run] = json.loads(process.text["stdout"])["runs"]
        self.assertGreater(run["received"], 0)
        self.assertLess(run["seconds"], 3600)


class Away(unittest.TestCase):
    def test_no_broker(self):
        process = harness.Process([harness.GNATTER, "bench", "-p", str(harness.free_port())])
        self.addCleanup(process.kill)
        self.assertEqual(process.end(), os.EX_UNAVAILABLE)
        self.assertIn(b"failed: cannot connect", process.text["stdout"])


if __name__ == "__main__":
    unittest.main()
