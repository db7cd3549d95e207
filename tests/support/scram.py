#!/usr/bin/env python3
"""SCRAM [RFC 5802, RFC 7677] as a client needs it, with Python's own library: a second opinion on
src/auth.  Run by itself it prints the exchange of RFC 7677, 3, by each method; that is where the
values for SHA-512 in tests/unit/auth/test_scram.c come from."""

import base64
import hashlib
import hmac
import os

METHODS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
METHOD = "SCRAM-SHA-256"


def _mac(digest, key, text):
    return hmac.new(key, text, digest).digest()


def _b64(data):
    return base64.b64encode(data).decode()


def verifier(password, iterations=4096, salt=b"0123456789abcdef", method=METHOD):
    """PostgreSQL's form, as it stands behind NAME: in a users file."""
    digest = METHODS[method]
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    stored = hashlib.new(digest, _mac(digest, salted, b"Client Key")).digest()
    server = _mac(digest, salted, b"Server Key")
    return f"{method}${iterations}:{_b64(salt)}${_b64(stored)}:{_b64(server)}"


def verifiers(password, iterations=4096, salt=b"0123456789abcdef"):
    """The same for every method, as gnatter passwd writes it (but with one salt)."""
    return ",".join(verifier(password, iterations, salt, method) for method in METHODS)


class Client:
    """first() goes to the server, answer(challenge) too, and verify(last) looks at what comes."""

    def __init__(self, user, password, header="n,,", nonce=None, method=METHOD):
        self.password, self.header, self.digest = password, header, METHODS[method]
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
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(),
                                     base64.b64decode(fields["s"]), int(fields["i"]))
        key = _mac(self.digest, salted, b"Client Key")
        stored = hashlib.new(self.digest, key).digest()
        proof = bytes(a ^ b for a, b in zip(key, _mac(self.digest, stored, signed)))
        self.signature = _mac(self.digest, _mac(self.digest, salted, b"Server Key"), signed)
        return f"{without_proof},p={_b64(proof)}".encode()

    def last(self):
        """What a server that knows the password says then."""
        return b"v=" + base64.b64encode(self.signature)

    def verify(self, last):
        return last == self.last()


def show(method):
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    client = Client("user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO", method=method)
    challenge = f"r={client.nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s={salt},i=4096"
    print(client.first().decode(), challenge, client.answer(challenge.encode()).decode(),
          client.last().decode(), verifier("pencil", 4096, base64.b64decode(salt), method), sep="\n")


if __name__ == "__main__":
    for each in METHODS:
        show(each)
