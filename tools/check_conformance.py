#!/usr/bin/env python3
"""Holds docs/conformance-mqtt.md to the standards and to the tests.

Usage: check_conformance.py [--none-open | --write] [ROOT]

Every normative statement of MQTT 3.1.1 and 5.0 (their appendices B, as numbers below) has a row, in
the standard's order, in the server's table, the client's, or both.  A row names what shows it, or
says `open: WHY` or `does not apply: WHY`.  A name is a script of tests/wire, which must cite the
statement in its first comment (and every script that cites one must stand in its row), or a unit
test `room/module: function`.  --write puts the scripts' names where they belong first.

Prints FILE:LINE: MESSAGE per mistake, then what is open; the exit code is 0 only without a mistake,
and with --none-open only without anything open.
"""

import pathlib
import re
import sys

# Sections with the number of their last statement, and before ">" of the first if that is not 1.
STATEMENTS = {
    "3.1.1": """1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12
        3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6
        3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3
        4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1""",
    "5.0": """1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2>6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6
        3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1
        3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1
        3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2:1 4.3.1:1 4.3.2:5 4.3.3:13
        4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2
        4.13.1:1 4.13.2:1 6.0.0:4""",
}
DOCUMENT = "docs/conformance-mqtt.md"
HEADING = re.compile(r"## MQTT ([\d.]+): the (server|client)")
ROW = re.compile(r"\| MQTT-([\d.]+-\d+) \| (.*) \| (.*) \|$")
CITED = re.compile(r"\[MQTT-([\d.]+-\d+)\]")


def statements(standard):
    """All numbers of a standard, in its order."""
    for part in STATEMENTS[standard].split():
        section, _, span = part.partition(":")
        first, _, last = span.rpartition(">")
        for number in range(int(first or 1), int(last) + 1):
            yield f"{section}-{number}"


def scripts(root):
    """{(standard, statement): names of the scripts that cite it}"""
    found = {}
    for path in sorted((root / "tests/wire").rglob("*.wire")):
        name = path.relative_to(root / "tests/wire").with_suffix("").as_posix()
        for line in path.read_text().splitlines():
            for standard in STATEMENTS:
                if line.startswith(f"# {standard} "):
                    for statement in CITED.findall(line):
                        found.setdefault((standard, statement), set()).add(name)
    return found


def rows(text):
    """(line, standard, side, statement, shown by)"""
    standard = side = None
    for number, line in enumerate(text.splitlines(), 1):
        if heading := HEADING.match(line):
            standard, side = heading.groups()
        elif row := ROW.match(line):
            yield number, standard, side, row.group(1), row.group(3)


def unit_test_exists(root, name):
    module, function = name.split(": ")
    room, _, module = module.rpartition("/")
    path = root / "tests/unit" / room / f"test_{module}.c"
    return path.exists() and f"static void {function}(" in path.read_text()


def check_names(root, names, side, key, cited):
    """Yields what is wrong with the names of one row."""
    for name in names:
        if ": " in name:
            if not unit_test_exists(root, name):
                yield f"there is no test {name}"
        elif not (root / "tests/wire" / f"{name}.wire").exists():
            yield f"there is no script {name}"
        elif name not in cited.get(key, ()):
            yield f"{name} does not cite {key[1]} of {key[0]}"
    missing = cited.get(key, set()) - set(names) if side == "server" else set()
    for name in sorted(missing):
        yield f"{name} shows {key[1]}, too"


def check_rows(root, table, still_open):
    cited = scripts(root)
    for line, standard, side, statement, shown in table:
        names = re.findall(r"`([^`]+)`", shown)
        if shown.startswith("open: "):
            still_open.append(f"{line}: {standard} {side} MQTT-{statement}: {shown[6:]}")
        elif not names and not shown.startswith("does not apply: "):
            yield line, f"{statement} has neither a test nor a reason"
        for mistake in check_names(root, names, side, (standard, statement), cited):
            yield line, mistake
    known = {(s, n) for s in STATEMENTS for n in statements(s)}
    for key in sorted(set(cited) - known):
        yield 0, f"{', '.join(sorted(cited[key]))}: MQTT {key[0]} has no statement {key[1]}"


def check_order(table):
    for standard in STATEMENTS:
        order = {statement: at for at, statement in enumerate(statements(standard))}
        seen = set()
        for side in ("server", "client"):
            last = -1
            for line, _, _, statement, _ in (r for r in table if r[1:3] == (standard, side)):
                at = order.get(statement)
                if at is None:
                    yield line, f"MQTT {standard} has no statement {statement}"
                    continue
                if at <= last:
                    yield line, f"{statement} stands out of order"
                last = at
                seen.add(statement)
        for statement in order:
            if statement not in seen:
                yield 0, f"statement {statement} of MQTT {standard} is missing"


def write(root):
    """The server's rows anew, as the scripts cite them; what names unit tests stays."""
    cited = scripts(root)
    lines = (root / DOCUMENT).read_text().splitlines()
    for number, standard, side, statement, shown in rows("\n".join(lines)):
        found = sorted(cited.get((standard, statement), ()))
        if side == "server" and found:
            names = found + [name for name in re.findall(r"`([^`]+)`", shown) if ": " in name]
            what, _, _ = lines[number - 1].rpartition(" | ")
            lines[number - 1] = f"{what} | {', '.join(f'`{name}`' for name in names)} |"
    (root / DOCUMENT).write_text("\n".join(lines) + "\n")


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    here = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(arguments[0]).resolve() if arguments else here
    if "--write" in sys.argv:
        write(root)
    table = list(rows((root / DOCUMENT).read_text()))
    still_open = []
    mistakes = sorted([*check_rows(root, table, still_open), *check_order(table)])
    for line, mistake in mistakes:
        print(f"{DOCUMENT}:{line}: {mistake}")
    for statement in still_open:
        print(f"{DOCUMENT}:{statement} (open)")
    print(f"{len(table)} rows, {len(still_open)} open, {len(mistakes)} mistakes")
    return 1 if mistakes or (still_open and "--none-open" in sys.argv) else 0


if __name__ == "__main__":
    sys.exit(main())
