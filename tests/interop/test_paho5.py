#!/usr/bin/env python3
"""What MQTT 5 adds, seen by Paho."""

import time

import harness
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCodes
from paho_client import V5, Client, options, props

SESSION_TAKEN_OVER, SHUTTING_DOWN, PACKET_TOO_LARGE = 0x8E, 0x8B, 0x95


class Version5Test(harness.Test):
    def client(self, name, clean=True, will=None, keep_alive=60, **properties):
        client = Client(name, V5, clean)
        self.addCleanup(client.close)
        if will:
            client.paho.will_set(*will[0], properties=will[1])
        client.session_present, client.connack = client.connect(self.broker, keep_alive,
                                                               **properties)
        return client

    def publisher_and_subscriber(self):
        return self.client("publisher"), self.client("subscriber")


class Publications(Version5Test):
    def test_properties_arrive(self):
        publisher, subscriber = self.publisher_and_subscriber()
        subscriber.subscribe("p", 1)
        user = [("b", "2"), ("a", "1"), ("b", "2"), ("", ""), ("gr\u00fc\u00dfe", "\u2603")]
        publisher.publish("p", "payload", UserProperty=user, ContentType="text/plain",
                          PayloadFormatIndicator=1, ResponseTopic="answers/1",
                          CorrelationData=b"\0\xff\1")
        got = subscriber.receive().properties
        self.assertEqual(got.UserProperty, user)
        self.assertEqual((got.ContentType, got.PayloadFormatIndicator), ("text/plain", 1))
        self.assertEqual((got.ResponseTopic, got.CorrelationData), ("answers/1", b"\0\xff\1"))

    def test_request_and_response(self):
        asker = self.client("asker", RequestResponseInformation=1)
        place = asker.connack.ResponseInformation
        asker.subscribe(place, 1)
        helper = self.client("helper")
        helper.subscribe("questions", 1)
        for question in (b"one", b"two"):
            asker.publish("questions", question, ResponseTopic=place, CorrelationData=question)
            asked = helper.receive()
            helper.publish(asked.properties.ResponseTopic, b"yes: " + asked.payload,
                           CorrelationData=asked.properties.CorrelationData)
            answer = asker.receive()
            self.assertEqual((answer.payload, answer.properties.CorrelationData),
                             (b"yes: " + question, question))

    def test_topic_alias(self):
        publisher, subscriber = self.publisher_and_subscriber()
        self.assertGreaterEqual(publisher.connack.TopicAliasMaximum, 2)
        subscriber.subscribe("alias/#", 1)
        for topic, alias in (("alias/one", 1), ("alias/two", 2), ("", 1), ("", 2),
                             ("alias/three", 1), ("", 1)):
            publisher.publish(topic, "x", TopicAlias=alias)
        self.assertEqual([m.topic for m in subscriber.receive_all(6)],
                         [f"alias/{w}" for w in "one two one two three three".split()])

    def test_topic_alias_that_is_not_there(self):
        publisher, _ = self.publisher_and_subscriber()
        publisher.send("", "x", TopicAlias=1)
        self.assertIn(publisher.wait_end(), (0x82, 0x94))

    def test_no_matching_subscribers(self):
        """Not an error: the acknowledgement comes all the same."""
        publisher, _ = self.publisher_and_subscriber()
        for qos in (1, 2):
            publisher.publish("nobody", "x", qos)


class Retained(Version5Test):
    def test_retain_handling(self):
        publisher, subscriber = self.publisher_and_subscriber()
        publisher.publish("kept", "kept", retain=True)
        for handling, again, expected in ((0, False, 1), (0, True, 1), (1, False, 1), (1, True, 0),
                                          (2, False, 0), (2, True, 0)):
            if not again:
                subscriber.unsubscribe("kept")
            subscriber.subscribe("kept", how=options(1, retainHandling=handling))
            publisher.publish("kept", "live")
            got = subscriber.payloads(expected + 1)
            self.assertEqual(got, ["kept"] * expected + ["live"], (handling, again))

    def test_retain_as_published(self):
        publisher, subscriber = self.publisher_and_subscriber()
        subscriber.subscribe("as/it/was", how=options(1, retainAsPublished=True))
        for retain in (True, False):
            publisher.publish("as/it/was", "x", retain=retain)
            self.assertEqual(subscriber.receive().retain, retain)
        subscriber.subscribe("as/it/was", how=options(1, retainHandling=2))
        publisher.publish("as/it/was", "x", retain=True)
        self.assertEqual(subscriber.receive().retain, 0)

    def test_expiry(self):
        publisher, subscriber = self.publisher_and_subscriber()
        subscriber.subscribe("kept/#", 1)
        publisher.publish("kept/short", "short", retain=True, MessageExpiryInterval=1)
        publisher.publish("kept/long", "long", retain=True, MessageExpiryInterval=1000)
        self.assertEqual(subscriber.payloads(2), ["short", "long"])
        time.sleep(2.1)
        late = self.client("late")
        late.subscribe("kept/#", 1)
        publisher.publish("kept/end", "live")
        kept, live = late.receive_all(2)
        self.assertEqual((kept.payload, live.payload), (b"long", b"live"))
        self.assertIn(kept.properties.MessageExpiryInterval, range(900, 999))


class Subscriptions(Version5Test):
    def test_no_local(self):
        talker, other = self.publisher_and_subscriber()
        talker.subscribe("chat", how=options(1, noLocal=True))
        talker.publish("chat", "my own")
        other.publish("chat", "another's")
        self.assertEqual(talker.payloads(1), ["another's"])

    def test_identifiers(self):
        """Overlapping subscriptions: one delivery, the highest QoS, every identifier."""
        publisher, subscriber = self.publisher_and_subscriber()
        subscriber.subscribe("id/#", 0, SubscriptionIdentifier=1)
        subscriber.subscribe("id/+", 2, SubscriptionIdentifier=268435455)
        subscriber.subscribe("id/x", 1)
        subscriber.subscribe("+/x", 1, SubscriptionIdentifier=1)
        for topic, qos, identifiers in (("id/x", 2, [1, 1, 268435455]), ("id/x/y", 0, [1]),
                                        ("id/z", 2, [1, 268435455]), ("q/x", 1, [1])):
            publisher.publish(topic, topic, 2)
            message = subscriber.receive()
            self.assertEqual((message.topic, message.qos), (topic, qos))
            self.assertEqual(sorted(message.properties.SubscriptionIdentifier), identifiers)
        self.assertTrue(subscriber.messages.empty())

    def test_shared(self):
        publisher = self.client("publisher")
        members = [self.client(f"member{i}") for i in range(3)]
        for member in members:
            member.subscribe("$share/group/work/#", 1)
        outsider = self.client("outsider")
        outsider.subscribe("$share/other/work/#", 2)
        sent = [f"{i}" for i in range(300)]
        for payload in sent:
            publisher.send("work/piece", payload, 1)
        self.assertEqual(outsider.payloads(300), sent)
        harness.wait_until(lambda: sum(m.messages.qsize() for m in members) >= 300,
                           "300 messages for the group")
        shares = [member.payloads(member.messages.qsize()) for member in members]
        self.assertEqual(sorted(sum(shares, [])), sorted(sent))
        self.assertTrue(all(shares), "a member got nothing")

    def test_shared_member_leaves(self):
        publisher = self.client("publisher")
        stays, leaves = self.client("stays"), self.client("leaves")
        publisher.publish("work", "kept", retain=True)
        for member in (stays, leaves):
            member.subscribe("$share/group/work", 2)
        leaves.vanish()
        for i in range(20):
            publisher.publish("work", f"{i}", 2)
        got = stays.payloads(20)
        self.assertEqual(got, [f"{i}" for i in range(20)], "all in order, and nothing retained")

    def test_refusals(self):
        client = self.client("client")
        self.assertEqual(client.subscribe([("a", options(1)), ("a/#", options(2))]), [1, 2])
        codes = client.unsubscribe(["a", "never"])[1]
        self.assertEqual([code.value for code in codes], [0, 0x11])


class Sessions(Version5Test):
    def test_assigned_client_id(self):
        names = {self.client("").connack.AssignedClientIdentifier for _ in range(3)}
        self.assertEqual(len(names), 3)
        self.assertNotIn("", names)
        name = names.pop()
        again = self.client(name, clean=False, SessionExpiryInterval=60)
        self.assertFalse(hasattr(again.connack, "AssignedClientIdentifier"))

    def test_expiry(self):
        publisher = self.client("publisher")
        for expiry, wait, present in ((None, 0, False), (1, 2.1, False), (600, 0, True),
                                      (0xFFFFFFFF, 0, True)):
            properties = {} if expiry is None else {"SessionExpiryInterval": expiry}
            name = f"lasts {expiry}"
            client = self.client(name, clean=False, **properties)
            client.subscribe("news", 1)
            client.disconnect()
            publisher.publish("news", "while away")
            time.sleep(wait)
            client = self.client(name, clean=False)
            self.assertEqual(client.session_present, present, name)
            if present:
                self.assertEqual(client.payloads(1), ["while away"])

    def test_expiry_said_at_the_end(self):
        for first, last, present in ((600, 0, False), (1, 600, True)):
            client = self.client("changes", clean=False, SessionExpiryInterval=first)
            client.disconnect(SessionExpiryInterval=last)
            time.sleep(2.1 if first == 1 else 0)
            self.assertEqual(self.client("changes", clean=False).session_present, present)

    def test_message_expiry(self):
        publisher = self.client("publisher")
        away = self.client("away", clean=False, SessionExpiryInterval=600)
        away.subscribe("news", 2)
        away.disconnect()
        for qos in (1, 2):
            publisher.publish("news", "stale", qos, MessageExpiryInterval=1)
            publisher.publish("news", "fresh", qos, MessageExpiryInterval=1000)
        time.sleep(2.1)
        away.connect(self.broker, SessionExpiryInterval=600)
        publisher.publish("news", "end", 2)
        received = away.receive_all(3)
        self.assertEqual([m.payload for m in received], [b"fresh", b"fresh", b"end"])
        for message in received[:2]:
            self.assertIn(message.properties.MessageExpiryInterval, range(900, 999))

    def test_take_over(self):
        old = self.client("same")
        self.client("same")
        self.assertEqual(old.wait_end(), SESSION_TAKEN_OVER)

    def test_shut_down(self):
        client = self.client("client")
        self.assertEqual(self.broker.stop(), 0)
        self.assertEqual(client.wait_end(), SHUTTING_DOWN)


class Wills(Version5Test):
    def mortal(self, name="mortal", topic="gone", expiry=600, **properties):
        made = props("WILLMESSAGE", **properties)
        return self.client(name, False, ((topic, "will", 1, False), made),
                           SessionExpiryInterval=expiry)

    def setUp(self):
        super().setUp()
        self.watcher = self.client("watcher")
        self.watcher.subscribe("gone/#", 1)

    def test_properties(self):
        user = [("b", "2"), ("a", "1"), ("b", "3")]
        self.mortal(UserProperty=user, ContentType="a/b", MessageExpiryInterval=100,
                    ResponseTopic="grave", CorrelationData=b"\0").vanish()
        got = self.watcher.receive().properties
        self.assertEqual((got.UserProperty, got.ContentType), (user, "a/b"))
        self.assertEqual((got.ResponseTopic, got.CorrelationData), ("grave", b"\0"))
        self.assertIn(got.MessageExpiryInterval, range(90, 101))
        self.assertFalse(hasattr(got, "WillDelayInterval"))

    def test_delay(self):
        started = time.monotonic()
        self.mortal(WillDelayInterval=1).vanish()
        self.assertEqual(self.watcher.payloads(1), ["will"])
        self.assertGreaterEqual(time.monotonic() - started, 1)

    def test_back_before_the_delay_is_over(self):
        self.mortal(WillDelayInterval=2).vanish()
        back = self.client("mortal", clean=False, SessionExpiryInterval=600)
        self.assertTrue(back.session_present)
        # A will of somebody else with a longer delay shows when that of the first would have come.
        self.mortal("other", "gone/other", WillDelayInterval=3).vanish()
        self.assertEqual(self.watcher.receive().topic, "gone/other")

    def test_delay_ends_with_the_session(self):
        self.mortal(expiry=1, WillDelayInterval=3600).vanish()
        self.assertEqual(self.watcher.payloads(1), ["will"])
        self.mortal(expiry=600, WillDelayInterval=3600).vanish()
        self.client("mortal", clean=True)
        self.assertEqual(self.watcher.payloads(1), ["will"], "a clean start ends the session")

    def test_disconnect_with_will(self):
        reason = ReasonCodes(PacketTypes.DISCONNECT, "Disconnect with will message")
        self.mortal().disconnect(reason)
        self.assertEqual(self.watcher.payloads(1), ["will"])
        self.mortal().disconnect()
        self.watcher.publish("gone/end", "end")
        self.assertEqual(self.watcher.payloads(1), ["end"])


class Limits(Version5Test):
    settings = ("limits.packet=64KiB", "limits.keep_alive_max=2s", "limits.receive_maximum=7",
                "limits.topic_alias_maximum=3", "limits.session_expiry=100s", "sys_interval=200ms")

    def test_what_connack_says(self):
        said = self.client("client", SessionExpiryInterval=600).connack
        self.assertEqual(said.MaximumPacketSize, 65536)
        self.assertEqual(said.ServerKeepAlive, 2)
        self.assertEqual(said.ReceiveMaximum, 7)
        self.assertEqual(said.TopicAliasMaximum, 3)
        self.assertEqual(said.SessionExpiryInterval, 100)

    def test_server_keep_alive(self):
        """Paho asks for 60 s; the broker's 2 are what counts."""
        watcher = self.client("watcher", keep_alive=1)
        watcher.subscribe("silent", 1)
        self.client("silent", will=(("silent", "silent", 1, False), None)).fall_silent()
        self.assertEqual(watcher.payloads(1), ["silent"])

    def test_too_large_for_the_broker(self):
        publisher = self.client("publisher")
        publisher.send("large", b"x" * 70000, 1)
        self.assertEqual(publisher.wait_end(), PACKET_TOO_LARGE)

    def test_too_large_for_the_client(self):
        publisher = self.client("publisher")
        small = self.client("small", MaximumPacketSize=1000)
        small.subscribe("size", 2)
        for qos in range(3):
            publisher.publish("size", b"x" * 2000, qos)
            publisher.publish("size", f"{qos}", qos)
            self.assertEqual(small.payloads(1), [f"{qos}"])

    def test_sys(self):
        client = self.client("client")
        client.subscribe("$SYS/#")
        seen = {}

        def has(topic, value):
            while seen.get(topic) != value:
                message = client.receive()
                seen[message.topic] = message.payload.decode()

        has("$SYS/broker/clients/connected", "1")
        self.client("second")
        has("$SYS/broker/clients/connected", "2")
        self.assertIn("gnatter", seen["$SYS/broker/version"])
        for name in ("uptime", "clients/total", "clients/maximum", "messages/received",
                     "messages/sent", "subscriptions/count", "retained messages/count",
                     "load/messages/received/1min", "publish/messages/dropped", "bytes/sent"):
            self.assertIn(f"$SYS/broker/{name}", seen)


if __name__ == "__main__":
    harness.main()
