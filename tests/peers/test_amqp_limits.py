#!/usr/bin/env python3
"""Peers of AMQP that want more of everything than there may be: links, sessions, connections, and
messages that never come to an end."""

import amqp_peers
import peers
from amqp_peers import TRUE, Value, amqp, harness, uint
from amqp_play import Failed

MIB = 1024  # KiB
MANY = 10000
LINKS, SESSIONS, CONNECTIONS = 300, 8, 100


def attach(handle, address, channel=0):
    return amqp.frame(amqp.encode(amqp.composite("attach", {
        "name": Value("string", f"link{handle}"), "handle": uint(handle), "role": TRUE,
        "source": amqp.composite("source", {"address": Value("string", address)}),
        "target": amqp.composite("target", {})})), 0, channel)


def begin(channel):
    return amqp.frame(amqp.encode(amqp.composite("begin", {
        "next-outgoing-id": uint(0), "incoming-window": uint(1), "outgoing-window": uint(1)})), 0,
        channel)


class Beyond(amqp_peers.Test):
    settings = (f"limits.amqp_links={LINKS}", f"limits.amqp_sessions={SESSIONS}",
                f"limits.connections={CONNECTIONS}", "limits.packet=1MiB")

    def frames(self, peer):
        """Names of what comes, until it ends."""
        found = {}
        while True:
            try:
                got = peer.wire.next()
            except (Failed, OSError):
                return found
            if got is None:
                return found
            if not isinstance(got, bytes):
                found[got.name] = found.get(got.name, 0) + 1

    def flood(self, peer, pieces):
        """Sends PIECES while what is answered is read; what came."""
        reading = peers.InBackground(self.frames, peer)

        def send():
            try:
                for piece in pieces:
                    peer.socket.sendall(piece)
                peer.socket.shutdown(1)
            except OSError:
                pass
        work = peers.InBackground(send)
        self.trips_while(reading)
        work.join()
        return reading.join()

    def test_links(self):
        """Ten thousand links, of which so many are given: one more is refused, or costs its sender
        the session; nobody else notices."""
        before = self.resident()
        for turn in range(2):
            peer = self.amqp().begin()
            queues = [f"q{handle % 7}" for handle in range(MANY)]
            came = self.flood(peer, (attach(handle, queue) for handle, queue in enumerate(queues)))
            self.assertGreaterEqual(came["attach"], LINKS)
            self.assertGreaterEqual(came.get("detach", 0) + came.get("end", 0)
                                    + came.get("close", 0), 1, "all of them were let in")
            peer.close()
        self.round_trips()
        self.assertLess(self.resident(), before + 16 * MIB)
        for number in range(7):
            self.left_alone(f"q{number}")

    def test_sessions(self):
        """Sessions over channel-max are an error [AMQP 2.7.1], however many there are."""
        peer = self.amqp()
        peer.do_connect("")
        came = self.flood(peer, map(begin, range(MANY)))
        self.assertEqual((came["begin"], came["close"]), (SESSIONS, 1))
        self.round_trips()

    def test_begun_and_ended(self):
        """Ten thousand links that come and go leave nothing behind."""
        before = self.resident()
        peer = self.amqp().begin()
        detach = amqp.frame(amqp.encode(amqp.composite("detach", {
            "handle": uint(0), "closed": TRUE})))
        came = self.flood(peer, (attach(0, f"q{n % 7}") + detach for n in range(MANY)))
        self.assertEqual((came["attach"], came["detach"]), (MANY, MANY))
        self.round_trips()
        self.assertLess(self.resident(), before + 16 * MIB)

    def test_giant_messages(self):
        """Twenty begin messages as large as may be, and never end them: so much is kept for each,
        and one byte more is refused."""
        before = self.resident()
        piece = "raw(00 53 75 b0 7f ff ff ff) 'x'*30000"
        some = [self.amqp(f"giant{i}").begin() for i in range(20)]
        for peer in some:
            peer.do_attach('sender "giant"')
            peer.do_send(f"transfer handle=0 delivery-id=0 delivery-tag=<00> more=true : {piece}")
            for _ in range(30):
                peer.do_send("transfer handle=0 more=true : 'x'*30000")
        self.round_trips()
        self.assertLess(self.resident(), before + 48 * MIB)
        for peer in some[:10]:
            for _ in range(10):
                peer.do_send("transfer handle=0 more=true : 'x'*30000")
            peer.do_expect("detach error=amqp:link:message-size-exceeded")
        for peer in some:
            peer.hang_up(reset=True)
        self.round_trips()
        self.assertEqual(self.left_alone("giant")["ready"], 0)

    def test_connections(self):
        """More than there may be are closed at once; when they have gone others are let in."""
        before = self.descriptors()
        room = CONNECTIONS - len(self.bystanders)
        for _ in range(3):
            flood = [self.amqp(f"flood{i}") for i in range(room + 50)]
            for peer in flood:
                peer.write(amqp.HEADERS["amqp"])
                peer.put("open", {"container-id": Value("string", peer.name)})
            let_in = sum("open" in self.first(peer) for peer in flood)
            self.assertEqual(let_in, room)
            self.round_trips()
            for peer in flood:
                peer.hang_up(reset=True)
            self.no_descriptor_left(before)

    @staticmethod
    def first(peer):
        """Names of the first two things that come."""
        found = []
        try:
            for _ in range(2):
                got = peer.wire.next()
                found.append(getattr(got, "name", ""))
        except (Failed, OSError):
            pass
        return found


if __name__ == "__main__":
    peers.main()
