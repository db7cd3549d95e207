"""Publishers and durable subscribers that remember what they were promised, and check it.

Everything that happens to a client is an event, a short list, and its state is what its events have
made of it: apply() changes the state and nothing else does.  So the clients of a moment can be made
again from the events up to there, which is how a crash state finds the clients that fit to it.

Events are marked before what they caused is sent, so the broker never knows of something sent that
is not marked; what it has sent and nobody has marked was lost on the way.

    promise                                             checked
    acknowledged is delivered to every subscriber       drain(), Load.missing
    QoS 2 comes once                                    Subscriber.on_got
    QoS 2, and QoS 1 the first time, come in order      Subscriber.on_got
    what comes is what was sent                         number_in
    a session that was there is there                   Client.on_up
    a retained value is never older than acknowledged   retained_floor, check_retained"""

import json
import os
import pickle
import selectors
import socket
import struct
import sys
import time
import types
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import raw  # noqa: E402
from raw import (CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH,  # noqa: E402
                 PUBREC, PUBREL, SUBACK)

PATIENCE = float(os.environ.get("GNATTER_PATIENCE", "30"))
FOREVER = b"\x11\xff\xff\xff\xff"  # session expiry interval
REFUSED = 0x80
WINDOW = 10
RETRY = 0.05  # seconds between attempts to connect


class Violation(AssertionError):
    """A promise that was not kept."""


def payload(topic, number):
    """What is published: it follows from topic and number, and has a size from a few bytes on."""
    head = b"%s %d " % (topic.encode(), number)
    size = 5000 if number % 97 == 0 else 20 + zlib.crc32(head) % 200
    return (head + b"%08x" % zlib.crc32(head) * (size // 8 + 1))[:len(head) + size]


def number_in(topic, data):
    try:
        number = int(data.split(b" ", 2)[1])
    except (IndexError, ValueError):
        number = -1
    if number < 0 or payload(topic, number) != data:
        raise Violation(f"{topic}: nobody has sent {data[:60]!r}")
    return number


class Client:
    """A session that does not end, over connections that do.  STATE is what apply() changes."""

    STATE = ("established",)

    def __init__(self, load, name, version):
        self.load, self.name, self.version = load, name, version
        self.index = len(load.clients)
        self.socket, self.up, self.retry_at = None, False, 0.0
        self.out, self.inbox = bytearray(), bytearray()
        self.away = False         # does not connect
        self.established = False  # the broker has said that there is a session

    # --- events ---

    def happen(self, *event):
        self.load.events.append([self.index, *event])
        self.apply(event)

    def apply(self, event):
        getattr(self, "on_" + event[0])(*event[1:])

    def on_up(self, present):
        if self.established and not present:
            raise Violation(f"{self.name}: the session is gone")
        self.established = True

    # --- the connection ---

    def connect(self, port):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox, self.out = bytearray(), bytearray()
        self.socket.connect_ex(("127.0.0.1", port))
        self.greet()
        self.load.selector.register(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def greet(self):
        """The first that is sent."""
        self.send(raw.connect(self.name, self.version, clean=False, keep_alive=0,
                              properties=FOREVER))

    def act(self):
        """Whatever it does by itself, once a turn."""

    def drop(self):
        """The connection is no more; what was to be sent on it is not."""
        if self.socket:
            self.load.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None
        self.up = False
        self.retry_at = time.monotonic() + RETRY

    def send(self, data):
        self.out += data

    def flush(self):
        """Sends what can be sent; the selector says when the rest can."""
        if not self.socket:
            return
        try:
            if self.out:
                del self.out[:self.socket.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            self.drop()
            return
        self.load.selector.modify(self.socket, selectors.EVENT_READ |
                                  (selectors.EVENT_WRITE if self.out else 0), self)

    def receive(self):
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        self.inbox += data
        self.read()

    def read(self):
        """Takes what is whole out of the inbox."""
        for kind, flags, body in packets(self.inbox):
            self.take(kind, flags, body)

    def take(self, kind, flags, body):
        if kind == CONNACK:
            if body[1] != 0:
                self.load.refusals += 1
                return
            self.happen("up", bool(body[0] & 1))
            self.up = True
            self.resume()
        elif kind == DISCONNECT:
            self.load.refusals += 1
        elif kind != PINGRESP:
            self.on_packet(kind, flags, body)

    def reason(self, body):
        return body[2] if len(body) > 2 else 0


def packets(inbox):
    """Takes the whole packets out of INBOX: (kind, flags, body) each."""
    found, at = [], 0
    while len(inbox) - at >= 2:
        size = shift = 0
        start = at + 1
        while start < len(inbox):
            byte = inbox[start]
            size |= (byte & 127) << shift
            shift, start = shift + 7, start + 1
            if byte < 128:
                break
        else:
            break
        if len(inbox) < start + size:
            break
        found.append((inbox[at] >> 4, inbox[at] & 15, bytes(inbox[start:start + size])))
        at = start + size
    del inbox[:at]
    return found


class Publisher(Client):
    """Sends numbered messages on four topics, at QoS 1 and 2, two of them retained."""

    STATE = ("established", "next", "in_flight", "acked", "done", "last_id")
    SENT, RELEASED = "sent", "released"

    def __init__(self, load, name, version):
        super().__init__(load, name, version)
        self.topics = [(f"{place}/{name}/{qos}", qos, place == "keep")
                       for place in ("load", "keep") for qos in (1, 2)]
        self.next = [0] * len(self.topics)
        self.in_flight = {}  # packet id: [topic's index, number, SENT or RELEASED], as sent
        self.acked = [set() for _ in self.topics]  # since the last drain
        self.done = [-1] * len(self.topics)  # the last that is all done: PUBACK or PUBCOMP
        self.last_id = 0

    def on_pub(self, packet_id, topic, number):
        self.in_flight[packet_id] = [topic, number, self.SENT]
        self.next[topic] = number + 1
        self.last_id = packet_id

    def on_rec(self, packet_id):
        entry = self.in_flight[packet_id]
        entry[2] = self.RELEASED
        self.acked[entry[0]].add(entry[1])

    def on_done(self, packet_id):
        topic, number, _ = self.in_flight.pop(packet_id)
        self.acked[topic].add(number)
        self.done[topic] = max(self.done[topic], number)

    def on_refused(self, packet_id):
        del self.in_flight[packet_id]
        self.load.refusals += 1

    def free_id(self):
        packet_id = self.last_id
        while True:
            packet_id = packet_id % 65535 + 1
            if packet_id not in self.in_flight:
                return packet_id

    def act(self):
        """Fills the window."""
        while self.load.publishing and self.up and len(self.in_flight) < WINDOW and len(self.out) < 1 << 16:
            topic = self.load.random.choice((0, 0, 1, 1, 2, 3))
            packet_id = self.free_id()
            self.happen("pub", packet_id, topic, self.next[topic])
            self.send_publish(packet_id, topic, self.next[topic] - 1, dup=False)

    def send_publish(self, packet_id, topic, number, dup):
        name, qos, retain = self.topics[topic]
        self.send(raw.publish(name, payload(name, number), qos, packet_id, dup, retain,
                              b"" if self.version >= 5 else None))

    def resume(self):
        """[MQTT5 4.4] all that was not acknowledged, as it was and in its order."""
        for packet_id, (topic, number, state) in self.in_flight.items():
            if state == self.SENT:
                self.send_publish(packet_id, topic, number, dup=True)
            else:
                self.send(raw.ack(PUBREL, packet_id))

    def on_packet(self, kind, _flags, body):
        packet_id = raw.id_of(body)
        entry = self.in_flight.get(packet_id)
        qos = self.topics[entry[0]][1] if entry else 0
        if kind == PUBREC and qos == 2 and entry[2] == self.RELEASED:
            self.send(raw.ack(PUBREL, packet_id))  # it was resent, and so was this
        elif (kind, qos) in ((PUBACK, 1), (PUBREC, 2)) and self.reason(body) >= REFUSED:
            self.happen("refused", packet_id)
        elif kind == PUBREC and qos == 2:
            self.happen("rec", packet_id)
            self.send(raw.ack(PUBREL, packet_id))
        elif (kind, qos) == (PUBACK, 1) or \
                (kind, qos) == (PUBCOMP, 2) and entry[2] == self.RELEASED:
            self.happen("done", packet_id)
        else:
            raise Violation(f"{self.name}: packet {kind} for {packet_id}, which is {entry}")


class Subscriber(Client):
    """Gets load/#, at QoS 2, so at that of the publication; acknowledges sooner or later."""

    STATE = ("established", "subscribed", "held", "last", "seen")

    def __init__(self, load, name, version):
        super().__init__(load, name, version)
        self.subscribed = False
        self.held = {}   # packet id: (topic, number) of QoS 2 that is not released
        self.last = {}   # topic: the highest number so far
        self.seen = {}   # topic: numbers since the last drain
        self.answers = []

    def on_sub(self):
        self.subscribed = True

    def on_got(self, packet_id, qos, topic, number):
        if qos == 2 and packet_id in self.held:
            if self.held[packet_id] != (topic, number):
                raise Violation(f"{self.name}: packet id {packet_id} was {self.held[packet_id]}, "
                                f"now it is {topic} {number}")
            return
        last, seen = self.last.get(topic, -1), self.seen.setdefault(topic, set())
        again = number in seen or number <= self.load.floor.get(topic, -1)
        if qos == 2:
            self.held[packet_id] = (topic, number)
            if again:
                raise Violation(f"{self.name}: {topic} {number} for the second time")
        if number < last and not again:
            raise Violation(f"{self.name}: {topic} {number} after {last}")
        self.load.delivered += not again
        self.load.repeated += again
        seen.add(number)
        self.last[topic] = max(last, number)

    def on_rel(self, packet_id):
        self.held.pop(packet_id, None)

    def resume(self):
        self.answers = []
        if not self.subscribed:
            self.send(raw.subscribe(1, "load/#", 2, self.version))

    def on_packet(self, kind, flags, body):
        if kind == SUBACK:
            if body[-1] != 2:
                self.load.refusals += 1
                self.drop()
                return
            self.happen("sub")
        elif kind == PUBREL:
            packet_id = raw.id_of(body)
            self.happen("rel", packet_id)
            self.answers.append(raw.ack(PUBCOMP, packet_id))
        elif kind == PUBLISH:
            qos = flags >> 1 & 3
            topic, packet_id, data = raw.publication(body, qos, self.version)
            self.happen("got", packet_id, qos, topic, number_in(topic, data))
            if qos:
                self.answers.append(raw.ack(PUBACK if qos == 1 else PUBREC, packet_id))
        else:
            raise Violation(f"{self.name}: packet {kind}")

    def act(self):
        """Now and then all that is owed is said."""
        if self.up and self.answers and self.load.random.random() < 0.7:
            self.send(b"".join(self.answers))
            self.answers = []


class Load:
    """The clients, in one thread.  MARKER, if given, gets the events (states.Marker)."""

    def __init__(self, random_, publishers=4, subscribers=3, marker=None):
        self.random, self.marker = random_, marker
        self.selector = selectors.DefaultSelector()
        self.clients, self.events = [], []
        self.port = None  # None: nobody connects
        self.publishing = False
        self.floor = {}   # topic: up to here everything was delivered to everybody
        self.delivered = self.repeated = self.refusals = 0
        for i in range(subscribers):
            self.clients.append(Subscriber(self, f"s{i}", 4 + i % 2))
        for i in range(publishers):
            self.clients.append(Publisher(self, f"p{i}", 4 + i % 2))
        self.subscribers = self.clients[:subscribers]
        self.publishers = self.clients[subscribers:]

    def replay(self, marks):
        """Lets all that is marked happen to the clients, who are not connected."""
        for mark in marks:
            for index, *event in json.loads(mark):
                self.clients[index].apply(event)
        return self

    def copy(self, random_):
        """The same clients once more, not connected."""
        other = type(self)(random_, len(self.publishers), len(self.subscribers))
        other.floor = dict(self.floor)
        for client, twin in zip(self.clients, other.clients):
            twin.__dict__.update(pickle.loads(pickle.dumps(
                {name: getattr(client, name) for name in client.STATE})))
        return other

    def cut(self):
        """All connections are gone, and nobody connects."""
        self.port = None
        for client in self.clients:
            client.drop()
        self.note()

    def close(self):
        self.cut()
        self.selector.close()

    def note(self):
        if self.marker and self.events:
            self.marker.mark(json.dumps(self.events, separators=(",", ":")).encode())
        self.events = []

    def turn(self, seconds=0.02):
        now = time.monotonic()
        for client in self.clients:
            if self.port and not client.away and not client.socket and now >= client.retry_at:
                client.connect(self.port)
        for key, mask in self.selector.select(seconds):
            if mask & selectors.EVENT_READ and key.data.socket:
                key.data.receive()
        for client in self.clients:
            client.act()
        self.note()
        for client in self.clients:
            client.flush()

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    def progress(self):
        """Something that changes when anything is acknowledged or delivered."""
        return self.delivered, self.repeated, sum(len(p.in_flight) for p in self.publishers), \
            sum(sum(p.next) for p in self.publishers)

    def run_until(self, condition, what):
        """As long as something is acknowledged or delivered, it may take its time."""
        progress, end = None, 0
        while not condition():
            now = self.progress()
            if now != progress:
                progress, end = now, time.monotonic() + PATIENCE
            if time.monotonic() > end:
                raise Violation(f"no progress for {PATIENCE} s, waiting for {what()}")
            self.turn()

    def start(self, port):
        """Connects everybody, the first time: subscribed before anything is published."""
        self.port = port
        self.run_until(lambda: all(s.subscribed for s in self.subscribers), lambda: "SUBACK")
        self.publishing = True

    # --- checks ---

    def sent(self):
        """What will be sent next by each."""
        return {publisher.name: list(publisher.next) for publisher in self.publishers}

    def acknowledged_after(self, sent):
        """What was acknowledged of what was sent later than that."""
        return [f"{topic} {number}" for publisher in self.publishers
                for (topic, _, _), acked, first in zip(publisher.topics, publisher.acked,
                                                       sent[publisher.name])
                for number in sorted(acked) if number >= first]

    def missing(self):
        """What was acknowledged and has not come: (subscriber, topic, numbers)."""
        for subscriber in self.subscribers:
            for publisher in self.publishers:
                for (topic, _, retain), acked in zip(publisher.topics, publisher.acked):
                    numbers = acked - subscriber.seen.get(topic, set())
                    if numbers and not retain and subscriber.subscribed:
                        yield subscriber.name, topic, sorted(numbers)

    def waiting(self):
        """What a drain waits for, in words."""
        in_flight = {p.name: p.in_flight for p in self.publishers if p.in_flight}
        held = {s.name: s.held for s in self.subscribers if s.held}
        absent = [c.name for c in self.clients if not c.up]
        lost = [f"{name}: {len(numbers)} of {topic}: {numbers[:5]}"
                for name, topic, numbers in self.missing()]
        return f"{absent} to connect, acknowledgements of {in_flight}, PUBREL of {held}, " \
               f"deliveries of {lost}"

    def settled(self):
        return all(c.up for c in self.clients) and \
            not any(p.in_flight for p in self.publishers) and \
            not any(s.answers or s.out or s.held for s in self.subscribers) and \
            not any(self.missing())

    def drain(self):
        """Nothing new; then all that was acknowledged has come, and nothing is on its way."""
        self.publishing = False
        for client in self.clients:
            client.away = False
        self.run_until(self.settled, self.waiting)
        for publisher in self.publishers:
            for (topic, _, _), acked, after in zip(publisher.topics, publisher.acked,
                                                   publisher.next):
                self.floor[topic] = after - 1
                acked.clear()
        for subscriber in self.subscribers:
            subscriber.seen.clear()

    def story(self):
        published = sum(sum(publisher.next) for publisher in self.publishers)
        return f"{published} published, {self.delivered} delivered, {self.repeated} of QoS 1 " \
               f"again, {self.refusals} refused"

    def retained_floor(self):
        return {topic: done for p in self.publishers
                for (topic, _, retain), done in zip(p.topics, p.done) if retain and done >= 0}

    def retained_ceiling(self):
        return {topic: after for p in self.publishers
                for (topic, _, _), after in zip(p.topics, p.next)}


def check_retained(port, load):
    """A new subscriber finds the last value that was acknowledged, or a later one."""
    floor, found = load.retained_floor(), {}
    client = raw.Raw(types.SimpleNamespace(port=port))
    try:
        if client.connect("retained", clean=True)[1] != 0:
            raise Violation("a new subscriber is refused")
        client.send(raw.subscribe(1, "keep/#", 0))
        while found.keys() < floor.keys():
            packet = client.read()
            if packet in (None, "reset"):
                raise Violation("a new subscriber is disconnected")
            kind, flags, body = packet
            if kind == PUBLISH and flags & 1:
                topic, _, data = raw.publication(body, flags >> 1 & 3)
                found[topic] = number_in(topic, data)
    except TimeoutError:
        raise Violation(f"retained: only {found} of {floor}") from None
    finally:
        client.close()
    ceiling = load.retained_ceiling()
    for topic, number in found.items():
        if number < floor.get(topic, -1) or number >= ceiling[topic]:
            raise Violation(f"{topic}: the retained value is {number}, acknowledged was "
                            f"{floor.get(topic)}, sent before {ceiling[topic]}")
