#!/usr/bin/env python3
"""Our commands by TLS at mosquitto, which shows a good certificate on one port and a bad one on each
of many others; at `openssl s_server`, which says what was agreed to; and at a gnatter broker."""

import importlib.util
import os
import pathlib
import shlex
import subprocess
import tempfile
import unittest

import harness
from commands import GNATTER_PUB, GNATTER_SUB, MOSQUITTO_PUB, MOSQUITTO_SUB, Commands
from harness import GNATTER

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = tempfile.TemporaryDirectory(prefix="gnatter-tls-client-")
REFUSED, FILES, USAGE, UNAVAILABLE = 77, 78, 64, 69


def load_terminal():
    """The terminal of the tests of the command, whose harness has the name of ours."""
    path = HERE.parent / "cli" / "harness.py"
    spec = importlib.util.spec_from_file_location("cli_harness", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Terminal


def cert(*words, folder="pki"):
    done = subprocess.run([GNATTER, "cert", words[0], "--dir", folder, *words[1:]],
                          cwd=FOLDER.name, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=harness.PATIENCE)
    if done.returncode:
        raise AssertionError(f"gnatter cert {words}: {done.stdout}{done.stderr}")
    return done.stdout


def at(name):
    return os.path.join(FOLDER.name, name)


def make_certificates():
    """Returns what `gnatter cert init` says."""
    said = cert("init", "--name", "localhost")
    here = ["--name", "localhost", "--name", "127.0.0.1"]
    cert("ca", "--subject", "CN=another CA", folder="other")
    cert("server", *here, "stray", folder="other")
    cert("server", "--name", "broker.example", "--name", "192.0.2.7", "elsewhere")
    cert("server", *here, "--from", "2020-01-01", "--until", "2020-12-31", "expired")
    cert("server", *here, "--from", "2035-01-01", "--until", "2035-12-31", "future")
    cert("server", *here, "--self-signed", "lone")
    cert("server", *here, "revoked")
    cert("client", "thief")
    cert("client", "--passphrase", "pass:open sesame", "--pfx", "--password", "pass:open sesame",
         "secret")
    cert("revoke", "pki/thief.pem")
    cert("revoke", "pki/revoked.pem")
    with open(at("passphrase"), "w", encoding="ascii") as f:
        f.write("open sesame\n")
    os.mkdir(at("hashed"))
    subprocess.run(["cp", at("pki/ca.pem"), at("hashed")], check=True)
    subprocess.run(["openssl", "rehash", at("hashed")], check=True)
    return said


SAID = make_certificates()

# Listeners, and how each is more than a port with a certificate.
LISTENERS = {
    "server": [],
    "strict": ["require_certificate true", f"crlfile {at('pki/crl.pem')}",
               "use_identity_as_username true"],
    "websocket": ["protocol websockets"],
    "stray": [], "elsewhere": [], "expired": [], "future": [], "lone": [], "revoked": [],
}
CERTIFICATES = {"strict": "pki/server", "websocket": "pki/server", "stray": "other/stray"}


class Mosquitto(harness.Mosquitto):
    """With a port for each of LISTENERS, in `ports`."""

    def try_start(self, settings):
        self.ports = getattr(self, "ports", None) or {}
        lines = ["user root", "persistence false", "per_listener_settings true",
                 f"listener {self.port} 127.0.0.1", "allow_anonymous true"]
        for name, more in LISTENERS.items():
            stem = at(CERTIFICATES.get(name, f"pki/{name}"))
            self.ports.setdefault(name, harness.free_port())
            lines += [f"listener {self.ports[name]} 127.0.0.1", "allow_anonymous true",
                      f"cafile {at('pki/ca.pem')}", f"certfile {stem}.pem", f"keyfile {stem}.key",
                      *more]
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w", encoding="ascii") as conf:
            conf.write("\n".join([*lines, ""]))
        runs = self.log().count(" running")
        self.spawn(["/usr/sbin/mosquitto", "-c", path])
        harness.wait_until(lambda: self.process.poll() is not None or
                           self.log().count(" running") > runs, "mosquitto's start")
        if self.process.poll() is not None:
            self.ports = {}
        return self.process.poll() is None


class Gnatter(harness.Gnatter):
    """Started as `gnatter cert init` says, but for the ports, and with one for WebSockets."""

    def start(self, settings=(), workers=harness.WORKERS):
        words = said_commands("gnatter broker")[0]
        words[words.index("mqtts://:8883")] = "mqtts://127.0.0.1:0"
        self.spawn([*words, "--listen", "https://127.0.0.1:0", "--data", "none", "--workers",
                    str(workers), *settings])
        return self.wait_for_port()

    def spawn(self, words):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(harness.tied(words), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=FOLDER.name)


def said_commands(start):
    """The command lines that `gnatter cert init` has printed and that begin with START."""
    lines = SAID.replace("\\\n", "").splitlines()
    found = [shlex.split(line) for line in lines if line.startswith(f"  {start}")]
    return [[GNATTER, *words[1:]] if words[0] == "gnatter" else words for words in found]


class Client(harness.Test):
    def run_command(self, *words, environment=None):
        """Exit code, output and errors of a gnatter command."""
        done = subprocess.run(harness.tied([GNATTER, *words]), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=harness.PATIENCE,
                              cwd=FOLDER.name, env={**os.environ, **(environment or {})},
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def publish(self, *words, **more):
        code, _, said = self.run_command("pub", "-t", "t", "-m", "hello", "-q", "1", *words, **more)
        self.assertEqual(code, 0, said)

    def refuses(self, words, code, *said):
        """That a publication with WORDS ends with CODE, and with each of SAID on standard error."""
        got = self.run_command("pub", "-t", "t", "-m", "hello", *words)
        self.assertEqual(got[0], code, got)
        for text in said:
            self.assertIn(text, got[2])

    def hears(self, words, port, *more):
        """That a command of `gnatter cert init` at PORT hears what we publish with MORE."""
        words = list(words)
        words[words.index("8883")] = str(port)
        os.chdir(FOLDER.name)  # which the names of files are relative to
        ear = self.process([*(["stdbuf", "-oL"] if words[0] != GNATTER else []), *words, "-C", "1",
                            "-d"])
        ear.wait_for("ubscribed")
        self.publish("-h", "localhost", "-p", str(port), "--cafile", "pki/ca.pem", *more)
        self.assertIn("t hello", ear.wait())


class AtMosquitto(Client):
    def start_broker(self):
        return self.start(Mosquitto(self.folder))

    def reach(self, listener="server", host="localhost", ca="pki/ca.pem"):
        words = ["-h", host, "-p", str(self.broker.ports[listener])]
        return words + (["--cafile", at(ca)] if ca else [])


class AtGnatter(Client):
    certificate = ["--cert", at("pki/client.pem"), "--key", at("pki/client.key")]

    def start_broker(self):
        return self.start(Gnatter(self.folder))

    def reach(self):
        return ["-h", "localhost", "-p", str(self.broker.port), "--cafile", at("pki/ca.pem")]


class Good(AtMosquitto):
    def test_what_cert_init_says_works_word_for_word(self):
        for command in said_commands("gnatter sub") + said_commands("mosquitto_sub"):
            self.hears(command, self.broker.ports["strict"], "--pfx", "pki/client.pfx")

    def test_every_way_to_show_a_certificate(self):
        secret = ["--cert", "pki/secret.pem", "--key", "pki/secret.key"]
        for words in (["--cert", "pki/client.pem", "--key", "pki/client.key"],
                      ["--pfx", "pki/client.pfx"],
                      [*secret, "--passphrase", "file:passphrase"],
                      [*secret, "--passphrase", "env:SESAME"],
                      ["--pfx", "pki/secret.pfx", "--passphrase", "file:passphrase"]):
            self.publish(*self.reach("strict"), *words, environment={"SESAME": "open sesame"})
        self.assertIn("u'secret'", self.broker.log())

    def test_a_terminal_is_asked(self):
        for words in (["--cert", "pki/secret.pem", "--key", "pki/secret.key"],
                      ["--pfx", "pki/secret.pfx"]):
            for typed, expected in ((b"open sesame\n", 0), (b"wrong\n", FILES)):
                terminal = load_terminal()([GNATTER, "pub", *self.reach("strict"), *words, "-t",
                                            "t", "-m", "x"], cwd=FOLDER.name)
                terminal.until(f"Pass-phrase of {words[-1]}: ".encode())
                terminal.type(typed)
                code, shown = terminal.end()
                self.assertEqual(code, expected, shown)
                self.assertNotIn("sesame", shown)

    def test_whom_to_trust(self):
        self.publish(*self.reach(ca=None), "--capath", "hashed")
        self.publish(*self.reach(), "--crl", "pki/crl.pem")
        self.publish(*self.reach("elsewhere"), "--insecure")
        self.publish(*self.reach("elsewhere"), "--tls-server-name", "broker.example")
        self.publish(*self.reach("elsewhere"), "--tls-server-name", "192.0.2.7")
        self.publish(*self.reach(host="127.0.0.1"))
        self.publish(*self.reach(ca=None), "--tls-use-os-certs",
                     environment={"SSL_CERT_FILE": at("pki/ca.pem")})

    def test_urls(self):
        for url in (f"mqtts://localhost:{self.broker.ports['server']}",
                    f"mqtts://127.0.0.1:{self.broker.ports['server']}",
                    f"wss://localhost:{self.broker.ports['websocket']}/mqtt",
                    f"wss://127.0.0.1:{self.broker.ports['websocket']}"):
            ear = self.process([GNATTER, "sub", "--url", url, "--cafile", at("pki/ca.pem"), "-t",
                                "t", "-C", "1", "-d"])
            ear.wait_for("subscribed to")
            self.publish("--url", url, "--cafile", "pki/ca.pem")
            self.assertEqual(ear.wait(), ["hello"])

    def test_versions_and_ciphers(self):
        for words in (["--tls-version", "tlsv1.3"], ["--tls-max-version", "tlsv1.2"],
                      ["--tls-max-version", "tlsv1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
                      ["--tls-version", "tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]):
            self.publish(*self.reach(), *words)

    def test_large(self):
        payload = os.urandom(3 << 20)
        path = self.file("large", payload)
        ear = self.process([GNATTER, "sub", *self.reach(), "-t", "t", "-C", "1", "-d", "-F", "%x"])
        ear.wait_for("subscribed to")
        harness.run([GNATTER, "pub", *self.reach(), "-t", "t", "-q", "1", "-f", path])
        self.assertTrue(ear.wait() == [payload.hex()])

    def test_thermometer(self):
        ear = self.process([GNATTER, "sub", *self.reach(), "-t", "warmth", "-C", "2", "-d"])
        ear.wait_for("subscribed to")
        code, _, said = self.run_command("thermometer", "--sensor", "sim", "--interval", "10ms",
                                         "-C", "2", "-t", "warmth", *self.reach())
        self.assertEqual(code, 0, said)
        self.assertEqual(len(ear.wait()), 2)

    def test_bench(self):
        load = ["-q", "1", "--publishers", "5", "--duration", "300ms", "--warm-up", "100ms"]
        for words in (self.reach(),
                      ["-t", f"mqtts://localhost:{self.broker.ports['server']}",
                       "-t", f"wss://localhost:{self.broker.ports['websocket']}/mqtt",
                       "-t", f"mqtt://localhost:{self.broker.port}", "--cafile", at("pki/ca.pem")],
                      [*self.reach("strict"), "--pfx", "pki/client.pfx"]):
            code, out, said = self.run_command("bench", *load, *words)
            self.assertEqual(code, 0, out + said)
        code, out, said = self.run_command("bench", *load, *self.reach("strict"))
        self.assertEqual(code, UNAVAILABLE, said)
        self.assertIn("the server wants a client certificate", out)


class Refused(AtMosquitto):
    def test_the_servers_certificate(self):
        for listener, words in {
                "expired": "the server's certificate: expired.",
                "future": "the server's certificate: not yet valid.",
                "stray": "the server's certificate: wrong CA.",
                "lone": "the server's certificate: self-signed.",
                "elsewhere": "the server's certificate: wrong host: it is for broker.example, "
                             "192.0.2.7, not localhost."}.items():
            self.refuses(self.reach(listener), REFUSED, "cannot connect to localhost port", words)
        self.refuses([*self.reach("revoked"), "--crl", "pki/crl.pem"], REFUSED,
                     "the server's certificate: revoked.")
        self.refuses(self.reach(ca=None) + ["--tls-use-os-certs"], REFUSED,
                     "the server's certificate: wrong CA.")
        self.refuses([*self.reach("stray"), "--insecure"], REFUSED, "wrong CA")
        url = f"wss://localhost:{self.broker.ports['websocket']}/mqtt"
        self.refuses(["--url", url], REFUSED, f"cannot connect to {url}: ", "wrong CA")

    def test_the_clients_certificate(self):
        for words in [], ["--tls-max-version", "tlsv1.2"]:
            self.refuses([*self.reach("strict"), *words], REFUSED,
                         "the server wants a client certificate.")
            self.refuses([*self.reach("strict"), *words, "--cert", "pki/thief.pem", "--key",
                          "pki/thief.key"], REFUSED, "the peer says: certificate revoked.")
            self.refuses([*self.reach("strict"), *words, "--cert", "other/stray.pem", "--key",
                          "other/stray.key"], REFUSED, "the peer says: ")

    def test_sub_does_not_try_for_ever(self):
        code, _, said = self.run_command("sub", "-t", "t", *self.reach("expired"))
        self.assertEqual(code, REFUSED, said)
        self.assertIn("the server's certificate: expired.", said)

    def test_files(self):
        for words, said in (
                (["--cafile", "nothing.pem"], "nothing.pem: No such file or directory"),
                (["--capath", "nothing"], "nothing: No such file or directory"),
                (["--capath", "passphrase"], "passphrase: Not a directory"),
                (["--cafile", "passphrase"], "passphrase: no certificate in it"),
                ([*self.reach(), "--crl", "pki/ca.pem"], "pki/ca.pem: "),
                ([*self.reach(), "--cert", "pki/client.pem"], "pki/client.pem: no private key"),
                ([*self.reach(), "--cert", "pki/client.pem", "--key", "pki/server.key"],
                 "the key does not fit the certificate"),
                ([*self.reach(), "--pfx", "pki/secret.pfx"], "pki/secret.pfx: "),
                ([*self.reach(), "--ciphers", "NONSENSE"], "ciphers NONSENSE"),
                ([*self.reach(), "--tls-version", "tlsv1.3", "--tls-max-version", "tlsv1.2"],
                 "the greatest TLS version is below the least")):
            self.refuses(words, FILES, said)

    def test_usage(self):
        for words, said in (
                (["--url", "mqtt://localhost", "--cafile", "x"], "take mqtts:// or wss://"),
                (["--key", "x"], "a key is given, and no certificate"),
                (["--pfx", "x", "--cert", "x"], "a PFX file is given"),
                (["--cafile", "x", "--passphrase", "ask"], "--passphrase needs a certificate"),
                (["--cert", "x", "--passphrase", "pass:secret"], "expected file:FILE, env:NAME"),
                (["--cafile", "x", "--tls-use-os-certs"], "--tls-use-os-certs excludes")):
            self.refuses(words, USAGE, said)

    def test_who_does_not_speak_tls(self):
        self.refuses(["-p", str(self.broker.port), "-h", "localhost", "--cafile", "pki/ca.pem"],
                     UNAVAILABLE, "Is that the port for TLS?")
        self.refuses(["-p", str(self.broker.ports["server"]), "-h", "localhost"], UNAVAILABLE,
                     "does it want TLS (--cafile)?")


class Changes(AtMosquitto):
    def test_the_servers_certificate_is_another_one_now(self):
        ear = self.process([GNATTER, "sub", *self.reach(), "-t", "t", "-C", "1", "-d"])
        ear.wait_for("subscribed to")
        self.broker.stop()
        ear.wait_for("Trying again.")
        cert("server", "--force", "--name", "localhost", "--name", "127.0.0.1", "server")
        self.broker.start()
        ear.wait_for("connected to localhost port")
        harness.wait_until(lambda: sum("subscribed to" in line for line in ear.said) > 0,
                           "the subscription")
        self.publish_until(ear)
        self.assertEqual(ear.wait(), ["hello"])

    def test_a_certificate_that_has_gone_bad_ends_it(self):
        ear = self.process([GNATTER, "sub", *self.reach(), "-t", "t"])
        harness.wait_until(lambda: "as gnatter" in self.broker.log(), "a client")
        self.broker.stop()
        ear.wait_for("Trying again.")
        keep = [LISTENERS, CERTIFICATES][1]
        keep["server"] = "pki/expired"
        self.addCleanup(keep.pop, "server")
        self.broker.start()
        ear.wait_for("the server's certificate: expired.")
        self.assertEqual(ear.process.wait(harness.PATIENCE), REFUSED)

    def publish_until(self, ear):
        """The subscriber's session is new, and takes its subscription up again when it can."""
        def heard():
            self.publish(*self.reach())
            return ear.process.poll() is not None
        harness.wait_until(heard, "the message")


class OursAtGnatter(Commands, AtGnatter):
    pub, sub = GNATTER_PUB, GNATTER_SUB

    def at(self):
        return [*self.reach(), *self.certificate]


class TheirsAtGnatter(OursAtGnatter):
    pub, sub = MOSQUITTO_PUB, MOSQUITTO_SUB


class OursByWebSocket(OursAtGnatter):
    def at(self):
        return ["--url", f"wss://localhost:{self.broker.web_port}/mqtt", "--cafile",
                at("pki/ca.pem"), *self.certificate]


class Gnatters(AtGnatter):
    def test_what_cert_init_says_works_word_for_word(self):
        for command in said_commands("gnatter sub") + said_commands("mosquitto_sub"):
            self.hears(command, self.broker.port, "--pfx", "pki/client.pfx")

    def test_refusals(self):
        for version in [], ["--tls-max-version", "tlsv1.2"]:
            reach = [*self.reach(), *version]
            self.refuses(reach, REFUSED, "the server wants a client certificate.")
            self.refuses([*reach, "--cert", "other/stray.pem", "--key", "other/stray.key"],
                         REFUSED, "the peer says: unknown CA.")
            self.refuses([*reach, *self.certificate, "--tls-server-name", "elsewhere"], REFUSED,
                         "wrong host: it is for localhost, ", ", not elsewhere.")

    def test_bench(self):
        load = ["-q", "1", "--publishers", "5", "--duration", "300ms", "--warm-up", "100ms"]
        for target in [], ["-t", f"wss://localhost:{self.broker.web_port}/mqtt"]:
            code, out, said = self.run_command("bench", *load, *self.reach(), *self.certificate,
                                               *target)
            self.assertEqual(code, 0, out + said)


class Agreed(harness.Test):
    """At a server that only shakes hands, and says how."""

    def start_broker(self):
        return None

    def server(self, port, *words):
        peer = self.process(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                             at("pki/server.pem"), "-key", at("pki/server.key"), *words],
                            subprocess.PIPE)
        self.addCleanup(peer.process.stdin.close)
        return peer.wait_for("ACCEPT")

    def shake(self, server, client):
        """What `openssl s_server` says of a connection of ours."""
        port = harness.free_port()
        peer = self.server(port, *server)
        ours = self.process([GNATTER, "pub", "-h", "localhost", "-p", str(port), "--cafile",
                             at("pki/ca.pem"), *client, "-t", "t", "-m", "x"])
        peer.wait_for("Secure Renegotiation")
        ours.end()
        return "\n".join(peer.lines)

    def test_alpn(self):
        said = self.shake(["-alpn", "mqtt"], ["--tls-alpn", "http/1.1,mqtt"])
        self.assertIn("ALPN protocols advertised by the client: http/1.1, mqtt", said)
        self.assertIn("ALPN protocols selected: mqtt", said)
        self.assertNotIn("ALPN protocols advertised", self.shake(["-alpn", "mqtt"], []))

    def test_versions(self):
        weak = ["-cipher", "ALL:@SECLEVEL=0"]
        for server, client in ((["-tls1_3"], []), (["-tls1_2"], []),
                               (["-tls1_1", *weak], ["--tls-version", "tlsv1.1"]),
                               (["-tls1", *weak], ["--tls-version", "tlsv1"])):
            self.assertIn("CIPHER is ", self.shake(server, client))

    def test_old_versions_only_on_request(self):
        port = harness.free_port()
        self.server(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        done = subprocess.run([GNATTER, "pub", "-h", "localhost", "-p", str(port), "--cafile",
                               at("pki/ca.pem"), "-t", "t", "-m", "x"], capture_output=True,
                              text=True, timeout=harness.PATIENCE, check=False)
        self.assertEqual(done.returncode, REFUSED, done.stderr)
        self.assertIn("the peer says: protocol version.", done.stderr)


if __name__ == "__main__":
    if not os.path.exists("/usr/sbin/mosquitto"):
        raise unittest.SkipTest("no mosquitto here")
    harness.main()
