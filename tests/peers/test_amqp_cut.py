#!/usr/bin/env python3
"""Connections of AMQP that are cut at every frame, or within them: those of an exchange that goes
through all that queues have, and those of the byte scripts (tests/wire/amqp).  Whatever had been
said by then, each message is there once or has been settled, nothing stays locked, and bystanders
notice nothing.

Environment: GNATTER_CUTS, at how many places in bytes the exchange is cut (60; 0: at all)."""

import collections
import itertools
import os
import pathlib
import tempfile

import amqp_peers
import peers
from amqp_peers import amqp, harness
from amqp_play import Play, Wire
from script import Script

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "wire" / "amqp"
CUTS = int(os.environ.get("GNATTER_CUTS", "60"))

# A play: what a message is from the beginning of a step on, perhaps ("?"), and what it surely is
# when the step has been done, stands behind it: here, accepted, gone (settled), dead.
EXCHANGE = """
client s
  connect
  begin
  attach sender "q-{}"
  send transfer handle=0 delivery-id=0 delivery-tag=<00> : header(durable=true) data("0")  # here? 0
  settled accepted 0  # accepted 0
  send transfer handle=0 delivery-id=1 delivery-tag=<01> more=true : 00 53 75 a0 65 '1'
  send transfer handle=0 more=true : 'x'*50
  send transfer handle=0 : 'x'*50  # here? 1
  settled accepted 1  # accepted 1
  send transfer handle=0 delivery-id=2 delivery-tag=<02> more=true : data("2")
  send transfer handle=0 aborted=true
  send transfer handle=0 delivery-id=3 delivery-tag=<03> settled=true : data("3")  # here? 3
  send transfer handle=0 delivery-id=4 delivery-tag=<04> : data("4")  # here? 4
  send transfer handle=0 delivery-id=5 delivery-tag=<05> : data("5")  # here? 5
  settled accepted 4..5  # accepted 3 4 5
client r
  connect
  begin
  attach receiver "q-{}" rcv-settle-mode=second
  flow handle=0 link-credit=20
  expect message handle=0 delivery-id=$0
  expect message handle=0 delivery-id=$1
  expect message handle=0 delivery-id=$3
  expect message handle=0 delivery-id=$4
  expect message handle=0 delivery-id=$5
  send disposition role=receiver first=$0 state=accepted  # gone? 0
  expect disposition role=sender first=$0 settled=true state=accepted  # gone 0
  send disposition role=receiver first=$1 state=rejected(error=test:no)  # dead? 1
  expect disposition role=sender first=$1 settled=true state=rejected  # dead 1
  send disposition role=receiver first=$3 state=released
  expect disposition role=sender first=$3 settled=true state=released and message handle=0 delivery-id=$3b
  send disposition role=receiver first=$4 settled=true state=modified(delivery-failed=true)
  expect message handle=0 delivery-id=$4b
  send disposition role=receiver first=$5 settled=true state=accepted  # gone? 5
  send disposition role=receiver first=$3b last=$4b state=accepted  # gone? 3 4
  expect disposition role=sender settled=true state=accepted  # gone 3
  detach
  end
  close
client s
  detach
  end
  close
"""


class Cut(Exception):
    """The connections of a play are no more."""


def frames_in(data):
    """DATA as headers and frames; what is none of them is in one piece."""
    while data:
        size = 8 if data[:4] == b"AMQP" else int.from_bytes(data[:4], "big")
        if size < 8 or size > len(data):
            size = len(data)
        yield data[:size]
        data = data[size:]


class Scissors:
    """Lets so many frames of a play through, or bytes of them, and cuts all its connections."""

    def __init__(self, left, in_bytes, reset):
        self.left, self.in_bytes, self.reset = left, in_bytes, reset
        self.wires, self.passed = [], 0

    def wire(self, connection, patience):
        wire = CutWire(connection, patience)
        wire.scissors = self
        self.wires.append(wire)
        return wire

    def send(self, wire, data):
        for frame in frames_in(data):
            size = len(frame) if self.in_bytes else 1
            part = frame[:self.left] if self.in_bytes else frame * (self.left > 0)
            Wire.send(wire, part)
            self.left -= size
            self.passed += size
            if self.left < 0:
                for one in self.wires:
                    if one.socket.fileno() >= 0:
                        one.close(self.reset)
                raise Cut


class CutWire(Wire):
    def send(self, data):
        self.scissors.send(self, data)


class CutPlay(Play):
    """A play that is cut, and what is known of its messages then: {word: numbers}."""

    def __init__(self, script, test, scissors):
        target = ("127.0.0.1", test.broker.amqp_port)
        super().__init__(script, 1, target, None, harness.PATIENCE)
        self.Wire, self.known = scissors.wire, collections.defaultdict(set)

    def note(self, line, sure):
        _, _, fact = self.script.lines[line - 1].partition("  # ")
        word, *messages = fact.split() or [""]
        if word.endswith("?") != sure:
            self.known[word].update(messages)

    def run(self):
        """True: it was cut; what is wrong is raised."""
        try:
            for line, verb, rest in self.script.steps:
                self.note(line, sure=False)
                self.step(verb, rest)
                self.note(line, sure=True)
            for client in self.clients.values():
                client.part()
        except Cut:
            return True
        finally:
            for client in self.clients.values():
                client.hang_up()
        return False


def read_script(path):
    script = Script(path, Play)
    script.lines = path.read_text().splitlines()
    return script


class Queues(amqp_peers.Test):
    def bodies(self, reader, queue):
        """What is in QUEUE, which is empty then: the first letter of each."""
        link = next(self.links)
        reader.do_attach(f'receiver "{queue}" handle={link} snd-settle-mode=settled')
        reader.do_flow(f"handle={link} link-credit=100 drain=true")
        found = []
        while True:
            got = reader.next_whole()
            if got.name == "transfer":
                found.append(amqp.sections(got.payload)[-1][1].value[:1].decode())
            elif got.name == "flow" and "link-credit" in got.fields \
                    and not got.fields["link-credit"].value:
                reader.do_detach(f"handle={link}")
                return found

    def check(self, play, reader):
        """Nobody has what is there, which is what has to be there and may."""
        queue, known = f"q-{play.unique}", play.known
        self.left_alone(queue)
        alive, dead = (self.bodies(reader, name) for name in (queue, queue + "/$DeadLetterQueue"))
        there = alive + dead
        self.assertEqual(len(there), len(set(there)), "a message is there twice")
        self.assertEqual(sorted(alive), alive, "they are out of order")
        self.assertLessEqual(known["accepted"] - known["gone?"], set(there), "messages are lost")
        self.assertLessEqual(set(there), known["here?"] - known["gone"], "it was not there, or gone")
        self.assertLessEqual(set(dead), known["dead?"])
        self.assertFalse(known["dead"] & set(alive))

    def cut(self, script, left, in_bytes, reader):
        """False: it has come to its end before."""
        scissors = Scissors(left, in_bytes, reset=left % 2)
        play = CutPlay(script, self, scissors)
        with self.subTest(cut=left, in_bytes=in_bytes):
            was_cut = play.run()
            if "here?" in play.known:
                self.check(play, reader)
            self.bystanders[left % len(self.bystanders)].round_trip()
            return was_cut, scissors.passed
        return False, 0

    def test_exchange(self):
        with tempfile.NamedTemporaryFile("w", suffix=".wire") as file:
            file.write(EXCHANGE)
            file.flush()
            script = read_script(pathlib.Path(file.name))
        self.links = itertools.count()
        reader = self.amqp("reader").begin()
        left = 0
        while self.cut(script, left, False, reader)[0]:
            left += 1
        self.assertGreater(left, 25, "frames of the exchange")
        _, size = self.cut(script, 10 ** 6, True, reader)
        step = size // CUTS if CUTS else 1
        for left in range(1, size, step):
            self.assertTrue(self.cut(script, left, True, reader)[0])
        self.round_trips()


class Scripts(amqp_peers.Test):
    """The byte scripts that are about one connection after the other, and not about time, nor about
    links that are to outlive their connection, and keep what they hold."""

    @staticmethod
    def is_fit(script):
        verbs = {verb.partition("@")[0] for _, verb, _ in script.steps}
        lasting = script.path.parent.name == "resume"
        return not script.needs and not lasting and not verbs & {
            "pass", "within", "reaction", "exceed", "drip", *Play.ROWS}

    def test_scripts(self):
        scripts = [script for script in map(read_script, sorted(SCRIPTS.rglob("*.wire")))
                   if self.is_fit(script)]
        self.assertGreater(len(scripts), 50)
        cuts = 0
        for number, script in enumerate(scripts):
            for left in itertools.count():
                play = CutPlay(script, self, Scissors(left, False, reset=left % 2))
                with self.subTest(script=script.shown, cut=left):
                    if not play.run():
                        break
                cuts += 1
            self.bystanders[number % len(self.bystanders)].round_trip()
        self.assertGreater(cuts, 500)
        self.nothing_is_held()

    def nothing_is_held(self):
        """Nobody has anything any more; what was made for a connection has gone with it."""
        def left():
            told = self.management("list", "--all")
            temporary = sum(queue["temporary"] for queue in told)
            return [queue["name"] for queue in told if not queue["temporary"] and (
                queue["held"] or queue["consumers"] and not queue["name"].startswith("by-"))
            ] + ["temporary queues"] * (temporary - 1)  # one is the asker's
        try:
            harness.wait_until(lambda: not left(), "all queues to be let go of")
        except AssertionError as error:
            raise AssertionError(f"{error}: {left()}") from None
        self.round_trips()


if __name__ == "__main__":
    peers.main()
