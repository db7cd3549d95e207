"""A small broker of queues in memory by Proton, for clients of ours: proton_broker.py PORT

A message that comes to "rejects", "releases" or "modifies" has that outcome; all other addresses
are queues.  Says "listening" when it can be connected to.
"""
import collections
import sys
import uuid

import proton
from proton.handlers import MessagingHandler
from proton.reactor import Container


class Queue:
    def __init__(self):
        self.messages = collections.deque()
        self.consumers = []

    def put(self, message, first=False):
        (self.messages.appendleft if first else self.messages.append)(message)
        self.serve()

    def serve(self):
        while self.messages:
            sender = next((s for s in self.consumers if s.credit), None)
            if not sender:
                return
            message = self.messages.popleft()
            delivery = sender.send(message)
            delivery.queue, delivery.message = self, message
            self.consumers.remove(sender)
            self.consumers.append(sender)


class Broker(MessagingHandler):
    def __init__(self, url):
        super().__init__(auto_accept=False, auto_settle=True)
        self.url = url
        self.queues = {}

    def on_start(self, event):
        event.container.listen(self.url)
        print("listening", flush=True)

    def queue(self, address):
        return self.queues.setdefault(address, Queue())

    def on_link_opening(self, event):
        link = event.link
        link.snd_settle_mode = link.remote_snd_settle_mode
        if link.is_sender and link.remote_source.dynamic:
            address = str(uuid.uuid4())
            link.source.address = address
            self.queue(address)
        else:
            link.source.address = link.remote_source.address
        link.target.address = link.remote_target.address
        if link.is_sender:
            self.queue(link.source.address).consumers.append(link)

    def gone(self, link):
        if link.is_sender:
            queue = self.queue(link.source.address)
            if link in queue.consumers:
                queue.consumers.remove(link)

    def on_link_closing(self, event):
        self.gone(event.link)

    def on_disconnected(self, event):
        link = event.connection.link_head(0)
        while link:
            self.gone(link)
            link = link.next(0)

    def on_sendable(self, event):
        self.queue(event.link.source.address).serve()
        self.drain(event.link)

    def on_link_flow(self, event):
        if event.link.is_sender:
            self.queue(event.link.source.address).serve()
            self.drain(event.link)

    def drain(self, link):
        if link.drain_mode:
            link.drained()

    def on_message(self, event):
        address = event.link.target.address or event.message.address
        delivery = event.delivery
        if address == "rejects":
            delivery.local.condition = proton.Condition("test:wrong", "wrong colour")
            delivery.update(proton.Delivery.REJECTED)
        elif address == "releases":
            delivery.update(proton.Delivery.RELEASED)
        elif address == "modifies":
            delivery.local.failed = True
            delivery.local.undeliverable = True
            delivery.update(proton.Delivery.MODIFIED)
        else:
            self.queue(address).put(event.message)
            delivery.update(proton.Delivery.ACCEPTED)
        delivery.settle()

    def on_released(self, event):
        event.delivery.queue.put(event.delivery.message, first=True)


Container(Broker("127.0.0.1:" + sys.argv[1])).run()
