#!/usr/bin/env python3
"""The AMQP codec beside qpid-proton's: values, messages and performatives that one encodes and the other decodes.

Whether two encodings are the same value is proton's to say: it decodes both, and encodes what it has found.
"""

import os
import random
import struct
import subprocess
import sys
import unittest
import uuid

from proton import (Array, Connection, Data, Described, Message, Terminus, Transport, UNDESCRIBED, byte, char,
                    decimal128, decimal32, decimal64, float32, int32, short, symbol, timestamp, ubyte, uint, ulong,
                    ushort)

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1 << 32)
NAN = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]

BOUNDS = [None, True, False, ubyte(0), ubyte(255), ushort(0), ushort(65535), uint(0), uint(1), uint(255), uint(256),
          uint(2 ** 32 - 1), ulong(0), ulong(1), ulong(255), ulong(256), ulong(2 ** 64 - 1), byte(-128), byte(127),
          short(-32768), short(32767), int32(-129), int32(-128), int32(127), int32(128), int32(-2 ** 31),
          int32(2 ** 31 - 1), -129, -128, 127, 128, -2 ** 63, 2 ** 63 - 1, float32(0.0), float32(-0.0),
          float32(1.5), float32("inf"), float32("nan"), 0.0, -0.0, 0.1, 5e-324, float("-inf"), NAN, decimal32(1),
          decimal64(1), decimal128(bytes(range(16))), char("\0"), char("\U0001f600"), timestamp(0), timestamp(-1),
          timestamp(2 ** 62), uuid.UUID(int=1), b"", b"\0\xff", b"x" * 255, b"x" * 256, "", "\u00e9", "a\0b", "y" * 255,
          "y" * 256, symbol(""), symbol("amqp:list"), symbol("z" * 256), [], [None], [[[]]], {}, {1: [2]},
          [0] * 300, {str(i): i for i in range(200)}, Array(UNDESCRIBED, Data.INT),
          Array(UNDESCRIBED, Data.INT, 1, 2, 3),
          Array(UNDESCRIBED, Data.SYMBOL, symbol("a"), symbol("bc")), Array(UNDESCRIBED, Data.BOOL, True, False),
          Array(symbol("d"), Data.STRING, "a", "b"), Array(ulong(7), Data.UBYTE, ubyte(1)),
          Array(UNDESCRIBED, Data.STRING, "w" * 300), Described(symbol("x"), "y"),
          Described(ulong(0x468c00000004), [1]), Described(ulong(1), Described(ulong(2), None))]


class Codec:
    """tests/interop/amqp_rebuild.c, a line in and a line out."""

    def __init__(self):
        self.process = subprocess.Popen([os.environ["GNATTER_AMQP_REBUILD"]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, word, encoded):
        self.process.stdin.write(f"{word} {encoded.hex()}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def rebuild(self, word, encoded):
        answer = self.ask(word, encoded)
        return None if answer == "bad" else bytes.fromhex(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def encode(value):
    data = Data()
    data.put_object(value)
    return data.encode()


def again(encoded):
    """What proton makes of an encoding; all of it has to be one."""
    data = Data()
    used = data.decode(encoded)
    if used != len(encoded):
        raise ValueError(f"{used} bytes of {len(encoded)} decoded")
    return data.encode()


def any_value(chance, depth):
    kind = chance.randrange(8 if depth else 4)
    if kind == 4:
        return [any_value(chance, depth - 1) for _ in range(chance.choice((0, 1, 3, 40)))]
    if kind == 5:
        return {chance.choice(("k", symbol("k"), ulong(1))): any_value(chance, depth - 1), "other": None}
    if kind == 6:
        return Described(chance.choice((symbol("d"), ulong(chance.getrandbits(64)))), any_value(chance, depth - 1))
    if kind == 7:
        return Array(UNDESCRIBED, Data.STRING, *("s" * chance.randrange(9) for _ in range(chance.randrange(5))))
    if kind == 0:
        return chance.choice((int, ulong, timestamp))(chance.getrandbits(chance.randrange(1, 63)))
    return chance.choice(BOUNDS)


def any_message(chance):
    message = Message(body=any_value(chance, 3), inferred=bool(chance.getrandbits(1)))
    for name, value in (("durable", True), ("priority", 9), ("ttl", 1.5), ("first_acquirer", True),
                        ("delivery_count", 3), ("id", chance.choice(("i", ulong(7), uuid.UUID(int=7), b"i"))),
                        ("user_id", b"u"), ("address", "q"), ("subject", "s"), ("reply_to", "r"),
                        ("correlation_id", chance.choice(("c", ulong(300), uuid.UUID(int=8), b"c"))),
                        ("content_type", symbol("text/plain")), ("content_encoding", symbol("none")),
                        ("expiry_time", 1.0), ("creation_time", 2.0), ("group_id", "g"), ("group_sequence", 5),
                        ("reply_to_group_id", "h"), ("annotations", {symbol("x-opt-a"): any_value(chance, 2)}),
                        ("properties", {"a": chance.choice(("v", 1, 1.5, None, symbol("s")))})):
        if chance.getrandbits(1):
            setattr(message, name, value)
    return message


class AmqpTypes(unittest.TestCase):
    def setUp(self):
        self.codec = Codec()
        self.addCleanup(self.codec.close)

    def check_value(self, value):
        theirs = encode(value)
        ours = self.codec.rebuild("value", theirs)
        self.assertIsNotNone(ours, f"{value!r} {theirs.hex()} seed {SEED}")
        self.assertLessEqual(len(ours), len(theirs))
        self.assertEqual(again(ours), again(theirs), f"{value!r} seed {SEED}")

    def test_bounds(self):
        for value in BOUNDS:
            self.check_value(value)

    def test_by_chance(self):
        chance = random.Random(SEED)
        for _ in range(2000):
            self.check_value(any_value(chance, 4))

    def test_messages(self):
        chance = random.Random(SEED)
        for _ in range(1000):
            theirs = any_message(chance).encode()
            ours = self.codec.rebuild("message", theirs)
            self.assertIsNotNone(ours, f"{theirs.hex()} seed {SEED}")
            first, second = Message(), Message()
            try:
                first.decode(theirs)
            except TypeError:
                continue  # a body that proton's Python does not take back itself
            second.decode(ours)
            self.assertEqual(first.encode().hex(), second.encode().hex(), f"seed {SEED}")

    def test_performatives(self):
        transport, connection = Transport(), Connection()
        connection.container, connection.hostname = "c", "h"
        connection.offered_capabilities = [symbol("o")]
        connection.properties = {symbol("product"): "p"}
        transport.bind(connection)
        transport.max_frame_size, transport.channel_max, transport.idle_timeout = 4096, 9, 5
        connection.open()
        session = connection.session()
        session.open()
        sender, receiver = session.sender("s"), session.receiver("r")
        sender.target.address = "q"
        sender.source.durability, sender.source.expiry_policy = Terminus.DELIVERIES, Terminus.EXPIRE_NEVER
        receiver.source.address = "q"
        receiver.source.filter.put_object({symbol("f"): Described(symbol("d"), "a = 1")})
        receiver.source.distribution_mode = Terminus.DIST_MODE_COPY
        receiver.target.dynamic = True
        for link in sender, receiver:
            link.open()
        receiver.flow(10)
        frames = b""
        while transport.pending() > 0:
            frames += transport.peek(transport.pending())
            transport.pop(transport.pending())
        sender.detach()
        receiver.close()
        while transport.pending() > 0:
            frames += transport.peek(transport.pending())
            transport.pop(transport.pending())
        told = self.codec.ask("frames", frames)
        for words in ('open container-id="c" hostname="h" max-frame-size=4096 channel-max=9 idle-time-out=2500',
                      "offered-capabilities=['o']", "properties={'product': \"p\"}", "begin next-outgoing-id=0",
                      'attach name="s" handle=0 role=sender', "durable=unsettled-state expiry-policy='never'",
                      'target=target(address="q"', 'attach name="r" handle=1 role=receiver',
                      "distribution-mode='copy'", "filter={'f': @'d' \"a = 1\"}", "dynamic=true", "link-credit=10",
                      "detach handle=0", "detach handle=1 closed=true"):
            self.assertIn(words, told)
        self.assertFalse(told.endswith("bad"), told)


if __name__ == "__main__":
    print(f"seed {SEED}")
    sys.exit(unittest.main())
