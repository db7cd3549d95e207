"""SCRAM-SHA-256 [RFC 5802, RFC 7677] as a client needs it, with Python's own library: a second
opinion on src/auth."""

import base64
import hashlib
import hmac
import os

METHOD = "SCRAM-SHA-256"


def _mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def _b64(data):
    return base64.b64encode(data).decode()


def verifier(password, iterations=4096, salt=b"0123456789abcdef"):
    """PostgreSQL's form, as it stands behind NAME: in a users file."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    return f"{METHOD}${iterations}:{_b64(salt)}${_b64(stored)}:{_b64(_mac(salted, b'Server Key'))}"


class Client:
    """first() goes to the server, answer(challenge) too, and verify(last) looks at what comes."""

    def __init__(self, user, password, header="n,,", nonce=None):
        self.password, self.header = password, header
        self.nonce = nonce or _b64(os.urandom(18))
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        self.signature = None

    def first(self):
        return (self.header + self.bare).encode()

    def answer(self, challenge):
        text = challenge.decode()
        fields = dict(field.split("=", 1) for field in text.split(","))
        if not fields["r"].startswith(self.nonce) or fields["r"] == self.nonce:
            raise ValueError("not our nonce")
        without_proof = f"c={_b64(self.header.encode())},r={fields['r']}"
        signed = f"{self.bare},{text},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(),
                                     base64.b64decode(fields["s"]), int(fields["i"]))
        key = _mac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, _mac(hashlib.sha256(key).digest(), signed)))
        self.signature = _mac(_mac(salted, b"Server Key"), signed)
        return f"{without_proof},p={_b64(proof)}".encode()

    def verify(self, last):
        return last == b"v=" + base64.b64encode(self.signature)
