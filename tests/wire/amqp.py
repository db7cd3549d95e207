"""AMQP 1.0 as bytes: types, composites, frames.  An encoder and a strict decoder.

Nothing here knows gnatter's own codec: it is the other opinion.  A Value is a type's name and what
it holds; numbers and text are Python's, but float, double, the decimals and uuid are their very
bytes, so that NaN equals itself and -0 is not 0.

    encode(Value("uint", 5))  == 52 05            the smallest form
    encode(Value("uint", 5, 0x70)) == 70 00 00 00 05
    decode(data)              == (Value, what is behind)
    composite("open", {"container-id": Value("string", "x")})
    parse(value)              == ("open", {"container-id": Value, ..}), every field looked at
"""

import dataclasses
import struct

DEPTH = 64  # a value in a value in a value ..; nobody needs more


class Malformed(Exception):
    """These bytes are not what the standard calls so."""


# Constructors [AMQP 1.6]: code, name of the encoding, type, and how wide it is.  The width counts
# the bytes of a fixed one [1.2.1], and of the others those of size (and count) [1.2.2 to 1.2.4].
ENCODINGS = {code: (name, kind, int(width)) for code, name, kind, width in (
    (int(code, 16), *words) for code, *words in map(str.split, """
    40 null         null       0
    41 true         boolean    0
    42 false        boolean    0
    56 boolean      boolean    1
    50 ubyte        ubyte      1
    60 ushort       ushort     2
    70 uint         uint       4
    52 smalluint    uint       1
    43 uint0        uint       0
    80 ulong        ulong      8
    53 smallulong   ulong      1
    44 ulong0       ulong      0
    51 byte         byte       1
    61 short        short      2
    71 int          int        4
    54 smallint     int        1
    81 long         long       8
    55 smalllong    long       1
    72 float        float      4
    82 double       double     8
    74 decimal32    decimal32  4
    84 decimal64    decimal64  8
    94 decimal128   decimal128 16
    73 utf32        char       4
    83 ms64         timestamp  8
    98 uuid         uuid       16
    a0 vbin8        binary     1
    b0 vbin32       binary     4
    a1 str8-utf8    string     1
    b1 str32-utf8   string     4
    a3 sym8         symbol     1
    b3 sym32        symbol     4
    45 list0        list       0
    c0 list8        list       1
    d0 list32       list       4
    c1 map8         map        1
    d1 map32        map        4
    e0 array8       array      1
    f0 array32      array      4
    """.strip().splitlines()))}
TYPES = {kind for _, kind, _ in ENCODINGS.values()} | {"described"}
UNSIGNED = {"ubyte": 1, "ushort": 2, "uint": 4, "ulong": 8}
SIGNED = {"byte": 1, "short": 2, "int": 4, "long": 8, "timestamp": 8}
AS_BYTES = {"float": 4, "double": 8, "decimal32": 4, "decimal64": 8, "decimal128": 16, "uuid": 16}
VARIABLE = ("binary", "string", "symbol")
COMPOUND = ("list", "map", "array")
# All encodings of a type, the smallest first.
OF_TYPE = {kind: sorted((c for c, e in ENCODINGS.items() if e[1] == kind),
                        key=lambda c: (ENCODINGS[c][2], c)) for kind in TYPES}


@dataclasses.dataclass(frozen=True)
class Value:
    """TYPE's name and what it holds: of a list a tuple of Values, of a map a tuple of pairs, of an
    array (constructor, tuple of Values), of a described value (descriptor, Value).  CODE is the
    constructor that it came with, or that it is to have; it does not count when values are
    compared.  RAW bytes stand for themselves."""
    type: str
    value: object = None
    code: int = dataclasses.field(default=None, compare=False)


NULL = Value("null")


def double(number):
    return Value("double", struct.pack(">d", number))


def single(number):
    return Value("float", struct.pack(">f", number))


def symbols(*names):
    """Several symbols where "multiple" allows them [AMQP 1.4]."""
    return Value("array", (0xA3, tuple(Value("symbol", name) for name in names)))


# ---- Values -> bytes

def fits(code, value, content):
    """Whether the encoding CODE can hold VALUE, whose type it has, and its CONTENT."""
    name, kind, width = ENCODINGS[code]
    if name in ("true", "false"):
        return value.value is (name == "true")
    if kind in UNSIGNED:
        return 0 <= value.value < 256 ** width
    if kind in ("int", "long"):
        return -(256 ** width) <= 2 * value.value < 256 ** width
    if kind in VARIABLE:
        return len(content) < 256 ** width
    if name == "list0":
        return not value.value
    if kind in COMPOUND:
        return len(content) + width < 256 ** width and count_of(value) < 256 ** width
    return True


def count_of(value):
    if value.type == "array":
        return len(value.value[1])
    return len(value.value) * (2 if value.type == "map" else 1)


def content_of(value):
    """What stands behind size, or size and count."""
    if value.type == "binary":
        return bytes(value.value)
    if value.type in VARIABLE:
        return value.value.encode("utf-8" if value.type == "string" else "ascii")
    return body_of(value) if value.type in COMPOUND else b""


def body_of(value):
    if value.type == "list":
        return b"".join(map(encode, value.value))
    if value.type == "map":
        return b"".join(encode(part) for pair in value.value for part in pair)
    constructor, items = value.value
    return constructor_of(constructor) + b"".join(element(constructor, item) for item in items)


def constructor_of(constructor):
    """A code, or (descriptor, constructor)."""
    if isinstance(constructor, tuple):
        return b"\0" + encode(constructor[0]) + constructor_of(constructor[1])
    return bytes([constructor])


def element(constructor, item):
    """An element of an array: data without its constructor."""
    if isinstance(constructor, tuple):
        return element(constructor[1], item.value[1])
    return data_of(constructor, item, content_of(item))


def data_of(code, value, content):
    """What follows the constructor CODE."""
    name, kind, width = ENCODINGS[code]
    held = value.value
    if name == "list0" or kind == "null" or width == 0:
        return b""
    if kind == "boolean":
        return bytes([held])
    if kind in UNSIGNED or kind in SIGNED:
        return (held % 256 ** width).to_bytes(width, "big")
    if kind == "char":
        return ord(held).to_bytes(4, "big") if isinstance(held, str) else held.to_bytes(4, "big")
    if kind in AS_BYTES:
        assert len(held) == width, value
        return held
    if kind in VARIABLE:
        return len(content).to_bytes(width, "big") + content
    count = count_of(value).to_bytes(width, "big")
    return (width + len(content)).to_bytes(width, "big") + count + content


def encode(value):
    """The smallest form, or the one that the value asks for."""
    if value.type == "raw":
        return value.value
    if value.type == "described":
        return b"\0" + encode(value.value[0]) + encode(value.value[1])
    code, content = value.code, content_of(value)
    if code is None:
        code = next(c for c in OF_TYPE[value.type] if fits(c, value, content))
    return bytes([code]) + data_of(code, value, content)


# ---- Bytes -> values

def take(data, size):
    if len(data) < size:
        raise Malformed(f"{size} bytes are wanted, {len(data)} are there")
    return data[:size], data[size:]


def decode(data, depth=DEPTH):
    """(the value at the front of DATA, what is behind it)"""
    if not depth:
        raise Malformed("nested too deeply")
    constructor, data = read_constructor(data, depth)
    return decode_as(constructor, data, depth)


def read_constructor(data, depth):
    """A code, or (descriptor, constructor)."""
    code, data = take(data, 1)
    if code[0]:
        if code[0] not in ENCODINGS:
            raise Malformed(f"there is no constructor {code.hex()}")
        return code[0], data
    if not depth:
        raise Malformed("nested too deeply")
    descriptor, data = decode(data, depth - 1)
    constructor, data = read_constructor(data, depth - 1)
    return (descriptor, constructor), data


def decode_as(constructor, data, depth):
    if isinstance(constructor, tuple):
        value, data = decode_as(constructor[1], data, depth - 1)
        return Value("described", (constructor[0], value)), data
    _, kind, width = ENCODINGS[constructor]
    if kind in COMPOUND:
        return decode_compound(constructor, data, depth)
    if kind in VARIABLE:
        size, data = take(data, width)
        width = int.from_bytes(size, "big")
    held, data = take(data, width)
    return Value(kind, scalar(constructor, kind, held), constructor), data


def scalar(code, kind, held):
    number = int.from_bytes(held, "big", signed=kind in SIGNED)
    if kind == "null":
        return None
    if kind == "boolean":
        if held not in (b"", b"\0", b"\1"):
            raise Malformed(f"a boolean is 00 or 01, not {held.hex()}")
        return code == 0x41 if code != 0x56 else held == b"\1"
    if kind in UNSIGNED or kind in SIGNED:
        return number
    if kind == "char":
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise Malformed(f"there is no character {number:x}")
        return chr(number)
    try:
        return {"string": lambda: held.decode("utf-8"),
                "symbol": lambda: held.decode("ascii")}.get(kind, lambda: bytes(held))()
    except UnicodeDecodeError as e:
        raise Malformed(f"{kind}: {e}") from None


def decode_compound(code, data, depth):
    name, kind, width = ENCODINGS[code]
    if name == "list0":
        return Value(kind, (), code), data
    size, data = take(data, width)
    body, behind = take(data, int.from_bytes(size, "big"))
    count, body = take(body, width)
    count = int.from_bytes(count, "big")
    items, body = decode_items(kind, count, body, depth - 1)
    if body:
        raise Malformed(f"{kind}: {len(body)} bytes behind the last element")
    return Value(kind, items, code), behind


def decode_items(kind, count, body, depth):
    if kind == "array":
        constructor, body = read_constructor(body, depth)
        if count > len(body) and (count > 65536 or width_of(constructor)):
            raise Malformed(f"array: {count} elements in {len(body)} bytes")
    elif count > len(body):
        raise Malformed(f"{kind}: {count} elements in {len(body)} bytes")
    if kind == "map" and count % 2:
        raise Malformed("map: a key without a value")
    items = []
    for _ in range(count):
        if kind == "array":
            item, body = decode_as(constructor, body, depth)
        else:
            item, body = decode(body, depth)
        items.append(item)
    if kind == "array":
        return (constructor, tuple(items)), body
    if kind == "map":
        return pairs(items), body
    return tuple(items), body


def width_of(constructor):
    """0 where an element takes no bytes at all."""
    while isinstance(constructor, tuple):
        constructor = constructor[1]
    return ENCODINGS[constructor][2]


def pairs(items):
    """[AMQP 1.6.23] with no key twice."""
    found = tuple(zip(items[::2], items[1::2]))
    if len({key for key, _ in found}) < len(found):
        raise Malformed("map: a key twice")
    return found


# ---- Composites [AMQP 2.7, 2.8.14, 3.2, 3.4, 3.5, 4.5, 5.3.3]
# code, name, and the fields in their order: `!` mandatory, `*` multiple, `any` whatever.  A field
# may be of a composite's type, or of one of several ("a|b").  A name with "=" is no list but one
# value of that type.

COMPOSITES = """
10 open container-id:string! hostname:string max-frame-size:uint channel-max:ushort
   idle-time-out:uint outgoing-locales:symbol* incoming-locales:symbol*
   offered-capabilities:symbol* desired-capabilities:symbol* properties:fields
11 begin remote-channel:ushort next-outgoing-id:uint! incoming-window:uint! outgoing-window:uint!
   handle-max:uint offered-capabilities:symbol* desired-capabilities:symbol* properties:fields
12 attach name:string! handle:uint! role:role! snd-settle-mode:snd-settle-mode
   rcv-settle-mode:rcv-settle-mode source:source target:target|coordinator unsettled:map
   incomplete-unsettled:boolean initial-delivery-count:uint max-message-size:ulong
   offered-capabilities:symbol* desired-capabilities:symbol* properties:fields
13 flow next-incoming-id:uint incoming-window:uint! next-outgoing-id:uint! outgoing-window:uint!
   handle:uint delivery-count:uint link-credit:uint available:uint drain:boolean echo:boolean
   properties:fields
14 transfer handle:uint! delivery-id:uint delivery-tag:tag message-format:uint settled:boolean
   more:boolean rcv-settle-mode:rcv-settle-mode state:described resume:boolean aborted:boolean
   batchable:boolean
15 disposition role:role! first:uint! last:uint settled:boolean state:described batchable:boolean
16 detach handle:uint! closed:boolean error:error
17 end error:error
18 close error:error
1d error condition:symbol! description:string info:fields
23 received section-number:uint! section-offset:ulong!
24 accepted
25 rejected error:error
26 released
27 modified delivery-failed:boolean undeliverable-here:boolean message-annotations:annotations
28 source address:string durable:durability expiry-policy:symbol timeout:uint dynamic:boolean
   dynamic-node-properties:fields distribution-mode:symbol filter:map default-outcome:described
   outcomes:symbol* capabilities:symbol*
29 target address:string durable:durability expiry-policy:symbol timeout:uint dynamic:boolean
   dynamic-node-properties:fields capabilities:symbol*
2b delete-on-close
2c delete-on-no-links
2d delete-on-no-messages
2e delete-on-no-links-or-messages
30 coordinator capabilities:symbol*
31 declare global-id:any
32 discharge txn-id:binary! fail:boolean
33 declared txn-id:binary!
34 transactional-state txn-id:binary! outcome:described
40 sasl-mechanisms sasl-server-mechanisms:symbol*!
41 sasl-init mechanism:symbol! initial-response:binary hostname:string
42 sasl-challenge challenge:binary!
43 sasl-response response:binary!
44 sasl-outcome code:sasl-code! additional-data:binary
70 header durable:boolean priority:ubyte ttl:uint first-acquirer:boolean delivery-count:uint
71 delivery-annotations=annotations
72 message-annotations=annotations
73 properties message-id:ulong|uuid|binary|string user-id:binary to:string subject:string
   reply-to:string correlation-id:ulong|uuid|binary|string content-type:symbol
   content-encoding:symbol absolute-expiry-time:timestamp creation-time:timestamp group-id:string
   group-sequence:uint reply-to-group-id:string
74 application-properties=map
75 data=binary
76 amqp-sequence=list
77 amqp-value=any
78 footer=annotations
"""

# Restricted types [AMQP 2.8, 3.5.5, 5.3.3.6]: the type that they are of, and the names of values.
RESTRICTED = {
    "role": ("boolean", {"sender": False, "receiver": True}),
    "snd-settle-mode": ("ubyte", {"unsettled": 0, "settled": 1, "mixed": 2}),
    "rcv-settle-mode": ("ubyte", {"first": 0, "second": 1}),
    "durability": ("uint", {"none": 0, "configuration": 1, "unsettled-state": 2}),
    "sasl-code": ("ubyte", {"ok": 0, "auth": 1, "sys": 2, "sys-perm": 3, "sys-temp": 4}),
    "tag": ("binary", {}),
    "fields": ("map", {}),
    "annotations": ("map", {}),
}


@dataclasses.dataclass(frozen=True)
class Field:
    name: str
    types: tuple
    mandatory: bool
    multiple: bool


def read_field(words):
    name, _, types = words.partition(":")
    return Field(name, tuple(types.rstrip("!*").split("|")), types.endswith("!"), "*" in types)


def read_composites(text):
    """By name: (code, fields), or for a section that is one value (code, its type)."""
    found = {}
    for entry in text.strip().replace("\n   ", " ").splitlines():
        code, name, *fields = entry.split()
        name, _, single_type = name.partition("=")
        found[name] = int(code, 16), single_type or tuple(map(read_field, fields))
    return found


BY_NAME = read_composites(COMPOSITES)
BY_CODE = {code: name for name, (code, _) in BY_NAME.items()}
BY_SYMBOL = {f"amqp:{name}:{form if isinstance(form, str) else 'list'}"
             .replace(":annotations", ":map").replace(":any", ":*"): name
             for name, (_, form) in BY_NAME.items()}
FRAMES = [BY_CODE[code] for code in range(0x10, 0x19)]
SASL_FRAMES = [BY_CODE[code] for code in range(0x40, 0x45)]
SECTIONS = [BY_CODE[code] for code in range(0x70, 0x79)]
BODIES = {"data", "amqp-sequence", "amqp-value"}
BODY = SECTIONS.index("data")


def composite(name, fields):
    """From {field: Value}; the list ends with the last one that is there."""
    given = dict(fields)
    items = [given.pop(f.name, NULL) for f in BY_NAME[name][1]]
    assert not given, given
    while items and items[-1] == NULL:
        items.pop()
    return described(name, Value("list", tuple(items)))


def described(name, value):
    return Value("described", (Value("ulong", BY_NAME[name][0]), value))


def name_of(value):
    """The name of a composite or section, or None."""
    if value.type != "described":
        return None
    descriptor = value.value[0]
    if descriptor.type == "ulong":
        return BY_CODE.get(descriptor.value)
    return BY_SYMBOL.get(descriptor.value) if descriptor.type == "symbol" else None


def parse(value):
    """(name, {field: Value}) of a composite that is as the standard wants it; of a section that is
    one value, (name, that value).  Fields that are null are not there."""
    name = name_of(value)
    if name is None:
        raise Malformed(f"nothing is described so: {value}")
    form, body = BY_NAME[name][1], value.value[1]
    if isinstance(form, str):
        check_type(name, form, body)
        return name, body
    if body.type != "list":
        raise Malformed(f"{name} is no {body.type}")
    if len(body.value) > len(form):
        raise Malformed(f"{name} has {len(form)} fields, not {len(body.value)}")
    found = {}
    for at, field in enumerate(form):
        item = body.value[at] if at < len(body.value) else NULL
        if item.type != "null":
            check_field(name, field, item)
            found[field.name] = item
        elif field.mandatory:
            raise Malformed(f"{name}: {field.name} is missing")
    return name, found


def check_field(name, field, item):
    what = f"{name}.{field.name}"
    if field.multiple and item.type == "array":
        for one in item.value[1]:
            check_type(what, field.types[0], one)
    elif len(field.types) == 1:
        check_type(what, field.types[0], item)
    elif item.type not in field.types and name_of(item) not in field.types:
        raise Malformed(f"{what} is no {item.type}")
    elif item.type == "described":
        parse(item)


def is_right(name, field, item):
    """Whether ITEM is there and can be that field."""
    try:
        check_field(name, next(f for f in BY_NAME[name][1] if f.name == field), item)
    except Malformed:
        return False
    return item.type not in ("null", "raw")


def check_type(what, wanted, item):
    if wanted == "any":
        return
    if wanted in BY_NAME:
        if name_of(item) != wanted:
            raise Malformed(f"{what} is no {item.type}")
        parse(item)
        return
    base, names = RESTRICTED.get(wanted, (wanted, {}))
    if item.type != base:
        raise Malformed(f"{what}: {base} is wanted, {item.type} came")
    if names and item.value not in names.values():
        raise Malformed(f"{what} is none of {', '.join(names)}: {item.value}")
    if wanted == "tag" and len(item.value) > 32:
        raise Malformed(f"{what}: {len(item.value)} bytes")  # [AMQP 2.8.7]
    if wanted == "fields" and any(key.type != "symbol" for key, _ in item.value):
        raise Malformed(f"{what}: keys are symbols")  # [AMQP 2.8.13]
    if wanted == "annotations" and {key.type for key, _ in item.value} - {"symbol", "ulong"}:
        raise Malformed(f"{what}: keys are symbols")  # [AMQP 3.2.10]
    if wanted == "described" and name_of(item):
        parse(item)


# ---- Frames [AMQP 2.3]

HEADERS = {"amqp": b"AMQP\0\1\0\0", "tls": b"AMQP\2\1\0\0", "sasl": b"AMQP\3\1\0\0"}


@dataclasses.dataclass
class Frame:
    """KIND is "amqp", "sasl" or "empty"; PAYLOAD is what stands behind the performative."""
    kind: str
    channel: int
    name: str
    fields: dict
    payload: bytes
    size: int


def frame(body, kind=0, channel=0, doff=2, extra=b""):
    """BODY with the header in front of it; EXTRA is the extended header."""
    return struct.pack(">IBBH", 8 + len(extra) + len(body), doff + len(extra) // 4, kind,
                       channel) + extra + body


def parse_frame(data):
    """One whole frame."""
    size, doff, kind, channel = struct.unpack(">IBBH", data[:8])
    if size != len(data) or doff < 2 or doff * 4 > size or kind > 1:
        raise Malformed(f"no frame: {data[:8].hex(' ')}")
    body = data[4 * doff:]
    if not body:
        return Frame("empty", channel, "empty", {}, b"", size)
    value, payload = decode(body)
    name, fields = parse(value)
    kind = ("amqp", "sasl")[kind]
    if name not in (FRAMES if kind == "amqp" else SASL_FRAMES):
        raise Malformed(f"{name} is no body of a frame of {kind}")
    if payload and name != "transfer":
        raise Malformed(f"{len(payload)} bytes behind {name}")
    return Frame(kind, channel, name, fields, payload, size)


def sections(payload):
    """The parts of a message [AMQP 3.2] as (name, fields or value), in the standard's order."""
    found = []
    while payload:
        value, payload = decode(payload)
        name, held = parse(value)
        if name not in SECTIONS:
            raise Malformed(f"{name} is no section of a message")
        found.append((name, held))
    names = [name for name, _ in found]
    ranks = [BODY if name in BODIES else SECTIONS.index(name) for name in names]
    if ranks != sorted(ranks):
        raise Malformed(f"sections out of their order: {', '.join(names)}")
    once = [name for name in names if name not in ("data", "amqp-sequence")]
    if len(set(once)) < len(once) or len(BODIES.intersection(names)) != 1:
        raise Malformed(f"not one body, or a section twice: {', '.join(names)}")
    return found
