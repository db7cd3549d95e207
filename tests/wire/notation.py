"""Packets as text: the notation of tests/support/mqtt_packet.h, with names and with gaps.

    'text' [..] (..) |      as there: characters, two-byte length, variable length, remaining length
    CONNECT .. AUTH         the first byte and "|"; PUBLISH.dup.qos1.retain has flags
    'x'*300  00*7 {..}*2    the same several times
    V                       the version's byte
    5(..) 5[..] 5{..}       in MQTT 5 only; the braces themselves add nothing
    {} {me}                 within text: letters of this script, this client's id
In what is expected also:
    ??                      any byte
    ...                     any bytes, as many as there are
    code=82  code=00|10     a reason code and whatever properties; 00 may be left out
    !15 !1f,26              properties, but none of these
"""

import re

TYPES = ["", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
         "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]
FLAGS = {"PUBREL": 2, "SUBSCRIBE": 2, "UNSUBSCRIBE": 2}
WORDS = {"dup": 8, "qos1": 2, "qos2": 4, "retain": 1}
TOKEN = re.compile(r"\s*('[^']*'|code=[0-9a-f|]+|![0-9a-f,]+|\.\.\.|\?\?|[A-Z]{4,}[a-z0-9.]*|V|5[(\[{]|"
                   r"[()\[\]{}|]|[0-9a-f]{2}|\*\d+)")


class Mistake(Exception):
    """The script is not written right."""


class Byte(bytes):
    """These very bytes."""


class Gap:
    """Any byte, or any number of them."""

    def __init__(self, one):
        self.one = one


class Code:
    """A reason code, and what may follow it."""

    def __init__(self, codes):
        self.codes = codes

    def matches(self, data):
        return data[0] in self.codes if data else 0 in self.codes


# Properties whose size does not stand before them [MQTT5 2.2.2.2].
FIXED = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2,
         0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}


def properties(data):
    """Yields (identifier, value); of texts and binary data the value is without its length."""
    while data:
        identifier, data = data[0], data[1:]
        if identifier == 0x0B:
            rest = data.lstrip(bytes(range(0x80, 0x100)))[1:]
            value, data = data[:len(data) - len(rest)], rest
        elif identifier in FIXED:
            value, data = data[:FIXED[identifier]], data[FIXED[identifier]:]
        else:
            for _ in range(2 if identifier == 0x26 else 1):
                end = 2 + int.from_bytes(data[:2], "big")
                value, data = data[2:end], data[end:]
        yield identifier, value


class Without:
    """Properties, but none of these identifiers."""

    def __init__(self, ids):
        self.ids = ids

    def matches(self, data):
        return all(identifier not in self.ids for identifier, _ in properties(data))


class Group:
    """A length and what it counts."""

    def __init__(self, kind, items):
        self.kind, self.items = kind, items


def vbi(number):
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def data_of(items):
    out = bytearray()
    for item in items:
        if isinstance(item, Byte):
            out += item
        elif isinstance(item, Group):
            inner = data_of(item.items)
            out += (len(inner).to_bytes(2, "big") if item.kind == "[" else vbi(len(inner))) + inner
        else:
            raise Mistake("a gap cannot be sent")
    return bytes(out)


def split_counted(kind, data):
    """What the length at the front of DATA counts, and what is behind; None if it does not fit."""
    if kind == "[":
        head, size = 2, int.from_bytes(data[:2], "big")
    else:
        head, size = 0, 0
        while head < 4 and head < len(data):
            size |= (data[head] & 0x7F) << 7 * head
            head += 1
            if data[head - 1] < 0x80:
                break
    if len(data) < head or head == 0 or len(data) - head < size:
        return None
    return data[head:head + size], data[head + size:]


def match(items, data):
    """Whether DATA is what ITEMS say, to its end."""
    if not items:
        return not data
    item, rest = items[0], items[1:]
    if isinstance(item, Byte):
        return data.startswith(item) and match(rest, data[len(item):])
    if isinstance(item, (Code, Without)):
        return item.matches(data)
    if isinstance(item, Gap):
        if item.one:
            return bool(data) and match(rest, data[1:])
        return any(match(rest, data[n:]) for n in range(len(data) + 1))
    parts = split_counted(item.kind, data)
    return parts is not None and match(item.items, parts[0]) and match(rest, parts[1])


class Notation:
    """TEXT, understood for one version, with the words of one client put in."""

    CLOSE = {"(": ")", "[": "]", "{": "}"}

    def __init__(self, text, version, words):
        self.text, self.version = text.strip(), version
        for word, value in words.items():
            text = text.replace(word, value)
        self.tokens = self.split(text.strip())
        self.at = 0
        self.items = self.parse(None)

    def split(self, text):
        tokens, at = [], 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise Mistake(f"cannot read '{text[at:]}' in: {self.text}")
            tokens.append(found.group(1))
            at = found.end()
        return tokens

    def data(self):
        return data_of(self.items)

    def matches(self, data):
        return match(self.items, data)

    def parse(self, until):
        items = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token == until and token != "|":
                return items
            self.at += 1
            if token == "|":
                items.append(Group("(", self.parse(until)))
            elif token[0] == "*":
                items[-1] = Byte(items[-1] * int(token[1:]))
            elif token[-1] in "([{":
                items += self.nested(token)
            else:
                items += self.simple(token)
        if until:
            raise Mistake(f"'{until}' is missing in: {self.text}")
        return items

    def nested(self, token):
        kind = token[-1]
        inner = self.parse(self.CLOSE[kind])
        self.at += 1
        if len(token) == 2 and self.version != 5:
            return []
        if kind != "{":
            return [Group(kind, inner)]
        plain = all(isinstance(item, (Byte, Group)) for item in inner)
        return [Byte(data_of(inner))] if plain else inner

    def simple(self, token):
        if token[0] == "'":
            return [Byte(token[1:-1].encode())]
        if token == "V":
            return [Byte([self.version])]
        if token == "??":
            return [Gap(True)]
        if token == "...":
            return [Gap(False)]
        if token.startswith("code="):
            return [Code([int(code, 16) for code in token[5:].split("|")])]
        if token[0] == "!":
            return [Without([int(identifier, 16) for identifier in token[1:].split(",")])]
        if token[0].isupper():
            name, *words = token.split(".")
            if name not in TYPES or not set(words) <= set(WORDS):
                raise Mistake(f"there is no packet '{token}'")
            flags = FLAGS.get(name, 0) | sum(WORDS[w] for w in words)
            rest = [Byte([TYPES.index(name) << 4 | flags])]
            return rest + [Group("(", self.parse_rest())]
        return [Byte([int(token, 16)])]

    def parse_rest(self):
        """To the end of the text, or of the bracket around it."""
        items = []
        while self.at < len(self.tokens) and self.tokens[self.at] not in ")]}":
            token = self.tokens[self.at]
            if token[0].isupper() and token != "V":
                break  # the next packet
            self.at += 1
            if token[0] == "*":
                items[-1] = Byte(items[-1] * int(token[1:]))
            elif token[-1] in "([{":
                items += self.nested(token)
            else:
                items += self.simple(token)
        return items


def tell(data):
    """A packet for people."""
    shown = data.hex(" ") if len(data) <= 200 else data[:200].hex(" ") + " ..."
    return f"{TYPES[data[0] >> 4] or '?'}: {shown}"
