#!/usr/bin/env python3
"""Checks that what the Markdown files point at is there.

Usage: check_docs.py [ROOT]

Every relative link of a *.md file leads to a file, and a #fragment of one to a heading in it; every
path in `backquotes` that begins with a directory of the checkout exists (build/ apart).  Prints one
FILE:LINE: MESSAGE per mistake; the exit code is 0 only without one.
"""

import pathlib
import re
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`((?:src|include|tests|tools|script|docs|cmake|examples|bench|web|packaging)"
                    r"/[A-Za-z0-9_./-]*)[ `]")
SKIP = {"build", "node_modules", ".git"}


def anchors(path):
    """The fragments that a Markdown viewer makes of a file's headings."""
    found = set()
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(words.replace(" ", "-"))
    return found


def check(root, path):
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if fenced:
            continue
        where = f"{path.relative_to(root)}:{number}"
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = target.partition("#")
            file = path.parent / name if name else path
            if not file.exists():
                yield f"{where}: {target} leads nowhere"
            elif fragment and file.suffix == ".md" and fragment not in anchors(file):
                yield f"{where}: {target}: no such heading"
        for name in QUOTED.findall(line):
            if not (root / name).exists():
                yield f"{where}: {name} does not exist"


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here
    files = [p for p in sorted(root.rglob("*.md")) if not SKIP & set(p.relative_to(root).parts)]
    mistakes = [mistake for path in files for mistake in check(root, path)]
    for mistake in mistakes:
        print(mistake)
    print(f"{len(files)} documents, {len(mistakes)} mistakes")
    return 1 if mistakes or not files else 0


if __name__ == "__main__":
    sys.exit(main())
