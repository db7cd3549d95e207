"""A connection over WebSocket [RFC 6455] for byte-exact scripts: frames by hand, as no library would."""

import base64
import hashlib
import os
import socket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PONG = 0x82, 0x88, 0x8A


class Refused(Exception):
    """The handshake has come to something else."""


def frame(first, payload):
    """A masked frame; FIRST: its first byte."""
    mask = os.urandom(4)
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class Socket:
    """Looks like a socket; what is sent is one binary message, what comes is unpacked."""

    def __init__(self, target, patience, offered):
        self.socket = socket.create_connection(target, patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.status = None  # of the broker's Close
        self.protocol = self._open(target, offered)

    def _open(self, target, offered):
        key = base64.b64encode(os.urandom(16))
        lines = [b"GET /mqtt HTTP/1.1", b"Host: %s:%d" % (target[0].encode(), target[1]),
                 b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
                 b"Sec-WebSocket-Key: " + key]
        if offered:
            lines.append(b"Sec-WebSocket-Protocol: " + offered.encode())
        self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        while b"\r\n\r\n" not in self.input:
            data = self.socket.recv(4096)
            if not data:
                break
            self.input += data
        head, _, rest = bytes(self.input).partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in
                  (field.partition(":") for field in fields)}
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if " 101 " not in status or fields.get("sec-websocket-accept") != accept:
            self.socket.close()
            raise Refused(status)
        self.input = bytearray(rest)
        return fields.get("sec-websocket-protocol")

    def _take(self):
        """The next whole frame of what has come: (first byte, payload), or None."""
        data = self.input
        if len(data) < 2:
            return None
        more = {126: 2, 127: 8}.get(data[1], 0)
        size = int.from_bytes(data[2:2 + more], "big") if more else data[1]
        if len(data) < 2 + more or len(data) < 2 + more + size:
            return None
        payload = bytes(data[2 + more:2 + more + size])
        first = data[0]
        del data[:2 + more + size]
        return first, payload

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)

    def setsockopt(self, *what):
        self.socket.setsockopt(*what)

    def sendall(self, data):
        self.socket.sendall(frame(BINARY, data))

    def send_frame(self, first, payload):
        self.socket.sendall(frame(first, payload))

    def recv(self, _size):
        """Payload of the next message; b"" at the end, whichever way it comes."""
        while True:
            while not (taken := self._take()):
                data = self.socket.recv(65536)
                if not data:
                    return b""
                self.input += data
            first, payload = taken
            if first == CLOSE:
                self.status = int.from_bytes(payload[:2], "big")
                return b""
            if first not in (BINARY, PONG):
                raise OSError(f"a frame that begins with {first:02x}")
            if first == BINARY and payload:
                return payload

    def close(self):
        self.socket.close()
