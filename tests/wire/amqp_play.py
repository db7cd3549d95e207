"""Scripts against a broker that speaks AMQP 1.0.

A frame of the broker that is too large, or sent without credit or window, or for a link that is not
there, is found in every script (amqp_state.py).
"""

import time

import amqp
import amqp_text
from amqp import Value
from amqp_state import State, true, uint, unfinished
from amqp_text import Expected, Text, build, matches, tell_frame
from notation import Mistake
from script import Failed, Harmed, Stream, tcp
from script import Play as BasePlay

WINDOW = 2048
# To what came before that which matters.
ANSWERS = {"open", "begin", "attach", "flow", "detach", "end", "disposition", "empty"}
OUTCOMES = ("accepted", "rejected", "released", "modified")


class Wire(Stream):
    """One connection, read frame by frame."""

    def whole(self):
        """The size of what is at the front, 0 if it is not all there."""
        size = 8
        if len(self.buffer) >= 8 and self.buffer[:4] != b"AMQP":
            size = max(8, int.from_bytes(self.buffer[:4], "big"))
        return size if len(self.buffer) >= size else 0

    def next(self):
        """A Frame, the bytes of a header, or None at the end."""
        data = self.wait_for(self.whole)
        if data is None or data[:4] == b"AMQP":
            return data
        try:
            return amqp.parse_frame(data)
        except amqp.Malformed as e:
            raise Failed(f"what came is wrong: {e}: {data[:200].hex(' ')}") from None


class Client:
    """A client of a script: a name and, while it has one, a connection."""

    def __init__(self, play, name):
        self.play, self.name, self.wire = play, name, None
        self.words = {"{}": play.unique, "{me}": play.unique + name}
        self.variables, self.skipped = {}, set()
        self.opened, self.last_message = 0.0, b""
        self.state = State()

    # ---- bytes out and frames in

    def write(self, data):
        if self.wire is None:
            self.wire = self.play.Wire(tcp(self.play.target, self.play.patience),
                                       self.play.patience)
            self.state, self.parts = State(), {}
            self.opened = time.monotonic()
        self.wire.send(data)

    def frames_of(self, rest):
        """The bytes that REST says; what they do is noted."""
        channel, rest = place_of(rest)
        data = b""
        for some, meant in amqp_text.read_frames(self.text(rest), channel, self.variables):
            data += some
            if meant:
                self.note(*meant)
        return data

    def note(self, name, fields, channel):
        if self.wire is None:
            self.write(b"")
        self.state.sent(name, {k: v for k, v in fields.items() if amqp.is_right(name, k, v)}, channel)

    def text(self, text):
        return Text(text, self.words)

    def put(self, name, fields, channel=0, payload=b""):
        """A frame from Values."""
        self.note(name, fields, channel)
        value = amqp.composite(name, fields)
        self.write(amqp.frame(amqp.encode(value) + payload, 0, channel))

    def next(self):
        if self.wire is None:
            raise Failed("there is no connection")
        got = self.wire.next()
        if isinstance(got, amqp.Frame):
            self.state.got(got)
        return got

    def next_whole(self):
        """The same, with the transfers of one delivery as one."""
        while True:
            got = self.next()
            if not isinstance(got, amqp.Frame) or got.name != "transfer":
                return got
            place = got.channel, got.fields["handle"].value
            first = self.parts.pop(place, None)
            if true(got.fields, "aborted"):
                continue
            if first:
                first.payload += got.payload
                first.fields.update({k: got.fields[k] for k in ("settled", "state")
                                     if k in got.fields})
            whole = first or got
            self.last_message = whole.payload
            if not unfinished(got.fields):
                whole.fields.pop("more", None)
                return whole
            self.parts[place] = whole

    def expect(self, patterns, any_of=False):
        """The next frames are these, in any order, or the next one is one of them; the last one."""
        left, passed, got = list(patterns), [], None
        deadline = time.monotonic() + self.wire.patience if self.wire else 0
        names = {p.name for p in left}
        skipped = ({"flow", "empty"} | self.skipped) - names
        while left:
            wanted = (" or " if any_of else " and ").join(p.text for p in left)
            try:
                got = self.next_whole() if "message" in names else self.next()
            except Failed as e:
                seen = "".join(f"\n    passed   {tell_frame(f)}" for f in passed[-5:])
                raise Failed(f"expected {wanted}\n    but      {e}{seen}") from None
            match = next((p for p in left if got is not None
                          and self.fits(p, got)), None)
            if match:
                left = [] if any_of else [p for p in left if p is not match]
            elif isinstance(got, amqp.Frame) and (got.name in skipped or got.name == "flow") \
                    and time.monotonic() < deadline:
                passed.append(got)
            else:
                raise Failed(f"expected {wanted}\n    came     {tell_frame(got)}")
        return got

    def fits(self, pattern, got):
        place = isinstance(got, bytes) or got.name in ("open", "close", "empty") \
            or got.kind == "sasl" or got.channel == pattern.channel
        try:
            return place and pattern.matches(got, self.variables)
        except amqp.Malformed as e:
            raise Failed(f"what came is wrong: {e}: {tell_frame(got)}") from None

    def expect_text(self, text, channel=0):
        return self.expect([Expected(text, channel, self.words)])

    def expect_end(self):
        """The end of the stream; after both have said `close`, whoever ends it first."""
        if self.state.closing and self.state.closed:
            self.wire.shut()
        got = self.next()
        if got is not None:
            raise Failed(f"expected the end of the connection\n    came     {tell_frame(got)}")
        self.hang_up()

    def hang_up(self, reset=False):
        if self.wire:
            self.wire.close(reset)
        self.wire = None

    def part(self):
        """What each client does at the end of a script."""
        if self.wire and self.state.opened and not self.state.closing:
            self.do_ping("")
            self.do_close("")

    def go(self):
        """Closes, whatever may still be on its way."""
        if self.wire and self.state.opened and not self.state.closing:
            self.put("close", {})
            while not self.state.closed and self.next() is not None:
                pass

    # ---- the verbs: bytes

    def do_send(self, rest):
        self.write(self.frames_of(rest))

    def do_drip(self, rest):
        """The same, byte by byte."""
        for byte in self.frames_of(rest):
            self.write(bytes([byte]))

    def do_expect(self, rest):
        channel, rest = place_of(rest)
        options = rest.split(" or ")
        parts = options if len(options) > 1 else rest.split(" and ")
        self.expect([Expected(part, channel, self.words) for part in parts], len(options) > 1)

    def do_skip(self, rest):
        """Frames of these names may come from now on."""
        self.skipped = set(rest.split())

    def do_within(self, rest):
        """`within N s STATEMENT`."""
        seconds, unit, verb, rest = (rest.split(None, 3) + [""])[:4]
        assert unit == "s"
        patience, self.wire.patience = self.wire.patience, float(seconds)
        try:
            getattr(self, f"do_{verb}")(rest)
        finally:
            if self.wire:
                self.wire.patience = patience

    # ---- the verbs: frames that are completed, and their answer

    def fields(self, name, rest, defaults):
        """(channel, fields): those of REST and, where it does not name them, the defaults."""
        channel, rest = place_of(rest)
        text = self.text(rest)
        fields = dict(defaults(channel))
        for field, node in text.fields(name).items():
            value = build(node, amqp_text.types_of(
                next(f for f in amqp.BY_NAME[name][1] if f.name == field)), self.variables)
            fields[field] = value
        payload = text.items(variables=self.variables) if text.accept(":") else b""
        return channel, {k: v for k, v in fields.items() if v.type != "null"}, payload

    def session(self, channel):
        if channel not in self.state.sessions:
            raise Mistake(f"there is no session on channel {channel}")
        return self.state.sessions[channel]

    def do_connect(self, rest):
        """Headers, and `open` with what REST names."""
        self.write(amqp.HEADERS["amqp"])
        self.expect_text("header")
        self.do_open(rest)

    def do_open(self, rest):
        _, fields, _ = self.fields("open", rest, lambda _: {
            "container-id": Value("string", self.words["{me}"])})
        self.put("open", fields)
        self.expect_text("open")

    def do_begin(self, rest):
        channel, fields, _ = self.fields("begin", rest, lambda _: {
            "next-outgoing-id": uint(0), "incoming-window": uint(WINDOW),
            "outgoing-window": uint(WINDOW)})
        self.put("begin", fields, channel)
        self.expect_text(f"begin remote-channel={channel}", channel)

    def do_attach(self, rest):
        """`attach sender|receiver "ADDRESS" FIELDS`: there is such a node.  A sender waits for
        credit."""
        channel, rest = place_of(rest)
        role, address, rest = (rest.split(None, 2) + [""])[:3]
        terminus = "target" if role == "sender" else "source"
        node = amqp.composite(terminus, {"address": Value("string", self.text(address).one()[1])})
        defaults = {"handle": uint(0), "role": Value("boolean", role == "receiver"),
                    "source": amqp.composite("source", {}), "target": amqp.composite("target", {}),
                    terminus: node}
        if role == "sender":
            defaults["initial-delivery-count"] = uint(0)
        _, fields, _ = self.fields("attach", rest, lambda _: defaults)
        handle = fields["handle"].value
        fields.setdefault("name", Value("string", f"{self.words['{me}']}-{channel}-{handle}"))
        self.put("attach", fields, channel)
        self.expect_text(f'attach handle={handle} {terminus}=any', channel)
        if role == "sender":
            link = self.session(channel).links[handle]
            while link.credit <= 0:
                self.expect_text(f"flow handle={handle}", channel)

    def do_flow(self, rest):
        """Flow with the session's state, and the link's if it has a handle."""
        def defaults(channel):
            s = self.session(channel)
            return {"next-incoming-id": uint(s.next_in), "incoming-window": uint(WINDOW),
                    "next-outgoing-id": uint(s.next_out), "outgoing-window": uint(WINDOW)}
        channel, fields, _ = self.fields("flow", rest, defaults)
        link = "handle" in fields and self.session(channel).links.get(fields["handle"].value)
        if link and link.receives:
            fields.setdefault("delivery-count", uint(link.count))
        self.put("flow", fields, channel)

    def do_transfer(self, rest):
        """A delivery, by default the next one on handle 0, with its id as its tag; REST has the
        payload behind ":"."""
        def defaults(channel):
            number = self.session(channel).next_id
            return {"handle": uint(0), "delivery-id": uint(number), "message-format": uint(0),
                    "delivery-tag": Value("binary", number.to_bytes(4, "big"))}
        channel, fields, payload = self.fields("transfer", rest, defaults)
        link = self.session(channel).links[fields["handle"].value]
        while not link.within and link.credit <= 0:
            self.expect_text(f"flow handle={fields['handle'].value}", channel)
        self.put("transfer", fields, channel, payload)

    def do_settled(self, rest):
        """`settled STATE FIRST[..LAST]`: the broker says so of all, at once or one by one."""
        channel, rest = place_of(rest)
        state, span = rest.rsplit(None, 1)
        first, _, last = span.partition("..")
        left = set(range(int(first), int(last or first) + 1))
        while left:
            got = self.expect_text(f"disposition role=receiver settled=true state={state}", channel)
            first = got.fields["first"].value
            last = got.fields.get("last", got.fields["first"]).value
            told = {number for number in left if first <= number <= last}
            if not told:
                raise Failed(f"expected dispositions of {rest}\n    came     {tell_frame(got)}")
            left -= told

    def do_detach(self, rest):
        """`detach FIELDS`, by default of handle 0 and closed; it is answered likewise."""
        channel, fields, _ = self.fields("detach", rest, lambda _: {
            "handle": uint(0), "closed": Value("boolean", True)})
        self.put("detach", fields, channel)
        closed = "true" if "closed" in fields and fields["closed"].value else "false"
        handle = fields["handle"].value
        self.expect_text(f"detach handle={handle} closed={closed} error=none", channel)
        del self.session(channel).links[handle]

    def do_end(self, rest):
        channel, fields, _ = self.fields("end", rest, lambda _: {})
        self.put("end", fields, channel)
        self.expect_text("end error=none", channel)
        del self.state.sessions[channel]

    def do_close(self, rest):
        """Ends the connection, which the broker does, too."""
        _, fields, _ = self.fields("close", rest, lambda _: {})
        self.put("close", fields)
        self.expect_text("close error=none")
        self.expect_end()

    def do_ping(self, rest):
        """Nothing has come that was not expected, and the connection stands: another session can be
        begun and ended."""
        channel = self.knock()
        self.expect_text(f"begin remote-channel={channel}", channel)
        self.answered(channel)

    def knock(self):
        channel = next(c for c in range(65536) if c not in self.state.sessions)
        self.put("begin", {"next-outgoing-id": uint(0), "incoming-window": uint(0),
                           "outgoing-window": uint(0)}, channel)
        return channel

    def answered(self, channel):
        self.put("end", {}, channel)
        self.expect_text("end error=none", channel)
        del self.state.sessions[channel]

    # ---- the verbs: too much

    def do_exceed(self, rest):
        """`exceed credit|window|size`: sends more than the broker has allowed on handle 0, as far as
        it has told a limit, in one piece."""
        session = self.session(0)
        link = session.links[0]
        one = {"handle": uint(0), "delivery-id": uint(session.next_id), "message-format": uint(0),
               "delivery-tag": Value("binary", b"x"), "more": Value("boolean", True)}
        if rest == "credit":
            some = [{**one, "delivery-id": uint(session.next_id + n), "more": amqp.NULL,
                     "settled": Value("boolean", True)} for n in range(link.credit + 2000)]
            pieces = [amqp.encode(build(self.text('data("x")').one()))] * len(some)
        elif rest == "window":
            some = [one] * min(session.peer_window + 2000, 100000)
            pieces = [b""] * len(some)
        else:
            size = min(link.size_max, 2 ** 26)
            some = [one] * (size // 400 + bool(size))
            pieces = [b"\0\x53\x75\xb0" + (2 ** 27).to_bytes(4, "big")] + [b"x" * 400] * len(some)
        self.write(b"".join(amqp.frame(amqp.encode(amqp.composite("transfer", fields)) + piece)
                            for fields, piece in zip(some, pieces)))

    # ---- the verbs: ends

    def do_leave(self, rest):
        """The client closes the stream, without a word."""
        assert not rest
        self.hang_up()

    def do_reset(self, rest):
        assert not rest
        self.hang_up(reset=True)

    def do_closed(self, rest):
        """The broker ends the stream without a word; `closed after N s`: not earlier."""
        self.expect_end()
        least = float(rest.split()[1]) if rest else 0
        took = time.monotonic() - self.opened
        if took < least:
            raise Failed(f"closed after {took:.1f} s already")

    def do_fails(self, rest):
        """The broker answers with this, and what is not ended by it goes on."""
        Reaction(self, rest).see()


def place_of(rest):
    """(channel, what follows it)"""
    if not rest.startswith("@"):
        return 0, rest
    number, _, rest = rest[1:].partition(" ")
    return int(number), rest.strip()


class Reaction:
    """`KIND [CONDITION|CONDITION] or ..`: close, end or detach with one of these conditions; closed,
    the same without any; header
    [KIND|KIND], and the end; sasl CODE|CODE, and the end; drop, the end without a word; an outcome of
    a delivery, by its name; fine, nothing happens.  A connection that stands must go on working."""

    def __init__(self, client, text):
        self.client, self.text = client, text
        self.options, self.passed = {}, []
        self.let_in = self.may_come_later = False
        for option in text.split(" or "):
            kind, _, told = option.strip().partition(" ")
            if not hasattr(self, f"after_{kind}"):
                raise Mistake(f"there is no reaction '{kind}'")
            self.options.setdefault(kind, []).extend(told.split("|") if told else [])

    def see(self):
        client, knocked = self.client, None
        goes_on = {"fine", "end", "detach", *OUTCOMES} & set(self.options)
        self.may_come_later = {"detach", *OUTCOMES} & goes_on
        if goes_on and client.state.opened:
            knocked = client.knock()
        try:
            kind, got = self.wait(knocked)
        except Failed as e:
            passed = "".join(f"\n    passed   {tell_frame(f)}" for f in self.passed[-5:])
            raise Failed(f"expected {self.text}\n    but      {e}{passed}") from None
        if kind not in self.options:
            raise Failed(f"expected {self.text}\n    came     {kind}: {tell_frame(got)}")
        getattr(self, f"after_{kind}")(got, self.options[kind])
        if kind in goes_on and knocked is not None:
            if not self.let_in:
                client.expect_text(f"begin remote-channel={knocked}", knocked)
            client.answered(knocked)

    def wait(self, knocked):
        """(kind, frame): the first that is more than an answer to what was right."""
        deadline = time.monotonic() + self.client.wire.patience
        while time.monotonic() < deadline:
            got = self.client.next()
            if got is None:
                return "drop", got
            if isinstance(got, bytes):
                return "header", got
            if got.name == "begin" and got.channel == knocked:
                self.let_in = True
                if "fine" in self.options or not self.may_come_later:
                    return "fine", got
            if got.name == "sasl-outcome":
                return "sasl", got
            if got.name == "open" and knocked is None and "fine" in self.options:
                return "fine", got
            state = amqp.name_of(got.fields.get("state", amqp.NULL))
            if got.name == "disposition" and state in self.options:
                return state, got
            if got.name == "close":
                return "close" if "error" in got.fields else "closed", got
            if got.name not in ANSWERS or "error" in got.fields:
                return got.name, got
            self.passed.append(got)
        raise Failed("nothing but answers to what was right")

    def check(self, got, conditions):
        error = got.fields.get("error")
        condition = error and amqp.parse(error)[1]["condition"].value
        if condition is None or conditions and condition not in conditions:
            raise Failed(f"expected {self.text}\n    came     {tell_frame(got)}")

    def after_close(self, got, conditions):
        if conditions is not None:
            self.check(got, conditions)
        if not self.client.state.closing:
            self.client.put("close", {})
        self.client.expect_end()

    def after_closed(self, got, _):
        self.after_close(got, None)

    def after_end(self, got, conditions):
        self.check(got, conditions)
        self.client.put("end", {}, got.channel)
        del self.client.state.sessions[got.channel]

    def after_detach(self, got, conditions):
        self.check(got, conditions)
        self.client.put("detach", {"handle": got.fields["handle"],
                                   "closed": Value("boolean", True)}, got.channel)

    def after_header(self, got, kinds):
        if got not in [amqp.HEADERS[kind] for kind in kinds or ["amqp"]]:
            raise Failed(f"expected {self.text}\n    came     {tell_frame(got)}")
        self.client.expect_end()

    def after_sasl(self, got, codes):
        wanted = [("word", code) for code in codes]
        if not any(matches(w, ("sasl-code",), got.fields["code"], {}) for w in wanted):
            raise Failed(f"expected {self.text}\n    came     {tell_frame(got)}")
        if "ok" not in codes:
            self.client.expect_end()

    def after_drop(self, _, __):
        self.client.hang_up()

    def after_fine(self, _, __):
        pass

    after_accepted = after_rejected = after_released = after_modified = after_fine


class Play(BasePlay):
    """One script."""

    PROTOCOL, VERSIONS, Client, Wire = "AMQP", {"1.0": 1}, Client, Wire
    # Rows of a table, by how far the client has come when it sends its input.
    ROWS = ("first", "headed", "secured", "opened", "begun", "sending", "receiving")

    def __init__(self, *args):
        super().__init__(*args)
        self.trips, self.reactions = 0, {}

    @classmethod
    def verbs(cls):
        return super().verbs() | {"reaction"}

    def step(self, verb, rest):
        name, at, place = verb.partition("@")
        if verb == "reaction":  # NAME REACTION, for the rows that follow
            name, _, told = rest.partition(" ")
            self.reactions[name] = told
            return
        super().step(name, f"{at}{place} {rest}" if at else rest)

    def row(self, verb, rest):
        """`STAGE REACTION : INPUT`."""
        reaction, _, text = rest.partition(" : ")
        reaction = " or ".join(self.reactions.get(r, r) for r in reaction.strip().split(" or "))
        self.rows += 1
        self.current = self.clients.get("bystander") or self.new_bystander()
        self.current = client = Client(self, f"r{self.rows}")
        client.skipped = {"disposition"}
        try:
            self.come(client, verb)
            client.do_send(text.strip())
            client.skipped |= {"attach", "flow"}  # they may be later than the answer to a knock
            client.do_fails(reaction)
            if reaction == "fine":
                client.part()
            else:
                client.go()
        finally:
            client.hang_up()
        try:
            self.bystander()
        except Failed as e:
            raise Harmed(f"the bystander: {e}") from None

    @staticmethod
    def come(client, stage):
        if stage == "headed":
            client.do_send("header")
            client.do_expect("header")
        elif stage == "secured":
            client.do_send("header sasl")
            client.do_expect("header sasl")
            client.do_expect("sasl-mechanisms")
        elif stage != "first":
            client.do_connect("")
        if stage in ("begun", "sending", "receiving"):
            client.do_begin("")
        if stage in ("sending", "receiving"):
            role = {"sending": "sender", "receiving": "receiver"}[stage]
            client.do_attach(f'{role} "q-{{}}-rows"')

    def new_bystander(self):
        self.client("bystander")
        b = self.current
        for verb, rest in (("connect", ""), ("begin", ""), ("attach", 'sender "q-{me}"'),
                           ("attach", 'receiver "q-{me}" handle=1'),
                           ("flow", "handle=1 link-credit=1000")):
            getattr(b, f"do_{verb}")(rest)
        return b

    def bystander(self):
        """It can still send to a queue and receive from it, and has heard nothing else."""
        b = self.clients["bystander"]
        self.trips += 1
        data = f'data("trip {self.trips}")'
        b.do_transfer(f": {data}")
        b.do_expect(f"disposition role=receiver first={self.trips - 1} settled=true state=accepted "
                    "and message handle=1 delivery-id=$id")
        if not b.last_message.endswith(amqp.encode(build(b.text(data).one()))):
            raise Failed(f"expected {data}\n    came     {b.last_message}")
        b.put("disposition", {"role": Value("boolean", True), "first": b.variables["id"],
                              "settled": Value("boolean", True),
                              "state": amqp.composite("accepted", {})})
