"""Listeners with TLS: what they show and ask for, whom they refuse and how they say so, and reload
under live connections.  The clients are OpenSSL's, by Python, and mosquitto's."""
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import harness

CONNACK = b"\x20\x02\x00\x00"


def setUpModule():
    """One CA with all that it has issued; tests that change something have a copy."""
    global PKI
    directory = tempfile.mkdtemp(prefix="gnatter-tls-")
    unittest.addModuleCleanup(shutil.rmtree, directory)
    PKI = os.path.join(directory, "pki")
    cert("init", "--name", "broker.example")
    cert("server", "--name", "other.example", "--name", "*.wild.example", "other")
    cert("server", "--name", "localhost", "--from", "2020-01-01", "--until", "2020-02-01", "late")
    cert("server", "--name", "elsewhere.example", "elsewhere")
    cert("client", "expired", "--from", "2020-01-01", "--until", "2020-02-01")
    cert("client", "early", "--from", "2035-01-01", "--until", "2035-02-01")
    cert("client", "lone", "--self-signed")
    cert("client", "usual", "--name", "email:usual@example.com", "--subject", "CN=usual, O=Things")
    cert("client", "stolen")
    cert("client", "wrong", "--usage", "server")
    cert("client", "packed", "--pfx", "--password", "pass:boxed")
    cert("server", "locked", "--name", "localhost", "--passphrase", "pass:open it")
    with open(os.path.join(PKI, "phrase"), "w", encoding="utf-8") as file:
        file.write("open it\n")
    cert("ca", "--subject", "CN=another", directory=PKI + "2")
    cert("client", "stranger", directory=PKI + "2")
    cert("crl")


def cert(*argv, directory=None):
    subprocess.run([harness.GNATTER, "cert", argv[0], "--dir", directory or PKI, *argv[1:]], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=harness.PATIENCE)


def connect_packet(name):
    name = name.encode()
    return (b"\x10" + bytes([12 + len(name)]) + b"\x00\x04MQTT\x04\x02\x00\x00" +
            len(name).to_bytes(2, "big") + name)


class Client:
    """One connection; MQTT is spoken as far as CONNECT and PINGREQ go."""

    def __init__(self, port, name=None, host="localhost", alpn=None, session=None, context=None,
                 pki=None, before=b"", **versions):
        self.context = context or self.make_context(pki or PKI, name, alpn, versions)
        tcp = socket.create_connection(("127.0.0.1", port), harness.PATIENCE)
        try:
            tcp.sendall(before)
            self.tls = self.context.wrap_socket(tcp, server_hostname=host, session=session)
        except BaseException:
            tcp.close()
            raise

    @staticmethod
    def make_context(pki, name, alpn=None, versions=None):
        context = ssl.create_default_context(cafile=os.path.join(pki, "ca.pem"))
        if name:
            context.load_cert_chain(f"{pki}/{name}.pem", f"{pki}/{name}.key")
        if alpn:
            context.set_alpn_protocols(alpn)
        for version, value in (versions or {}).items():
            setattr(context, version, value)
        return context

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.tls.recv(size - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    def connect(self, name="one"):
        self.tls.sendall(connect_packet(name))
        answer = self.read(4)
        if answer != CONNACK:
            raise AssertionError(answer)
        return self

    def ping(self):
        self.tls.sendall(b"\xc0\x00")
        return self.read(2) == b"\xd0\x00"

    def serial(self):
        return self.tls.getpeercert()["serialNumber"]

    def close(self):
        self.tls.close()


class Case(unittest.TestCase):
    def broker(self, *argv, listen="mqtts", certificate="server", pki=None, workers=2, cwd=None):
        pki = pki or PKI
        argv = ["--certificate", f"{pki}/{certificate}.pem", "--key", f"{pki}/{certificate}.key",
                *argv] if certificate else list(argv)
        process = harness.Process(
            [harness.GNATTER, "broker", "--data", "none", "--workers", str(workers), "--listen",
             f"{listen}://127.0.0.1:0", *argv], cwd=cwd)
        self.addCleanup(process.kill)
        ready = process.line("stderr", b" ready ").decode()
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", ready)[1])
        return process

    def client(self, *argv, **options):
        client = Client(self.port, *argv, **options)
        self.addCleanup(client.close)
        return client

    def refused(self, *argv, **options):
        """What the client's OpenSSL says; in TLS 1.3 it hears of it behind its handshake."""
        with self.assertRaises(ssl.SSLError) as caught:
            self.client(*argv, **options).connect()
        return caught.exception.reason or str(caught.exception)

    def says(self, process, words):
        """The next line about a refusal has WORDS, and where from."""
        line = process.line("stderr", b" refuse ").decode()
        self.assertIn(words, line)
        self.assertRegex(line, r"from=127\.0\.0\.1:\d+ listener=\w+://127\.0\.0\.1:\d+")


class Showing(Case):
    def test_certificate_by_name(self):
        pki = PKI
        self.broker("--certificate", f"{pki}/other.pem", "--key", f"{pki}/other.key")
        names = {"localhost": "CN=broker.example", "other.example": "CN=other.example",
                 "a.wild.example": "CN=other.example", "broker.example": "CN=broker.example"}
        for host, subject in names.items():
            client = self.client(host=host).connect(host)
            shown = client.tls.getpeercert()["subject"][0][0][1]
            self.assertEqual(f"CN={shown}", subject, host)

    def test_versions(self):
        self.broker()
        self.assertEqual(self.client().connect().tls.version(), "TLSv1.3")
        two = ssl.TLSVersion.TLSv1_2
        self.assertEqual(self.client(maximum_version=two).connect().tls.version(), "TLSv1.2")
        process = self.broker("--tls-min", "1.3")
        self.assertIn("PROTOCOL_VERSION", self.refused(maximum_version=two))
        self.says(process, "no TLS version in common")
        self.broker("--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256")
        client = self.client().connect()
        self.assertEqual(client.tls.cipher()[:2], ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2"))
        self.broker("--suites", "TLS_CHACHA20_POLY1305_SHA256")
        self.assertEqual(self.client().connect().tls.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")

    def test_old_versions_on_request_only(self):
        argv = ["openssl", "s_client", "-connect", "127.0.0.1:0", "-tls1", "-cipher",
                "ALL:@SECLEVEL=0"]
        for options, good in ((), False), (("--tls-min", "1.0"), True):
            process = self.broker(*options)
            argv[3] = f"127.0.0.1:{self.port}"
            done = subprocess.run(argv, input=b"", capture_output=True, timeout=harness.PATIENCE,
                                  check=False)
            self.assertEqual(b"Protocol  : TLSv1\n" in done.stdout and done.returncode == 0, good,
                             done)
            if not good:
                self.says(process, "no TLS version in common")

    def test_alpn(self):
        rows = [("mqtts", None, None), ("mqtts", ["mqtt"], "mqtt"), ("mqtts", ["h2", "mqtt"], "mqtt"),
                ("https", ["h2", "http/1.1"], "http/1.1"), ("https", None, None)]
        for listen, offered, chosen in rows:
            self.broker(listen=listen)
            self.assertEqual(self.client(alpn=offered).tls.selected_alpn_protocol(), chosen)
        for listen, offered in ("mqtts", ["h2"]), ("https", ["h2"]):
            process = self.broker(listen=listen)
            self.assertRegex(self.refused(alpn=offered), "(?i)no.application.protocol")
            self.says(process, "no application protocol (ALPN) in common")

    def test_sessions_are_resumed(self):
        self.broker("--ca", f"{PKI}/ca.pem")
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            context = Client.make_context(PKI, "usual", versions={"maximum_version": version})
            first = self.client(context=context).connect()
            again = self.client(context=context, session=first.tls.session).connect("two")
            self.assertTrue(again.tls.session_reused, version)
            self.assertTrue(again.ping())

    def test_no_session_outlives_its_certificate(self):
        until = time.time() + 4
        cert("client", "--force", "--until",
             time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)), "brief")
        process = self.broker("--ca", f"{PKI}/ca.pem")
        kept = []
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            context = Client.make_context(PKI, "brief", versions={"maximum_version": version})
            session = self.client(context=context).connect().tls.session
            again = self.client(context=context, session=session).connect()
            self.assertTrue(again.tls.session_reused)
            kept.append((context, session, again.tls.session))
        time.sleep(max(0, until + 1.1 - time.time()))  # nothing says when it has expired
        for context, *sessions in kept:
            for session in sessions:
                self.assertIn("CERTIFICATE_EXPIRED", self.refused(context=context, session=session))
                self.says(process, "the client's certificate: expired")

    def test_pfx_and_pass_phrases(self):
        phrase = ("--passphrase", f"file:{PKI}/phrase")
        self.broker(*phrase, certificate="locked")
        self.client().connect()
        self.broker("--pfx", f"{PKI}/server.pfx", certificate=None)
        self.client().connect()
        os.environ["GNATTER_BOX"] = "boxed"
        self.broker("--pfx", f"{PKI}/packed.pfx", "--passphrase", "env:GNATTER_BOX", certificate=None)
        with self.assertRaisesRegex(ssl.SSLError, "CERTIFICATE_VERIFY_FAILED"):
            self.client()

    def test_out_of_its_time_is_told_and_shown(self):
        process = self.broker(certificate="late")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refused())
        self.assertIn("late.pem: expired on 2020-02-01", process.text["stderr"].decode())
        self.says(process, "the peer says: certificate expired")

    def test_per_listener(self):
        path = os.path.join(os.path.dirname(PKI), "listeners.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"certificate: {PKI}/server.pem\nkey: [{PKI}/server.key]\nlisteners:\n"
                       f"  - {{url: mqtts://127.0.0.1:0, ca: {PKI}/ca.pem}}\n"
                       f"  - {{url: mqtts://127.0.0.1:0, certificate: {PKI}/other.pem,"
                       f" key: {PKI}/other.key}}\n")
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", "--config", path])
        self.addCleanup(process.kill)
        ports = re.findall(r"mqtts://127\.0\.0\.1:(\d+)", process.line("stderr", b" ready ").decode())
        self.port = int(ports[0])
        self.assertIn("CERTIFICATE_REQUIRED", self.refused())
        self.client("usual").connect()
        self.port = int(ports[1])
        self.client(host="other.example").connect("two")


class BehindProxies(Case):
    def test_tls_behind_the_header(self):
        path = os.path.join(os.path.dirname(PKI), "proxies.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"certificate: {PKI}/server.pem\nkey: {PKI}/server.key\nca: {PKI}/ca.pem\n"
                       "listeners: [{url: mqtts://127.0.0.1:0, proxies: 127.0.0.1}]\n")
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", "--config", path])
        self.addCleanup(process.kill)
        self.port = int(re.search(rb"127\.0\.0\.1:(\d+)", process.line("stderr", b" ready "))[1])
        proxied = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 8883\r\n"
        self.client("usual", before=proxied).connect()
        self.assertIn(b"from=192.0.2.7:4711", process.line("stderr", b" connect "))
        self.assertIn("CERTIFICATE_REQUIRED", self.refused(before=proxied))
        line = process.line("stderr", b" refuse ")
        self.assertIn(b"missing client certificate", line)
        self.assertIn(b"from=192.0.2.7:4711", line)


class Mistakes(Case):
    def fails(self, words, *argv):
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", *argv])
        self.addCleanup(process.kill)
        code = process.end()
        self.assertIn(words, process.text["stderr"].decode())
        return code

    def test_what_is_wrong_or_missing(self):
        listen = ("--listen", "mqtts://127.0.0.1:0")
        own = (*listen, "--certificate", f"{PKI}/server.pem", "--key", f"{PKI}/server.key")
        rows = [
            ("TLS needs a certificate: --certificate FILE", listen),
            ("'gnatter cert init' makes them", ("--listen", "https://127.0.0.1:0")),
            ("nowhere.pem: No such file", (*listen, "--certificate", "nowhere.pem")),
            ("the key does not fit", (*listen, "--certificate", f"{PKI}/server.pem", "--key",
                                      f"{PKI}/other.key")),
            ("there are more keys than certificates", (*own, "--key", f"{PKI}/other.key")),
            ("no private key in it", (*listen, "--certificate", f"{PKI}/ca.pem")),
            ("ca.key: no certificate in it", (*own, "--ca", f"{PKI}/ca.key")),
            ("no CA says which are good: --ca FILE", (*own, "--client-certificates", "optional")),
            ("tls_max is older than tls_min", (*own, "--tls-max", "1.1")),
            ("ciphers NOPE", (*own, "--ciphers", "NOPE")),
            ("suites NOPE", (*own, "--suites", "NOPE")),
            ("wrong pass-phrase", (*listen, "--certificate", f"{PKI}/locked.pem", "--key",
                                   f"{PKI}/locked.key", "--passphrase", f"file:{PKI}/ca.pem")),
            ("needs a pass-phrase", (*listen, "--certificate", f"{PKI}/locked.pem", "--key",
                                     f"{PKI}/locked.key")),
        ]
        for words, argv in rows:
            self.assertEqual(self.fails(words, *argv), 78, words)
        self.assertEqual(self.fails("expected file:FILE or env:NAME", *own, "--passphrase", "pass:x"), 64)
        self.assertEqual(self.fails("of an https listener", "--listen", "wss://127.0.0.1:0"), 64)

    def test_certificates_for_nobody(self):
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", "--listen",
                                   "mqtt://127.0.0.1:0", "--ca", f"{PKI}/ca.pem"])
        self.addCleanup(process.kill)
        process.line("stderr", b"no listener is mqtts, amqps or https")
        path = os.path.join(os.path.dirname(PKI), "plain.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"listeners: [{{url: mqtt://127.0.0.1:0, ca: {PKI}/ca.pem}}]\n")
        self.assertEqual(self.fails("are for mqtts, amqps and https listeners", "--config", path), 78)

    def test_what_is_strange_is_told(self):
        for name, more, words in (
                ("server", ["--crl", f"{PKI}/crl.pem"], b"no client is asked for a certificate: --ca FILE"),
                ("usual", [], b"usual.pem: it is not for servers: clients will refuse it")):
            process = harness.Process([harness.GNATTER, "broker", "--data", "none", "--listen",
                                       "mqtts://127.0.0.1:0", "--certificate", f"{PKI}/{name}.pem",
                                       "--key", f"{PKI}/{name}.key", *more])
            self.addCleanup(process.kill)
            process.line("stderr", words)
            process.line("stderr", b" ready ")

    def test_one_address_for_two(self):
        own = ("--certificate", f"{PKI}/server.pem", "--key", f"{PKI}/server.key")
        url = f"mqtts://127.0.0.1:{harness.free_port()}"
        self.assertEqual(self.fails("another listener here is on it", "--listen", url, "--listen",
                                    url, *own), 69)

    def test_beyond_loopback(self):
        own = ("--listen", "mqtts://0.0.0.0:0", "--certificate", f"{PKI}/server.pem", "--key",
               f"{PKI}/server.key")
        self.assertEqual(self.fails("ask for certificates", *own), 77)
        self.assertEqual(self.fails("ask for certificates", *own, "--ca", f"{PKI}/ca.pem",
                                    "--client-certificates", "optional"), 77)
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", *own, "--ca",
                                   f"{PKI}/ca.pem"])
        self.addCleanup(process.kill)
        line = process.line("stderr", b" ready ").decode()
        self.assertIn('access="by certificate"', line)


class Refusing(Case):
    def test_clients(self):
        process = self.broker("--ca", f"{PKI}/ca.pem", "--crl", f"{PKI}/crl.pem")
        self.client("usual").connect()
        rows = [(None, "CERTIFICATE_REQUIRED", "missing client certificate"),
                ("expired", "CERTIFICATE_EXPIRED", "the client's certificate: expired"),
                ("early", "BAD_CERTIFICATE", "the client's certificate: not yet valid"),
                ("lone", "UNKNOWN_CA", "the client's certificate: self-signed"),
                ("wrong", "UNSUPPORTED_CERTIFICATE", "the client's certificate: not for this use"),
                ("../pki2/stranger", "UNKNOWN_CA", "the client's certificate: wrong CA")]
        for name, client_says, broker_says in rows:
            self.assertIn(client_says, self.refused(name), name)
            self.says(process, broker_says)
        # Another broker, as one has ten such lines a second.
        process = self.broker("--ca", f"{PKI}/ca.pem", "--crl", f"{PKI}/crl.pem")
        for name, _, broker_says in rows:
            with self.assertRaises(ssl.SSLError):
                self.client(name, maximum_version=ssl.TLSVersion.TLSv1_2)
            self.says(process, broker_says)
        self.client("usual").connect()

    def test_brokers(self):
        rows = [("server", {"pki": PKI + "2"}, "wrong CA|unable to get|self.signed", "unknown CA"),
                ("elsewhere", {}, "Hostname mismatch", "bad certificate"),
                ("late", {}, "expired", "certificate expired")]
        for certificate, options, client_says, broker_says in rows:
            process = self.broker(certificate=certificate)
            with self.assertRaisesRegex(ssl.SSLCertVerificationError, client_says):
                self.client(**options)
            self.says(process, f"the peer says: {broker_says}")

    def test_optional(self):
        process = self.broker("--ca", f"{PKI}/ca.pem", "--client-certificates", "optional")
        self.client().connect()
        self.client("usual").connect("two")
        self.assertIn("CERTIFICATE_EXPIRED", self.refused("expired"))
        self.says(process, "expired")
        self.broker("--ca", f"{PKI}/ca.pem", "--client-certificates", "none")
        self.client("expired").connect()

    def test_who_speaks_something_else(self):
        process = self.broker()
        for said, words in ((connect_packet("x"), "the peer speaks MQTT without TLS"),
                            (b"GET / HTTP/1.1\r\n\r\n", "the peer speaks HTTP without TLS"),
                            (b"HELO there, you all\r\n", "the peer does not speak TLS")):
            with socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE) as tcp:
                tcp.sendall(said)
                while tcp.recv(100):
                    pass
            self.says(process, words)
        for listen in "mqtt", "http":
            process = self.broker(listen=listen, certificate=None)
            with self.assertRaises((ssl.SSLError, OSError)):
                self.client()
            line = process.line("stderr", b" refuse ")
            self.assertIn(b"the client speaks TLS, which this listener does not", line)

    def test_who_goes_or_says_nothing(self):
        process = self.broker("--set", "limits.connect_timeout=300ms")
        socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE).close()
        self.says(process, "the peer has ended the connection instead")
        for said in b"", b"\x16\x03\x01":
            with socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE) as tcp:
                tcp.sendall(said)
                self.assertEqual(tcp.recv(100), b"")
            self.says(process, "no TLS handshake in time")

    def test_failures_are_counted(self):
        self.broker("--set", "sys_interval=100ms")
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE) as tcp:
                tcp.sendall(connect_packet("x"))
                while tcp.recv(100):
                    pass
        done = subprocess.run(
            ["mosquitto_sub", "-h", "localhost", "-p", str(self.port), "--cafile", f"{PKI}/ca.pem",
             "-t", "$SYS/broker/connections/tls_failures", "-W", "10", "-C", "2"],
            capture_output=True, check=False, timeout=harness.PATIENCE)
        self.assertIn(b"3", done.stdout.split(), done)


class Naming(Case):
    def test_identity(self):
        rows = [((), "usual"), (("--identity", "cn"), "usual"),
                (("--identity", "san"), "usual@example.com"),
                (("--identity", "subject"), '"CN=usual, O=Things"'), (("--identity", "none"), '""')]
        for options, user in rows:
            process = self.broker("--ca", f"{PKI}/ca.pem", *options)
            self.client("usual").connect("a client")
            line = process.line("stderr", b" connect ").decode()
            self.assertRegex(line, f" user={re.escape(user)}( |$)")

    def test_no_such_name(self):
        process = self.broker("--ca", f"{PKI}/ca.pem", "--identity", "san")
        with self.assertRaises((AssertionError, EOFError)):
            self.client("stolen").connect()
        process.line("stderr", b" refuse ")


class Reloading(Case):
    LIVE = 1000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="gnatter-tls-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.pki = os.path.join(self.directory, "pki")
        shutil.copytree(PKI, self.pki)

    def reload(self, process):
        process.send(signal.SIGHUP)
        return process.line("stderr", b" reload ")

    def test_under_live_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        process = self.broker("--ca", f"{self.pki}/ca.pem", "--crl", f"{self.pki}/crl.pem",
                              "--log-level", "notice", pki=self.pki)
        context = Client.make_context(self.pki, "usual")
        live = [self.client(context=context).connect(f"live{i}") for i in range(self.LIVE)]
        stolen = self.client("stolen", pki=self.pki).connect("stolen")
        old = live[0].serial()
        session = stolen.tls.session
        cert("server", "--force", "--name", "localhost", "server", directory=self.pki)
        cert("revoke", "stolen", directory=self.pki)
        self.reload(process)
        new = self.client("usual", pki=self.pki).connect("new")
        self.assertNotEqual(new.serial(), old)
        self.assertIn("CERTIFICATE_REVOKED", self.refused("stolen", pki=self.pki))
        self.assertIn("CERTIFICATE_REVOKED", self.refused(context=stolen.context, session=session))
        for client in live:
            self.assertTrue(client.ping())
        self.assertTrue(stolen.ping())

    def test_broken_files_change_nothing(self):
        process = self.broker("--ca", f"{self.pki}/ca.pem", "--crl", f"{self.pki}/crl.pem",
                              pki=self.pki)
        serial = self.client("usual", pki=self.pki).connect().serial()
        for name, problem in (("server.pem", "no certificate in it"), ("server.key", "not a private key"),
                              ("ca.pem", "no certificate in it"), ("crl.pem", "crl.pem: ")):
            path = os.path.join(self.pki, name)
            shutil.copy(path, path + ".good")
            with open(path, "w", encoding="utf-8") as file:
                file.write("half of a fi")
            self.reload(process)
            text = process.text["stderr"].decode().splitlines()
            failed = [line for line in text if "reload-failed" in line][-1]
            self.assertIn(f"/{name}: ", failed)
            self.assertIn(problem, failed)
            self.assertIn('certificates="as before"', failed)
            os.rename(path + ".good", path)
            context = Client.make_context(PKI, "usual")
            self.assertEqual(self.client(context=context).connect("two").serial(), serial)
            self.assertIn("CERTIFICATE_EXPIRED", self.refused("expired"))

    def test_sessions_go_on_under_the_same_trust(self):
        process = self.broker("--ca", f"{self.pki}/ca.pem", pki=self.pki)
        context = Client.make_context(self.pki, "usual")
        session = self.client(context=context).connect().tls.session
        self.reload(process)
        again = self.client(context=context, session=session).connect("two")
        self.assertTrue(again.tls.session_reused)

    def test_new_options(self):
        path = os.path.join(self.directory, "gnatter.yaml")

        def write(*lines):
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join([f"certificate: {self.pki}/server.pem",
                                      f"key: {self.pki}/server.key", *lines, ""]))
        write("listeners: [{url: mqtts://127.0.0.1:0}]")
        process = harness.Process([harness.GNATTER, "broker", "--data", "none", "--config", path])
        self.addCleanup(process.kill)
        self.port = int(re.search(rb"127\.0\.0\.1:(\d+)", process.line("stderr", b" ready "))[1])
        before = self.client(pki=self.pki).connect()
        write(f"listeners: [{{url: mqtts://127.0.0.1:0, ca: {self.pki}/ca.pem}}]")
        line = self.reload(process)
        text = process.text["stderr"].decode()
        self.assertIn("name=listeners", text)
        self.assertIn("from_when=now", text)
        self.assertIn(b"changes=1", line)
        self.assertIn("CERTIFICATE_REQUIRED", self.refused(pki=self.pki))
        self.assertTrue(before.ping())


if __name__ == "__main__":
    unittest.main(verbosity=2)
