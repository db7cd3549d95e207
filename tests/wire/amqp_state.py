"""What a client and its peer have agreed upon: sessions, links, windows and credit [AMQP 2.5, 2.6].

What the client sends counts as it is; what the peer sends has to keep to it.
"""

import amqp
from amqp import Value
from amqp_text import tell_frame
from script import Failed


def uint(number):
    return Value("uint", number % 2 ** 32)


def serial(one, other):
    """How far ONE is ahead of OTHER [RFC 1982]."""
    return (one - other + 2 ** 31) % 2 ** 32 - 2 ** 31


def true(fields, name):
    return fields.get(name) == Value("boolean", True)


def unfinished(transfer):
    """More of this delivery is to come [AMQP 2.7.5]."""
    return true(transfer, "more") and not true(transfer, "aborted")


class Link:
    def __init__(self, fields):
        self.name = fields["name"].value
        self.receives = fields["role"].value
        self.peer_handle = None
        self.count = fields.get("initial-delivery-count", uint(0)).value
        self.credit = 0
        self.within = False      # a delivery
        self.size_max = 0        # of a message; none

    def began(self, deliveries):
        self.count = (self.count + deliveries) % 2 ** 32
        self.credit -= deliveries


class Session:
    """By our channel."""

    def __init__(self, fields):
        self.begun = False
        self.links = {}  # by our handle
        self.next_out = self.next_id = fields.get("next-outgoing-id", uint(0)).value
        self.next_in = 0
        self.handle_max = fields.get("handle-max", uint(-1)).value
        self.window = fields.get("incoming-window", uint(0)).value  # so many may come
        self.peer_window = 0

    def link(self, peer_handle):
        for handle, link in self.links.items():
            if link.peer_handle == peer_handle:
                return handle, link
        raise Failed(f"there is no link with the peer's handle {peer_handle}")


class State:
    """What has been agreed upon, seen from the client."""

    def __init__(self):
        self.sessions, self.channels = {}, {}  # by our channel; theirs -> ours
        self.frame_max = self.channel_max = None
        self.opened = self.closing = self.closed = False

    def sent(self, name, fields, channel):
        """What we say counts at once, unless it is nonsense."""
        session = self.sessions.get(channel)
        if name == "open" and self.frame_max is None:
            self.frame_max = fields.get("max-frame-size", uint(-1)).value
            self.channel_max = fields.get("channel-max", Value("ushort", 65535)).value
        elif name == "begin" and session is None:
            self.sessions[channel] = Session(fields)
        elif name == "close":
            self.closing = True
        elif session and {"name", "handle", "role"} <= set(fields) and name == "attach":
            session.links.setdefault(fields["handle"].value, Link(fields))
        elif session and name == "transfer":
            self.sent_transfer(session, fields)
        elif session and name == "flow":
            self.sent_flow(session, fields)

    @staticmethod
    def sent_transfer(session, fields):
        session.next_out = (session.next_out + 1) % 2 ** 32
        link = session.links.get(fields["handle"].value) if "handle" in fields else None
        if link:
            link.began(1 - link.within)
            link.within = unfinished(fields)
        if "delivery-id" in fields:
            session.next_id = (fields["delivery-id"].value + (not unfinished(fields))) % 2 ** 32

    @staticmethod
    def sent_flow(session, fields):
        if "incoming-window" in fields:
            start = fields.get("next-incoming-id", uint(session.next_in)).value
            session.window = max(session.window, serial(start, session.next_in)
                                 + fields["incoming-window"].value)
        link = session.links.get(fields["handle"].value) if "handle" in fields else None
        if link and link.receives and "link-credit" in fields:
            count = fields.get("delivery-count", uint(link.count)).value
            link.credit = max(link.credit, serial(count, link.count) + fields["link-credit"].value)

    def got(self, frame):
        """Frames get our channel and our handle."""
        if self.frame_max and frame.size > max(512, self.frame_max):
            raise Failed(f"a frame of {frame.size} bytes, and {self.frame_max} is the maximum")
        if frame.kind != "amqp" or frame.name in ("open", "close"):
            self.opened = self.opened or frame.name == "open"
            self.closed = self.closed or frame.name == "close"
            return
        if frame.name == "begin":
            self.got_begin(frame)
        if frame.channel not in self.channels:
            raise Failed(f"there is no session on channel {frame.channel}: {tell_frame(frame)}")
        ours = self.channels[frame.channel]
        session = self.sessions[ours]
        if frame.name == "end":
            del self.channels[frame.channel]
            session.begun = False
        frame.channel = ours
        if frame.name == "attach":
            self.got_attach(session, frame.fields)
        if "handle" in frame.fields:
            handle, link = session.link(frame.fields["handle"].value)
            frame.fields["handle"] = uint(handle)
            getattr(self, f"got_{frame.name}_on", lambda *_: None)(session, link, frame)

    def got_begin(self, frame):
        ours = frame.fields.get("remote-channel")
        session = self.sessions.get(ours.value) if ours else None
        if not session or session.begun or frame.channel in self.channels:
            raise Failed(f"nobody has asked for that: {tell_frame(frame)}")
        if frame.channel > self.channel_max:
            raise Failed(f"a channel over channel-max: {tell_frame(frame)}")
        session.begun = True
        self.channels[frame.channel] = ours.value
        session.next_in = frame.fields["next-outgoing-id"].value
        session.peer_window = frame.fields["incoming-window"].value

    @staticmethod
    def got_attach(session, fields):
        if fields["handle"].value > session.handle_max:
            raise Failed(f"a handle over handle-max: {fields['handle'].value}")
        for link in session.links.values():
            if link.name == fields["name"].value and link.receives != fields["role"].value:
                link.peer_handle = fields["handle"].value
                link.size_max = fields.get("max-message-size", uint(0)).value
                if link.receives:
                    if "initial-delivery-count" not in fields:
                        raise Failed("attach of a sender without initial-delivery-count")
                    link.count = fields["initial-delivery-count"].value
                return
        raise Failed(f"nobody has asked for an attach of {fields['name'].value}")

    @staticmethod
    def got_flow_on(_, link, frame):
        count = frame.fields.get("delivery-count")
        if link.receives and count:
            link.began(serial(count.value, link.count))
        elif "link-credit" in frame.fields:
            link.credit = serial((count or uint(link.count)).value, link.count) \
                + frame.fields["link-credit"].value

    @staticmethod
    def got_detach_on(_, link, __):
        link.peer_handle = None

    @staticmethod
    def got_transfer_on(session, link, frame):
        session.window -= 1
        if session.window < 0:
            raise Failed(f"a transfer beyond the session's window: {tell_frame(frame)}")
        session.next_in = (session.next_in + 1) % 2 ** 32
        if not link.within:
            if link.credit <= 0:
                raise Failed(f"a transfer without credit: {tell_frame(frame)}")
            if "delivery-id" not in frame.fields or "delivery-tag" not in frame.fields:
                raise Failed(f"a delivery without id or tag: {tell_frame(frame)}")
            link.began(1)
        link.within = unfinished(frame.fields)
