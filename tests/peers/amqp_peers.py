"""What the tests of peers that speak AMQP share: clients frame by frame, and bystanders.

A Peer is a client of the byte scripts (tests/wire/amqp_play.py), so what it says is written as it
is there: peer.do_attach('sender "q"')."""

import itertools
import json
import os
import socket
import subprocess
import sys

import peers
from peers import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wire"))

import amqp  # noqa: E402
import amqp_play  # noqa: E402
from amqp import Value  # noqa: E402
from amqp_play import uint  # noqa: E402

TRUE = Value("boolean", True)
ACCEPTED = amqp.composite("accepted", {})
numbers = itertools.count()


class Place:
    """Where the clients of one play are: a broker, and words of its own."""

    Wire = amqp_play.Wire

    def __init__(self, broker):
        self.target, self.patience = ("127.0.0.1", broker.amqp_port), harness.PATIENCE
        self.unique = f"u{next(numbers)}"


class Peer(amqp_play.Client):
    def __init__(self, broker, name="a"):
        super().__init__(Place(broker), name)

    @property
    def socket(self):
        return self.wire.socket

    def begin(self, fields=""):
        self.do_connect(fields)
        self.do_begin("")
        return self

    def narrow(self):
        """What the kernel takes for it before it is read is little, from now on."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def transfer(self, body, handle=0, settled=False):
        """One whole message; waits for credit."""
        self.do_transfer(f'handle={handle} settled={"true" if settled else "false"} : '
                         f'data("{body}")')

    def close(self):
        self.hang_up()

    def ended(self):
        """Reads up to the end of the connection, however that comes."""
        try:
            while self.wire.next() is not None:
                pass
        except (amqp_play.Failed, OSError):
            pass


class Bystander(Peer):
    """One that sends to a queue and receives from it, unsettled, and hears nothing else."""

    def __init__(self, broker, name):
        super().__init__(broker, name)
        self.trips = 0
        self.begin()
        self.do_attach('sender "by-{me}"')
        self.do_attach('receiver "by-{me}" handle=1')
        self.do_flow("handle=1 link-credit=1000000")

    def round_trip(self):
        body = f"trip {self.trips}"
        self.transfer(body)
        self.do_expect(f"disposition role=receiver first={self.trips} settled=true state=accepted "
                       "and message handle=1 delivery-id=$id")
        assert self.last_message.endswith(body.encode()), self.last_message
        self.put("disposition", {"role": TRUE, "first": self.variables["id"], "settled": TRUE,
                                 "state": ACCEPTED})
        self.trips += 1
        if self.trips % 1000 == 0:
            self.do_flow("")  # there is a window again


class Test(peers.Test):
    """A test with a broker, and bystanders of both protocols at each of its workers."""

    BYSTANDERS = 2

    def setUp(self):
        super().setUp()
        self.bystanders += [self.own(Bystander(self.broker, f"c{i}")) for i in range(2)]

    def amqp(self, name="a"):
        return self.own(Peer(self.broker, name))

    def management(self, *words):
        """What `gnatter queue` says."""
        done = subprocess.run([harness.GNATTER, "queue", *words, "--json", "-p",
                               str(self.broker.amqp_port)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=4 * harness.PATIENCE, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def left_alone(self, queue):
        """Waits until nobody has QUEUE, nor anything in it; what is said of it then."""
        def free():
            told, = self.management("show", queue)
            return told if not told["held"] and not told["consumers"] else None
        return harness.wait_until(free, f"{queue} to be let go of")
