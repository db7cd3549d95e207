"""AMQP as text: values, frames and what is expected of them, as the scripts write them.

    512 0x10 -1 true null      of the type that the field has; else int, boolean, null
    "text" <00 ff> word        string or symbol; binary; symbol, or a name that the standard gives
    uint:5 uint/70:5           of this type; with this constructor
    [a b] {k=v} array(uint 1)  list, map, array; array(uint/43 ..) with this constructor
    open(container-id="x")     a composite; data("x") amqp-value(5): a section that is one value
    described(D V) raw(40)     descriptor and value; bytes instead of a value
    $x                         what `$x` has matched before
In what is expected also: any, none, a|b; a field that is not named may be anything.
Bytes are items: 00 ff 'text' 00*7 (..)*7 #1(..) #4(..), the last two with their size in front, and
values.  `{}` in text stands for the letters of this run, `{me}` for the client's own name.
"""

import re

import amqp
from amqp import Value
from notation import Mistake

TOKEN = re.compile(r"""\s*("[^"]*"|'[^']*'|<[0-9a-fA-F\s]*>|#[14]\(|[\[\]{}()=,;|]|\*\d+|"""
                   r"""[^\s"'<>\[\]{}()=,;|*]+)""")
NUMBER = re.compile(r"-?(0x[0-9a-f]+|\d+)$")
HEX = re.compile(r"([0-9a-f]{2})+$")
TYPED = re.compile(r"([a-z0-9]+)(?:/([0-9a-f]{2}))?:(.*)$", re.DOTALL)
CLOSING = {"(": ")", "[": "]", "{": "}"}



class Text:
    """Tokens, read one by one."""

    def __init__(self, text, words):
        self.text, self.words, self.at = text, words, 0
        self.tokens = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise Mistake(f"cannot read '{text[at:]}' in: {text}")
            if found.group(1) != ",":
                self.tokens.append(found.group(1))
            at = found.end()

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def next(self):
        if self.at == len(self.tokens):
            raise Mistake(f"something is missing at the end of: {self.text}")
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, token):
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def must(self, token):
        if not self.accept(token):
            raise Mistake(f"'{token}' is missing before '{self.peek()}' in: {self.text}")

    def put_in(self, text):
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    # ---- nodes: (kind, what)

    def node(self):
        """A value, or several with "|" between."""
        options = [self.one()]
        while self.accept("|"):
            options.append(self.one())
        return options[0] if len(options) == 1 else ("one of", options)

    def until(self, end, read):
        found = []
        while not self.accept(end):
            found.append(read())
        return found

    def pair(self):
        key = self.one()
        self.must("=")
        return key, self.node()

    def one(self):
        token = self.next()
        if token[0] == '"':
            return "text", self.put_in(token[1:-1])
        if token[0] == "<":
            return "bytes", bytes.fromhex(token[1:-1])
        if token == "[":
            return "list", self.until("]", self.node)
        if token == "{":
            return "map", self.until("}", self.pair)
        if token[0] == "$":
            return "variable", token[1:]
        if self.peek() == "(":
            return self.called(token)
        typed = TYPED.match(token)
        if typed and typed.group(1) in amqp.TYPES:
            return self.typed(*typed.groups())
        if NUMBER.match(token):
            return "number", int(token, 0)
        if token[0] in "]})=;|'*#(":
            raise Mistake(f"'{token}' is out of place in: {self.text}")
        return "word", token

    def typed(self, kind, code, rest):
        code = int(code, 16) if code else None
        if not rest:
            return "typed", (kind, code, self.one())
        number = NUMBER.match(rest) and kind not in amqp.VARIABLE
        return "typed", (kind, code, ("number", int(rest, 0)) if number else ("word", rest))

    def called(self, name):
        self.must("(")
        if name == "raw":
            return "raw", self.items(")")
        if name == "described":
            inside = self.one(), self.node()
            self.must(")")
            return "described", inside
        if name == "array":
            kind, _, code = self.next().partition("/")
            return "array", (kind, int(code, 16) if code else None, self.until(")", self.node))
        if name not in amqp.BY_NAME:
            raise Mistake(f"there is nothing called '{name}' in: {self.text}")
        if isinstance(amqp.BY_NAME[name][1], str):
            inside = self.node()
            self.must(")")
        else:
            inside = dict(self.until(")", lambda: self.field(name)))
        return "composite", (name, inside)

    def field(self, name):
        field = self.next()
        if field not in [f.name for f in amqp.BY_NAME[name][1]]:
            raise Mistake(f"{name} has no field '{field}': {self.text}")
        self.must("=")
        return field, self.node()

    def fields(self, name):
        """FIELD=VALUE, to the end of the frame."""
        found = {}
        while self.peek() not in (None, ";", ":"):
            field, node = self.field(name)
            found[field] = node
        return found

    # ---- bytes

    def items(self, end=None, variables=None):
        """Bytes, to END or to the end of the frame."""
        parts = []
        while self.peek() not in (None, ";", ")"):
            token = self.peek()
            if token[0] == "*":
                parts[-1] *= int(self.next()[1:])
            elif token[0] == "'":
                parts.append(self.put_in(self.next()[1:-1]).encode())
            elif token in ("#1(", "#4("):
                self.next()
                inside = self.items(")", variables)
                parts.append(len(inside).to_bytes(int(token[1]), "big") + inside)
            elif self.accept("("):
                parts.append(self.items(")", variables))
            elif HEX.match(token):
                parts.append(bytes.fromhex(self.next()))
            else:
                parts.append(amqp.encode(build(self.one(), variables=variables)))
        if end:
            self.must(end)
        return b"".join(parts)


# ---- Nodes -> values

def build(node, types=("any",), variables=None):
    """The Value that NODE says, where a field has one of TYPES."""
    kind, what = node
    variables = variables or {}
    if kind == "typed":
        return typed(*what)
    if kind == "variable":
        return variables[what]
    if kind == "raw":
        return Value("raw", what)
    if kind == "described":
        return Value("described", (build(what[0]), build(what[1])))
    if kind == "array":
        return array(*what)
    if kind == "list" and len(types) == 1 and types[0] in ("symbol*",):
        return amqp.symbols(*[name for _, name in what])
    if kind == "list":
        return Value("list", tuple(build(item, variables=variables) for item in what))
    if kind == "map":
        return Value("map", tuple((build(k, variables=variables), build(v, variables=variables))
                                  for k, v in what))
    if kind == "composite":
        return build_composite(*what, variables)
    if kind == "one of":
        raise Mistake(f"either one or the other cannot be sent: {what}")
    return build_simple(kind, what, types)


def build_simple(kind, what, types):
    if kind == "word":
        if what == "null":
            return amqp.NULL
        if "error" in types:
            return amqp.composite("error", {"condition": Value("symbol", what)})
        if "described" in types and what in amqp.BY_NAME:
            return amqp.composite(what, {})
    for wanted in types:
        base, names = amqp.RESTRICTED.get(wanted.rstrip("*"), (wanted.rstrip("*"), {}))
        if kind == "word" and what in names:
            return Value(base, names[what])
        if kind == "word" and what in ("true", "false") and base in ("boolean", "any"):
            return Value("boolean", what == "true")
        if kind == "text" and base == "binary":
            return Value(base, what.encode())
        if base in accepted_as(kind):
            return Value(base, what)
    return Value(accepted_as(kind)[0], what)


def accepted_as(kind):
    """Types that such a word may have, the usual one first."""
    return {"number": ("int", *amqp.UNSIGNED, *amqp.SIGNED), "bytes": ("binary",),
            "text": ("string", "symbol"), "word": ("symbol", "string")}[kind]


def typed(kind, code, node):
    form, what = node
    if kind in ("float", "double") and form in ("number", "word"):
        value = amqp.double(float(what)) if kind == "double" else amqp.single(float(what))
        return Value(kind, value.value, code)
    if kind == "boolean":
        return Value(kind, what == "true", code)
    if form == "text" and kind == "binary":
        return Value(kind, what.encode(), code)
    if form in ("list", "map"):
        return Value(kind, build(node).value, code)
    return Value(kind, None if kind == "null" else what, code)


def array(kind, code, nodes):
    items = tuple(typed(kind, None, node) if node[0] != "composite" else build(node)
                  for node in nodes)
    if code is None:
        codes = amqp.OF_TYPE[kind]
        code = codes[-1] if kind not in amqp.VARIABLE else 0xA0 | codes[0] & 15
    return Value("array", (code, items))


def build_composite(name, inside, variables):
    form = amqp.BY_NAME[name][1]
    if isinstance(form, str):
        base = amqp.RESTRICTED.get(form, (form,))[0]
        return amqp.described(name, build(inside, (base,), variables))
    return performative(name, inside, variables)


def types_of(field):
    return tuple(t + "*" for t in field.types) if field.multiple else field.types


def performative(name, fields, variables=None):
    """Only what is named; everything else is null."""
    values = {field.name: build(fields[field.name], types_of(field), variables)
              for field in amqp.BY_NAME[name][1] if field.name in fields}
    return amqp.composite(name, values)


# ---- Nodes against values

def matches(node, types, value, variables):
    """Whether VALUE (None: it is not there) is what NODE says."""
    kind, what = node
    if kind == "one of":
        return any(matches(option, types, value, variables) for option in what)
    if node in (("word", "none"), ("word", "null")):
        return value in (None, amqp.NULL)
    if value is None:
        return node == ("word", "false") or node == ("composite", ("source", {}))
    if node == ("word", "any"):
        return True
    if kind == "variable":
        variables[what] = value
        return True
    if kind == "composite" and not isinstance(amqp.BY_NAME[what[0]][1], str):
        name = amqp.name_of(value)
        return name == what[0] and fields_match(name, what[1], amqp.parse(value)[1], variables)
    if kind == "word" and amqp.name_of(value) == "error":
        return amqp.parse(value)[1]["condition"].value == what
    if kind == "word" and value.type == "described":
        return amqp.name_of(value) == what
    if kind == "map" and value.type == "map":
        held = dict(value.value)
        return all(matches(v, ("any",), held.get(build(k)), variables) for k, v in what)
    wanted, _ = amqp.decode(amqp.encode(build(node, types, variables)))  # raw bytes become values
    return wanted == value


def fields_match(name, wanted, found, variables):
    return all(matches(wanted[field.name], types_of(field), found.get(field.name), variables)
               for field in amqp.BY_NAME[name][1] if field.name in wanted)


# What a broker may add to a message on its way [AMQP 3.2]: it need not be named.
MAY_BE_ADDED = ("header", "delivery-annotations", "message-annotations")


def payload_matches(wanted, payload, variables):
    """Sections one by one: those of the bare message exactly, others as far as they are named.  Of
    a delivery that is resumed there may be less: `<..>`, its bytes."""
    if wanted and wanted[0][0] == "bytes":
        return b"".join(held for _, held in wanted) == payload
    found = amqp.sections(payload)
    for kind, (name, inside) in wanted:
        assert kind == "composite", "a payload is sections"
        while found and found[0][0] != name and found[0][0] in MAY_BE_ADDED:
            found.pop(0)
        if not found or found[0][0] != name:
            return False
        if not section_matches(name, inside, found.pop(0)[1], variables):
            return False
    return all(name in MAY_BE_ADDED for name, _ in found)


def section_matches(name, inside, held, variables):
    form = amqp.BY_NAME[name][1]
    if isinstance(form, str):
        base = amqp.RESTRICTED.get(form, (form,))[0]
        return matches(inside, (base,), held, variables)
    exact = name == "properties" and set(held) - set(inside)
    return not exact and fields_match(name, inside, held, variables)


# ---- Frames

def read_frame(text, channel, variables):
    """The bytes of one thing to send, and (name, fields as Values, channel) if it is a frame's."""
    word = text.next()
    name, _, number = word.partition("@")
    channel = int(number) if number else channel
    if name == "header":
        return amqp.HEADERS[text.next() if text.peek() in amqp.HEADERS else "amqp"], None
    if name == "empty":
        return amqp.frame(b"", channel=channel), None
    if name == "raw":
        return text.items(), None
    if name == "frame":
        return noted(free_frame(text, channel))
    if name not in amqp.FRAMES + amqp.SASL_FRAMES:
        raise Mistake(f"there is no frame '{name}' in: {text.text}")
    value = performative(name, text.fields(name), variables)
    payload = text.items(variables=variables) if text.accept(":") else b""
    kind = 1 if name in amqp.SASL_FRAMES else 0
    fields = {f.name: v for f, v in zip(amqp.BY_NAME[name][1], value.value[1].value)}
    return amqp.frame(amqp.encode(value) + payload, kind, channel), (name, fields, channel)


def free_frame(text, channel):
    """`frame size=N doff=N type=N extra=<..> ITEMS`: a header as it is told, and any body."""
    told = {"size": None, "doff": None, "type": 0, "extra": b""}
    while text.peek() in told and text.peek(1) == "=":
        name = text.next()
        text.must("=")
        told[name] = text.one()[1]
    data = bytearray(amqp.frame(text.items(), told["type"], channel, extra=told["extra"]))
    if told["size"] is not None:
        data[:4] = told["size"].to_bytes(4, "big")
    if told["doff"] is not None:
        data[4] = told["doff"]
    return bytes(data)


def noted(data):
    """With what DATA means if it is right after all."""
    try:
        frame = amqp.parse_frame(data)
    except amqp.Malformed:
        return data, None
    return data, (frame.name, frame.fields, frame.channel) if frame.kind == "amqp" else None


def read_frames(text, channel, variables):
    """All that one `send` says, with ";" between."""
    while text.peek() is not None:
        yield read_frame(text, channel, variables)
        if text.peek() is not None:
            text.must(";")


class Expected:
    """One frame, or one message, of which some fields are known."""

    def __init__(self, text, channel, words):
        self.text = text.strip()
        read = Text(text, words)
        self.name, _, number = read.next().partition("@")
        self.channel = int(number) if number else channel
        self.header = amqp.HEADERS[read.next() if read.peek() else "amqp"] \
            if self.name == "header" else None
        form = "transfer" if self.name == "message" else self.name
        if form not in amqp.FRAMES + amqp.SASL_FRAMES + ["header", "empty"]:
            raise Mistake(f"there is no frame '{self.name}' in: {text}")
        self.fields = read.fields(form) if form in amqp.BY_NAME and not self.header else {}
        self.payload = None
        if read.accept(":"):
            self.payload = []
            while read.peek() is not None:
                self.payload.append(read.one())
        if read.peek() is not None:
            raise Mistake(f"'{read.peek()}' is out of place in: {text}")

    def matches(self, got, variables):
        """GOT is a Frame, or the eight bytes of a header; $names are kept only if all fits."""
        if isinstance(got, bytes) or self.header:
            return got == self.header
        if got.name != ("transfer" if self.name == "message" else self.name):
            return False
        kept = dict(variables)
        if self.fields and not fields_match(got.name, self.fields, got.fields, kept):
            return False
        if self.payload is not None and not payload_matches(self.payload, got.payload, kept):
            return False
        variables.update(kept)
        return True


def tell(value):
    """A Value, or what parse() makes of a composite, for people."""
    if isinstance(value, dict):
        return " ".join(f"{name}={tell(v)}" for name, v in value.items())
    name = amqp.name_of(value)
    if name:
        inside = amqp.parse(value)[1]
        return f"{name}({tell(inside)})"
    held = value.value
    if value.type == "list":
        return "[" + " ".join(map(tell, held)) + "]"
    if value.type == "map":
        return "{" + " ".join(f"{tell(k)}={tell(v)}" for k, v in held) + "}"
    if value.type == "array":
        return "array(" + " ".join(map(tell, held[1])) + ")"
    if value.type == "described":
        return f"described({tell(held[0])} {tell(held[1])})"
    if isinstance(held, bytes):
        return f"<{held[:64].hex(' ')}>"
    return {"symbol": str, "boolean": lambda h: str(h).lower()}.get(value.type, repr)(held)


def tell_frame(got):
    if got is None:
        return "the end of the connection"
    if isinstance(got, bytes):
        return f"header {got.hex(' ')}"
    shown = f"{got.name}@{got.channel} {tell(got.fields)}".rstrip()
    return shown + (f" : <{got.payload[:64].hex(' ')}>" if got.payload else "")
