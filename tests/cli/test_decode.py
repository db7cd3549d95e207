"""gnatter decode: captured bytes of AMQP and MQTT as text."""
import struct
import subprocess
import unittest

import harness


def run(*words, given=b""):
    done = subprocess.run([harness.GNATTER, "decode", *words], input=given, capture_output=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def frame(body, channel=0, kind=0):
    return struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body


def transfer(payload, more=False, number=0):
    """Of handle 0, the delivery NUMBER with a tag of one byte, unsettled."""
    fields = b"\x43" + b"\x52" + bytes([number]) + b"\xa0\x01t" + b"\x43" + b"\x42"
    fields += b"\x41" if more else b"\x42"
    return frame(b"\x00\x53\x14\xc0" + bytes([len(fields) + 1, 6]) + fields + payload)


HEADER = b"AMQP\x00\x01\x00\x00"
OPEN = frame(b"\x00\x53\x10\xc0\x04\x01\xa1\x01c")
MESSAGE = b"\x00\x53\x77\xa1\x05hello"
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01c"


class Amqp(unittest.TestCase):
    def test_frames(self):
        code, out, err = run("amqp", given=HEADER + OPEN + frame(b"", 3) + transfer(MESSAGE))
        self.assertEqual((code, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[:3], ["AMQP 1.0.0", '0 open container-id="c"', "3 (empty)"])
        self.assertIn('0 transfer handle=0 delivery-id=0 delivery-tag=b"t"', lines[3])
        self.assertEqual(lines[4], '    amqp-value "hello"')

    def test_a_message_in_several_frames_is_shown_when_it_is_whole(self):
        for cut in range(1, len(MESSAGE)):
            code, out, _ = run("amqp", given=transfer(MESSAGE[:cut], True) + transfer(MESSAGE[cut:]))
            self.assertEqual(code, 0)
            self.assertEqual([line for line in out.splitlines() if line.startswith("    ")],
                             ['    amqp-value "hello"'])

    def test_hex_in_any_form(self):
        digits = (HEADER + OPEN).hex()
        pairs = [digits[i:i + 2] for i in range(0, len(digits), 2)]
        for text in (digits, digits.upper(), " ".join(pairs), ":".join(pairs), "0x" + digits,
                     ", ".join("0x" + pair for pair in pairs), "\n".join(pairs) + "\r\n"):
            code, out, err = run("amqp", given=text.encode())
            self.assertEqual((code, err), (0, ""), text)
            self.assertEqual(out, 'AMQP 1.0.0\n0 open container-id="c"\n')

    def test_messages_and_values(self):
        self.assertEqual(run("amqp", "--as", "message", given=MESSAGE),
                         (0, 'amqp-value "hello"\n', ""))
        self.assertEqual(run("amqp", "--as", "value", given=b"43 5401 a30161"),
                         (0, "uint 0\nint 1\n'a'\n", ""))

    def test_what_is_wrong_is_told_where_it_stands(self):
        for given, words, why in (
                (HEADER + b"GET / HTTP/1.1\r\n\r\n", (), "at byte 8: not the beginning of a frame"),
                (b"AMQX\x00\x01\x00\x00", (), "at byte 0: neither a frame nor a protocol header"),
                (HEADER + OPEN[:-1], (), "the last 16 bytes are no whole frame"),
                (b"ff" * 8, ("--as", "value"), "at byte 0: not a value"),
                (b"005377a10568", ("--as", "message"), "that is no message"),
                (b"41 4", ("--input", "hex"), "character 4 is no hex digit, or it is half a byte"),
                (b"41 4g", ("--input", "hex"), "character 5 is no hex digit, or it is half a byte")):
            code, _, err = run("amqp", *words, given=given)
            self.assertEqual((code, err), (65, f"gnatter decode: {why}\n"), given)

    def test_what_was_good_is_shown_first(self):
        code, out, _ = run("amqp", given=HEADER + OPEN + b"\x00\x00\x00\x01")
        self.assertEqual((code, len(out.splitlines())), (65, 2))

    def test_a_password_is_not_shown(self):
        init = frame(b"\x00\x53\x41\xc0\x15\x02\xa3\x05PLAIN\xa0\x0b\x00ann\x00secret", kind=1)
        code, out, _ = run("amqp", given=b"AMQP\x03\x01\x00\x00" + init)
        self.assertEqual(code, 0)
        self.assertIn("sasl-init mechanism='PLAIN' initial-response=(11 bytes)", out)
        self.assertNotIn("secret", out)

    def test_long_ones_are_cut(self):
        long = b"\x00\x53\x75\xb0" + struct.pack(">I", 100000) + bytes(100000)
        _, out, _ = run("amqp", "--max", "100", given=transfer(long))
        self.assertTrue(all(len(line) <= 104 for line in out.splitlines()))
        self.assertTrue(out.endswith("...\n"))


class Mqtt(unittest.TestCase):
    def test_packets(self):
        given = CONNECT + b"\x32\x0a\x00\x03a/b\x00\x07hey" + b"\xe0\x00"
        self.assertEqual(run("mqtt", given=given), (0, (
            'CONNECT version=3.1.1 client-id="c" clean-session keep-alive=10\n'
            'PUBLISH qos=1 id=7 topic="a/b" payload=b"hey"\n'
            "DISCONNECT\n"), ""))

    def test_the_version_counts(self):
        connack = b"\x20\x02\x00\x05"
        code, out, _ = run("mqtt", "--mqtt-version", "3.1.1", given=connack)
        self.assertEqual((code, out), (0, "CONNACK code=0x05 (not authorized)\n"))
        self.assertEqual(run("mqtt", given=connack)[0], 65)

    def test_what_is_wrong(self):
        self.assertEqual(run("mqtt", given=CONNECT + b"\x10\x02\x00\x00"), (65, (
            'CONNECT version=3.1.1 client-id="c" clean-session keep-alive=10\n'),
            "gnatter decode: at byte 15: a broken CONNECT of 4 bytes\n"))


class Usage(unittest.TestCase):
    def test_mistakes(self):
        for words, code, why in (
                (("http",), 64, "unknown protocol 'http': amqp or mqtt is expected"),
                (("mqtt", "--as", "value"), 64, "--as is for amqp"),
                (("amqp", "/nonexistent/file"), 66, "/nonexistent/file: No such file or directory")):
            self.assertEqual(run(*words)[::2], (code, f"gnatter decode: {why}\n"))

    def test_frames_are_shown_as_they_come(self):
        process = harness.Process([harness.GNATTER, "decode", "mqtt"], stdin=subprocess.PIPE)
        self.addCleanup(process.kill)
        process.popen.stdin.write(CONNECT)
        process.popen.stdin.flush()
        self.assertIn(b"CONNECT", process.line())
        process.popen.stdin.close()
        self.assertEqual(process.end(), 0)


if __name__ == "__main__":
    unittest.main()
