"""What the converter's tests share: tiny checkpoints (numpy only), running the command line, finding assets.

The checkpoints come from tests/parity/make_checkpoints.py, so that both test the same layouts.
"""
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "parity")]

import make_checkpoints as layouts  # noqa: E402
from weights_converter.__main__ import main  # noqa: E402
from weights_converter.gguf import read_gguf  # noqa: E402

ASSETS = Path(os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared" / "assets")

try:
    import torch
    torch.set_num_threads(1)
except ImportError:
    torch = None

needs_torch = unittest.skipIf(torch is None, "skipped: PyTorch is not installed")


def asset(name):
    """Path of a file of real data; skips the test, saying so, where it is absent."""
    path = ASSETS / name
    if not path.exists():
        raise unittest.SkipTest(f"skipped: no {path}")
    return path


def run(*arguments):
    """The command line in this process: (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()


class FolderTest(unittest.TestCase):
    """Every test has its own empty folder, self.folder."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ranklet-converter-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def checkpoint(self, name, recipe, *arguments, **options):
        """A folder made by a recipe of make_checkpoints; -> (folder, what the recipe returned)."""
        folder = self.folder / name
        folder.mkdir()
        return folder, recipe(folder, layouts.Draw(name), *arguments, **options)

    def encoder(self, name="model", **options):
        """(folder, state) of a tiny BERT in folder/model.safetensors."""
        folder, state = self.checkpoint(name, layouts.tiny_bert, **options)
        layouts.write_safetensors(folder / "model.safetensors", state)
        return folder, state

    def convert(self, checkpoint, *options):
        """Converts and reads back: (metadata, tensors). Fails the test if that fails."""
        out = self.folder / "out.gguf"
        code, self.stdout, self.stderr = run(checkpoint, out, *options)
        self.assertEqual(code, 0, self.stderr)
        return read_gguf(out)

    def refused(self, checkpoint, *words, options=()):
        """Converting fails with one line that has all of these words, and leaves no file behind."""
        out = self.folder / "refused.gguf"
        code, stdout, stderr = run(checkpoint, out, *options)
        self.assertEqual((code, stdout), (1, ""), stderr)
        lines = [line for line in stderr.splitlines() if not line.startswith("note: ")]
        self.assertEqual(len(lines), 1, stderr)
        self.assertTrue(lines[0].startswith("error: "), stderr)
        for word in words:
            self.assertIn(str(word), lines[0])
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith("refused")], [])


def edit(path, **changes):
    """Changes keys of a JSON file; a value of ... removes its key."""
    value = json.loads(path.read_text(encoding="utf-8"))
    for key, new in changes.items():
        if new is ...:
            del value[key]
        else:
            value[key] = new
    path.write_text(json.dumps(value), encoding="utf-8")


def same(test, array, expected):
    np.testing.assert_array_equal(np.asarray(array), np.asarray(expected))
