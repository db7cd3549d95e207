#!/usr/bin/env python3
"""tools/check_conformance.py against a checkout of a few files, right and then wrong."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / "tools/check_conformance.py"
sys.path.insert(0, str(TOOL.parent))
import check_conformance  # noqa: E402


class Checked(unittest.TestCase):
    """A document in which one script and one unit test show every statement."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for name in ("docs", "tests/wire/a", "tests/unit/mqtt"):
            (self.root / name).mkdir(parents=True)
        text, cited = "", ""
        for standard in check_conformance.STATEMENTS:
            text += f"## MQTT {standard}: the server\n\n"
            for statement in check_conformance.statements(standard):
                text += f"| MQTT-{statement} | Words | `a/b`, `mqtt/c: works` |\n"
                cited += f"# {standard} [MQTT-{statement}]\n"
        self.write("docs/conformance-mqtt.md", text)
        self.write("tests/wire/a/b.wire", cited)
        self.write("tests/unit/mqtt/test_c.c", "static void works(void **state)\n")

    def write(self, name, text):
        (self.root / name).write_text(text)

    def change(self, name, old, new):
        text = (self.root / name).read_text()
        self.assertIn(old, text)
        self.write(name, text.replace(old, new, 1))

    def check(self, *options):
        done = subprocess.run([sys.executable, "-B", str(TOOL), *options, str(self.root)],
                              capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout

    def wrong(self, message):
        code, out = self.check()
        self.assertEqual(code, 1, out)
        self.assertRegex(out, message)

    def test_right(self):
        code, out = self.check("--none-open")
        self.assertEqual(code, 0, out)
        self.assertIn(" 0 open, 0 mistakes", out)

    def test_missing_statement(self):
        self.change("docs/conformance-mqtt.md", "| MQTT-3.12.4-1 |", "| no |")
        self.wrong(r"statement 3\.12\.4-1 of MQTT .* is missing")

    def test_unknown_statement(self):
        self.change("docs/conformance-mqtt.md", "| MQTT-3.1.0-2 |", "| MQTT-3.1.0-3 |")
        self.wrong(r"MQTT [\d.]+ has no statement 3\.1\.0-3")
        self.wrong("does not cite")

    def test_order(self):
        rows = re.findall(r"\| MQTT-3\.1\.0-\d .*\n", (self.root / check_conformance.DOCUMENT)
                          .read_text())[:2]
        self.change("docs/conformance-mqtt.md", "".join(rows), rows[1] + rows[0])
        self.wrong(r"3\.1\.0-1 stands out of order")

    def test_tests_that_are_not_there(self):
        for old, new, message in (("`a/b`", "`a/x`", "there is no script a/x"),
                                  ("`mqtt/c: works`", "`mqtt/c: word`", "no test mqtt/c: word"),
                                  ("`mqtt/c: works`", "`mqtt/d: works`", "no test mqtt/d: works")):
            self.change("docs/conformance-mqtt.md", old, new)
            self.wrong(message)
            self.change("docs/conformance-mqtt.md", new, old)

    def test_script_that_is_not_named(self):
        self.change("docs/conformance-mqtt.md", "`a/b`, ", "")
        self.wrong("a/b shows .*, too")

    def test_script_that_cites_nothing_that_exists(self):
        self.write("tests/wire/a/c.wire", "# 5.0 [MQTT-9.9.9-9]\n")
        self.wrong(r"a/c: MQTT 5\.0 has no statement 9\.9\.9-9")

    def test_open(self):
        self.change("docs/conformance-mqtt.md", "`a/b`, `mqtt/c: works` |\n", "open: later |\n")
        self.change("tests/wire/a/b.wire", "# 3.1.1 [MQTT-1.5.3-1]\n", "")
        self.assertEqual(self.check()[0], 0, self.check())
        self.assertEqual(self.check("--none-open")[0], 1)

    def test_write(self):
        self.write("tests/wire/a/c.wire", "# 5.0 [MQTT-3.1.0-2]\n")
        self.wrong("a/c shows 3.1.0-2, too")
        code, out = self.check("--write")
        self.assertEqual(code, 0, out)
        self.assertIn("| MQTT-3.1.0-2 | Words | `a/b`, `a/c`, `mqtt/c: works` |",
                      (self.root / check_conformance.DOCUMENT).read_text())

    def test_neither(self):
        self.change("docs/conformance-mqtt.md", "`a/b`, `mqtt/c: works` |\n", "yes |\n")
        self.wrong("neither a test nor a reason")


class Real(unittest.TestCase):
    def test_this_checkout(self):
        done = subprocess.run([sys.executable, "-B", str(TOOL)], capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_numbers_of_statements(self):
        count = {s: len(list(check_conformance.statements(s))) for s in
                 check_conformance.STATEMENTS}
        self.assertEqual(count, {"3.1.1": 141, "5.0": 251})


if __name__ == "__main__":
    unittest.main()
