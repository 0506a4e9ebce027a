"""The document check finds each kind of violation, and only those."""

import pathlib
import tempfile
import unittest

import check_documents

MAP = """# Architecture

## Map

| folder | what |
|---|---|
| `core/` | |
| `top.hpp` | |
| `docs/` | |

## Next
"""
OWN = {
    "ARCHITECTURE.md": MAP,
    "include/ranklet/core/a.hpp": "",
    "include/ranklet/top.hpp": "",
    "docs/a.md": "# A b, c\n",
}


class CheckDocumentsTest(unittest.TestCase):
    def violations(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, text in {**OWN, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            return check_documents.check(root)

    def test_what_is_right_passes(self):
        text = "[a](docs/a.md) [b](docs/a.md#a-b-c) [c](#here) [d](https://x.y/z) `[e](none)`\n"
        self.assertEqual(self.violations({"README.md": text + "\n```\n[f](none)\n```\n\n## Here\n"}), [])
        self.assertEqual(self.violations({"include/ranklet/top/definitions.hpp": ""}), [])

    def test_links_that_lead_nowhere_are_found(self):
        for link in ("docs/b.md", "docs/a.md#none", "#none", "docs/a.md/b"):
            found = self.violations({"README.md": f"Two\nlines [x]({link})\n"})
            self.assertEqual(len(found), 1, link)
            self.assertTrue(found[0].startswith("README.md:2: "), found)
        self.assertEqual(len(self.violations({"docs/b.md": "[x](ARCHITECTURE.md)\n"})), 1)

    def test_a_map_that_is_not_the_folders_is_found(self):
        self.assertEqual(len(self.violations({"include/ranklet/text/a.hpp": ""})), 1)
        self.assertEqual(len(self.violations({"tools/a.py": ""})), 1)
        self.assertEqual(len(self.violations({"ARCHITECTURE.md": MAP.replace("docs/", "none/")})), 2)
        self.assertEqual(len(self.violations({"ARCHITECTURE.md": "# Architecture\n"})), 1)


if __name__ == "__main__":
    unittest.main()
