"""Brokers in turns, round after round: one load run, and what comes out of all of them."""

import json
import statistics
import subprocess

from measure import BROKERS, number, say


def load(generator, broker, options, seconds):
    """What mqttload reports of one run."""
    words = [str(generator), "--scenario", *options.split(), "--port", str(broker.port),
             "--pid", str(broker.pid), "--label", broker.name, "--time", str(seconds)]
    return said(words)


def said(words):
    """The line of JSON that a generator prints."""
    done = subprocess.run(words, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"error": done.stderr.strip() or f"exit code {done.returncode}"}


def order(number, brokers=BROKERS):
    """Who is first in a round changes with it."""
    return brokers if number % 2 == 0 else brokers[::-1]


def note(results, number, name, broker, result):
    if "error" in result:
        say(f"{name} {broker.name}: {result['error']}")
    results.setdefault(name, []).append((number, broker.name, result))


def medians(rows, figure, brokers=BROKERS):
    """The median for each of two brokers, and of the second's ratio to the first within rounds; None where
    there is none."""
    other, ours = brokers
    rounds = {}
    for number, broker, result in rows:
        if result.get(figure) is not None and "error" not in result:
            rounds.setdefault(number, {})[broker] = result[figure]
    each = [statistics.median(v) if (v := [r[b] for r in rounds.values() if b in r]) else None
            for b in brokers]
    ratios = [r[ours] / r[other] for r in rounds.values() if ours in r and r.get(other, 0) > 0]
    return (*each, statistics.median(ratios) if ratios else None, ratios)


def faults(rows, brokers=BROKERS):
    """What was lost, repeated, disordered, malformed or refused, by broker, over all rounds."""
    words = []
    for broker in brokers:
        for figure in ("lost", "dups", "disorder", "bad", "closed", "not_accepted"):
            total = sum(r.get(figure, 0) for _, b, r in rows if b == broker)
            if total:
                words.append(f"{broker}: {total} {figure}")
        errors = sum("error" in r for _, b, r in rows if b == broker)
        if errors:
            words.append(f"{broker}: {errors} runs failed")
    return "; ".join(words) or "none"


def verdict(ratio, bar):
    if ratio is None or bar is None:
        return "-"
    return "yes" if ratio <= bar else f"no, by {100 * (ratio / bar - 1):.0f} %"


def cpu_table(scenarios, results):
    """SCENARIOS: name, words for people, generator options, the ratio to stay under or None."""
    yield "| scenario (64 B unless said) | options | mosquitto, us | gnatter, us | ratio | range | at most | met | lost, repeated, disordered |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, words, options, bar in scenarios:
        if name in results:
            m, g, ratio, ratios = medians(results[name], "broker_cpu_us_per_msg")
            span = f"{min(ratios):.3f} to {max(ratios):.3f}" if ratios else "-"
            yield (f"| {words} | `{options}` | {number(m)} | {number(g)} | {number(ratio, 3)} | {span} | "
                   f"{number(bar)} | {verdict(ratio, bar)} | {faults(results[name])} |")
