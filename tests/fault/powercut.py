"""The power goes, at any moment: what was acknowledged is there in every legal state of the disk.

    GNATTER=build/debug/gnatter GNATTER_FAULT_SHIM=build/debug/tests/fault/libfault_shim.so \\
        tests/fault/powercut.py --states 500 --seed 1

A broker under the shim and the clients of load.py make a trace; some of the traces have a failed
sync in them.  The trace is cut at many places, mostly around syncs and behind acknowledgements, and
each cut gives a state of the directory (states.py) and the clients as they were then.  The broker
has to open that state, and the clients, who go on where they were, have to get all that they were
promised.  The next trace begins with what the last one has left, so its first part is a recovery,
which gets its share of the cuts.  Now and then the recovery of a state is traced and cut, too.

A state that breaks a promise is printed with the command that builds it.  The last line is
"N passed, M failed"."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time

import durable
import load
import queues
import shimmed
import states

SYNC_US = 1500         # a slow disk lets too early an acknowledgement be seen
STATES_PER_TRACE = 50
MAPPED = {"lock.mdb"}  # LMDB's, made new at each start: no harm that the trace does not show it


class Cutter:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.data, self.base, self.state = (os.path.join(folder, name)
                                            for name in ("data", "base", "state"))
        self.kind = durable.BROKERS[options.broker]
        self.clients = queues.clients_of(options.broker)(random.Random(options.seed))
        self.traces = self.checked = self.recoveries = 0
        self.story = ""
        self.broker = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_trace(self):
        """A trace of a start and some load; what the directory and the clients were before."""
        self.traces += 1
        trace = self.path(f"trace-{self.traces}")
        self.story = f"trace {self.traces}, while it is made"
        if self.traces > 1:
            os.unlink(self.path(f"trace-{self.traces - 1}"))
        os.makedirs(self.data, exist_ok=True)
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.copytree(self.data, self.base)
        failing = {"kind": "eio", "call": "sync", "at": self.random.randint(5, 100)} \
            if self.random.random() < 0.3 else {}
        self.clients.store_fails = bool(failing)
        before = self.clients.copy(random.Random(0))
        self.broker = self.kind(self.folder, self.data, self.options.set)
        self.clients.marker = states.Marker(trace)
        environment = shimmed.environment(self.data, trace, SYNC_US, **failing)
        try:
            self.broker.start(environment)
        except durable.Ended as ended:
            if ended.code < 0 or not failing:
                raise
        else:
            self.put_load()
            self.end_load(trace)
        self.clients.marker.close()
        self.clients.marker = None
        self.verify(self.clients, self.data)  # and nothing waits when the next trace begins
        return trace, before

    def put_load(self):
        """Half of the time with somebody missing, so that messages have to wait."""
        self.clients.start(self.broker.port)
        away = self.random.choice(self.clients.subscribers)
        self.clients.run(self.options.seconds / 3)
        away.away = True
        away.drop()
        self.clients.run(self.options.seconds / 3)
        away.away = False
        self.clients.run(self.options.seconds / 3)

    def end_load(self, trace):
        """Killed, or, as it may be within a call when it is killed, ended, and the trace compared."""
        if self.random.random() < 0.5:
            self.broker.kill()
            self.clients.cut()
            return
        self.broker.stop()
        self.clients.run(0.05)
        self.clients.cut()
        records = states.read_trace(trace)
        for _, disk in states.states(records, self.base, [len(records)]):
            disk.whole(self.state)
            differing = states.differences(self.data, self.state, MAPPED)
            if differing or disk.mapped - MAPPED:
                raise AssertionError(f"the trace does not lead to {differing}; "
                                     f"{disk.mapped} are mapped")

    def verify(self, clients, data):
        """Opens DATA; the clients get what they were promised, and nothing else."""
        self.broker = self.kind(self.folder, data, self.options.set)
        clients.port = self.broker.start()
        try:
            load.check_retained(self.broker.port, clients)
            clients.drain()
            load.check_retained(self.broker.port, clients)
        finally:
            clients.cut()
            self.broker.kill()

    def cut_recovery(self):
        """Starts the broker on the state, and makes of what it does there another state."""
        base, trace = self.path("recovery-base"), self.path("recovery-trace")
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(self.state, base)
        if os.path.exists(trace):
            os.unlink(trace)
        broker = self.broker = self.kind(self.folder, self.state, self.options.set)
        environment = shimmed.environment(self.state, trace)
        if self.random.random() < 0.5:
            broker.start(environment)
        else:
            broker.begin(environment)
            time.sleep(self.random.random() * 0.1)
        broker.kill()
        records = states.read_trace(trace) if os.path.exists(trace) else []
        seed = self.random.getrandbits(32)
        cuts = states.cuts(records, 1, self.random)
        for cut, disk in states.states(records, base, cuts):
            way = disk.crash(self.state, seed)
            self.story += f"\n  its recovery cut at {cut} of {len(records)}, seed {seed} ({way})"
        self.recoveries += 1

    def cuts(self, records, count):
        """A fifth of them in the recovery that the trace begins with."""
        early = count // 5
        started = next((i for i, r in enumerate(records) if r.kind == states.MARK), len(records))
        return sorted(states.cuts(records, early, self.random, started) +
                      states.cuts(records, count - early, self.random))

    def check_states(self, trace, folded, count):
        records = states.read_trace(trace)
        position = 0
        for cut, disk in states.states(records, self.base, self.cuts(records, count)):
            folded.replay(bytes(r.data) for r in records[position:cut] if r.kind == states.MARK)
            position = cut
            seed = self.random.getrandbits(32)
            way = disk.crash(self.state, seed)
            self.story = (f"states.py {trace} --base {self.base} --cut {cut} --seed {seed} "
                          f"--into DIR ({way}, of {len(records)})")
            while self.random.random() < 0.25:
                self.cut_recovery()
            clients = folded.copy(random.Random(seed))
            try:
                self.verify(clients, self.state)
            finally:
                clients.close()
            self.checked += 1

    def run(self):
        while self.checked < self.options.states:
            trace, before = self.make_trace()
            count = min(STATES_PER_TRACE, self.options.states - self.checked)
            self.check_states(trace, before, count)
            before.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    durable.add_options(parser)
    parser.add_argument("--states", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=0.6, help="of load in a trace")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="gnatter-powercut-")
    cutter = Cutter(options, folder)
    failed = 0
    try:
        cutter.run()
    except (AssertionError, durable.Ended) as error:
        failed = 1
        durable.tell(cutter.broker, error, f"seed {options.seed}: {cutter.story}")
    finally:
        if cutter.broker:
            cutter.broker.kill()
        cutter.clients.close()
        if not failed and not options.keep:
            shutil.rmtree(folder)
    print(f"seed {options.seed}: {cutter.traces} traces, {cutter.recoveries} recoveries cut\n"
          f"{cutter.checked} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
