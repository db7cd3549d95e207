#!/usr/bin/env python3
"""tools/check_docs.py against documents that point right and wrong."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(text):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "docs/other.md").write_text("# Some Heading, here\n")
        (root / "README.md").write_text(text)
        done = subprocess.run([sys.executable, ROOT / "tools/check_docs.py", folder],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Docs(unittest.TestCase):
    def test_good(self):
        code, out = check("[a](docs/other.md) [b](docs/other.md#some-heading-here) `docs/other.md`\n"
                          "[c](https://example.org/x) `docs/other.md --option`\n"
                          "```\n[d](nowhere)\n```\n")
        self.assertEqual((code, out), (0, "2 documents, 0 mistakes\n"))

    def test_bad(self):
        for text, message in (("\n[a](docs/none.md)", "README.md:2: docs/none.md leads nowhere"),
                              ("[a](docs/other.md#no)", "docs/other.md#no: no such heading"),
                              ("`src/none.c`", "README.md:1: src/none.c does not exist")):
            code, out = check(text)
            self.assertEqual(code, 1, out)
            self.assertIn(message, out)


if __name__ == "__main__":
    unittest.main()
