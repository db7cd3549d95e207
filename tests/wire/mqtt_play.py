"""Scripts against a broker that speaks MQTT."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import scram  # noqa: E402
import websocket  # noqa: E402
from notation import Mistake, Notation, properties, split_counted, tell  # noqa: E402
from script import Failed, Harmed, Stream, tcp  # noqa: E402
from script import Play as BasePlay  # noqa: E402

VERSIONS = {"3.1": 3, "3.1.1": 4, "5": 5}
ROW_VERSIONS = {"all": (3, 4, 5), "3.x": (3, 4), "3.1.1+": (4, 5), "3.1": (3,), "3.1.1": (4,),
                "5": (5,)}
PING, PONG = b"\xc0\x00", b"\xd0\x00"


class Wire(Stream):
    """One connection, read packet by packet."""

    def _whole(self):
        """The size of the packet at the front, 0 if it is not all there."""
        size, shift = 0, 0
        for at in range(1, min(len(self.buffer), 5)):
            size |= (self.buffer[at] & 0x7F) << shift
            shift += 7
            if self.buffer[at] < 0x80:
                return at + 1 + size if at + 1 + size <= len(self.buffer) else 0
        return 0

    def packet(self):
        """The next one, or None if the broker has closed the connection."""
        return self.wait_for(self._whole)


class Client:
    """A client of a script: a name and, while it has one, a connection."""

    def __init__(self, play, name):
        self.play, self.name, self.wire = play, name, None
        self.id = play.unique + name
        self.opened = 0.0

    def _bytes(self, text):
        return self.play.notation(text, self.id)

    def send(self, data):
        if self.wire is None:
            self.wire = Wire(tcp(self.play.target, self.play.patience), self.play.patience)
            self.opened = time.monotonic()
        self.wire.send(data)

    def packet(self):
        if self.wire is None:
            raise Failed("there is no connection")
        return self.wire.packet()

    def expect(self, patterns):
        """The next packets are these, in any order."""
        left = list(patterns)
        while left:
            data = self.packet()
            told = "closed" if data is None else tell(data)
            match = next((p for p in left if data is not None and p.matches(data)), None)
            if match is None:
                wanted = " and ".join(p.text for p in left)
                raise Failed(f"expected {wanted}\n    came     {told}")
            left.remove(match)

    def expect_closed(self):
        data = self.packet()
        if data is not None:
            raise Failed(f"expected the end of the connection\n    came     {tell(data)}")
        self.hang_up()

    def hang_up(self, reset=False):
        if self.wire:
            self.wire.close(reset)
        self.wire = None

    def part(self):
        """What each client does at the end of a script."""
        if self.wire:
            self.do_ping("")

    # ---- the verbs

    def do_connect(self, rest):
        """A plain CONNECT, which has to be accepted."""
        assert not rest
        name = "['MQIsdp']" if self.play.version == 3 else "['MQTT']"
        self.send(self._bytes(f"CONNECT {name} V 02 0000 5() ['{{me}}']").data())
        self.expect([self._bytes("CONNACK 00 code=00")])

    def do_websocket(self, rest):
        """`websocket OFFERED [CODE|SELECTED]`: opens one, which is refused with a status of HTTP, or
        speaks the selected protocol, of those offered (with "," between, none by "-")."""
        offered, expected = (rest.split() * 2)[:2]
        patience = self.play.patience
        try:
            s = websocket.Socket(self.play.web_target, patience, offered.replace("-", ""))
        except websocket.Refused as refused:
            if not expected.isdigit() or f" {expected} " not in str(refused):
                raise Failed(f"the answer is {refused}") from None
            return
        self.wire = Wire(s, patience)
        self.opened = time.monotonic()
        if s.protocol != expected:
            raise Failed(f"expected {expected}\n    came     {s.protocol}")

    def do_frame(self, rest):
        """`frame FIRST PACKET..`: one frame whose first byte is FIRST."""
        first, _, packets = rest.partition(" ")
        self.wire.socket.send_frame(int(first, 16), self._bytes(packets).data())

    def do_shut(self, rest):
        """The broker ends the WebSocket, with this status."""
        s = self.wire.socket
        self.expect_closed()
        if s.status != int(rest):
            raise Failed(f"expected status {rest}\n    came     {s.status}")

    def do_send(self, rest):
        self.send(self._bytes(rest).data())

    def do_drip(self, rest):
        """The same, byte by byte."""
        for byte in self._bytes(rest).data():
            self.send(bytes([byte]))

    def do_expect(self, rest):
        options = rest.split(" or ")
        if len(options) > 1:
            data = self.packet()
            if data is None or not any(self._bytes(o).matches(data) for o in options):
                told = "closed" if data is None else tell(data)
                raise Failed(f"expected {rest}\n    came     {told}")
        else:
            self.expect([self._bytes(part) for part in rest.split(" and ")])

    def do_ping(self, rest):
        """Nothing has come that was not expected, and the connection stands."""
        assert not rest
        self.send(PING)
        data = self.packet()
        if data != PONG:
            told = "closed" if data is None else tell(data)
            raise Failed(f"expected PINGRESP and nothing before it\n    came     {told}")

    def _auth_data(self, kind, code):
        """The authentication data of the next packet, which is KIND with CODE and our method."""
        data = self.packet()
        place = "00 " if kind == "CONNACK" else ""
        if data is None or not self._bytes(f"{kind} {place}{code} (...)").matches(data):
            told = "closed" if data is None else tell(data)
            raise Failed(f"expected {kind} {place}{code} (...)\n    came     {told}")
        body, _ = split_counted("(", data[1:])
        inside, _ = split_counted("(", body[2 if kind == "CONNACK" else 1:])
        found = dict(properties(inside))
        if found.get(0x15) != scram.METHOD.encode():
            raise Failed(f"expected the method {scram.METHOD}\n    came     {tell(data)}")
        return found.get(0x16, b"")

    def _prove(self, user, password, begin, kind, code="00"):
        """An exchange of SCRAM-SHA-256 that BEGIN begins; if it is accepted, by KIND 00."""
        me = scram.Client(user, password)
        method = f"15['{scram.METHOD}']"
        self.send(self._bytes(begin.replace("PROPS", f"{method} 16['{me.first().decode()}']"))
                  .data())
        answer = me.answer(self._auth_data("AUTH", "18"))
        self.send(self._bytes(f"AUTH 18 ({method} 16['{answer.decode()}'])").data())
        if code == "00" and not me.verify(self._auth_data(kind, "00")):
            raise Failed("the broker has not proved that it knows the password")
        return code

    def do_login(self, rest):
        """`login USER PASSWORD [CODE]`: CONNECT by SCRAM-SHA-256, accepted or refused with CODE."""
        user, password, *code = rest.split()
        begin = "CONNECT ['MQTT'] V 02 0000 (PROPS) ['{me}']"
        if self._prove(user, password, begin, "CONNACK", *code) != "00":
            self.do_refused(*code)

    def do_again(self, rest):
        """`again USER PASSWORD [CODE]`: the same on the connection; with CODE it is ended."""
        user, password, *code = rest.split()
        if self._prove(user, password, "AUTH 19 (PROPS)", "AUTH", *code) != "00":
            self.do_ended(*code)

    def do_ended(self, rest):
        """The broker ends it: MQTT 5 is told why, 3.x has no words for it."""
        if self.play.version == 5:
            self.expect([self._bytes(f"DISCONNECT code={rest}")])
        self.expect_closed()

    def do_refused(self, rest):
        """CONNACK with this code (of 5, of 3.x), then the end."""
        five, three = (rest.split() * 2)[:2]
        code = five if self.play.version == 5 else three
        self.expect([self._bytes(f"CONNACK 00 code={code}")])
        self.expect_closed()

    def do_closed(self, rest):
        """The broker ends it without a word; `closed after N s`: not earlier."""
        self.expect_closed()
        words = rest.split()
        if words:
            least = float(words[1])
            took = time.monotonic() - self.opened
            if took < least:
                raise Failed(f"closed after {took:.1f} s already")

    def do_close(self, rest):
        assert not rest
        self.hang_up()

    def do_reset(self, rest):
        assert not rest
        self.hang_up(reset=True)


class Play(BasePlay):
    """One script in one version."""

    PROTOCOL, VERSIONS, Client, ROWS = "MQTT", VERSIONS, Client, ("first", "then")

    def notation(self, text, me=""):
        words = {"{}": self.unique, "{me}": me}
        return Notation(text, self.version, words)

    def row(self, verb, rest):
        """One row of a table: an input and what has to come of it."""
        versions, reaction, text = rest.split(None, 2)
        code = None
        if reaction in ("CONNACK", "DISCONNECT"):
            code, text = text.split(None, 1)
        if versions not in ROW_VERSIONS:
            raise Mistake(f"there are no versions '{versions}'")
        if self.version not in ROW_VERSIONS[versions]:
            return
        self.rows += 1
        if "bystander" not in self.clients:
            self.client("bystander")
            self.current.do_connect("")
            self.current.do_send("SUBSCRIBE 0001 5() ['{me}'] 00")
            self.current.do_expect("SUBACK 0001 5() 00")
        sender = Client(self, f"r{self.rows}")
        try:
            self.try_row(sender, verb, reaction, code, text)
        finally:
            sender.hang_up()
        try:
            self.bystander()
        except Failed as e:
            raise Harmed(f"the bystander: {e}") from None

    def try_row(self, sender, verb, reaction, code, text):
        if verb == "then":
            sender.do_connect("")
        sender.do_send(text)
        if reaction == "fine":
            sender.do_ping("")
        elif reaction == "accepted":
            sender.do_expect("CONNACK 00 code=00")
        else:
            if reaction == "CONNACK" or (code and self.version == 5):
                place = "00 " if reaction == "CONNACK" else ""
                sender.do_expect(f"{reaction} {place}code={code}")
            sender.expect_closed()

    def bystander(self):
        """It can still talk to itself, and has heard nothing else."""
        b = self.clients["bystander"]
        number = f"{self.rows:04x}"
        b.do_send(f"PUBLISH.qos1 ['{{me}}'] {number} 5() {number}")
        b.do_expect(f"PUBACK {number} code=00 and "
                    f"PUBLISH ['{{me}}'] 5() {number}")
