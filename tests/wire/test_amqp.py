#!/usr/bin/env python3
"""The AMQP of the scripts: its codec by the standard's tables, its text, a peer that is wrong."""

import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import amqp  # noqa: E402
from amqp import Malformed, Value, decode, encode, parse, parse_frame, sections  # noqa: E402
from amqp_text import Expected, Mistake, Text, build, read_frames  # noqa: E402

RUN = pathlib.Path(__file__).resolve().parent / "run"
WORDS = {"{}": "u", "{me}": "ua"}

# [AMQP 1.6]: a value and all its encodings, the smallest first.
SAME = (
    ("null", None, "40"),
    ("boolean", True, "41", "56 01"),
    ("boolean", False, "42", "56 00"),
    ("ubyte", 0, "50 00"),
    ("ubyte", 255, "50 ff"),
    ("ushort", 0x1234, "60 12 34"),
    ("uint", 0, "43", "52 00", "70 00 00 00 00"),
    ("uint", 255, "52 ff", "70 00 00 00 ff"),
    ("uint", 256, "70 00 00 01 00"),
    ("uint", 2 ** 32 - 1, "70 ff ff ff ff"),
    ("ulong", 0, "44", "53 00", "80 00 00 00 00 00 00 00 00"),
    ("ulong", 255, "53 ff", "80 00 00 00 00 00 00 00 ff"),
    ("ulong", 2 ** 64 - 1, "80 ff ff ff ff ff ff ff ff"),
    ("byte", -128, "51 80"),
    ("byte", 127, "51 7f"),
    ("short", -2, "61 ff fe"),
    ("int", -128, "54 80", "71 ff ff ff 80"),
    ("int", 127, "54 7f", "71 00 00 00 7f"),
    ("int", 128, "71 00 00 00 80"),
    ("int", -129, "71 ff ff ff 7f"),
    ("int", -2 ** 31, "71 80 00 00 00"),
    ("long", -1, "55 ff", "81 ff ff ff ff ff ff ff ff"),
    ("long", 2 ** 63 - 1, "81 7f ff ff ff ff ff ff ff"),
    ("float", bytes.fromhex("3fc00000"), "72 3f c0 00 00"),
    ("float", bytes.fromhex("7fc00001"), "72 7f c0 00 01"),
    ("double", bytes.fromhex("8000000000000000"), "82 80 00 00 00 00 00 00 00"),
    ("decimal32", bytes(4), "74 00 00 00 00"),
    ("decimal64", bytes(8), "84 00 00 00 00 00 00 00 00"),
    ("decimal128", bytes(range(16)), "94 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"),
    ("char", "A", "73 00 00 00 41"),
    ("char", "\U0010ffff", "73 00 10 ff ff"),
    ("timestamp", 1311704463521, "83 00 00 01 31 67 ad b8 a1"),
    ("timestamp", -1, "83 ff ff ff ff ff ff ff ff"),
    ("uuid", bytes(range(16)), "98 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"),
    ("binary", b"", "a0 00", "b0 00 00 00 00"),
    ("binary", b"\0\xff", "a0 02 00 ff", "b0 00 00 00 02 00 ff"),
    ("string", "", "a1 00", "b1 00 00 00 00"),
    ("string", "\u20ac", "a1 03 e2 82 ac", "b1 00 00 00 03 e2 82 ac"),
    ("symbol", "en-US", "a3 05 65 6e 2d 55 53", "b3 00 00 00 05 65 6e 2d 55 53"),
    ("list", (), "45", "c0 01 00", "d0 00 00 00 04 00 00 00 00"),
    ("list", (amqp.NULL, Value("list", ())), "c0 03 02 40 45", "d0 00 00 00 06 00 00 00 02 40 45"),
    ("map", (), "c1 01 00", "d1 00 00 00 04 00 00 00 00"),
    ("map", ((Value("symbol", "a"), Value("uint", 1)),), "c1 06 02 a3 01 61 52 01",
     "d1 00 00 00 09 00 00 00 02 a3 01 61 52 01"),
    ("array", (0x43, (Value("uint", 0),) * 3), "e0 02 03 43", "f0 00 00 00 05 00 00 00 03 43"),
    ("array", (0xA3, (Value("symbol", "a"), Value("symbol", "bc"))), "e0 07 02 a3 01 61 02 62 63"),
    ("array", (0x56, (Value("boolean", True), Value("boolean", False))), "e0 04 02 56 01 00"),
    ("array", (0x70, ()), "e0 02 00 70", "f0 00 00 00 05 00 00 00 00 70"),
    ("array", (0xE0, (Value("array", (0x50, (Value("ubyte", 1),))),)), "e0 06 01 e0 03 01 50 01"),
    ("described", (Value("symbol", "x"), Value("int", 1)), "00 a3 01 78 54 01"),
    ("described", (Value("ulong", 0x24), Value("list", ())), "00 53 24 45", "00 80 00 00 00 00 00 00 00 24 45",
     "00 53 24 c0 01 00"),
    # the described elements of an array share their descriptor [AMQP 1.2.4]
    ("array", ((Value("ulong", 0x75), 0xA0), tuple(
        Value("described", (Value("ulong", 0x75), Value("binary", b))) for b in (b"a", b""))),
     "e0 08 02 00 53 75 a0 01 61 00"),
)

MALFORMED = """
01 | 3f | 46 | 57 | 99 | a2 | ff           no such constructor
                                           nothing
50 | 60 00 | 70 00 00 00 | 80 00 | 83 | 98 00 | 94 00                   cut off
a0 | a0 01 | a1 02 61 | b0 00 00 | b0 00 00 00 01 | b3 7f ff ff ff 61   cut off
56 02 | 56 ff                              a boolean is 0 or 1
73 00 00 d8 00 | 73 00 00 df ff | 73 00 11 00 00 | 73 ff ff ff ff       no character
a1 01 ff | a1 02 c0 80 | a1 03 ed a0 80 | a1 01 80 | a1 02 c3 28 | a1 04 f4 90 80 80   no UTF-8
a3 01 80 | a3 02 c3 a4                     no ASCII
c0 | c0 00 | c0 01 | c0 02 02 40 | c0 02 01 | c0 03 01 40 40            size and count
d0 00 00 00 03 00 00 00 | d0 00 00 00 04 ff ff ff ff | d0 00 00 00 05 00 00 00 02 40
c1 02 01 40 | c1 04 03 40 40 40            an odd map
c1 05 04 40 40 40 40                       a key twice
e0 | e0 01 00 | e0 02 01 | e0 02 01 50 | e0 03 01 50 | e0 04 01 50 01 01
f0 00 00 00 05 ff ff ff ff 43 | f0 00 00 00 06 ff ff ff ff 50 00        an array of nothing, without end
00 | 00 53 | 00 53 24 | 00 00 | 00 40      described by what, and what is it
"""


def hexes(text):
    return bytes.fromhex(text)


def sent(text, channel=0):
    return b"".join(data for data, _ in read_frames(Text(text, WORDS), channel, {})).hex(" ")


class Types(unittest.TestCase):
    def test_every_encoding(self):
        for kind, held, *forms in SAME:
            value = Value(kind, held)
            self.assertEqual(encode(value), hexes(forms[0]), value)
            for form in map(hexes, forms):
                self.assertEqual(decode(form + b"\x40"), (value, b"\x40"), form.hex())
                again, _ = decode(form)
                self.assertEqual(encode(again), form)  # the encoding that it came in

    def test_every_constructor_is_there(self):
        seen = {hexes(form)[0] for _, _, *forms in SAME for form in forms}
        self.assertLessEqual(set(amqp.ENCODINGS), seen | {0x94, 0x84})

    def test_sizes_at_the_bounds(self):
        for length, code in ((255, "a1ff"), (256, "b100000100")):
            self.assertTrue(encode(Value("string", "x" * length)).hex().startswith(code))
        for count, code in ((254, "c0ff" + "fe"), (255, "d0")):
            value = Value("list", (amqp.NULL,) * count)
            self.assertTrue(encode(value).hex().startswith(code), count)
            self.assertEqual(decode(encode(value)), (value, b""))

    def test_cut_anywhere(self):
        for kind, held, *forms in SAME:
            for form in map(hexes, forms):
                for at in range(len(form)):
                    with self.assertRaises(Malformed, msg=form[:at].hex()):
                        decode(form[:at])

    def test_malformed(self):
        for line in MALFORMED.strip("\n").splitlines():
            for text in line.split("  ")[0].split("|"):
                with self.assertRaises(Malformed, msg=text):
                    decode(hexes(text))

    def test_nesting(self):
        deep = build(Text("[" * 60 + "{}" + "]" * 60, {}).node())  # no worse than linear
        self.assertEqual(decode(encode(deep)), (deep, b""))
        deep = b"\x45"
        for _ in range(40):
            deep = b"\xd0" + (len(deep) + 4).to_bytes(4, "big") + b"\0\0\0\1" + deep
        self.assertEqual(decode(deep)[1], b"")
        for bomb in (b"\0" * 100000, b"\xe0\xff\x01" * 1000 + bytes(1000),
                     (b"\xd0\0\0\xff\xff\0\0\0\1" * 8000)[:70000] + bytes(70000)):
            with self.assertRaises(Malformed):
                decode(bomb)

    def test_equal_by_bits(self):
        nan = Value("double", hexes("7ff8000000000000"))
        self.assertEqual(decode(encode(nan))[0], nan)
        self.assertNotEqual(amqp.double(0.0), amqp.double(-0.0))
        self.assertNotEqual(Value("int", 1), Value("long", 1))


class Composites(unittest.TestCase):
    def test_descriptors(self):
        for code, name in ((0x10, "open"), (0x18, "close"), (0x1D, "error"), (0x23, "received"),
                           (0x28, "source"), (0x30, "coordinator"), (0x34, "transactional-state"),
                           (0x40, "sasl-mechanisms"), (0x44, "sasl-outcome"), (0x70, "header"),
                           (0x78, "footer")):
            self.assertEqual(amqp.BY_CODE[code], name)
        self.assertEqual([len(amqp.BY_NAME[name][1]) for name in amqp.FRAMES],
                         [10, 8, 14, 11, 11, 6, 3, 1, 1])
        self.assertEqual(len(amqp.BY_NAME["properties"][1]), 13)
        self.assertEqual(len(amqp.BY_NAME["source"][1]), 11)

    def test_both_descriptors_and_short_lists(self):
        for form in ("00 53 10 c0 04 01 a1 01 78", "00 53 10 c0 06 03 a1 01 78 40 40",
                     "00 a3 0e 61 6d 71 70 3a 6f 70 65 6e 3a 6c 69 73 74 c0 04 01 a1 01 78"):
            self.assertEqual(parse(decode(hexes(form))[0]), ("open", {"container-id": Value("string", "x")}))

    def test_multiple(self):
        for held in (Value("symbol", "a"), amqp.symbols("a", "b"), amqp.symbols()):
            value = amqp.composite("open", {"container-id": Value("string", "x"), "offered-capabilities": held})
            self.assertEqual(parse(value)[1]["offered-capabilities"], held)

    def test_refused(self):
        for text in ("00 53 10 45", "00 53 10 c0 02 01 40", "00 53 10 c0 04 01 a3 01 78",
                     "00 53 10 a0 00", "00 53 10 c0 0e 0b a1 01 78 40 40 40 40 40 40 40 40 40 40",
                     "00 53 ff 45", "00 53 18 c0 04 01 a3 01 78", "00 53 18 c0 05 01 00 53 1d 45",
                     "00 53 12 c0 06 03 a1 01 78 43 43", "00 53 14 c0 26 03 43 43 a0 21" + "00" * 33,
                     "00 53 15 c0 04 02 56 02 43", "00 53 44 c0 03 01 50 05", "40"):
            with self.assertRaises(Malformed, msg=text):
                parse(decode(hexes(text))[0])


class Frames(unittest.TestCase):
    def test_whole(self):
        got = parse_frame(hexes("00 00 00 18 03 00 00 05 aa aa aa aa 00 53 14 c0 03 02 43 43 00 53 75 a0"))
        self.assertEqual((got.kind, got.channel, got.name), ("amqp", 5, "transfer"))
        self.assertEqual(got.payload, hexes("00 53 75 a0"))
        self.assertEqual(parse_frame(hexes("00 00 00 08 02 00 00 07")).name, "empty")

    def test_refused(self):
        for text in ("00 00 00 08 01 00 00 00", "00 00 00 08 03 00 00 00", "00 00 00 08 02 02 00 00",
                     "00 00 00 0c 02 00 00 00 00 53 24 45", "00 00 00 0c 02 01 00 00 00 53 17 45",
                     "00 00 00 0d 02 00 00 00 00 53 17 45 00"):
            with self.assertRaises(Malformed, msg=text):
                parse_frame(hexes(text))

    def test_sections(self):
        data, value, header = "00 53 75 a0 01 61", "00 53 77 40", "00 53 70 45"
        names = [n for n, _ in sections(hexes(header + "00 53 71 c1 01 00" + data + data + "00 53 78 c1 01 00"))]
        self.assertEqual(names, ["header", "delivery-annotations", "data", "data", "footer"])
        for wrong in ("", header, data + header, data + value, value + value, header + header + data,
                      data + "00 53 74 c1 01 00", data + "00 53 24 45", data + "40", "00 53 75 a1 01 61"):
            with self.assertRaises(Malformed, msg=wrong):
                sections(hexes(wrong))


class Written(unittest.TestCase):
    def test_frames(self):
        self.assertEqual(sent("header ; header sasl"), "41 4d 51 50 00 01 00 00 41 4d 51 50 03 01 00 00")
        self.assertEqual(sent('open container-id="{me}" max-frame-size=512'),
                         "00 00 00 18 02 00 00 00 00 53 10 c0 0b 03 a1 02 75 61 40 70 00 00 02 00")
        self.assertEqual(sent("end@258"), "00 00 00 0c 02 00 01 02 00 53 17 45")
        self.assertEqual(sent("empty", 1), "00 00 00 08 02 00 00 01")
        self.assertEqual(sent("sasl-init mechanism=PLAIN initial-response=<00>"),
                         "00 00 00 18 02 01 00 00 00 53 41 c0 0b 02 a3 05 50 4c 41 49 4e a0 01 00")
        self.assertEqual(sent("close error=amqp:not-found")[:59],
                         "00 00 00 24 02 00 00 00 00 53 18 c0 17 01 00 53 1d c0 11 01")

    def test_bytes(self):
        self.assertEqual(sent("raw 00*3 (01 02)*2 'a{}' #1(05 06) #4(07) 'x'*2"),
                         "00 00 00 01 02 01 02 61 75 02 05 06 00 00 00 01 07 78 78")
        self.assertEqual(sent("raw uint:5 uint/70:5 string/b1:\"x\" accepted() \"y\" list/d0:[]"),
                         "52 05 70 00 00 00 05 b1 00 00 00 01 78 00 53 24 45 a1 01 79 d0 00 00 00 04 00 00 00 00")
        self.assertEqual(sent("frame size=7 doff=1 type=2 00"), "00 00 00 07 01 02 00 00 00")
        self.assertEqual(sent("frame extra=<01 02 03 04> 05"), "00 00 00 0d 03 00 00 00 01 02 03 04 05")

    def test_values(self):
        def hexed(text, *types):
            return encode(build(Text(text, WORDS).node(), types or ("any",))).hex(" ")
        self.assertEqual(hexed("5", "uint"), "52 05")
        self.assertEqual(hexed("5", "ulong"), "53 05")
        self.assertEqual(hexed("receiver", "role"), "41")
        self.assertEqual(hexed("second", "rcv-settle-mode"), "50 01")
        self.assertEqual(hexed("uint:5", "string"), "52 05")
        self.assertEqual(hexed("[a b]", "symbol*"), "e0 06 02 a3 01 61 01 62")
        self.assertEqual(hexed('{a="b" "c"=null}'), "c1 0b 04 a3 01 61 a1 01 62 a1 01 63 40")
        self.assertEqual(hexed("array(uint 1 2)"), "e0 0a 02 70 00 00 00 01 00 00 00 02")
        self.assertEqual(hexed("array(uint/43 0 0)"), "e0 02 02 43")
        self.assertEqual(hexed('described(symbol:"x:y" null)'), "00 a3 03 78 3a 79 40")
        self.assertEqual(hexed("double:1.5"), "82 3f f8 00 00 00 00 00 00")
        self.assertEqual(hexed("raw(c0 02 02 40)"), "c0 02 02 40")
        self.assertEqual(hexed('data("a")'), "00 53 75 a0 01 61")
        self.assertEqual(hexed("accepted", "described"), "00 53 24 45")

    def test_mistakes(self):
        for text in ("opne", "open container=\"x\"", "open container-id=", "transfer handle=(", "raw uint:",
                     "frame foo(", "raw \"open", "begin next-outgoing-id=1|2", "raw #1(00"):
            with self.assertRaises(Mistake, msg=text):
                sent(text)
        with self.assertRaises(Mistake):
            Expected("begni", 0, WORDS)


class Matched(unittest.TestCase):
    def matches(self, expected, text, channel=0):
        variables = {}
        frame = parse_frame(hexes(sent(text, channel)))
        return Expected(expected, channel, WORDS).matches(frame, variables) and (variables or True)

    def test_fields(self):
        disposition = "disposition role=receiver first=3 settled=true state=rejected(error=amqp:not-found)"
        for right in ("disposition", "disposition first=3 last=none", "disposition state=rejected",
                      "disposition state=accepted|rejected settled=true", "disposition first=any batchable=false",
                      "disposition state=rejected(error=amqp:not-found|amqp:not-allowed)"):
            self.assertTrue(self.matches(right, disposition), right)
        for wrong in ("close", "disposition first=4", "disposition last=any", "disposition settled=false",
                      "disposition state=accepted", "disposition state=rejected(error=amqp:not-allowed)",
                      "disposition first=ulong:3", "disposition state=none"):
            self.assertFalse(self.matches(wrong, disposition), wrong)
        self.assertEqual(self.matches("disposition first=$x", disposition), {"x": Value("uint", 3)})

    def test_payload(self):
        given = ('transfer handle=0 : header(priority=3) message-annotations({a=1 b=2}) '
                 'properties(subject="s") data("x") data("y")')
        for right in ('properties(subject="s") data("x") data("y")',
                      'header(priority=3) properties(subject="s") data("x") data("y")',
                      'message-annotations({a=1}) properties(subject=any) data("x") data(<79>)'):
            self.assertTrue(self.matches(f"transfer handle=0 : {right}", given), right)
        for wrong in ('data("x") data("y")', 'properties(subject="s") data("x")',
                      'properties() data("x") data("y")', 'properties(subject="t") data("x") data("y")',
                      'properties(subject="s") data("y") data("x")',
                      'message-annotations({a=long:1}) properties(subject="s") data("x") data("y")',
                      'properties(subject="s") data("x") data("y") footer({})'):
            self.assertFalse(self.matches(f"transfer handle=0 : {wrong}", given), wrong)


class Peer:
    """A server that answers each header or frame with the next of its answers."""

    def __init__(self, answers):
        self.answers = [hexes(sent(a)) if a else b"" for a in answers]
        self.server = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def whole(peer):
        data = peer.recv(8, socket.MSG_WAITALL)
        size = 8 if data[:4] == b"AMQP" else int.from_bytes(data[:4], "big")
        return len(data) == 8 and (size <= 8 or peer.recv(size - 8, socket.MSG_WAITALL))

    def serve(self):
        peer = self.server.accept()[0]
        try:
            for answer in self.answers:
                if not self.whole(peer):
                    break
                peer.sendall(answer)
        except OSError:
            pass
        peer.close()

    def play(self, script):
        with tempfile.NamedTemporaryFile("w", suffix=".wire") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                [sys.executable, "-B", str(RUN), "--protocol", "amqp", "--patience", "3", "--port",
                 str(self.server.getsockname()[1]), file.name],
                capture_output=True, text=True, timeout=30, check=False)
        socket.create_connection(self.server.getsockname()).close()  # if the script never came
        self.thread.join(10)
        self.server.close()
        return done


BEGIN = "begin remote-channel=0 next-outgoing-id=0 incoming-window=9 outgoing-window=9"
ATTACH = ('attach name="l" handle=7 role=sender source=source(address="q") target=target() '
          'initial-delivery-count=4')
UP = ["header", 'open container-id="peer"', BEGIN]
RECEIVER = 'client a\nconnect\nbegin\nattach receiver "q" name="l"\nflow handle=0 link-credit=1\n'
GIVEN = 'transfer handle=7 delivery-id=0 delivery-tag=<00> settled=true : data("x")'


class Judged(unittest.TestCase):
    def judge(self, script, answers):
        done = Peer(answers).play(script)
        return done.returncode, done.stdout + done.stderr

    def test_right(self):
        for script, answers in (
                ("client a\nconnect\nclose\n", [*UP[:2], "close"]),
                ("client a\nconnect\n", [*UP, "end", "close"]),
                (RECEIVER + 'expect message handle=0 : data("x")\nclose', [*UP, ATTACH, GIVEN, "close"]),
                ("client a\nconnect\nsend raw 00\nfails close amqp:decode-error|amqp:not-found",
                 [*UP[:2], "close error=amqp:not-found"]),
                ("client a\nsend header\nfails header sasl", ["header sasl"])):
            if "raw 00" in script:
                script = script.replace("raw 00", "empty")
            code, said = self.judge(script, answers)
            self.assertEqual(code, 0, (script, said))

    def test_wrong(self):
        for what, script, answers in (
                ("expected close", "client a\nconnect\nclose\n", [*UP[:2], "end"]),
                ("expected header", "client a\nconnect\n", ["header sasl"]),
                ("came     close", "client a\nconnect\nsend empty\nfails close amqp:not-found",
                 [*UP[:2], "close error=amqp:decode-error"]),
                ("came     drop", "client a\nconnect\nsend empty\nfails close", UP[:2]),
                ("beyond the session's window", RECEIVER.replace("begin", "begin incoming-window=0")
                 .replace("flow", "flow incoming-window=0") + "expect message", [*UP, ATTACH, GIVEN]),
                ("without credit", RECEIVER.replace("credit=1", "credit=0") + "expect message",
                 [*UP, ATTACH, GIVEN]),
                ("no link", RECEIVER + "expect message", [*UP, ATTACH, GIVEN.replace("7", "6")]),
                ("without id or tag", RECEIVER + "expect message",
                 [*UP, ATTACH, GIVEN.replace("delivery-tag=<00> ", "")]),
                ("without initial-delivery-count", RECEIVER, [*UP, ATTACH.replace("initial-delivery-count=4", "")]),
                ("nobody has asked", "client a\nconnect\nbegin", [*UP[:2], BEGIN.replace("nel=0", "nel=5")]),
                ("is missing", "client a\nconnect\n", ["header", "open"]),
                ("expected message", RECEIVER + 'expect message : data("y")', [*UP, ATTACH, GIVEN]),
                ("515 bytes, and 512", "client a\nconnect max-frame-size=512\n",
                 ["header", "open container-id=\"" + "x" * 490 + '"'])):
            code, said = self.judge(script + "\n", answers)
            self.assertEqual(code, 1, (script, said))
            self.assertIn(what, said)

    def test_unknown(self):
        code, said = self.judge("client a\nconnect\nsned open\n", [])
        self.assertNotEqual(code, 0)
        self.assertIn(":3: there is no verb 'sned'", said)


if __name__ == "__main__":
    unittest.main()
