"""The disk fails: the broker does not crash, acknowledges nothing that is not safe, and goes on.

    GNATTER=build/debug/gnatter GNATTER_FAULT_SHIM=build/debug/tests/fault/libfault_shim.so \\
        tests/fault/faults.py --rounds 60 --seed 1

A round is one of two:
  one call fails   the k-th write, sync or open of the data directory, with ENOSPC, EIO or half a
                   write done, for k from the first on, further and further apart.  A broker that
                   is just starting may say so and end.  Else it either is killed at once, or has to
                   mend itself; after the restart all that was acknowledged is there.
  no room          all writes fail until room returns.  Meanwhile nothing that is sent is
                   acknowledged, what waited can be read, and QoS 0 goes on; afterwards the broker
                   goes on by itself.

The last line is "N passed, M failed", counted in rounds."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import types

import durable
import load
import queues
import shimmed
import states

# (which calls, how they fail)
FAILURES = [("write", "enospc"), ("write", "eio"), ("write", "short"), ("sync", "eio"),
            ("sync", "enospc"), ("open", "enospc"), ("open", "eio")]
NO_ROOM_EVERY = 8  # rounds


class Fault:
    """One round, in a directory of its own."""

    def __init__(self, options, number, seed):
        self.random = random.Random(seed)
        self.number = number
        self.folder = tempfile.mkdtemp(prefix="gnatter-faults-")
        self.data, self.trace = f"{self.folder}/data", f"{self.folder}/trace"
        self.control = f"{self.folder}/no-room"
        self.broker = durable.BROKERS[options.broker](self.folder, self.data, options.set)
        self.clients = queues.clients_of(options.broker)(self.random)
        self.clients.store_fails = True
        self.story = ""

    def run(self):
        if self.number % NO_ROOM_EVERY == 0:
            self.no_room()
        else:
            self.one_call()
        self.restart()

    def close(self, keep):
        self.broker.kill()
        self.clients.close()
        if not keep:
            shutil.rmtree(self.folder)

    def alive(self):
        if self.broker.process.poll() is not None:
            raise AssertionError(f"ended with {self.broker.process.returncode}")

    def one_call(self):
        call, kind = FAILURES[self.number % len(FAILURES)]
        step = self.number // len(FAILURES)
        at = step + 1 if step < 10 else int(10 * 1.4 ** (step - 10)) + self.random.randrange(4)
        self.story = f"{kind} at {call} {at}"
        try:
            self.broker.start(shimmed.environment(self.data, self.trace, kind=kind, call=call,
                                                  at=at))
        except durable.Ended as ended:
            if ended.code <= 0:
                raise
            self.story += f", at start: exit code {ended.code}"
            return
        self.clients.start(self.broker.port)
        self.one_is_away(0.3)
        self.alive()
        if self.random.random() < 0.5:
            self.clients.drain()
            load.check_retained(self.broker.port, self.clients)
            self.one_is_away(0.1)
            self.alive()

    def one_is_away(self, seconds):
        """Load with a subscriber missing, so that messages wait when the broker ends."""
        self.clients.publishing = True
        away = self.random.choice(self.clients.subscribers)
        away.away = True
        away.drop()
        self.clients.run(seconds)
        away.away = False

    def no_room(self):
        self.story = "no room"
        self.broker.start(shimmed.environment(self.data, kind="enospc", call="write",
                                              until=self.control))
        self.clients.start(self.broker.port)
        self.one_is_away(0.2)
        open(self.control, "w").close()
        sent = self.clients.sent()
        self.clients.run(0.3)
        self.qos_0_goes_on()
        self.alive()
        false = self.clients.acknowledged_after(sent)
        if false:
            raise load.Violation(f"acknowledged without room: {false[:5]}")
        os.unlink(self.control)
        before = self.clients.delivered
        self.clients.run_until(lambda: self.clients.delivered > before, lambda: "room returned")
        self.clients.drain()
        self.alive()
        self.one_is_away(0.1)

    def qos_0_goes_on(self):
        client = load.raw.Raw(types.SimpleNamespace(port=self.broker.port))
        try:
            client.connect("qos0", clean=True)
            client.send(load.raw.subscribe(1, "zero", 0), load.raw.publish("zero", b"there"))
            kinds = sorted(packet[0] for packet in client.read_all(2))
        finally:
            client.close()
        if kinds != [load.PUBLISH, load.SUBACK]:
            raise load.Violation(f"QoS 0 without room: {kinds}")

    def restart(self):
        """Whatever has happened, what was acknowledged is there."""
        self.broker.kill()
        self.clients.cut()
        self.clients.port = self.broker.start()
        load.check_retained(self.broker.port, self.clients)
        self.clients.drain()
        load.check_retained(self.broker.port, self.clients)

    def has_failed(self):
        """Whether the fault was reached."""
        return os.path.exists(self.trace) and any(
            record.kind == states.FAULT for record in states.read_trace(self.trace))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    durable.add_options(parser)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    passed = failed = reached = refused = 0
    for number in range(options.rounds):
        fault, keep = Fault(options, number, options.seed * 1000003 + number), options.keep
        try:
            fault.run()
            passed += 1
        except (AssertionError, durable.Ended) as error:
            failed += 1
            keep = True
            durable.tell(fault.broker, error, f"seed {options.seed}, round {number}, "
                         f"{fault.story}, files in {fault.folder}")
        reached += fault.has_failed() or fault.story == "no room"
        refused += fault.clients.refusals
        fault.close(keep)
    print(f"seed {options.seed}: {reached} faults reached, {refused} refused\n"
          f"{passed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
