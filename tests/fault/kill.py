"""kill -9 under load, again and again: what was acknowledged is there after each.

    GNATTER=build/debug/gnatter tests/fault/kill.py --rounds 200 --seed 1

A round starts the broker, now and then killing it while it starts, lets the clients of load.py go on
where they were for a moment, and kills it.  A client may be away for a round.  Every tenth round and
at the end all that was acknowledged has to have come.  With --signal TERM the broker may end as it
likes, which is what mosquitto keeps its promise for, and with KILL breaks it: what the checks are
checked with.

The last line is "N passed, M failed", counted in rounds."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time

import durable
import load
import queues

DRAIN_EVERY = 10


def start_interrupted(broker, random_):
    """Killed while it starts, at any moment of that."""
    broker.begin()
    time.sleep(random_.random() ** 2 * 0.1)
    broker.kill()


def one_round(number, broker, clients, random_, how):
    while how == signal.SIGKILL and random_.random() < 0.25:
        start_interrupted(broker, random_)
    clients.port = broker.start() if how or number == 1 else broker.port
    if number == 1:
        clients.start(broker.port)
    if random_.random() < 0.3:
        load.check_retained(broker.port, clients)
    for client in clients.clients:
        client.away = random_.random() < 0.1
    clients.publishing = True
    clients.run(random_.choice((0.02, 0.1, 0.3)) * random_.random() * 2)
    if number % DRAIN_EVERY == 0:
        clients.drain()
        load.check_retained(broker.port, clients)
    if how:
        broker.stop(how)
    clients.cut()


def last_round(broker, clients, how):
    clients.port = broker.start() if how else broker.port
    clients.drain()
    load.check_retained(broker.port, clients)
    broker.stop()
    clients.cut()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    durable.add_options(parser)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--signal", choices=("KILL", "TERM", "NONE"), default="KILL")
    options = parser.parse_args()
    how = getattr(signal, "SIG" + options.signal, None)
    random_ = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="gnatter-kill-")
    broker = durable.BROKERS[options.broker](folder, f"{folder}/data" if how else None, options.set)
    clients = queues.clients_of(options.broker)(random.Random(options.seed))
    done, failed = 0, 0
    try:
        for number in range(1, options.rounds + 1):
            one_round(number, broker, clients, random_, how)
            done = number
        last_round(broker, clients, how)
    except (AssertionError, durable.Ended) as error:
        failed = 1
        durable.tell(broker, error, f"seed {options.seed}, round {done + 1}, files in {folder}")
    finally:
        broker.kill()
        clients.close()
        if not failed and not options.keep:
            shutil.rmtree(folder)
    print(f"seed {options.seed}: {clients.story()}\n{done} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
