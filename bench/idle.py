#!/usr/bin/env python3
"""What an idle connection costs a broker: bench/idle.py --port 1883 --pid PID [OPTION]...

Opens --conns connections from --sources loopback addresses, and reads the broker's resident memory
when they are connected, when each has subscribed to one topic of its own, when each has then sent
--messages messages to itself at QoS 0, 1 and 2, and when all have gone.  Prints one JSON line:
bytes a connection over what the broker had before the first one.  Kernel socket memory is not in it.
"""

import argparse
import json
import os
import resource
import socket
import struct
import time


def packet(first, body):
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 127
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def text(s):
    return struct.pack(">H", len(s)) + s.encode()


class Client:
    def __init__(self, args, i):
        self.topic, self.input = text(f"idle/{i}"), b""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        self.socket.bind((f"127.0.0.{1 + i % args.sources}", 0))
        self.socket.connect((args.host, args.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(0x10, text("MQTT") + bytes([4, 2]) + struct.pack(">H", 3600) + text(f"idle{os.getpid()}-{i}"))
        assert self.receive() == (0x20, b"\0\0"), "CONNACK"

    def send(self, first, body):
        self.socket.sendall(packet(first, body))

    def receive(self):
        """The next packet: first byte, body."""
        while True:
            at, size, shift = 1, 0, 0
            while at < len(self.input) and self.input[at] & 128:
                size, shift, at = size | (self.input[at] & 127) << shift, shift + 7, at + 1
            if at < len(self.input):
                end = at + 1 + (size | self.input[at] << shift)
                if len(self.input) >= end:
                    first, body, self.input = self.input[0], self.input[at + 1:end], self.input[end:]
                    return first, body
            more = self.socket.recv(65536)
            assert more, "the broker closed a connection"
            self.input += more

    def subscribe(self):
        self.send(0x82, b"\0\1" + self.topic + b"\2")
        assert self.receive() == (0x90, b"\0\1\2"), "SUBACK"

    def talk(self, messages, payload):
        """To itself at QoS 0, 1 and 2, each handshake to its end."""
        for n in range(1, messages + 1):
            self.send(0x30, self.topic + payload)
            self.send(0x32, self.topic + struct.pack(">H", n) + payload)
            self.send(0x34, self.topic + struct.pack(">H", n) + payload)
            left = {0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70}
            while left:
                first, body = self.receive()
                left.remove(first)
                id = body[len(self.topic):][:2] if first >> 4 == 3 else body[:2]
                answer = {0x32: 0x40, 0x34: 0x50, 0x50: 0x62, 0x62: 0x70}.get(first)
                if answer:
                    self.send(answer, id)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=1883)
    p.add_argument("--pid", type=int, required=True)
    p.add_argument("--conns", type=int, default=10000)
    p.add_argument("--sources", type=int, default=4)
    p.add_argument("--messages", type=int, default=3)
    p.add_argument("--size", type=int, default=64)
    args = p.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def resident():
        time.sleep(0.5)
        status = open(f"/proc/{args.pid}/status").read()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    start, report = resident(), {}

    def note(stage):
        report[stage] = round((resident() - start) / args.conns)

    clients = [Client(args, i) for i in range(args.conns)]
    note("connected")
    for client in clients:
        client.subscribe()
    note("subscribed")
    for client in clients:
        client.talk(args.messages, b"x" * args.size)
    note("active_and_idle_again")
    for client in clients:
        client.socket.close()
    note("gone")
    print(json.dumps({"conns": args.conns, "start_kb": start // 1024, **report}))


if __name__ == "__main__":
    main()
