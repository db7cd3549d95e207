#!/usr/bin/env python3
"""tools/check_layers.py against small houses, most of them with a mistake in it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = """# comment
base:            the ground
model: base      what things are
mqtt/codec: base          bytes
broker: base model mqtt/codec
"""
GOOD = {
    "tools/layers.txt": LAYERS,
    "src/base/a.h": "#include <stdint.h>\n",
    "src/base/a.c": '#include "base/a.h"\n',
    "src/model/m.c": '#include "base/a.h"\n',
    "src/mqtt/codec/c.h": '#include "base/a.h"\n',
    "src/broker/b.c": '#include <gnatter/x.h>\n#include "mqtt/codec/c.h"\n',
    "include/gnatter/x.h": "#include <gnatter/y.h>\n#include <stddef.h>\n",
    "include/gnatter/y.h": "",
}


def check(changes):
    """The check's exit code and output over the good house with CHANGES applied."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**GOOD, **changes}.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([sys.executable, ROOT / "tools/check_layers.py", folder],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Layers(unittest.TestCase):
    def good(self, changes):
        code, out = check(changes)
        self.assertEqual(code, 0, out)

    def bad(self, changes, *wanted):
        code, out = check(changes)
        self.assertEqual(code, 1, out)
        for line in wanted:
            self.assertIn(line + "\n", out)
        self.assertIn(f" {len(wanted)} mistakes\n", out)

    def test_good_house(self):
        self.good({})

    def test_own_room(self):
        self.good({"src/model/n.h": "", "src/model/m.c": '#include "model/n.h"\n'})

    def test_subdirectory_belongs_to_the_room_above(self):
        self.good({"src/base/deep/d.h": "", "src/model/m.c": '#include "base/deep/d.h"\n'})

    def test_upward(self):
        self.bad({"src/model/m.h": "", "src/base/a.c": '#include "base/a.h"\n#include "model/m.h"\n'},
                 'src/base/a.c:2: base may not include model: "model/m.h"')

    def test_sideways(self):
        self.bad({"src/model/m.h": "", "src/mqtt/codec/c.h": '\n# include  "model/m.h"\n'},
                 'src/mqtt/codec/c.h:2: mqtt/codec may not include model: "model/m.h"')

    def test_missing_header(self):
        self.bad({"src/model/m.c": '#include "base/none.h"\n#include "a.h"\n'},
                 'src/model/m.c:1: "base/none.h" does not exist below src/',
                 'src/model/m.c:2: "a.h" does not exist below src/')

    def test_no_room(self):
        self.bad({"src/attic/a.c": ""}, "src/attic/a.c:1: is in no room of tools/layers.txt")

    def test_public_header_looks_inside(self):
        self.bad({"include/gnatter/y.h": '#include "base/a.h"\n#include <base/a.h>\n'},
                 "include/gnatter/y.h:1: a public header includes nothing of src: base/a.h",
                 "include/gnatter/y.h:2: a public header includes nothing of src: base/a.h")

    def test_public_header_missing(self):
        self.bad({"src/broker/b.c": "#include <gnatter/z.h>\n"},
                 "src/broker/b.c:1: <gnatter/z.h> does not exist below include/")

    def test_public_header_below_its_floor(self):
        self.bad({"src/model/m.c": "#include <gnatter/x.h>\n"},
                 "src/model/m.c:1: model is below the public headers: <gnatter/x.h>")

    def test_sans_io(self):
        self.good({"src/base/a.c": "#include <sys/socket.h>\n"})
        self.bad({"src/mqtt/codec/c.c": "#include <string.h>\n#include <sys/socket.h>\n",
                  "src/model/m.c": "#include <pthread.h>\n"},
                 "src/model/m.c:1: model does no input or output: <pthread.h>",
                 "src/mqtt/codec/c.c:2: mqtt/codec does no input or output: <sys/socket.h>")

    def test_layer_names_a_room_above(self):
        self.bad({"tools/layers.txt": LAYERS.replace("model: base ", "model: base broker ")},
                 "tools/layers.txt:3: model may not name broker: no room of that name stands above it")

    def test_room_twice(self):
        self.bad({"tools/layers.txt": LAYERS + "base:   again\n"},
                 "tools/layers.txt:6: room base stands on an earlier line already")

    def test_line_that_is_none(self):
        self.bad({"tools/layers.txt": LAYERS + "Broken line\n"},
                 "tools/layers.txt:6: neither a comment nor 'room: rooms  words'")

    def test_house_without_files(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "tools").mkdir()
            pathlib.Path(folder, "tools/layers.txt").write_text(LAYERS)
            done = subprocess.run([sys.executable, ROOT / "tools/check_layers.py", folder],
                                  capture_output=True)
            self.assertEqual(done.returncode, 1, "a check that saw no file has not checked")


if __name__ == "__main__":
    unittest.main()
