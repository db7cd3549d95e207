"""A broker of a few lines that is safe, or has a known bug: what kill.py, powercut.py and faults.py
are tested with.

    toy.py PORT DIR [BUG]     BUG is one of BUGS, or none

What a client sends changes the state in one way only (Machine.take), so what it sent is what the
journal keeps.  What a turn of the loop has to say is said when the turn's packets are synced.  A
journal begins with the state as it was; a new one is begun at each start and after each failure, and
the old ones go when it is safe.  It knows load.py's clients and no others."""

import os
import pickle
import selectors
import signal
import socket
import struct
import sys
import zlib

import load
from load import raw

BUGS = {
    "early": "says it before it has synced",
    "unsynced": "does not sync at all",
    "retry": "takes the sync after one that failed for a success",
    "names": "removes the old journal before the new one is safe",
    "forgetful": "does not keep which QoS 2 messages it has",
}
HEAD = struct.Struct("<II")


class Session:
    def __init__(self, version):
        self.version, self.subscribed = version, False
        self.out = {}     # packet id: [topic, payload, QoS, released]
        self.got = set()  # packet ids of QoS 2 that are not released
        self.last_id = 0


class Machine:
    def __init__(self, forgetful=False):
        self.sessions, self.retained, self.forgetful = {}, {}, forgetful

    def take(self, name, kind, flags, body):
        """What comes of a packet: [(name, bytes)]."""
        session = self.sessions.get(name)
        if kind == 1:
            return self.connect(name, body[6])
        if kind == raw.PUBLISH:
            return self.publish(name, session, flags, body)
        packet_id = raw.id_of(body)
        if kind == raw.SUBSCRIBE:
            session.subscribed = True
            properties = b"\0" if session.version >= 5 else b""
            return [(name, raw.packet(raw.SUBACK, body[:2] + properties + b"\2"))]
        if kind == raw.PUBREL:
            session.got.discard(packet_id)
            return [(name, raw.ack(raw.PUBCOMP, packet_id))]
        if kind == raw.PUBREC and packet_id in session.out:
            session.out[packet_id][3] = True
            return [(name, raw.ack(raw.PUBREL, packet_id))]
        session.out.pop(packet_id, None)
        return []

    def connect(self, name, version):
        present = name in self.sessions
        session = self.sessions.setdefault(name, Session(version))
        said = [(name, raw.packet(raw.CONNACK, bytes([present, 0]) +
                                  (b"\0" if version >= 5 else b"")))]
        if self.forgetful:
            session.got.clear()
        for packet_id, (topic, payload, qos, released) in session.out.items():
            said.append((name, raw.ack(raw.PUBREL, packet_id) if released else
                         self.publication(session, packet_id, topic, payload, qos, True)))
        return said

    @staticmethod
    def publication(session, packet_id, topic, payload, qos, dup):
        return raw.publish(topic, payload, qos, packet_id, dup,
                           properties=b"" if session.version >= 5 else None)

    def publish(self, name, session, flags, body):
        qos = flags >> 1 & 3
        topic, packet_id, payload = raw.publication(body, qos, session.version)
        said = []
        if qos == 1 or packet_id not in session.got:
            said = self.deliver(topic, payload, qos, flags & 1)
        if qos == 2:
            session.got.add(packet_id)
        return said + [(name, raw.ack(raw.PUBACK if qos == 1 else raw.PUBREC, packet_id))]

    def deliver(self, topic, payload, qos, retain):
        if retain:
            self.retained[topic] = payload
        said = []
        for name, session in self.sessions.items():
            if session.subscribed and topic.startswith("load/"):
                while session.last_id == 0 or session.last_id in session.out:
                    session.last_id = session.last_id % 65535 + 1
                packet_id = session.last_id
                session.out[packet_id] = [topic, payload, qos, False]
                said.append((name, self.publication(session, packet_id, topic, payload, qos,
                                                    False)))
        return said


class Journal:
    def __init__(self, folder, bug):
        self.folder, self.bug, self.fd = folder, bug, None
        self.batch = []
        self.number = -1

    def files(self):
        names = [name for name in os.listdir(self.folder) if name.startswith("toy-")]
        return sorted(names, key=lambda name: int(name[4:]))

    def recover(self):
        """The machine as the newest journal that has a beginning tells it."""
        machine = Machine(self.bug == "forgetful")
        for name in self.files():
            self.number = int(name[4:])
            with open(os.path.join(self.folder, name), "rb") as f:
                records = list(whole_records(f.read()))
            if records:
                machine = pickle.loads(records[0])
            for record in records[1:]:
                for words in pickle.loads(record):
                    machine.take(*words)
        return machine

    def write(self, thing):
        data = pickle.dumps(thing)
        data = HEAD.pack(len(data), zlib.crc32(data)) + data
        if os.write(self.fd, data) != len(data):
            raise OSError("a part only")

    def begin(self, machine):
        """A new journal, and none but that."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        old, self.number = self.files(), self.number + 1
        path = os.path.join(self.folder, f"toy-{self.number}")
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if self.bug == "names":
            self.remove(old)
        self.write(machine)
        os.fsync(self.fd)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
        self.remove(old)

    def remove(self, names):
        for name in names:
            if os.path.exists(os.path.join(self.folder, name)):
                os.unlink(os.path.join(self.folder, name))

    def commit(self, machine):
        """True: all that was taken is safe, and may be told."""
        try:
            if self.fd is None:
                self.begin(machine)
            elif self.batch:
                self.write(self.batch)
                self.sync()
        except OSError as error:
            print(f"no commit: {error}", flush=True)
            if self.fd is not None:
                os.close(self.fd)
                self.fd = None
            return False
        self.batch = []
        return True

    def sync(self):
        if self.bug == "unsynced":
            return
        try:
            os.fdatasync(self.fd)
        except OSError:
            if self.bug != "retry":
                raise
            os.fdatasync(self.fd)


def whole_records(data):
    at = 0
    while at + HEAD.size <= len(data):
        size, sum_ = HEAD.unpack_from(data, at)
        record = data[at + HEAD.size:at + HEAD.size + size]
        if size == 0 or len(record) < size or zlib.crc32(record) != sum_:
            return
        yield record
        at += HEAD.size + size


class Connection:
    def __init__(self, socket_):
        self.socket, self.inbox, self.name, self.clean = socket_, bytearray(), None, False
        self.topic = None  # of a clean session


class Broker:
    def __init__(self, port, folder, bug):
        self.bug, self.journal = bug, Journal(folder, bug)
        self.machine = self.journal.recover()
        self.journal.begin(self.machine)
        self.connections, self.said = {}, []
        self.selector = selectors.DefaultSelector()
        listener = socket.create_server(("127.0.0.1", port))
        self.selector.register(listener, selectors.EVENT_READ, None)

    def turn(self):
        for key, _ in self.selector.select(0.05 if self.said or self.journal.batch else None):
            if key.data is None:
                client = key.fileobj.accept()[0]
                self.selector.register(client, selectors.EVENT_READ, Connection(client))
            else:
                self.read(key.data)
        if self.bug == "early" or self.journal.commit(self.machine):
            for connection, data in self.said:
                self.send(connection, data)
            self.said = []
        if self.bug == "early":
            self.journal.commit(self.machine)

    def read(self, connection):
        try:
            data = connection.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection.socket)
            connection.socket.close()
            if self.connections.get(connection.name) is connection:
                del self.connections[connection.name]
            return
        connection.inbox += data
        for words in load.packets(connection.inbox):
            self.take(connection, *words)

    def take(self, connection, kind, flags, body):
        if kind == 1:
            connection.name, connection.clean = self.name_in(body), bool(body[7] & 2)
            self.connections[connection.name] = connection
        if connection.clean:
            self.take_clean(connection, kind, body)
        else:
            words = (connection.name, kind, flags, body)
            self.journal.batch.append(words)
            self.said += [(self.connections.get(name), data)
                          for name, data in self.machine.take(*words)]

    @staticmethod
    def name_in(body):
        at = 10 + (1 + body[10] if body[6] >= 5 else 0)
        return body[at + 2:].decode()

    def take_clean(self, connection, kind, body):
        """Nothing of it is kept: retained messages, and QoS 0 to itself."""
        if kind == 1:
            self.send(connection, raw.packet(raw.CONNACK, b"\0\0"))
        elif kind == raw.SUBSCRIBE:
            self.send(connection, raw.packet(raw.SUBACK, body[:2] + b"\0"))
            for topic, payload in self.machine.retained.items():
                self.send(connection, raw.publish(topic, payload, retain=True))
        elif kind == raw.PUBLISH:
            self.send(connection, raw.packet(raw.PUBLISH, body))

    @staticmethod
    def send(connection, data):
        try:
            if connection:
                connection.socket.sendall(data)
        except OSError:
            pass


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # not within a call
    broker = Broker(int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
    while True:
        broker.turn()


if __name__ == "__main__":
    main()
