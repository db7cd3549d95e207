#!/usr/bin/env python3
"""MQTT over WebSocket: Paho, MQTT.js in node and in a web page, and our own commands at a gnatter
broker."""

import functools
import http.server
import os
import queue
import shutil
import sys
import threading
import unittest

import harness
import test_mqttjs
import test_paho
from commands import GNATTER_PUB, GNATTER_SUB, Commands
from paho_client import V31, V311, V5

HERE = os.path.dirname(os.path.abspath(__file__))
MQTT_JS = os.path.join(HERE, "node_modules", "mqtt")
CHROMIUM = shutil.which("chromium")


class Paho(test_paho.Common):
    transport = "websockets"
    large = 256 * 1024  # Paho masks byte by byte, in Python


class PahoV31(Paho, harness.Test):
    version = V31


class PahoV311(Paho, harness.Test):
    version = V311


class PahoV5(Paho, harness.Test):
    version = V5


class Ours(Commands, harness.Test):
    pub, sub = GNATTER_PUB, GNATTER_SUB

    def at(self):
        return ["--url", f"ws://127.0.0.1:{self.broker.web_port}/mqtt"]


class MqttJs(test_mqttjs.MqttJs):
    def url(self):
        return f"ws://127.0.0.1:{self.broker.web_port}/mqtt"


PAGE = """<!doctype html><title>MQTT</title><script src="mqtt.min.js"></script><script>
const say = words => fetch('/said', { method: 'POST', body: words })
const client = mqtt.connect('%s', { reconnectPeriod: 0, protocolVersion: 5 })
client.on('connect', () => client.subscribe('to/page', { qos: 1 }, () => {
  say('subscribed')
  client.publish('from/page', 'hello from a page', { qos: 1 })
}))
client.on('message', (topic, payload) => say(topic + '=' + payload))
client.on('close', () => say('closed'))
</script>"""


class Pages(http.server.SimpleHTTPRequestHandler):
    """Serves one page and MQTT.js, and is told by the page how it goes."""

    def __init__(self, page, said, *rest):
        self.page, self.said = page, said
        super().__init__(*rest, directory=os.path.join(MQTT_JS, "dist"))

    def do_GET(self):
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.page())

    def do_POST(self):
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@unittest.skipUnless(CHROMIUM, "no chromium here")
class Page(harness.Test):
    """A page in a browser, from another origin than the broker's."""

    def start_broker(self):
        self.said = queue.Queue()
        handler = functools.partial(Pages, lambda: PAGE.encode() % self.url.encode(), self.said)
        self.pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.addCleanup(self.pages.server_close)
        threading.Thread(target=self.pages.serve_forever, daemon=True).start()
        self.addCleanup(self.pages.shutdown)
        self.origin = f"http://127.0.0.1:{self.pages.server_address[1]}"
        broker = harness.Gnatter(self.folder)
        self.brokers.append(broker)
        self.addCleanup(self.stop, broker)
        origins = f"[{self.origin}]" if self.id().endswith("permitted") else "[https://else.where]"
        config = self.file("gnatter.yaml", (
            f"listeners:\n  - url: mqtt://127.0.0.1:0\n  - url: http://127.0.0.1:0\n"
            f"    origins: {origins}\ndata: none\n").encode())
        broker.spawn([harness.GNATTER, "broker", "--config", config,
                      "--workers", str(harness.WORKERS)])
        broker.wait_for_port()
        self.url = f"ws://127.0.0.1:{broker.web_port}/mqtt"
        return broker

    def browse(self):
        self.process([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                      "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                      f"--user-data-dir={self.folder}/browser", self.origin + "/"])

    def told(self):
        return self.said.get(timeout=harness.PATIENCE)

    def test_permitted(self):
        at = ["-h", "127.0.0.1", "-p", str(self.broker.port)]
        ear = self.process([*GNATTER_SUB, *at, "-d", "-t", "from/page", "-C", "1"])
        ear.wait_for("subscribed to")
        self.browse()
        self.assertEqual(self.told(), "subscribed")
        self.assertEqual(ear.wait(), ["hello from a page"])
        harness.run([*GNATTER_PUB, *at, "-t", "to/page", "-q", "1", "-m", "hello page"])
        self.assertEqual(self.told(), "to/page=hello page")

    def test_refused(self):
        self.browse()
        self.assertEqual(self.told(), "closed")


if __name__ == "__main__":
    if not os.path.isdir(MQTT_JS):
        sys.exit("MQTT.js is missing: script/deps installs it")
    harness.main()
