"""Queues beside the sessions of load.py: senders and receivers of AMQP that remember what they were
promised, and check it.

A transfer is one message and has a number that no other has; one whose outcome did not come is not
sent again, so that it may be in the queue, once, or not.  What receivers do with a message is
remembered with it, whoever of them did it.

    promise                                                     checked
    accepted is delivered until it is settled                   Load.settled
    what was refused is not in the queue                        Sender.deliver
    settled, and that confirmed, is gone                        Sender.deliver
    rejected, or failed too often, and that confirmed, is a
        dead letter, and nothing else is one                    Sender.deliver, check_place
    the count of failed deliveries is what has failed           check_count
    who holds a message holds it alone                          check_holder
    a sender's messages come in order, the first time           Receiver.on_got
    what is delivered is what was sent                          load.number_in
    what is left when all is settled: nothing                   Load.drain

A connection that breaks makes what it held count as failed, if the broker noticed; so each break
may add one to the counts of its queues."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import load
from load import Violation

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wire"))

import amqp  # noqa: E402
from amqp import Value  # noqa: E402
from durable import AMQP_BEHIND, harness  # noqa: E402

# Name and max_deliveries, as durable.py configures them.
QUEUES = (("plain", 10), ("strict", 3))
DEAD = "/$DeadLetterQueue"
FRAME, PIECE = 1024, 900  # bytes of a frame at most, and of a message in one
CREDIT, WINDOW = 20, 10   # deliveries on their way to a receiver, and from a sender
ENDLESS = 2 ** 31 - 1     # frames: no window of ours is ever full
BEAT = 5                  # seconds between signs of life
REJECTED = "test:rejected"


def uint(number):
    return Value("uint", number)


def true(value):
    return value is not None and value.value


TRUE = Value("boolean", True)
STATES = {
    "accepted": amqp.composite("accepted", {}),
    "released": amqp.composite("released", {}),
    "modified": amqp.composite("modified", {"delivery-failed": TRUE}),
    "rejected": amqp.composite("rejected", {"error": amqp.composite(
        "error", {"condition": Value("symbol", REJECTED)})}),
}
# What becomes of a delivery, and how often of a hundred times.  "taken" is accepted and settled in
# one word, so that nobody confirms it.
OUTCOMES = ("accepted", "taken", "released", "modified", "rejected")
USUAL, OF_DEAD = (70, 6, 8, 12, 4), (75, 5, 15, 5, 0)


@dataclasses.dataclass
class Message:
    queue: int
    outcome: str = "sent"  # then accepted, refused, or unknown
    gone: str = "no"       # then maybe: a receiver has said so; and sure: it was confirmed
    rejected: str = "no"   # likewise
    least: int = 0         # deliveries that have failed: confirmed,
    most: int = 0          # and all that were said to have
    breaks: int = 0        # of its queue's receivers, before it was sent
    holder: tuple = None   # the receiver, and which of his connections
    spared: bool = False   # gone, maybe, when a drain found its queue empty


class Client(load.Client):
    """A connection with one session, and links[i] with handle i."""

    STATE = ("ups",)

    def __init__(self, load_, name, addresses):
        super().__init__(load_, name, 0)
        self.addresses, self.ups = addresses, 0

    def on_up(self):
        self.ups += 1

    def connect(self, port):
        super().connect(port + AMQP_BEHIND)

    def greet(self):
        self.links, self.by_remote, self.parts = {}, {}, {}
        self.next_in = self.next_out = self.window = 0
        self.beat_at = time.monotonic() + BEAT
        self.send(amqp.HEADERS["amqp"])
        self.put("open", {"container-id": Value("string", self.name),
                          "max-frame-size": uint(FRAME)})
        self.put("begin", {"next-outgoing-id": uint(0), "incoming-window": uint(ENDLESS),
                           "outgoing-window": uint(ENDLESS)})
        for handle, address in enumerate(self.addresses):
            self.put("attach", {"name": Value("string", f"{self.name}-{handle}"),
                                "handle": uint(handle), **self.terms(address)})

    def put(self, name, fields, payload=b""):
        self.send(amqp.frame(amqp.encode(amqp.composite(name, fields)) + payload))

    def put_flow(self, fields):
        self.put("flow", {"next-incoming-id": uint(self.next_in), "incoming-window": uint(ENDLESS),
                          "next-outgoing-id": uint(self.next_out),
                          "outgoing-window": uint(ENDLESS), **fields})

    def beat(self):
        if self.up and time.monotonic() > self.beat_at:
            self.beat_at = time.monotonic() + BEAT
            self.send(amqp.frame(b""))

    def read(self):
        at = 0
        while self.socket and len(self.inbox) - at >= 8:
            size = 8 if self.inbox[at:at + 4] == b"AMQP" else \
                int.from_bytes(self.inbox[at:at + 4], "big")
            if len(self.inbox) - at < size:
                break
            data, at = bytes(self.inbox[at:at + size]), at + size
            if data[:4] != b"AMQP":
                frame = amqp.parse_frame(data)
                getattr(self, "take_" + frame.name)(frame.fields, frame.payload)
        del self.inbox[:at]

    def take_open(self, fields, _):
        pass

    take_empty = take_open

    def take_begin(self, fields, _):
        self.next_in = fields["next-outgoing-id"].value
        self.window = fields["incoming-window"].value

    def take_attach(self, fields, _):
        handle = int(fields["name"].value.rpartition("-")[2])
        self.by_remote[fields["handle"].value] = handle
        self.links[handle] = 0
        if len(self.links) == len(self.addresses):
            self.happen("up")
            self.up = True
            self.resume()

    def resume(self):
        """All links are there."""

    def take_flow(self, fields, _):
        self.window = fields.get("next-incoming-id", uint(0)).value + \
            fields["incoming-window"].value - self.next_out
        if "handle" in fields:
            self.take_credit(self.by_remote[fields["handle"].value], fields)
        if true(fields.get("echo")):
            self.put_flow({})

    def take_credit(self, handle, fields):
        """Flow on a link."""

    def take_close(self, fields, _):
        """Not now: as if the connection had broken."""
        self.load.refusals += 1
        self.drop()

    take_detach = take_end = take_close


class Sender(Client):
    """Sends numbered messages to the queues, durable and unsettled."""

    STATE = ("ups", "next", "messages")

    def __init__(self, load_, name):
        super().__init__(load_, name, [queue for queue, _ in QUEUES])
        self.next = 0
        self.messages = {}  # number: Message

    # --- events

    def on_up(self):
        super().on_up()
        for message in self.messages.values():
            if message.outcome == "sent":
                message.outcome = "unknown"

    def on_send(self, number, queue):
        self.messages[number] = Message(queue, breaks=self.load.breaks())
        self.next = number + 1

    def on_outcome(self, number, outcome):
        self.messages[number].outcome = outcome
        self.load.accepted += outcome == "accepted"
        self.load.refusals += outcome == "refused"

    def deliver(self, number, dead, count, reason):
        """The message NUMBER, which a receiver has got."""
        what = f"{self.name}: message {number}"
        message = self.messages.get(number)
        if not message:
            raise Violation(f"{what} comes " + ("again after it was settled, and the queue empty"
                                                if number < self.next else "before it was sent"))
        name = QUEUES[message.queue][0]
        what = f"{what}, to {name}{DEAD if dead else ''}, {message}"
        if message.outcome == "refused" or message.gone == "sure":
            raise Violation(f"{what}: it comes all the same")
        self.check_holder(message, what)
        self.check_place(message, dead, reason, what)
        if not dead:
            self.check_count(message, count, what)
        return message

    def check_holder(self, message, what):
        if message.holder:
            index, ups = message.holder
            holder = self.load.clients[index]
            if holder.up and holder.ups == ups:
                raise Violation(f"{what}: it comes to two at a time")

    def failures(self, message):
        return message.most + self.load.breaks() - message.breaks + self.load.receiver_count

    def check_place(self, message, dead, reason, what):
        most = QUEUES[message.queue][1]
        stays = self.load.store_fails  # a dead letter would be something new to be kept
        if not dead and (message.rejected == "sure" or message.least >= most and not stays):
            raise Violation(f"{what}: it is no dead letter")
        if dead and not (reason == REJECTED and message.rejected != "no" or
                         reason == "MaxDeliveryCountExceeded" and self.failures(message) >= most):
            raise Violation(f"{what}: it is a dead letter, for {reason}")

    def check_count(self, message, count, what):
        if not message.least <= count <= self.failures(message):
            raise Violation(f"{what}: {count} deliveries have failed, it says")

    # --- the connection

    @staticmethod
    def terms(address):
        return {"role": Value("boolean", False), "initial-delivery-count": uint(0),
                "source": amqp.composite("source", {}),
                "target": amqp.composite("target", {"address": Value("string", address)})}

    def greet(self):
        super().greet()
        self.credit, self.counts = [0] * len(QUEUES), [0] * len(QUEUES)
        self.deliveries, self.next_id = {}, 0  # id: number

    def take_credit(self, handle, fields):
        count = fields.get("delivery-count", uint(0)).value
        self.credit[handle] = count + fields["link-credit"].value - self.counts[handle]

    def act(self):
        self.beat()
        while self.load.publishing and self.up and len(self.deliveries) < WINDOW and \
                len(self.out) < 1 << 16 and self.window > 8:
            queue = self.load.random.randrange(len(QUEUES))
            if self.credit[queue] <= 0:
                break
            number = self.next
            self.happen("send", number, queue)
            self.transfer(queue, number)

    def transfer(self, queue, number):
        body = amqp.encode(amqp.composite("header", {"durable": TRUE})) + amqp.encode(
            amqp.described("data", Value("binary", load.payload(self.name, number))))
        fields = {"delivery-id": uint(self.next_id), "message-format": uint(0),
                  "delivery-tag": Value("binary", b"%d" % number)}
        self.deliveries[self.next_id] = number
        self.next_id += 1
        self.credit[queue] -= 1
        self.counts[queue] += 1
        for at in range(0, len(body), PIECE):
            more = {"more": TRUE} if at + PIECE < len(body) else {}
            self.put("transfer", {"handle": uint(queue), **fields, **more}, body[at:at + PIECE])
            fields = {}
            self.window -= 1
            self.next_out += 1

    def take_disposition(self, fields, _):
        state = amqp.name_of(fields["state"]) if "state" in fields else None
        if not true(fields.get("settled")) or state not in STATES:
            raise Violation(f"{self.name}: {fields} is no outcome")
        first = fields["first"].value
        for delivery in range(first, fields.get("last", fields["first"]).value + 1):
            self.happen("outcome", self.deliveries.pop(delivery),
                        "accepted" if state == "accepted" else "refused")


@dataclasses.dataclass
class Held:
    sender: int
    number: int
    dead: bool
    said: str = None  # the outcome that waits to be confirmed


class Receiver(Client):
    """Takes from the queues, or their dead letters, and settles sooner or later, in some way."""

    def __init__(self, load_, name, dead):
        super().__init__(load_, name, [queue + (DEAD if dead else "") for queue, _ in QUEUES])
        self.dead = dead
        self.held = {}  # delivery-id: Held

    # --- events

    def on_got(self, sender, number, count, reason):
        message = self.load.clients[sender].deliver(number, self.dead, count, reason)
        message.holder = (self.index, self.ups)
        message.gone = "no"  # it has not come to pass
        if not self.dead:
            message.rejected = "no"

    def on_settle(self, sender, number, outcome):
        message = self.load.clients[sender].messages[number]
        if outcome in ("accepted", "taken") or outcome == "rejected" and self.dead:
            message.gone = "maybe"
        elif outcome == "rejected":
            message.rejected = "maybe"
        elif outcome == "modified":
            message.most += 1
        if outcome != "accepted":
            message.holder = None

    def on_sure(self, sender, number, outcome):
        message = self.load.clients[sender].messages[number]
        if outcome == "accepted" or outcome == "rejected" and self.dead:
            message.gone, message.holder = "sure", None
            self.load.taken += 1
        elif outcome == "rejected":
            message.rejected = "sure"
        elif outcome == "modified" and not self.dead:
            message.least += 1

    def on_denied(self, sender, number):
        """The broker does not have it so."""
        self.load.clients[sender].messages[number].holder = None
        self.load.refusals += 1

    # --- the connection

    @staticmethod
    def terms(address):
        return {"role": TRUE, "rcv-settle-mode": Value("ubyte", 1),
                "source": amqp.composite("source", {"address": Value("string", address)}),
                "target": amqp.composite("target", {})}

    def greet(self):
        super().greet()
        self.held, self.counts, self.last = {}, [0] * len(QUEUES), {}
        self.credit = [0] * len(QUEUES)

    def resume(self):
        for handle in range(len(QUEUES)):
            self.give_credit(handle)

    def give_credit(self, handle):
        self.credit[handle] = CREDIT
        self.put_flow({"handle": uint(handle), "delivery-count": uint(self.counts[handle]),
                       "link-credit": uint(CREDIT)})

    def take_transfer(self, fields, payload):
        self.next_in += 1
        handle = self.by_remote[fields["handle"].value]
        first, data = self.parts.pop(handle, (fields, b""))
        if true(fields.get("more")):
            self.parts[handle] = first, data + payload
            return
        self.counts[handle] += 1
        self.credit[handle] -= 1
        self.take_message(first["delivery-id"].value, handle, amqp.sections(data + payload))
        if self.credit[handle] <= CREDIT // 2:
            self.give_credit(handle)

    def take_message(self, delivery, handle, sections):
        parts = dict(sections)
        data = parts["data"].value
        sender = self.load.sender_named(data.partition(b" ")[0].decode(errors="replace"))
        number = load.number_in(sender.name, data)
        header = parts["header"]
        notes = {key.value: value.value for key, value in
                 parts["message-annotations"].value} if "message-annotations" in parts else {}
        if true(header.get("first-acquirer")) and not self.dead:
            if number <= self.last.get((handle, sender.index), -1):
                raise Violation(f"{sender.name}: {number} comes after "
                                f"{self.last[handle, sender.index]}, for the first time")
            self.last[handle, sender.index] = number
        self.load.delivered += 1
        self.happen("got", sender.index, number, header.get("delivery-count", uint(0)).value,
                    notes.get("DeadLetterReason"))
        self.held[delivery] = Held(sender.index, number, self.dead)

    def act(self):
        self.beat()
        waiting = [delivery for delivery, held in self.held.items() if not held.said]
        if not self.up or not waiting or self.load.random.random() < 0.3:
            return
        self.load.random.shuffle(waiting)
        chances = OF_DEAD if self.dead else USUAL
        said = {}
        for delivery in waiting[:self.load.random.randint(1, len(waiting))]:
            said[delivery] = self.load.random.choices(OUTCOMES, chances)[0] \
                if self.load.publishing else "accepted"
        for first, last, outcome in stretches(said):
            self.settle(first, last, outcome)

    def settle(self, first, last, outcome):
        state = "accepted" if outcome == "taken" else outcome
        settled = {"settled": TRUE} if outcome == "taken" else {}
        self.put("disposition", {"role": TRUE, "first": uint(first), "last": uint(last),
                                 "state": STATES[state], **settled})
        for delivery in range(first, last + 1):
            held = self.held[delivery]
            self.happen("settle", held.sender, held.number, outcome)
            held.said = state
            if settled:
                del self.held[delivery]

    def take_disposition(self, fields, _):
        state = amqp.name_of(fields["state"]) if "state" in fields else None
        first = fields["first"].value
        for delivery in range(first, fields.get("last", fields["first"]).value + 1):
            held = self.held.pop(delivery, None)
            if not held or not held.said or not true(fields.get("settled")):
                raise Violation(f"{self.name}: {fields} of {delivery}, {held}")
            if state == held.said and not self.is_error(fields):
                self.happen("sure", held.sender, held.number, state)
            else:
                self.happen("denied", held.sender, held.number)

    @staticmethod
    def is_error(fields):
        """Whether it is rejected by the broker, and not by us."""
        name, state = amqp.parse(fields["state"])
        return name == "rejected" and "error" in state and \
            amqp.parse(state["error"])[1]["condition"].value != REJECTED


def stretches(said):
    """{id: outcome} as (first, last, outcome)."""
    found = []
    for delivery in sorted(said):
        if found and found[-1][1] == delivery - 1 and found[-1][2] == said[delivery]:
            found[-1][1] = delivery
        else:
            found.append([delivery, delivery, said[delivery]])
    return found


class Load(load.Load):
    """The clients of load.py, two senders, two receivers, and one of dead letters."""

    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        self.accepted = self.taken = 0
        self.store_fails = False  # now and then it takes nothing new
        self.senders = self.add(Sender(self, f"a{i}") for i in range(2))
        self.receivers = self.add(Receiver(self, f"r{i}", dead=i == 2) for i in range(3))
        self.receiver_count = len(self.receivers)

    def add(self, clients):
        added = []
        for client in clients:
            self.clients.append(client)
            added.append(client)
        return added

    def copy(self, random_):
        other = super().copy(random_)
        other.store_fails = self.store_fails
        return other

    def sender_named(self, name):
        for sender in self.senders:
            if sender.name == name:
                return sender
        raise Violation(f"a message of {name!r}, whom nobody knows")

    def breaks(self):
        """How many connections of receivers there have been; each may have broken."""
        return sum(receiver.ups for receiver in self.receivers)

    def messages(self):
        return ((sender, number, message) for sender in self.senders
                for number, message in sender.messages.items())

    def progress(self):
        return super().progress(), self.taken, self.accepted, \
            sum(sender.next for sender in self.senders)

    def sent(self):
        return {**super().sent(), **{sender.name: sender.next for sender in self.senders}}

    def acknowledged_after(self, sent):
        return super().acknowledged_after(sent) + [
            f"{sender.name} {number}" for sender, number, message in self.messages()
            if number >= sent[sender.name] and message.outcome == "accepted"]

    def left(self):
        """What was accepted, and nobody has settled."""
        return [f"{sender.name} {number}" for sender, number, message in self.messages()
                if message.outcome == "sent" or
                message.outcome == "accepted" and message.gone == "no"]

    def waiting(self):
        held = {receiver.name: receiver.held for receiver in self.receivers if receiver.held}
        return f"{super().waiting()}, outcomes or deliveries of {self.left()[:10]}, {held} settled"

    def settled(self):
        return super().settled() and not self.left() and \
            not any(receiver.held or receiver.out for receiver in self.receivers)

    def show(self, queue):
        """What the broker says of it; None: nothing, now."""
        done = subprocess.run([harness.GNATTER, "queue", "show", queue, "--json", "-p",
                               str(self.port + AMQP_BEHIND)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=load.PATIENCE, check=False)
        if done.returncode:
            raise Violation(f"queue show {queue}: {done.stderr.decode(errors='replace')}")
        return json.loads(done.stdout)

    def in_queues(self):
        return {(queue, what): number for queue, _ in QUEUES
                for what, number in self.show(queue).items()
                if number and what in ("ready", "held", "bytes", "dead_letters")}

    def drain(self):
        """And the queues are empty, which they may say as soon as their last settling is done."""
        super().drain()
        self.run_until(lambda: not self.in_queues() and self.settled(),
                       lambda: f"{self.in_queues()} to go, {self.waiting()}")
        for sender in self.senders:
            sender.messages = {number: dataclasses.replace(message, spared=True)
                               for number, message in sender.messages.items()
                               if message.gone == "maybe" and not message.spared}

    def story(self):
        return super().story() + f", {self.accepted} accepted by queues, {self.taken} taken and confirmed"


def clients_of(broker):
    """The load for a broker of that name: others than ours have no queues here."""
    return Load if broker == "gnatter" else load.Load
