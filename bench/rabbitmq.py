"""Debian's RabbitMQ as a broker to measure: started on free loopback ports, with a home of its own."""

import os
import pathlib
import signal
import subprocess

import measure


class RabbitMQ(measure.Broker):
    """The server with one PLUGIN and LINES of configuration, and the port mapper that Erlang wants beside it."""

    def __init__(self, port, home, plugin, lines):
        mapper = measure.free_port()
        (home / "rabbitmq.conf").write_text("\n".join((*lines, "")))
        (home / "plugins").write_text(f"[{plugin}].\n")
        said = {"HOME": home, "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODENAME": "measured@localhost", "RABBITMQ_DIST_PORT": measure.free_port(),
                "RABBITMQ_MNESIA_BASE": home / "mnesia", "RABBITMQ_LOG_BASE": home / "log",
                "RABBITMQ_CONFIG_FILE": home / "rabbitmq.conf", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_ENABLED_PLUGINS_FILE": home / "plugins"}
        super().__init__("rabbitmq", [str(self.server())], port, home,
                         {**os.environ, **{name: str(value) for name, value in said.items()}})
        self.mapper_words = ["epmd", "-port", str(mapper), "-address", "127.0.0.1"]

    @staticmethod
    def server():
        """The program, or None where it is not installed."""
        return next(pathlib.Path("/usr/lib/rabbitmq").glob("lib/rabbitmq_server-*/sbin/rabbitmq-server"), None)

    @staticmethod
    def version():
        return "RabbitMQ " + RabbitMQ.server().parts[-3].removeprefix("rabbitmq_server-")

    def __enter__(self):
        self.mapper = subprocess.Popen(self.mapper_words, stdin=subprocess.DEVNULL)
        try:
            return super().__enter__()
        except BaseException:
            self.end_mapper()
            raise

    @property
    def pid(self):
        """The virtual machine is a child of the script that starts it."""
        return next(child for child in descendants(self.process.pid) if name_of(child) == "beam.smp")

    def end(self):
        try:
            os.kill(self.pid, signal.SIGTERM)
        except StopIteration:
            self.process.send_signal(signal.SIGTERM)

    def __exit__(self, *_):
        super().__exit__()
        self.end_mapper()

    def end_mapper(self):
        self.mapper.kill()
        self.mapper.wait()


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def descendants(pid):
    for child in map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from descendants(child)
