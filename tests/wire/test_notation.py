#!/usr/bin/env python3
"""The language of the scripts: bytes written, packets matched, a broker caught that is wrong."""

import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from notation import Mistake, Notation, properties  # noqa: E402

RUN = pathlib.Path(__file__).resolve().parent / "run"


def data(text, version=5):
    return Notation(text, version, {"{}": "u", "{me}": "ua"}).data().hex()


def matches(text, packet, version=5):
    return Notation(text, version, {"{}": "u", "{me}": "ua"}).matches(bytes.fromhex(packet))


class Written(unittest.TestCase):
    def test_as_in_the_tests_of_the_codec(self):
        self.assertEqual(data("10 | ['MQTT'] 05 02 003c (21 0014) ['c']"),
                         "101100044d5154540502003c03210014000163")

    def test_names_flags_and_versions(self):
        self.assertEqual(data("PUBLISH.dup.qos1.retain ['a'] 0001 5() 'x'"), "3b0700016100010078")
        self.assertEqual(data("PUBLISH.dup.qos1.retain ['a'] 0001 5() 'x'", 4), "3b06000161000178")
        self.assertEqual(data("UNSUBACK 0001 5{() 00}", 4), "b0020001")
        self.assertEqual(data("V ['{}' '{me}']", 3), "030003757561")
        self.assertEqual(data("PINGREQ PINGREQ PUBREL 0001"), "c000c00062020001")

    def test_repeated(self):
        self.assertEqual(data("'ab'*2 00*3"), "61626162000000")
        self.assertEqual(data("PUBLISH ['a'] 'x'*200")[:6], "30cb01")

    def test_mistakes(self):
        for text in ("CONECT", "PUBLISH.qos3", "(00", "zz", "'open"):
            with self.assertRaises(Mistake, msg=text):
                data(text)
        with self.assertRaises(Mistake):
            data("PUBACK ??")


class Properties(unittest.TestCase):
    def test_each_kind(self):
        given = bytes.fromhex("11 00000005 0b 8001 15 0001 6d 26 0001 61 0001 62 16 0000 24 01")
        self.assertEqual(list(properties(given)), [
            (0x11, b"\0\0\0\5"), (0x0B, b"\x80\1"), (0x15, b"m"), (0x26, b"b"), (0x16, b""),
            (0x24, b"\1")])


class Matched(unittest.TestCase):
    def test_gaps(self):
        with_format, without = "3007 000161 020101 78", "3005 000161 00 78"
        self.assertTrue(matches("PUBLISH ['a'] (...) 'x'", with_format))
        self.assertTrue(matches("PUBLISH ['a'] (...) 'x'", without))
        self.assertFalse(matches("PUBLISH ['a'] () 'x'", with_format))
        self.assertFalse(matches("PUBLISH ['a'] (...) 'y'", with_format))
        self.assertTrue(matches("SUBACK ?? ?? () 00", "9004 1234 00 00"))
        self.assertFalse(matches("SUBACK ?? ?? () 00", "9004 1234 00 01"))
        two = "3008 000161 04 0101 0b01"
        self.assertTrue(matches("PUBLISH ['a'] (... 0b01 ...)", two))
        self.assertFalse(matches("PUBLISH ['a'] (0b01 ...)", two))
        self.assertTrue(matches("PUBLISH ['a'] (!1a,23)", two))
        self.assertFalse(matches("PUBLISH ['a'] (!1a,0b)", two))
        self.assertFalse(matches("CONNACK 00 00 (!1a)", "200d 0000 0a 2600016b000176 1a0000"))
        self.assertTrue(matches("CONNACK 00 00 (!1f)", "200d 0000 0a 2600016b000176 1a0000"))

    def test_codes(self):
        self.assertTrue(matches("PUBACK 0001 code=00", "4002 0001"))
        self.assertTrue(matches("PUBACK 0001 code=00|10", "4003 0001 10"))
        self.assertFalse(matches("PUBACK 0001 code=10", "4002 0001"))
        self.assertTrue(matches("DISCONNECT code=82", "e006 82 04 1f000178"))
        self.assertFalse(matches("DISCONNECT code=82", "e001 81"))


class Ran(unittest.TestCase):
    """Against a broker that answers every connection with the same bytes."""

    def run_script(self, script, answer):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            peer = server.accept()[0]
            peer.recv(1000)
            peer.sendall(bytes.fromhex(answer))
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1000):
                pass
            peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with tempfile.NamedTemporaryFile("w", suffix=".wire") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                [sys.executable, "-B", str(RUN), "--port", str(server.getsockname()[1]), file.name],
                capture_output=True, text=True, timeout=30, check=False)
        thread.join(10)
        server.close()
        return done

    def test_right_and_wrong(self):
        right = self.run_script("client a\nconnect\nclosed\n", "2003000000")
        self.assertEqual(right.returncode, 0, right.stdout)
        for script, answer in (("client a\nconnect\nclosed\n", "2003008700"),
                               ("client a\nconnect\nclosed\n", ""),
                               ("client a\nconnect\nclosed\n", "2003000000d000"),
                               ("client a\nconnect\nexpect PINGRESP\n", "2003000000"),
                               ("client a\nconnect\nclosed after 5 s\n", "2003000000"),
                               ("client a\nconnect\n", "2003000000")):
            wrong = self.run_script(script, answer)
            self.assertEqual(wrong.returncode, 1, (script, answer, wrong.stdout))
            self.assertIn("0 passed, 1 failed", wrong.stdout)

    def test_unknown_verb(self):
        with tempfile.NamedTemporaryFile("w", suffix=".wire") as file:
            file.write("client a\nsned PINGREQ\n")
            file.flush()
            done = subprocess.run([sys.executable, "-B", str(RUN), file.name], check=False,
                                  capture_output=True, text=True, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(":2: there is no verb 'sned'", done.stderr)


if __name__ == "__main__":
    unittest.main()
