"""A client of a few lines that does what it is told, byte for byte: for what libraries hide from a
test, or would never do."""

import socket
import struct

from harness import PATIENCE

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(data)) + data


def length(value):
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def connect(client_id, version=4, clean=True, keep_alive=60, properties=b""):
    protocol = text("MQIsdp" if version == 3 else "MQTT")
    extra = length(len(properties)) + properties if version >= 5 else b""
    return packet(CONNECT, protocol + struct.pack(">BBH", version, 2 if clean else 0, keep_alive)
                  + extra + text(client_id))


def publish(topic, payload, qos=0, packet_id=0, dup=False, retain=False, properties=None):
    head = text(topic) + (struct.pack(">H", packet_id) if qos else b"")
    if properties is not None:
        head += length(len(properties)) + properties
    return packet(PUBLISH, head + payload, dup << 3 | qos << 1 | retain)


def subscribe(packet_id, topic, qos, version=4):
    return packet(SUBSCRIBE, struct.pack(">H", packet_id) + (b"\0" if version >= 5 else b"")
                  + text(topic) + bytes([qos]), 2)


def ack(kind, packet_id):
    return packet(kind, struct.pack(">H", packet_id), 2 if kind == PUBREL else 0)


class Raw:
    """A connection; read() gives (kind, flags, body) of a packet, or None at its end."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))
        return self

    def read(self):
        try:
            first = self.stream.read(1)
        except ConnectionResetError:
            return "reset"
        if not first:
            return None
        size = shift = 0
        while True:
            byte = self.stream.read(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first[0] >> 4, first[0] & 15, self.stream.read(size)

    def read_all(self, count):
        return [self.read() for _ in range(count)]

    def connect(self, *words, **options):
        """Connects, and returns CONNACK's body."""
        self.send(connect(*words, **options))
        kind, _, body = self.read()
        assert kind == CONNACK, kind
        return body

    def close(self):
        self.stream.close()
        self.socket.close()


def id_of(body):
    return struct.unpack(">H", body[:2])[0]


def publication(body, qos, version=4):
    """(topic, packet id, payload) of a PUBLISH without long properties."""
    size = id_of(body)
    topic, rest = body[2:2 + size].decode(), body[2 + size:]
    packet_id = id_of(rest) if qos else 0
    rest = rest[2 if qos else 0:]
    return topic, packet_id, rest[1 + rest[0]:] if version >= 5 else rest
