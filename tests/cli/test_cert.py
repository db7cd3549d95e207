"""gnatter cert, with openssl's own command as the judge of what it makes."""
import datetime
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

import harness

DAY = 86400


class Case(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="gnatter-cert-")
        self.addCleanup(shutil.rmtree, self.base)
        self.before = os.umask(0o022)
        self.addCleanup(os.umask, self.before)

    made = {}  # by the arguments of init: what came of it, for the tests that begin with it

    def begin(self, *argv):
        if argv not in self.made:
            self.good("init", *argv)
            self.made[argv] = self.tree()
            return
        os.mkdir(self.path("pki"), 0o700)
        for name, content in self.made[argv].items():
            self.write(os.path.join("pki", name), content)

    def path(self, *names):
        return os.path.join(self.base, *names)

    def pki(self, name):
        return self.path("pki", name)

    def run_(self, argv, data="", **environment):
        done = subprocess.run(argv, input=data, check=False, capture_output=True, cwd=self.base,
                              timeout=harness.PATIENCE, text=True, env={**os.environ, **environment})
        return done.returncode, done.stdout, done.stderr

    def cert(self, *argv, **options):
        return self.run_([harness.GNATTER, "cert", *argv], **options)

    def good(self, *argv, **options):
        code, out, err = self.cert(*argv, **options)
        self.assertEqual((code, err), (0, ""), argv)
        return out

    def bad(self, expected, words, *argv, **options):
        """It fails with that code and a message that has these words."""
        code, out, err = self.cert(*argv, **options)
        self.assertEqual((code, out), (expected, ""), err)
        self.assertTrue(err.startswith("gnatter cert"), err)
        self.assertIn(words, err)
        return err

    def openssl(self, *argv, code=0, **options):
        done, out, err = self.run_(["openssl", *argv], **options)
        self.assertEqual(done, code, (argv, out, err))
        return out + err

    def verify(self, file, *argv, code=0, ca="pki/ca.pem"):
        return self.openssl("verify", "-x509_strict", "-CAfile", ca, *argv, file, code=code)

    def text(self, file):
        return self.openssl("x509", "-in", file, "-noout", "-text", "-nameopt", "RFC2253")

    def show(self, *argv, code=0):
        done, out, err = self.cert("show", "--json", *argv)
        self.assertEqual((done, err), (code, ""), out)
        return json.loads(out)

    def mode(self, file):
        return stat.S_IMODE(os.stat(self.path(file)).st_mode)

    def read(self, file):
        with open(self.path(file), "rb") as f:
            return f.read()

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        os.chmod(path, mode)
        return path

    def tree(self, directory="pki"):
        return {name: self.read(os.path.join(directory, name))
                for name in os.listdir(self.path(directory))}

    def serial(self, file):
        return self.openssl("x509", "-in", file, "-noout", "-serial").strip().split("=")[1]


class Init(Case):
    FILES = {"ca.pem", "ca.key", "server.pem", "server.key", "server.pfx", "client.pem", "client.key",
             "client.pfx", "index.txt", "index.txt.attr", "crlnumber"}

    def test_makes_all_that_is_needed(self):
        os.umask(0)  # which would leave everything open
        out = self.good("init", "--name", "broker.example.com", "--name", "192.0.2.7",
                        "--name", "LOCALHOST")
        self.assertEqual(set(self.tree()), self.FILES)
        self.assertEqual(self.mode("pki"), 0o700)
        for name in self.FILES:
            secret = name.endswith((".key", ".pfx"))
            self.assertEqual(self.mode("pki/" + name), 0o600 if secret else 0o644, name)
        self.verify("pki/server.pem", "-purpose", "sslserver")
        self.verify("pki/client.pem", "-purpose", "sslclient")
        self.verify("pki/server.pem", "-purpose", "sslclient", code=2)
        self.verify("pki/client.pem", "-purpose", "sslserver", code=2)
        names = ["broker.example.com", "192.0.2.7", "localhost", "127.0.0.1", "::1",
                 socket.gethostname()]
        for name in names:
            kind = "-verify_ip" if name[0].isdigit() or ":" in name else "-verify_hostname"
            self.verify("pki/server.pem", kind, name)
        self.verify("pki/server.pem", "-verify_hostname", "example.com", code=2)
        for words in ("gnatter broker --listen mqtts://:8883 --certificate pki/server.pem",
                      "mosquitto_sub -h broker.example.com -p 8883 --cafile pki/ca.pem",
                      "gnatter sub -h broker.example.com", "pki/ca.key"):
            self.assertIn(words, out)
        self.assertEqual(self.text("pki/server.pem").count("DNS:"), 2 + (names[-1] != "localhost"))

    def test_a_certificate_is_as_it_should_be(self):
        self.good("init")
        ca, server, client = (self.text(f"pki/{name}.pem") for name in ("ca", "server", "client"))
        self.assertRegex(ca, r"Basic Constraints: critical\n\s+CA:TRUE\n")
        self.assertRegex(ca, r"Key Usage: critical\n\s+Certificate Sign, CRL Sign\n")
        identifier = re.search(r"Subject Key Identifier: \n\s+([0-9A-F:]+)", ca)[1]
        for text, usage in ((server, "TLS Web Server"), (client, "TLS Web Client")):
            self.assertRegex(text, r"Basic Constraints: critical\n\s+CA:FALSE\n")
            self.assertRegex(text, r"Key Usage: critical\n\s+Digital Signature\n")
            self.assertRegex(text, rf"Extended Key Usage: \n\s+{usage} Authentication\n")
            self.assertRegex(text, rf"Authority Key Identifier: \n\s+{identifier}")
            self.assertIn("ecdsa-with-SHA256", text)
            self.assertIn("Version: 3 ", text)
        serials = {self.serial(f"pki/{name}.pem") for name in ("ca", "server", "client")}
        self.assertEqual(len(serials), 3)
        for serial in serials:
            self.assertEqual(len(serial), 32)  # 128 bits
        self.openssl("verify", "-CAfile", "pki/ca.pem", "pki/ca.pem")

    def test_pfx_files_are_the_same_in_one(self):
        self.write("secret", "pfx word\n")
        self.good("init", "--password", "file:secret")
        for name in ("server", "client"):
            pfx = f"pki/{name}.pfx"
            info = self.openssl("pkcs12", "-in", pfx, "-info", "-noout", "-passin", "file:secret")
            self.assertIn("MAC: sha256, Iteration 100000", info)
            self.assertEqual(info.count("AES-256-CBC"), 2, info)
            keys = self.openssl("pkcs12", "-in", pfx, "-nodes", "-nocerts", "-passin", "file:secret")
            self.assertIn(self.read(f"pki/{name}.key").decode(), keys)
            certificates = self.openssl("pkcs12", "-in", pfx, "-nokeys", "-passin", "pass:pfx word")
            for file in (name, "ca"):
                self.assertIn(self.read(f"pki/{file}.pem").decode(), certificates)
            self.openssl("pkcs12", "-in", pfx, "-noout", "-passin", "pass:wrong", code=1)

    def test_replaces_nothing_unless_told_to(self):
        self.good("init")
        before = self.tree()
        self.bad(73, "pki/ca.pem is there already; --force replaces it", "init")
        for name in before:
            if name != "server.key":
                os.unlink(self.pki(name))
        self.bad(73, "pki/server.key is there already; --force replaces it", "init")
        self.assertEqual(self.tree(), {"server.key": before["server.key"]})
        self.good("init", "--force")
        after = self.tree()
        self.assertEqual(set(after), set(before))
        self.assertFalse({name for name in before if name.endswith((".pem", ".key", ".pfx"))
                          and before[name] == after[name]})
        self.verify("pki/server.pem")

    def test_force_leaves_nothing_of_the_ca_before(self):
        self.good("init")
        self.good("revoke", "client")
        self.good("init", "--force")
        self.assertEqual(set(self.tree()), self.FILES)
        self.assertNotIn("\nR\t", "\n" + self.read("pki/index.txt").decode())
        self.assertEqual(self.read("pki/crlnumber"), b"01\n")

    def test_pass_phrases(self):
        self.good("init", "--ca-passphrase", "pass:ca word", "--passphrase", "env:WORD", WORD="key word")
        for name, word in (("ca", "ca word"), ("server", "key word"), ("client", "key word")):
            self.assertIn("BEGIN ENCRYPTED PRIVATE KEY", self.read(f"pki/{name}.key").decode())
            self.openssl("pkey", "-in", f"pki/{name}.key", "-noout", "-passin", "pass:" + word)
            self.openssl("pkey", "-in", f"pki/{name}.key", "-noout", "-passin", "pass:no", code=1)
        shown = self.openssl("asn1parse", "-in", "pki/server.key")
        for words in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"):
            self.assertIn(words, shown)
        self.bad(77, "pki/ca.key: the key needs a pass-phrase", "client", "one")
        self.bad(77, "pki/ca.key: wrong pass-phrase", "client", "--ca-passphrase", "pass:no no", "one")
        self.good("client", "--ca-passphrase", "ask", "one", data="ca word\n")
        self.verify("pki/one.pem", "-purpose", "sslclient")


class Ca(Case):
    def test_as_told(self):
        rows = [("rsa:2048", "sha384", "Public-Key: (2048 bit)", "sha384WithRSAEncryption"),
                ("ec:P-384", "sha512", "NIST CURVE: P-384", "ecdsa-with-SHA512"),
                ("ec:secp521r1", "auto", "NIST CURVE: P-521", "ecdsa-with-SHA256"),
                ("ec:brainpoolP256r1", "auto", "brainpoolP256r1", "ecdsa-with-SHA256"),
                ("ed25519", "auto", "ED25519 Public-Key", "ED25519")]
        for key, digest, *words in rows:
            self.good("ca", "--force", "--key", key, "--digest", digest)
            text = self.text("pki/ca.pem")
            for word in words:
                self.assertIn(word, text)
            self.good("server", "--force", "--key", key, "--digest", digest, "server")
            self.verify("pki/server.pem", "-purpose", "sslserver")
            self.good("crl")
            self.assertIn("verify OK", self.openssl("crl", "-in", "pki/crl.pem", "-noout", "-verify",
                                                    "-CAfile", "pki/ca.pem"))
            usage = "Digital Signature" + (", Key Encipherment" if "rsa" in key else "")
            self.assertRegex(self.text("pki/server.pem"), rf"Key Usage: critical\n\s+{usage}\n")

    def test_subject(self):
        rows = {"CN=Home CA, O=Small Things, C=GB": "CN=Home CA,O=Small Things,C=GB",
                r"CN=a\, b \+ c \"d\" \\ \<\>\;": r"CN=a\, b \+ c \"d\" \\ \<\>\;",
                r"CN=\ a\ , OU=\#1": r"CN=\ a\ ,OU=\#1",
                "CN=caf\u00e9": r"CN=caf\C3\A9",
                r"CN=caf\C3\A9": r"CN=caf\C3\A9",
                "cn = x ,o=y+OU=z": "CN=x,OU=z+O=y",
                "DC=example,DC=com": "DC=example,DC=com",
                "E=a@b.example,S=Kent,STREET=High St": "emailAddress=a@b.example,ST=Kent,street=High St",
                "2.5.4.42=Ada": "GN=Ada"}
        for given, expected in rows.items():
            self.good("ca", "--force", "--subject", given)
            text = self.openssl("x509", "-in", "pki/ca.pem", "-noout", "-subject", "-nameopt",
                                "RFC2253")
            self.assertEqual(text.strip(), "subject=" + expected)
            again = self.show("pki/ca.pem")["certificates"][0]["subject"]
            self.good("ca", "--force", "--dir", "other", "--subject", again)
            self.assertEqual(text, self.openssl("x509", "-in", "other/ca.pem", "-noout", "-subject",
                                                "-nameopt", "RFC2253"))

    def test_subjects_that_cannot_be(self):
        for given in ("", "x", "=x", "CN", "XY=a", "C=GBR", "CN=a,", "CN=a,,O=b", "CN=a;O=b", 'CN="a"',
                      "CN=#0401", "CN=a\\", "CN=a\\x", "CN=" + "a" * 65, "CN=", "CN=\\ff", "CN=\\00",
                      "CN=a+", "CN=" + "a" * 2000):
            code, out, err = self.cert("ca", "--subject", given)
            self.assertIn(code, (64, 65), given)
            self.assertEqual(out, "")
            self.assertFalse(os.path.exists(self.pki("ca.pem")), given)
            self.assertEqual(len(err.splitlines()), 1, err)

    def test_validity(self):
        self.good("ca", "--from", "2026-01-02", "--until", "2051-02-03T04:05:06Z")
        text = self.text("pki/ca.pem")
        self.assertIn("Not Before: Jan  2 00:00:00 2026 GMT", text)
        self.assertIn("Not After : Feb  3 04:05:06 2051 GMT", text)
        self.good("client", "--days", "10", "ten")
        shown = self.show("pki/ten.pem")["certificates"][0]
        self.assertAlmostEqual(shown["seconds_left"], 10 * DAY, delta=60)
        self.good("client", "--days", "36500", "longest")  # no longer than the CA
        self.assertIn("2051-02-03T04:05:06Z", json.dumps(self.show("pki/longest.pem")))
        self.bad(65, "outlive its CA", "client", "--until", "2052-01-01", "too-long")
        for argv in (("--from", "2026-13-01"), ("--until", "tomorrow"), ("--until", "2030-01-01x"),
                     ("--days", "0"), ("--days", "x")):
            self.assertEqual(self.cert("ca", "--force", *argv)[0], 64, argv)
        self.bad(65, "never be valid", "ca", "--force", "--until", "2020-01-01")

    def test_path_length_and_a_ca_below(self):
        self.good("ca", "--path-length", "1", "--subject", "CN=root")
        self.good("ca", "--dir", "site", "--issuer", "pki", "--path-length", "0", "--subject",
                  "CN=site")
        self.assertIn("CA:TRUE, pathlen:0", self.text("site/ca.pem"))
        self.assertIn("site/ca.pem\t/CN=site", self.read("pki/index.txt").decode())
        self.good("server", "--dir", "site", "--name", "h.example", "--pfx", "server")
        self.assertEqual(self.read("site/server.pem").count(b"BEGIN CERT"), 2)
        self.verify("site/server.pem", "-untrusted", "site/server.pem", "-purpose", "sslserver")
        self.verify("site/server.pem", code=2)
        self.assertTrue(self.show("--ca", "pki/ca.pem", "site/server.pem")["check"]["accepted"])
        pfx = self.openssl("pkcs12", "-in", "site/server.pfx", "-nodes", "-passin", "pass:")
        self.assertEqual(pfx.count("BEGIN CERT"), 2)
        self.bad(65 + 12, "allows no CA below it", "ca", "--dir", "below", "--issuer", "site")

    def test_keys_that_cannot_be(self):
        for key in ("", "rsa", "rsa:", "rsa:1024", "rsa:99999", "rsa:2048x", "rsa:-2048", "ec:", "ec:P-1",
                    "ec:secp112r1", "dsa:2048", "file:", "file:none"):
            code, out, err = self.cert("ca", "--key", key)
            self.assertIn(code, (64, 65, 66), (key, err))
            self.assertEqual(out, "")
        self.bad(65, "without another digest", "ca", "--key", "ed25519", "--digest", "sha512")


class Leaf(Case):
    def setUp(self):
        super().setUp()
        self.good("ca", "--subject", "CN=test CA")

    def test_names(self):
        self.good("server", "--name", "a.example", "--name", "*.b.example", "--name", "192.0.2.1",
                  "--name", "2001:db8::1", "--name", "DNS:c", "--name", "IP:10.0.0.1", "--name",
                  "mqtts://a.example:8883", "--name", "URI:urn:site:7", "--name", "me@example.com", "s")
        names = ["DNS:a.example", "DNS:*.b.example", "IP Address:192.0.2.1",
                 "IP Address:2001:DB8:0:0:0:0:0:1", "DNS:c", "IP Address:10.0.0.1",
                 "URI:mqtts://a.example:8883", "URI:urn:site:7", "email:me@example.com"]
        self.assertIn(", ".join(names), self.text("pki/s.pem"))
        self.verify("pki/s.pem", "-verify_hostname", "x.b.example")
        self.verify("pki/s.pem", "-verify_ip", "2001:db8::1")
        shown = self.show("pki/s.pem")["certificates"][0]
        self.assertEqual(shown["names"][3], "IP:2001:db8::1")
        self.assertEqual(shown["subject"], "CN=a.example")

    def test_names_that_cannot_be(self):
        for name in ("", "a b", "a..b", ".a", "a.", "-" * 64, "IP:300.1.1.1", "IP:x", "DNS:", "DNS:a,IP:1",
                     "caf\u00e9.example", "URI:x", "email:x", "a*.b", "x" * 254, "a\nb", "@", "://x"):
            code, out, err = self.cert("server", "--name", name, "s")
            self.assertIn(code, (64, 65), (name, err))
            self.assertNotIn("\x1b", err)
            self.assertFalse(os.path.exists(self.pki("s.pem")), name)

    def test_a_long_name_is_no_common_name(self):
        host = "a" * 60 + ".example"
        self.good("server", "--name", host, "s")
        self.assertEqual(self.show("pki/s.pem")["certificates"][0]["subject"], "")
        self.assertIn("Subject Alternative Name: critical", self.text("pki/s.pem"))
        self.verify("pki/s.pem", "-verify_hostname", host)
        self.bad(64, "longer than a common name", "client", "b" * 65)

    def test_client(self):
        out = self.good("client", "sensor-7")
        self.assertIn("CN=sensor-7", out)
        self.good("client", "--name", "URI:urn:dev:7", "--subject", "CN=x,O=y", "other")
        self.assertIn("URI:urn:dev:7", self.text("pki/other.pem"))
        self.good("client", "a=b, c")
        self.assertEqual(self.show("pki/a=b, c.pem")["certificates"][0]["subject"], r"CN=a=b\, c")
        for stem in ("ca", "crl", ".x", "a/b", "", "a\nb", "../x", "x" * 300):
            self.assertEqual(self.cert("client", stem)[0], 64, stem)

    def test_usages(self):
        self.good("server", "--usage", "server", "--usage", "client", "both")
        self.verify("pki/both.pem", "-purpose", "sslserver")
        self.verify("pki/both.pem", "-purpose", "sslclient")
        self.good("client", "--usage", "1.3.6.1.4.1.99999.1", "--usage", "client", "odd")
        self.assertIn("TLS Web Client Authentication", self.text("pki/odd.pem"))
        self.assertIn("1.3.6.1.4.1.99999.1", self.text("pki/odd.pem"))
        self.bad(65, "as usage, got 'nonsense'", "client", "--usage", "nonsense", "x")

    def test_self_signed(self):
        self.good("server", "--dir", "alone", "--self-signed", "--name", "h.example", "me")
        self.assertEqual(sorted(os.listdir(self.path("alone"))), ["me.key", "me.pem"])
        self.openssl("verify", "-CAfile", "alone/me.pem", "-verify_hostname", "h.example",
                     "-purpose", "sslserver", "alone/me.pem")
        shown = self.show("--ca", "pki/ca.pem", "alone/me.pem", code=1)
        self.assertEqual(shown["check"]["words"], "self-signed")

    def test_renewal_keeps_the_key(self):
        self.good("server", "--name", "h.example", "s")
        before = self.tree()
        self.bad(73, "is there already", "server", "--key", "file:pki/s.key", "s")
        self.assertEqual(self.tree(), before)
        self.good("server", "--force", "--key", "file:pki/s.key", "--name", "h.example", "s")
        after = self.tree()
        self.assertEqual(after["s.key"], before["s.key"])
        self.assertNotEqual(after["s.pem"], before["s.pem"])
        self.verify("pki/s.pem")

    def test_the_index_is_that_of_openssl_ca(self):
        self.good("client", "one")
        self.good("client", "--force", "one")
        self.good("client", "two")
        rows = [line.split("\t") for line in self.read("pki/index.txt").decode().splitlines()]
        self.assertEqual([(row[0], row[4], row[5]) for row in rows],
                         [("V", "one.pem", "/CN=one"), ("V", "one.pem", "/CN=one"),
                          ("V", "two.pem", "/CN=two")])
        self.assertEqual(rows[2][3], self.serial("pki/two.pem"))
        self.write("ca.conf", "[ca]\ndefault_ca=c\n[c]\ndatabase=pki/index.txt\ndefault_md=sha256\n"
                              "certificate=pki/ca.pem\nprivate_key=pki/ca.key\n"
                              "crlnumber=pki/crlnumber\ndefault_crl_days=30\n")
        self.openssl("ca", "-config", "ca.conf", "-revoke", "pki/two.pem")
        self.openssl("ca", "-config", "ca.conf", "-gencrl", "-out", "theirs.pem")
        self.good("crl")
        for file, number in (("theirs.pem", "1"), ("pki/crl.pem", "2")):
            text = self.openssl("crl", "-in", file, "-noout", "-text")
            self.assertIn(self.serial("pki/two.pem"), text)
            self.assertRegex(text, rf"CRL Number: \n\s+{number}\n")
        self.openssl("ocsp", "-index", "pki/index.txt", "-CA", "pki/ca.pem", "-issuer", "pki/ca.pem",
                     "-rsigner", "pki/ca.pem", "-rkey", "pki/ca.key", "-cert", "pki/two.pem",
                     "-reqout", "req")
        answer = self.openssl("ocsp", "-index", "pki/index.txt", "-CA", "pki/ca.pem", "-rsigner",
                              "pki/ca.pem", "-rkey", "pki/ca.key", "-reqin", "req", "-text")
        self.assertIn("Cert Status: revoked", answer)

    def test_no_ca(self):
        self.bad(66, "none: No such file", "client", "--dir", "none", "x")
        os.mkdir(self.path("empty"))
        self.bad(66, "empty/ca.pem: No such file", "client", "--dir", "empty", "x")


class Pfx(Case):
    def setUp(self):
        super().setUp()
        self.begin("--password", "pass:word")

    def test_there_and_back(self):
        for legacy in ((), ("--legacy",)):
            self.good("pfx", "-c", "pki/server.pem", "-k", "pki/server.key", "--ca", "pki/ca.pem",
                      "--name", "My broker", "--password", "env:W", "--force", *legacy, "x.pfx", W="word")
            self.assertEqual(self.mode("x.pfx"), 0o600)
            info = self.openssl("pkcs12", "-in", "x.pfx", "-info", "-nodes", "-passin", "pass:word")
            self.assertIn("friendlyName: My broker", info)
            self.assertIn("MAC: sha1" if legacy else "MAC: sha256", info)
            self.assertIn("pbeWithSHA1And3-KeyTripleDES-CBC" if legacy else "AES-256-CBC", info)
            self.good("pfx", "--unpack", "--password", "pass:word", "--force", "x.pfx")
            self.assertEqual(self.mode("x.key"), 0o600)
            self.assertEqual(self.read("x.key"), self.read("pki/server.key"))
            self.assertEqual(self.read("x.pem"), self.read("pki/server.pem") + self.read("pki/ca.pem"))

    def test_unpacks_what_openssl_and_old_windows_pack(self):
        for argv in ((), ("-legacy",), ("-certpbe", "NONE", "-keypbe", "NONE"),
                     ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")):
            self.openssl("pkcs12", "-export", "-inkey", "pki/client.key", "-in", "pki/client.pem",
                         "-certfile", "pki/ca.pem", "-out", "o.p12", "-passout", "pass:word", *argv)
            self.good("pfx", "--unpack", "--force", "--out", "o", "--password", "pass:word", "o.p12")
            self.assertEqual(self.read("o.key"), self.read("pki/client.key"))
            self.assertTrue(self.read("o.pem").startswith(self.read("pki/client.pem")))
            self.assertTrue(self.show("--password", "pass:word", "o.p12"))

    def test_without_a_password(self):
        self.good("pfx", "-c", "pki/client.pem", "-k", "pki/client.key", "e.pfx")
        self.openssl("pkcs12", "-in", "e.pfx", "-noout", "-passin", "pass:")
        self.good("pfx", "--unpack", "e.pfx")
        self.assertEqual(self.read("e.key"), self.read("pki/client.key"))

    def test_encrypts_and_decrypts_keys(self):
        self.good("pfx", "--unpack", "--out", "u", "--password", "pass:word", "--passphrase",
                  "pass:key word", "pki/client.pfx")
        self.openssl("pkey", "-in", "u.key", "-noout", "-passin", "pass:key word")
        self.bad(77, "u.key: the key needs a pass-phrase", "pfx", "-c", "u.pem", "-k", "u.key", "v.pfx")
        self.bad(77, "u.key: wrong pass-phrase", "pfx", "-c", "u.pem", "-k", "u.key", "-p", "pass:x", "v.pfx")
        self.good("pfx", "-c", "u.pem", "-k", "u.key", "-p", "pass:key word", "v.pfx")
        self.assertFalse([name for name in os.listdir(self.base) if re.search(r"\.[0-9a-f]{8}$", name)])

    def test_old_keys(self):
        """makecert's .pvk, and DER."""
        self.good("server", "--key", "rsa:2048", "--name", "h", "old")
        for argv in (("-pvk-none",), ("-pvk-strong", "-passout", "pass:word", "-provider", "legacy",
                                      "-provider", "default")):
            self.openssl("rsa", "-in", "pki/old.key", "-outform", "PVK", "-out", "old.pvk", *argv)
            self.openssl("x509", "-in", "pki/old.pem", "-outform", "DER", "-out", "old.cer")
            self.good("pfx", "-c", "old.cer", "-k", "old.pvk", "--force", "-p", "pass:word", "old.pfx")
            self.good("pfx", "--unpack", "--force", "old.pfx")
            self.assertEqual(self.read("old.key"), self.read("pki/old.key"))
        for argv in (("-topk8", "-nocrypt"), ("-topk8", "-passout", "pass:word")):
            self.openssl("pkcs8", "-in", "pki/old.key", "-outform", "DER", "-out", "old.der", *argv)
            self.good("pfx", "-c", "old.cer", "-k", "old.der", "--force", "-p", "pass:word", "old.pfx")

    def test_what_is_wrong_is_said(self):
        self.write("garbage", os.urandom(500))
        self.write("torn.pem", self.read("pki/server.pem")[:300] + b"\n-----END CERTIFICATE-----\n")
        self.write("empty", "")
        rows = [
            (77, "pki/server.pfx: wrong password", ["--unpack", "-P", "pass:no", "pki/server.pfx"]),
            (77, "pki/server.pfx: it needs a password", ["--unpack", "pki/server.pfx"]),
            (65, "garbage: not a PFX", ["--unpack", "garbage"]),
            (65, "pki/ca.pem: not a PFX", ["--unpack", "pki/ca.pem"]),
            (65, "empty: not a PFX", ["--unpack", "empty"]),
            (66, "none: No such file", ["--unpack", "none"]),
            (74, "Is a directory", ["--unpack", "pki"]),
            (65, "pki/client.key: the key does not fit the certificate in pki/server.pem",
             ["-c", "pki/server.pem", "-k", "pki/client.key", "x.pfx"]),
            (66, "pki/server.key: no certificate in it", ["-c", "pki/server.key", "x.pfx"]),
            (66, "pki/server.pem: no private key in it", ["-c", "pki/server.pem", "x.pfx"]),
            (66, "garbage: no certificate in it", ["-c", "garbage", "x.pfx"]),
            (65, "torn.pem: a broken certificate", ["-c", "torn.pem", "x.pfx"]),
            (66, "empty: no certificate in it", ["-c", "empty", "x.pfx"]),
            (65, "garbage: not a private key", ["-c", "pki/server.pem", "-k", "garbage", "x.pfx"]),
            (66, "none: No such file", ["-c", "none", "x.pfx"]),
            (66, "secret: No such file", ["-c", "pki/server.pem", "-P", "file:secret", "x.pfx"]),
            (64, "no environment variable NOWHERE", ["-c", "pki/server.pem", "-P", "env:NOWHERE", "x.pfx"]),
            (64, "expected file:FILE, env:NAME", ["-c", "pki/server.pem", "-P", "word", "x.pfx"]),
            (65, "a new pass-phrase or password has at least 4 bytes", ["-c", "pki/server.pem", "-P", "pass:abc", "x.pfx"]),
            (64, "expected --certificate", ["x.pfx"]),
            (64, "--unpack goes with", ["--unpack", "-c", "pki/server.pem", "x.pfx"]),
            (73, "is there already", ["-c", "pki/server.pem", "-k", "pki/server.key", "pki/server.pfx"]),
            (73, "No such file", ["-c", "pki/server.pem", "-k", "pki/server.key", "none/x.pfx"]),
        ]
        for code, words, argv in rows:
            self.bad(code, words, "pfx", *argv)
        self.assertFalse(os.path.exists(self.path("x.pfx")))


class Revoke(Case):
    def setUp(self):
        super().setUp()
        self.begin("--client", "caf\u00e9")
        for name in ("one", "two", "three"):
            self.good("client", name)

    def crl(self):
        text = self.openssl("crl", "-in", "pki/crl.pem", "-noout", "-text", "-verify", "-CAfile",
                            "pki/ca.pem")
        self.assertIn("verify OK", text)
        return text

    def refused(self, name):
        return self.verify(f"pki/{name}.pem", "-crl_check", "-CRLfile", "pki/crl.pem",
                           code=2)

    def test_by_file_serial_and_name(self):
        self.good("crl", "--days", "3")
        self.assertIn("No Revoked Certificates", self.crl())
        two = self.serial("pki/two.pem").lower()
        for word, name in (("pki/one.pem", "one"), (":".join(re.findall("..", two)), "two"),
                           ("three", "three"), ("caf\u00e9", "client")):
            self.verify(f"pki/{name}.pem", "-crl_check", "-CRLfile", "pki/crl.pem")
            out = self.good("revoke", "--reason", "keyCompromise", word)
            self.assertIn("revoked: " + self.serial(f"pki/{name}.pem"), out)
            self.assertIn("certificate revoked", self.refused(name))
            self.bad(65, "valid; those are" if word == "three" or name == "client" else "is revoked already",
                     "revoke", word)
        self.verify("pki/server.pem", "-crl_check", "-CRLfile", "pki/crl.pem")
        text = self.crl()
        self.assertEqual(text.count("Key Compromise"), 4)
        self.assertRegex(text, r"CRL Number: \n\s+5\n")
        self.assertEqual(self.read("pki/crlnumber"), b"06\n")

    def test_a_common_name_that_two_have(self):
        self.good("client", "--force", "one")
        err = self.bad(65, "2 certificates have the common name 'one'", "revoke", "one")
        self.assertIn(self.serial("pki/one.pem"), err)
        self.good("revoke", self.serial("pki/one.pem"))
        self.good("revoke", "one")

    def test_what_cannot_be(self):
        before = self.tree()
        self.bad(65, "'nobody' is no file", "revoke", "nobody")
        self.bad(65, "this CA has not issued it", "revoke", "pki/ca.pem")
        self.good("ca", "--dir", "other")
        self.bad(65, "this CA has not issued it", "revoke", "--dir", "other", "pki/one.pem")
        self.bad(65, "\\x1b", "revoke", "\x1b[31m")
        self.write("pki/index.txt", "nonsense\n")
        self.bad(65, "pki/index.txt: not an index", "revoke", "one")
        self.bad(65, "pki/index.txt: not an index", "client", "four")
        self.write("pki/index.txt", before["index.txt"])
        self.write("pki/crlnumber", "x\n")
        self.bad(73, "not a hexadecimal number", "crl")
        self.write("pki/ca.key", before["server.key"])
        self.bad(65, "it does not fit ca.pem", "crl")

    def test_reasons(self):
        self.good("revoke", "one")
        self.assertNotIn("Reason", self.crl())
        self.good("revoke", "-r", "superseded", "two")
        self.assertIn("Superseded", self.crl())
        self.assertEqual(self.cert("revoke", "-r", "dislike", "three")[0], 64)
        self.assertRegex(self.read("pki/index.txt").decode(), r"R\t\w+Z\t\w+Z,superseded\t")


class Show(Case):
    def setUp(self):
        super().setUp()
        self.begin("--name", "broker.example")

    def words(self, *argv, code=1):
        return self.show(*argv, code=code)["check"]["words"]

    def test_agrees_with_openssl(self):
        shown = self.show("pki/server.pem")["certificates"][0]
        for digest in ("sha256", "sha1"):
            out = self.openssl("x509", "-in", "pki/server.pem", "-noout", "-fingerprint", "-" + digest)
            self.assertEqual(out.strip().split("=")[1], shown[digest])
        self.assertEqual(shown["serial"], self.serial("pki/server.pem"))
        dates = self.openssl("x509", "-in", "pki/server.pem", "-noout", "-enddate", "-dateopt",
                             "iso_8601")
        self.assertEqual(dates.strip(), "notAfter=" + shown["valid_until"].replace("T", " "))
        self.assertEqual(shown["usages"], ["server", "digitalSignature"])
        self.assertEqual(shown["key"], "EC P-256")
        self.assertFalse(shown["ca"])

    def test_for_people(self):
        code, out, err = self.cert("show", "--ca", "pki/ca.pem", "pki/server.pem")
        self.assertEqual((code, err), (0, ""))
        for words in (r"^subject +CN=broker.example$", r"^issuer +CN=gnatter CA ", r"82[45] days left$",
                      r"^names +DNS:broker.example$", r"^ +IP:::1$", r"^usages +server$",
                      r"^key +EC P-256$", r"^serial +[0-9A-F]{32}$", r"^sha256 +(..:){31}..$",
                      r"^sha1 +(..:){19}..$", r"^check +good$"):
            self.assertRegex(out, re.compile(words, re.M))
        out = self.good("show", "pki/ca.pem")
        self.assertRegex(out, re.compile(r"^CA +yes$", re.M))
        for file in ("pki/server.pfx", "pki/server.pem"):
            self.assertIn("check        good at this time", self.good("show", file))
        code, out, err = self.cert("show", "--host", "x", "pki/server.pem")
        self.assertEqual(code, 1)
        self.assertIn("check        would be refused: wrong host", out)

    def test_says_what_is_wrong(self):
        server, ca = "pki/server.pem", ["--ca", "pki/ca.pem"]
        self.good("ca", "--dir", "other")
        self.good("client", "--from", "2020-01-01", "--until", "2021-01-01", "old")
        self.good("client", "--from", "2030-01-01", "--days", "1", "young")
        self.good("client", "gone")
        self.good("revoke", "gone")
        self.good("server", "--dir", "self", "--self-signed", "--name", "h", "s")
        crl = ["--crl", "pki/crl.pem"]
        rows = [(["pki/old.pem"], "expired"), (ca + ["pki/old.pem"], "expired"),
                (["pki/young.pem"], "not yet valid"), (ca + ["pki/young.pem"], "not yet valid"),
                (["--ca", "other/ca.pem", server], "wrong CA"),
                (ca + ["self/s.pem"], "self-signed"), (ca + crl + ["pki/gone.pem"], "revoked"),
                (ca + ["--host", "other.example", server], "wrong host"),
                (ca + ["--host", "192.0.2.9", server], "wrong host"),
                (ca + ["--for", "client", server], "not for this use")]
        for argv, words in rows:
            self.assertEqual(self.words(*argv), words, argv)
        good = [ca + [server], ca + crl + [server], ca + ["pki/gone.pem"], [server],
                ca + ["--host", "broker.example", "--for", "server", server],
                ca + ["--host", "::1", server], ca + ["--for", "client", "pki/client.pem"],
                ["self/s.pem"], ["--ca", "self/s.pem", "self/s.pem"], ca + ["pki/ca.pem"]]
        for argv in good:
            self.assertEqual(self.words(*argv, code=0), "good", argv)
        self.good("crl", "--days", "1")
        shutil.copy(self.pki("crl.pem"), self.path("crl"))
        self.assertEqual(self.words("--ca", "other/ca.pem", "--crl", "crl", "other/ca.pem"),
                         "its CA's revocation list is missing")
        self.assertEqual(self.cert("show", "--crl", "crl", server)[0], 64)

    def test_what_is_no_certificate(self):
        self.write("garbage", os.urandom(300))
        self.write("der", b"\x30\x82" + os.urandom(300))
        self.bad(66, "garbage: no certificate in it", "show", "garbage")
        self.bad(65, "der: a broken certificate", "show", "der")
        self.bad(66, "none: No such file", "show", "none")
        self.bad(66, "pki/server.key: no certificate in it", "show", "pki/server.key")
        self.bad(66, "pki/server.pem: no revocation list in it", "show", "--ca", "pki/ca.pem", "--crl",
                 "pki/server.pem", "pki/server.pem")
        self.good("pfx", "-c", "pki/server.pem", "-k", "pki/server.key", "-P", "pass:word", "x.pfx")
        self.bad(77, "x.pfx: it needs a password", "show", "x.pfx")
        self.good("show", "--password", "pass:word", "x.pfx")
        self.write("big", b"x" * (5 * 1024 * 1024))
        self.bad(65, "longer than", "show", "big")

    def test_a_hostile_name_does_not_reach_the_terminal(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "k", "-out", "c", "-utf8", "-subj", "/CN=a\x1b[31mb\u009bc")
        out = self.good("show", "c")
        self.assertNotIn("\x1b", out)
        self.assertIn("1B[31mb", out)
        self.show("c")


class Files(Case):
    def test_a_directory_that_cannot_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("root can write anywhere")
        os.mkdir(self.path("pki"), 0o500)
        self.bad(73, "Permission denied", "init")

    def test_a_directory_that_is_none(self):
        self.write("file", "x")
        self.bad(73, "file: Not a directory", "init", "--dir", "file")
        self.bad(73, "none/pki: No such file", "init", "--dir", "none/pki")
        self.bad(73, "/proc/pki: No such file", "init", "--dir", "/proc/pki")

    def test_a_full_disk_changes_nothing(self):
        """Where files may grow to nothing, as on a full disk."""
        self.begin()
        before = self.tree()
        limited = ["prlimit", "--fsize=100", harness.GNATTER, "cert"]
        code, out, err = self.run_(["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *limited, "init", "--force"])
        self.assertEqual((code, out), (73, ""), err)
        self.assertIn("File too large", err)
        self.assertEqual(self.tree(), before)

    def test_a_link_is_replaced_and_not_followed(self):
        self.begin()
        target = self.write("target", "mine")
        os.unlink(self.pki("client.key"))
        os.symlink(target, self.pki("client.key"))
        self.bad(73, "client.pem is there already", "client", "client")
        self.good("client", "--force", "client")
        self.assertEqual(self.read("target"), b"mine")
        self.assertFalse(os.path.islink(self.pki("client.key")))

    def test_two_at_once_are_both_in_the_index(self):
        self.good("ca")
        many = [subprocess.Popen([harness.GNATTER, "cert", "client", f"c{i}"], cwd=self.base,
                                 stdout=subprocess.DEVNULL) for i in range(8)]
        self.assertEqual([process.wait(harness.PATIENCE) for process in many], [0] * 8)
        index = self.read("pki/index.txt").decode()
        self.assertEqual(sorted(re.findall(r"/CN=(c\d)\n", index)), [f"c{i}" for i in range(8)])


class Terminal(Case):
    def talk(self, argv, lines):
        """What is shown on a terminal where each of LINES is typed at its prompt."""
        terminal = harness.Terminal([harness.GNATTER, "cert", *argv], self.base)
        for prompt, line in lines:
            terminal.until(prompt)
            terminal.type(line)
        return terminal.end()

    def test_asks_twice_for_a_new_one_and_once_for_an_old_one(self):
        code, shown = self.talk(["ca", "--passphrase", "ask"],
                                [(b"Password: ", b"ca word\n"), (b"Once more: ", b"ca word\n")])
        self.assertEqual(code, 0, shown)
        code, shown = self.talk(["client", "one"], [(b"Pass-phrase of pki/ca.key: ", b"ca word\n")])
        self.assertEqual(code, 0, shown)
        self.verify("pki/one.pem")
        code, more = self.talk(["client", "two"], [(b"Pass-phrase of pki/ca.key: ", b"no word\n")])
        self.assertEqual(code, 77, more)
        self.assertIn("wrong pass-phrase", more)
        self.assertNotIn("word", shown + more)


class Handshake(Case):
    """openssl's own server and client with what was made."""

    def setUp(self):
        super().setUp()
        self.begin()
        self.good("client", "gone")
        self.good("revoke", "gone")

    def server(self, *argv):
        port = harness.free_port()
        process = harness.Process(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-naccept", "1",
                                   "-cert", self.pki("server.pem"), "-key", self.pki("server.key"),
                                   "-CAfile", self.pki("ca.pem"), *argv],
                                  stdin=subprocess.PIPE)
        self.addCleanup(process.kill)
        process.line("stdout", b"ACCEPT")
        return process, port

    def client(self, port, *argv):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
                               self.pki("ca.pem"), "-verify_return_error", *argv], input=b"Q\n",
                              check=False, capture_output=True, timeout=harness.PATIENCE)
        return done.returncode, (done.stdout + done.stderr).decode()

    def test_server_and_client_trust_each_other(self):
        both = ["-cert", self.pki("client.pem"), "-key", self.pki("client.key")]
        pfx = ["-cert", self.pki("client.pfx"), "-key", self.pki("client.pfx"), "-pass", "pass:"]
        for version in ("-tls1_2", "-tls1_3"):
            for host in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
                for identity in (both, pfx):
                    server, port = self.server("-Verify", "3", "-verify_return_error", version)
                    code, text = self.client(port, *host, *identity)
                    self.assertEqual(code, 0, text)
                    self.assertIn("Verify return code: 0 (ok)", text)
                    server.line("stdout", b"CN = client")

    def test_wrong_host(self):
        _, port = self.server()
        code, text = self.client(port, "-verify_hostname", "other.example")
        self.assertEqual(code, 1, text)
        self.assertIn("hostname mismatch", text)

    def test_revoked(self):
        for name, accepted in (("client", True), ("gone", False)):
            server, port = self.server("-Verify", "3", "-verify_return_error", "-crl_check", "-CRL",
                                       self.pki("crl.pem"), "-tls1_2")
            code, text = self.client(port, "-cert", self.pki(name + ".pem"), "-key",
                                     self.pki(name + ".key"))
            self.assertEqual(code == 0, accepted, text)
            if not accepted:
                self.assertIn("certificate revoked", text)
                server.line("stderr", b"certificate revoked")

    def test_no_certificate_and_a_strangers(self):
        self.good("init", "--dir", "other")
        stranger = ["-cert", self.path("other", "client.pem"), "-key", self.path("other", "client.key")]
        for argv in ([], stranger):
            _, port = self.server("-Verify", "3", "-verify_return_error", "-tls1_2")
            self.assertEqual(self.client(port, *argv)[0], 1)


class Usage(Case):
    VERBS = ["init", "ca", "server", "client", "pfx", "revoke", "crl", "show"]

    def test_help_of_each(self):
        overview = self.good("--help")
        for verb in self.VERBS:
            out = self.good(verb, "--help")
            self.assertTrue(out.startswith(f"Usage: gnatter cert {verb} "), out)
            self.assertRegex(out, rf"\n\nExamples:\n  gnatter cert {verb}\b")
            self.assertIn("Exit codes: 0", out)
            self.assertLessEqual(max(len(line) for line in out.splitlines()), 80, out)
            self.assertIn(f"gnatter cert {verb}", overview)

    def test_mistakes(self):
        self.bad(64, "unknown command 'sevrer', did you mean 'server'?", "sevrer")
        self.bad(64, "unknown command 'bananas', see gnatter cert --help", "bananas")
        self.bad(64, "1 word is missing")
        self.bad(64, "1 word is missing", "client")
        self.bad(64, "unexpected word 'x'", "init", "x")
        self.bad(64, "did you mean '--force'?", "init", "--forse")
        self.bad(64, "--pfx makes one", "client", "--legacy", "x")
        self.bad(64, "init makes its keys", "init", "--key", "file:x")

    def test_a_closed_output_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([harness.GNATTER, "cert", "init"], stdout=full, check=False,
                                  cwd=self.base, timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, 74)


if __name__ == "__main__":
    unittest.main()
