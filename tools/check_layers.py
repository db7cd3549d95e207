#!/usr/bin/env python3
"""Holds every #include of the house to tools/layers.txt.

Usage: check_layers.py [ROOT]      (default: the checkout that this file is in)

- A line of layers.txt is "room: the rooms it may include", then two or more spaces and words for
  people.  A room may be named only on lines below its own.
- A file belongs to the room whose directory is the longest prefix of its path below src/.
- #include "x/y.h" is src/x/y.h, exists, and belongs to the includer's own room or to one that the
  includer's line names.
- <gnatter/...> is include/gnatter/..., exists, and is for the rooms that make up the public face
  (PUBLIC_FACE) and for other public headers.
- Headers below include/gnatter include nothing of src.
- The rooms that know no socket, thread, lock or clock (SANS_IO) include only system headers that
  have none.

Prints one FILE:LINE: MESSAGE per mistake, then a summary; the exit code is 0 only without one.
"""

import pathlib
import re
import sys

# Rooms that implement what include/gnatter declares, or use it as a program would.
PUBLIC_FACE = ("callback", "broker", "client", "cli")

SANS_IO = ("model", "mqtt/codec", "mqtt/engine", "amqp/codec", "amqp/engine", "mapping", "filter")
HARMLESS = {f"{name}.h" for name in ("assert ctype inttypes limits math stdalign stdarg stdatomic "
                                     "stdbool stddef stdint stdio stdlib string").split()}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
LAYER = re.compile(r"^([a-z][a-z0-9/]*):(.*)$")


class Check:
    def __init__(self, root):
        self.root = root
        self.mistakes = []
        self.rooms = {}  # name -> the rooms it may include
        self.files = 0

    def mistake(self, path, line, message):
        self.mistakes.append(f"{path.relative_to(self.root)}:{line}: {message}")

    def read_layers(self):
        path = self.root / "tools" / "layers.txt"
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if not text.strip() or text.startswith("#"):
                continue
            match = LAYER.match(text)
            if not match:
                self.mistake(path, number, "neither a comment nor 'room: rooms  words'")
                continue
            room, rest = match.groups()
            # " a b   words" has rooms, "    words" has none.
            allowed = [] if rest.startswith("  ") else re.split(r" {2,}", rest.strip())[0].split()
            if room in self.rooms:
                self.mistake(path, number, f"room {room} stands on an earlier line already")
            for name in allowed:
                if name not in self.rooms:
                    self.mistake(path, number, f"{room} may not name {name}: "
                                 "no room of that name stands above it")
            self.rooms[room] = allowed

    def room_of(self, path):
        """The room of PATH (relative to src), or None."""
        parts = path.parts[:-1]
        for size in range(len(parts), 0, -1):
            room = "/".join(parts[:size])
            if room in self.rooms:
                return room
        return None

    def includes(self, path):
        for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(text)
            if match:
                yield number, match.group(1), match.group(2)

    def check_public_name(self, path, line, name):
        if not (self.root / "include" / name).is_file():
            self.mistake(path, line, f"<{name}> does not exist below include/")

    def check_source(self, path):
        source = self.root / "src"
        room = self.room_of(path.relative_to(source))
        if room is None:
            self.mistake(path, 1, "is in no room of tools/layers.txt")
            return
        for line, quoted, angled in self.includes(path):
            name = quoted or angled
            if name.startswith("gnatter/"):
                self.check_public_name(path, line, name)
                if room.split("/")[0] not in PUBLIC_FACE:
                    self.mistake(path, line, f"{room} is below the public headers: <{name}>")
            elif quoted is None:
                if room in SANS_IO and angled not in HARMLESS:
                    self.mistake(path, line, f"{room} does no input or output: <{angled}>")
            elif not (source / quoted).is_file():
                self.mistake(path, line, f'"{quoted}" does not exist below src/')
            else:
                other = self.room_of(pathlib.PurePath(quoted))
                if other != room and other not in self.rooms[room]:
                    self.mistake(path, line, f'{room} may not include {other}: "{quoted}"')

    def check_public(self, path):
        for line, quoted, angled in self.includes(path):
            name = quoted or angled
            if name.startswith("gnatter/"):
                self.check_public_name(path, line, name)
            elif quoted is not None or (self.root / "src" / name).is_file():
                self.mistake(path, line, f"a public header includes nothing of src: {name}")

    def run(self):
        self.read_layers()
        for folder, check in (("src", self.check_source), ("include", self.check_public)):
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                self.files += 1
                check(path)
        for mistake in self.mistakes:
            print(mistake)
        print(f"{self.files} files in {len(self.rooms)} rooms, {len(self.mistakes)} mistakes")
        return 1 if self.mistakes or not self.files else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent.parent
    sys.exit(Check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here).run())
