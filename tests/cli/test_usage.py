"""What the command says to people: help, mistakes, and failures without a broker."""
import os
import re
import subprocess
import unittest

import harness

COMMANDS = ["bench", "broker", "cert", "decode", "passwd", "peek", "pub", "queue",
            "receive", "send", "store", "sub", "thermometer"]


def run(*argv, **options):
    done = subprocess.run([harness.GNATTER, *argv], stdin=subprocess.DEVNULL, check=False,
                          capture_output=True, timeout=harness.PATIENCE, text=True, **options)
    return done.returncode, done.stdout, done.stderr


class Help(unittest.TestCase):
    def test_overview(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        for command in COMMANDS:
            self.assertRegex(out, rf"\n  {command} +\w")
        self.assertEqual(run("help"), (0, out, ""))
        self.assertEqual(run(), (64, "", out))

    def test_each_command(self):
        for command in COMMANDS:
            code, out, err = run(command, "--help")
            self.assertEqual((code, err), (0, ""), command)
            self.assertEqual(run("help", command), (0, out, ""))
            self.assertTrue(out.startswith(f"Usage: gnatter {command} "), out)
            self.assertRegex(out, rf"\n\nExamples:\n  gnatter {command}\b")
            self.assertIn("Exit codes: 0", out)
            self.assertLessEqual(max(len(line) for line in out.splitlines()), 80)

    def test_version(self):
        code, out, err = run("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^gnatter \d+\.\d+\.\d+\n$")
        self.assertEqual(run("version"), (0, out, ""))
        for command in COMMANDS:
            self.assertEqual(run(command, "--version"), (0, out, ""))

    def test_a_closed_output_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([harness.GNATTER, "sub", "--help"], stdout=full, check=False,
                                  timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, 74)


class Mistakes(unittest.TestCase):
    def test_unknown_command(self):
        self.assertEqual(run("brokr"), (64, "", "gnatter: unknown command 'brokr', did you mean "
                                                "'broker'?\n"))
        self.assertEqual(run("bananas"), (64, "", "gnatter: unknown command 'bananas', see gnatter "
                                                  "--help\n"))
        self.assertEqual(run("help", "subb")[0], 64)
        self.assertIn(r"\x1b", run("a\x1b[31m")[2])

    def test_wrong_usage(self):
        for argv, expected in {
                ("sub",): "a topic is missing: -t FILTER",
                ("sub", "-t", "a/#/b"): "expected a topic filter",
                ("sub", "-t", "x", "-q", "3"): "expected an integer from 0 to 2",
                ("sub", "-t", "x", "-V", "9"): "-V: expected mqttv31",
                ("sub", "-t", "x", "-c"): "needs a client id",
                ("sub", "-t", "x", "-V", "5", "-x", "-1"): "needs a client id",
                ("sub", "-t", "x", "-x", "5"): "-x needs MQTT 5",
                ("sub", "-t", "x", "-P", "secret"): "a password needs a user name",
                ("sub", "-t", "x", "-i", "a", "-I", "b"): "exclude each other",
                ("sub", "-t", "x", "-F", "%z"): "'%z' is no sequence of a format",
                ("sub", "-t", "x", "-R", "--retained-only"): "leave nothing",
                ("sub", "-t", "x", "--will-qos", "1"): "a will needs --will-topic",
                ("sub", "-t", "x", "-D", "subscribe", "content-type", "x"):
                    "subscribe cannot have the property content-type",
                ("sub", "-t", "x", "--formt", "%p"): "did you mean '--format'?",
                ("sub", "-t", "x", "-p", "0"): "expected an integer from 1 to 65535",
                ("sub", "-t", "x", "--will-topic", "a/+"): "",
                ("sub", "x"): "unexpected word 'x'",
                ("pub", "-m", "x"): "a topic is missing: -t TOPIC",
                ("pub", "-t", "x"): "exactly one of -m, -f, -l, -s and -n",
                ("pub", "-t", "x", "-m", "a", "-n"): "exactly one of -m, -f, -l, -s and -n",
                ("pub", "-t", "x/#", "-m", "a"): "expected a topic name",
                ("pub", "-t", "x", "-l", "--repeat", "2"): "exclude each other",
                ("pub", "-t", "x", "-m", "a", "--repeat-delay", "soon"): "expected seconds",
                ("send", "-m", "x"): "",
                ("send", "q"): "exactly one of -m, -f, -l, -s and -n",
                ("send", "q", "-m", "a", "-n"): "exactly one of -m, -f, -l, -s and -n",
                ("send", "q", "-l", "--count", "2"): "exclude each other",
                ("send", "q", "-m", "a", "--rate", "0"): "expected messages a second",
                ("send", "q", "-m", "a", "-D", "level:int=x"): "as the int level",
                ("send", "q", "-m", "a", "--ttl", "soon"): "--ttl: expected",
                ("send", "q", "-m", "a", "--auth-method", "X"): "expected auto",
                ("send", "q", "-m", "a", "-P", "x"): "a password needs a user name",
                ("send", "q", "-m", "a", "--url", "mqtt://localhost"): "expected amqp://HOST:PORT",
                ("receive",): "",
                ("receive", "q", "--release", "--reject"): "exclude each other",
                ("receive", "q", "--json", "-v"): "exclude each other",
                ("receive", "q", "-C", "0"): "expected an integer from 1",
                ("peek", "q", "--release"): "unknown option '--release'",
                ("queue",): "",
                ("queue", "lst"): "expected list, show, create",
                ("thermometer",): "a sensor is missing: --sensor tmp102:",
                ("thermometer", "--sensor", "sin"): "sin",
                ("thermometer", "--sensor", "sim", "--interval", "5"): "--interval: expected",
                ("thermometer", "--sensor", "sim", "--alert-above", "hot"): "expected degrees",
                ("thermometer", "--sensor", "sim", "--alert-until", "5"): "needs --alert-above",
                ("thermometer", "--sensor", "sim", "--alert-above", "5", "--alert-until", "6"):
                    "--alert-until is above",
        }.items():
            code, out, err = run(*argv)
            self.assertEqual((code, out), (64, ""), (argv, err))
            self.assertIn(expected, err, argv)
            self.assertTrue(err.startswith(f"gnatter {argv[0]}: "), err)

    def test_unreadable_files(self):
        code, _, err = run("pub", "-t", "x", "-f", "/nonexistent/file")
        self.assertEqual((code, err), (66, "gnatter pub: cannot open /nonexistent/file: No such "
                                           "file or directory\n"))
        self.assertEqual(run("pub", "-t", "x", "-f", "/")[0], 66)


class NoBroker(unittest.TestCase):
    def test_nobody_listens(self):
        port = str(harness.free_port())
        for argv in ("sub", "-t", "x"), ("pub", "-t", "x", "-m", "y"), \
                ("pub", "-t", "x", "-l"):
            code, out, err = run(*argv, "-p", port)
            self.assertEqual((code, out), (69, ""))
            self.assertEqual(err, f"gnatter {argv[0]}: cannot connect to localhost port {port}: "
                                  "refused by the peer. Is a broker running there? Start one with: "
                                  "gnatter broker\n")
            self.assertEqual(run(*argv, "-p", port, "--quiet"), (69, "", ""))

    def test_no_such_host(self):
        code, _, err = run("sub", "-t", "x", "-h", "no-such-host.invalid")
        self.assertEqual(code, 68)
        self.assertIn("host name not found. Check the name (--host).", err)


class Thermometer(unittest.TestCase):
    READING = re.compile(r'{"value":-?\d+\.\d+,"unit":"C","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d'
                         r'\.\d{3}Z","sensor":"sim:1"(,"alert":(true|false))?}')

    def test_print(self):
        code, out, err = run("thermometer", "--sensor", "sim:1", "--interval", "10ms", "-C", "3",
                             "--print")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(len(out.splitlines()), 3)
        for line in out.splitlines():
            self.assertRegex(line, self.READING)
            self.assertNotIn("alert", line)

    def test_alert(self):
        for limit, alert in ("-20", "true"), ("120.5", "false"):
            code, out, _ = run("thermometer", "--sensor", "sim:1", "-C", "1", "--print",
                               "--alert-above", limit)
            self.assertEqual(code, 0)
            self.assertIn(f'"alert":{alert}}}', out)

    def test_a_reader_that_goes(self):
        reader, writer = os.pipe()
        process = subprocess.Popen([harness.GNATTER, "thermometer", "--sensor", "sim", "--interval",
                                    "20ms", "--print"], stdout=writer, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        os.close(writer)
        self.assertTrue(os.read(reader, 10).startswith(b"{"))
        os.close(reader)
        _, err = process.communicate(timeout=harness.PATIENCE)
        self.assertEqual((process.returncode, err), (0, b""))

    def test_a_sensor_that_is_not_there_is_told_once(self):
        process = harness.Process([harness.GNATTER, "thermometer", "--sensor",
                                   "tmp102:/dev/nonexistent-bus@0x48", "--interval", "20ms",
                                   "--print"])
        self.addCleanup(process.kill)
        process.line("stderr", b"Trying again at every interval.")
        with self.assertRaises(subprocess.TimeoutExpired):
            process.popen.wait(0.3)  # lives, and says no more
        self.assertEqual(harness.terminate(process), 0)
        self.assertEqual(process.text["stdout"], b"")
        self.assertEqual(len(process.text["stderr"].splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
