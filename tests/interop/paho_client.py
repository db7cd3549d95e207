"""Paho's client (1.6) with calls that wait for their answer."""

import queue
import socket
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from harness import PATIENCE

V31, V311, V5 = paho.MQTTv31, paho.MQTTv311, paho.MQTTv5


def props(kind, **values):
    """props("PUBLISH", TopicAlias=1): the properties of a packet of that kind."""
    made = Properties(getattr(PacketTypes, kind))
    for name, value in values.items():
        setattr(made, name, value)
    return made


def options(qos=0, **values):
    return SubscribeOptions(qos, **values)


class Client:
    """One client.  It does not reconnect by itself: tests say when."""

    def __init__(self, name, version=V311, clean=True, transport="tcp", tls=None):
        self.version = version
        self.clean = clean
        extra = {} if version == V5 else {"clean_session": clean}
        self.transport = transport
        self.paho = paho.Client(name, protocol=version, transport=transport, **extra)
        self.paho.max_inflight_messages_set(100)
        self.tls = tls
        if tls:
            self.paho.tls_set(**tls)
        self.messages = queue.Queue()
        self.connects = queue.Queue()
        self.ends = queue.Queue()
        self.answers = {}
        self.answered = threading.Condition()
        self.paho.on_connect = self.on_connect
        self.paho.on_disconnect = self.on_disconnect
        self.paho.on_message = lambda _client, _data, message: self.messages.put(message)
        self.paho.on_publish = lambda _client, _data, mid: self.answer(mid, True)
        self.paho.on_subscribe = lambda _client, _data, mid, codes, *_: self.answer(mid, codes)
        self.paho.on_unsubscribe = lambda _client, _data, mid, *rest: self.answer(mid, rest)

    # What Paho's thread calls.

    def on_connect(self, _client, _data, flags, code, properties=None):
        self.connects.put((code if isinstance(code, int) else code.value, flags, properties))

    def on_disconnect(self, client, _data, code, _properties=None):
        client.disconnect()  # so that its loop ends
        self.ends.put(code if isinstance(code, int) else code.value)

    def answer(self, mid, what):
        with self.answered:
            self.answers[mid] = what
            self.answered.notify_all()

    def wait_answer(self, mid):
        with self.answered:
            if not self.answered.wait_for(lambda: mid in self.answers, PATIENCE):
                raise AssertionError(f"no answer to packet {mid}")
            return self.answers.pop(mid)

    # What tests call.

    def connect(self, broker, keep_alive=60, expect=0, **properties):
        """Returns (session present, CONNACK's properties)."""
        self.paho.loop_stop()
        extra = {}
        if self.version == V5:
            extra = {"clean_start": self.clean, "properties": props("CONNECT", **properties)}
        port = broker.port if self.transport == "tcp" else broker.web_port
        self.paho.connect("127.0.0.1", port, keep_alive, **extra)
        self.paho.loop_start()
        code, flags, answer = self.connects.get(timeout=PATIENCE)
        if code != expect:
            raise AssertionError(f"CONNACK {code} instead of {expect}")
        return flags["session present"], answer

    def subscribe(self, topic, qos=0, how=None, **properties):
        """Returns SUBACK's codes."""
        if self.version == V5:
            made = props("SUBSCRIBE", **properties) if properties else None
            _, mid = self.paho.subscribe(topic, options=how or options(qos), properties=made)
        else:
            _, mid = self.paho.subscribe(topic, qos)
        return [code if isinstance(code, int) else code.value for code in self.wait_answer(mid)]

    def unsubscribe(self, topic):
        _, mid = self.paho.unsubscribe(topic)
        return self.wait_answer(mid)

    def send(self, topic, payload=b"", qos=0, retain=False, **properties):
        """Publishes and does not wait."""
        made = props("PUBLISH", **properties) if properties else None
        return self.paho.publish(topic, payload, qos, retain, made).mid

    def publish(self, topic, payload=b"", qos=1, retain=False, **properties):
        self.wait_answer(self.send(topic, payload, qos, retain, **properties))

    def receive(self):
        try:
            return self.messages.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no message within {PATIENCE} s") from None

    def receive_all(self, count):
        return [self.receive() for _ in range(count)]

    def payloads(self, count):
        return [m.payload.decode() for m in self.receive_all(count)]

    def wait_end(self):
        """Until the connection has ended; returns the reason that Paho was told."""
        code = self.ends.get(timeout=PATIENCE)
        self.paho.loop_stop()
        return code

    def disconnect(self, reason=None, **properties):
        extra = {}
        if self.version == V5:
            extra = {"reasoncode": reason, "properties": props("DISCONNECT", **properties)}
        self.paho.disconnect(**extra)
        return self.wait_end()

    def vanish(self):
        """The connection ends without DISCONNECT, as by a cut."""
        below = getattr(self.paho.socket(), "_socket", self.paho.socket())
        if self.tls:  # Paho does not survive a cut of TLS while it writes
            self.paho.loop_stop()
        socket.socket.shutdown(below, socket.SHUT_RDWR)
        if self.tls:
            self.paho._sock_close()
        else:
            self.wait_end()

    def fall_silent(self):
        """The connection stays, and nobody reads it or writes to it any more."""
        self.paho.loop_stop()

    def close(self):
        if self.paho.is_connected():
            self.paho.disconnect()
        self.paho.loop_stop()
        if self.paho.socket():
            self.paho.socket().close()
