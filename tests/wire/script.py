"""What the scripts of every protocol have in common: a file of steps, clients, one play of it."""

import random
import socket
import string
import time

from notation import Mistake

SENSELESS = (LookupError, ValueError)  # of a script: no such $name, a word for a number


class Failed(Exception):
    """The broker did something else."""


class Harmed(Failed):
    """A bystander has noticed."""


class Stream:
    """One connection; who inherits this takes whole packets or frames off the front of `buffer`."""

    def __init__(self, connection, patience):
        self.socket = connection
        self.patience = patience
        self.buffer = bytearray()
        self.ended = False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # whoever is hung up on sees it when it reads

    def fill(self, deadline):
        """False at the end of the stream."""
        if self.ended:
            return False
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Failed(f"nothing in {self.patience} s") from None
        except OSError:
            data = b""
        self.buffer += data
        self.ended = not data
        return not self.ended

    def wait_for(self, whole):
        """The first bytes, as many as WHOLE() says; None at the end of the stream."""
        deadline = time.monotonic() + self.patience
        while not (size := whole()):
            if not self.fill(deadline):
                if self.buffer:
                    raise Failed(f"closed in the middle: {self.buffer[:200].hex()}")
                return None
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def shut(self):
        """Nothing more is sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def tcp(target, patience):
    connection = socket.create_connection(target, patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Play:
    """One script in one version.  Who inherits this has VERSIONS {word: number}, a class Client with
    a method do_VERB for each verb, ROWS, the verbs that begin a row of a table, and row()."""

    def __init__(self, script, version, target, web_target, patience):
        self.script, self.version = script, version
        self.target, self.web_target, self.patience = target, web_target, patience
        letters = string.ascii_lowercase + string.digits
        self.unique = "w" + "".join(random.choices(letters, k=9))
        self.clients, self.current = {}, None
        self.rows = 0

    @classmethod
    def verbs(cls):
        return {"client", "pass", *cls.ROWS} | {
            name[3:] for name in dir(cls.Client) if name.startswith("do_")}

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = self.Client(self, name)
        self.current = self.clients[name]

    def step(self, verb, rest):
        if verb == "client":
            self.client(rest)
        elif verb == "pass":
            time.sleep(float(rest.split()[0]))
        elif verb in self.ROWS:
            self.row(verb, rest)
        else:
            getattr(self.current, f"do_{verb}")(rest)

    def fault(self, line, step, error):
        who = self.current.name if self.current else "?"
        name = next(n for n, number in self.VERSIONS.items() if number == self.version)
        return (f"{self.script.shown}:{line}: {self.PROTOCOL} {name}, client {who}: {step}\n"
                f"    {error}")

    def run(self):
        """Yields what is wrong: of a table each row, of a script the first."""
        try:
            for line, verb, rest in self.script.steps:
                try:
                    self.step(verb, rest)
                except (Failed, OSError, Mistake, *SENSELESS) as e:
                    yield self.fault(line, f"{verb} {rest}", e)
                    if verb not in self.ROWS or isinstance(e, Harmed):
                        return
            for client in self.clients.values():
                self.current = client
                client.part()
        except (Failed, OSError) as e:
            yield self.fault(self.script.last + 1, "at the end", e)
        finally:
            for client in self.clients.values():
                client.hang_up()


class Script:
    """A file: versions, needs, and steps as (line, verb, rest)."""

    def __init__(self, path, play):
        self.path, self.shown, self.play = path, str(path), play
        self.versions, self.needs, self.steps = [max(play.VERSIONS.values())], [], []
        for self.last, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split("  #")[0].strip()
            if words and not words.startswith("#"):
                verb, _, rest = words.partition(" ")
                self.take(verb, rest.strip())
        self.needs = tuple(self.needs)

    def take(self, verb, rest):
        if verb == "version":
            self.versions = [self.play.VERSIONS[v] for v in rest.split()]
        elif verb == "needs":
            self.needs.append(rest)
        elif verb.partition("@")[0] in self.play.verbs():
            self.steps.append((self.last, verb, rest))
        else:
            raise Mistake(f"{self.path}:{self.last}: there is no verb '{verb}'")
