"""Kinds of checkpoints: each is one module, found through the registry; a new one needs no change elsewhere."""
import ast
import contextlib
import io
import json
import subprocess
import sys
import unittest
from types import SimpleNamespace

import numpy as np

from helpers import REPOSITORY, FolderTest, layouts, main, read_gguf
from weights_converter import numpy_reference, options
from weights_converter.convert import models_of, options_of
from weights_converter.kinds import KINDS
from weights_converter.selftest import SelfTest

PACKAGE = REPOSITORY / "weights_converter"
MADE_OF = {"gru": {"bert", "word_vectors"}}  # kinds that are made of other kinds


def modules():
    """Name -> syntax tree of every module of the package; `kinds` is the registry, `kinds.bert` a kind."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name[:-len(".__init__")] if name.endswith(".__init__") else name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()
KIND_NAMES = [kind.__name__.rsplit(".", 1)[-1] for kind in KINDS]


def imports_of(name):
    """(modules of the package that `name` imports, the names taken from them, other packages)"""
    folder = name if name in ("kinds", "reference") else name.rpartition(".")[0]
    own, taken, others = set(), {}, set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            others |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = folder if node.level == 1 else ""
            module = ".".join(filter(None, (base, node.module)))
            for each in node.names:
                inner = ".".join(filter(None, (module, each.name)))
                found = inner if inner in MODULES else module
                own.add(found)
                taken.setdefault(found, set()).add(each.name)
    return own, taken, others


def strings_of(name):
    """Every string constant of a module, but for what only documents it."""
    tree = MODULES[name]
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation]


class Registry(unittest.TestCase):
    def test_every_kind_has_the_whole_interface(self):
        for kind in KINDS:
            with self.subTest(kind.__name__):
                for name in ("matches", "looked_for", "refusal", "write"):
                    self.assertTrue(callable(getattr(kind, name)), name)
                self.assertIsInstance(kind.OPTIONS, tuple)
                for option in kind.OPTIONS:
                    self.assertIsInstance(option, options.Option)
                self.assertIsInstance(kind.MODELS, dict)
                self.assertTrue(issubclass(kind.Reference, numpy_reference.Reference))

    def test_every_module_of_the_folder_is_a_kind_or_a_part_of_one(self):
        self.assertEqual(len(set(KIND_NAMES)), len(KINDS))
        for name in (each.split(".")[1] for each in MODULES if each.startswith("kinds.")):
            users = [kind for kind in KIND_NAMES if f"kinds.{name}" in imports_of(f"kinds.{kind}")[0]]
            if name not in KIND_NAMES:
                self.assertEqual(len(users), 1, f"{name} is reached through the kinds {users}")

    def test_flags_and_names_of_models_belong_to_one(self):
        flags = [option.flag for option in options_of(KINDS)]
        self.assertEqual(len(set(flags)), len(flags))
        self.assertEqual(len(models_of(KINDS)), sum(len(kind.MODELS) for kind in KINDS))


class Modules(unittest.TestCase):
    def test_no_other_module_imports_a_kind(self):
        for name in MODULES:
            own, taken, _ = imports_of(name)
            if name == "kinds" or name.startswith("kinds."):
                continue
            self.assertEqual([each for each in own if each.startswith("kinds.")], [], name)
            if "kinds" in own:
                self.assertIn(name, ("convert", "__main__"))
                self.assertEqual(taken["kinds"], {"KINDS"}, name)

    def test_no_other_module_knows_a_kinds_own_options_or_models(self):
        owners = {option.flag: [kind for kind in KINDS if option in kind.OPTIONS] for option in options_of(KINDS)}
        shared = {value.flag for name in ("options", "classifier") for value in vars(sys.modules[f"weights_converter.{name}"]).values()
                  if isinstance(value, options.Option)}
        own = {flag for flag in owners if flag not in shared} | set(models_of(KINDS))
        self.assertIn("--items", own)
        for name in MODULES:
            if not name.startswith(("kinds.", "reference")):
                for text in strings_of(name):
                    self.assertEqual([each for each in own if each in text.split()], [], (name, text))

    def test_imports_go_one_way(self):
        left = {name: imports_of(name)[0] - {name} for name in MODULES}
        while left:
            free = [name for name, needs in left.items() if not needs & set(left)]
            self.assertTrue(free, f"these import each other: {sorted(left)}")
            for name in free:
                del left[name]

    def test_kinds_import_no_other_kind_but_those_that_they_are_made_of(self):
        for kind in KIND_NAMES:
            others = {f"kinds.{each}" for each in KIND_NAMES} & imports_of(f"kinds.{kind}")[0]
            self.assertEqual(others, {f"kinds.{each}" for each in MADE_OF.get(kind, ())}, kind)

    def test_nothing_is_imported_from_the_rest_of_the_repository(self):
        folders = {path.name for path in REPOSITORY.iterdir() if path.is_dir()}
        self.assertLessEqual({"examples", "cmake", "tests"}, folders)
        for name in MODULES:
            self.assertEqual(imports_of(name)[2] & folders, set(), name)

    def test_the_pytorch_reference_is_imported_by_nothing(self):
        for name in MODULES:
            if not name.startswith("reference"):
                self.assertEqual([each for each in imports_of(name)[0] if each.startswith("reference")], [], name)

    def test_ranklet_json_and_the_self_test_have_one_place_each(self):
        self.assertEqual([name for name in MODULES if "ranklet.json" in strings_of(name)], ["settings"])
        writers = [name for name in MODULES if any(text.startswith("ranklet.selftest.") for text in strings_of(name))]
        self.assertEqual(writers, ["selftest"])


class Doubles(numpy_reference.Reference):
    def doubled(self):
        return 2 * self.tensor("toy.weight")


def toy(name="toy", flag="--toy-scale"):
    """A kind of checkpoints that are FILE.NAME: a JSON list of numbers."""
    scale = options.Option(flag, f"{name}s", dict(metavar="N", help="what the numbers are multiplied with"), float)

    def matches(source):
        return source.path.endswith(f".{name}")

    def write(model, source, given):
        with open(source.path, encoding="utf-8") as file:
            numbers = np.array(json.load(file), np.float32) * (1 if getattr(given, scale.name) is None else getattr(given, scale.name))
        model.key("ranklet.encoder.type", name, "string")
        model.exact("toy.weight", numbers)
        test = SelfTest(Doubles, lambda reference: {"doubled": reference.doubled()})
        test.input("count", len(numbers), "u32")
        test.outputs("doubled")
        test.what.append(f"{len(numbers)} numbers")
        return [f"  architecture  {name}"], test

    return SimpleNamespace(OPTIONS=(scale,), MODELS={f"{name}-net": f"a {name}"}, matches=matches, write=write, Reference=Doubles,
                           looked_for=lambda source: f"a {name}", refusal=lambda source, option: f"{option.flag} is not for a {name}")


class NewKinds(FolderTest):
    def run_with(self, kinds, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(each) for each in arguments], kinds)
        return code, out.getvalue(), err.getvalue()

    def file(self, name="numbers.toy"):
        path = self.folder / name
        path.write_text("[1, 2.5, -3]", encoding="utf-8")
        return path

    def test_a_kind_of_ones_own_is_converted(self):
        out = self.folder / "out.gguf"
        for kinds in ((toy(),), (toy(), *KINDS)):
            code, stdout, stderr = self.run_with(kinds, self.file(), out, "--toy-scale", "3", "--name", "mine")
            self.assertEqual(code, 0, stderr)
            self.assertIn("3 numbers, tolerance 2e-05", stdout)
            metadata, tensors = read_gguf(out)
            self.assertEqual((metadata["general.architecture"], metadata["general.name"]), ("ranklet", "mine"))
            self.assertEqual((metadata["ranklet.encoder.type"], metadata["ranklet.selftest.count"]), ("toy", 3))
            np.testing.assert_array_equal(tensors["toy.weight"], [3, 7.5, -9])
            np.testing.assert_array_equal(metadata["ranklet.selftest.doubled"], [6, 15, -18])
            self.assertAlmostEqual(metadata["ranklet.selftest.tolerance"], 2e-5)

    def test_it_is_named_by_its_folder_and_leaves_the_other_kinds_as_they_are(self):
        self.assertEqual(self.run_with((toy(), *KINDS), self.file(), self.folder / "out.gguf")[0], 0)
        self.assertEqual(read_gguf(self.folder / "out.gguf")[0]["general.name"], self.folder.name)
        folder, _ = self.checkpoint("items", layouts.tiny_items)
        self.convert(folder)
        alone = (self.folder / "out.gguf").read_bytes()
        self.assertEqual(self.run_with((toy(), *KINDS), folder, self.folder / "out.gguf")[0], 0)
        self.assertEqual((self.folder / "out.gguf").read_bytes(), alone)

    def test_the_command_line_has_its_options_and_names(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), self.assertRaises(SystemExit):
            main(["--help"], (toy(), *KINDS))
        for words in ("toys:", "--toy-scale N", "toy-net", "--pooling", "lstur"):
            self.assertIn(words, out.getvalue())

    def test_options_of_another_kind_are_refused_in_the_words_of_the_kind_that_matched(self):
        kinds, out = (toy(), toy("brick", "--size"), *KINDS), self.folder / "out.gguf"
        for arguments, words in (((self.file(), out, "--size", "2"), "--size is not for a toy"),
                                 ((self.file("x.brick"), out, "--toy-scale", "2"), "--toy-scale is not for a brick"),
                                 ((self.file(), out, "--pooling", "mean"), "--pooling is not for a toy")):
            code, _, stderr = self.run_with(kinds, *arguments)
            self.assertEqual((code, stderr), (1, f"error: {words}\n"))
            self.assertFalse(out.exists())
        folder, _ = self.checkpoint("items", layouts.tiny_items)
        code, _, stderr = self.run_with(kinds, folder, out, "--toy-scale", "2")
        self.assertEqual(code, 1)
        self.assertIn("--toy-scale means nothing", stderr)

    def test_where_none_matches_the_error_says_what_each_looked_for(self):
        layouts.write_safetensors(self.folder / "model.safetensors", {"conv.weight": np.ones((2, 2), np.float32)})
        code, _, stderr = self.run_with((toy(), toy("brick", "--size")), self.folder, self.folder / "out.gguf")
        self.assertEqual(code, 1)
        self.assertIn("neither a toy nor a brick is in it; it has conv.weight", stderr)

    def test_a_self_test_that_is_not_finite_writes_no_file(self):
        path = self.file()
        path.write_text("[1, 1e39]", encoding="utf-8")
        with np.errstate(over="ignore"):
            code, _, stderr = self.run_with((toy(),), path, self.folder / "out.gguf")
        self.assertEqual(code, 1)
        self.assertIn("not finite", stderr)
        self.assertFalse((self.folder / "out.gguf").exists())

    def test_a_conversion_loads_no_pytorch_and_nothing_but_the_package(self):
        folder, _ = self.checkpoint("items", layouts.tiny_items)
        script = ("import sys\nfrom weights_converter.__main__ import main\ncode = main(sys.argv[1:])\n"
                  "print(code, sorted(name for name in sys.modules if name.split('.')[0] in ('torch', 'examples', 'tests') or "
                  "name.startswith('weights_converter.reference')))")
        done = subprocess.run([sys.executable, "-c", script, str(folder), str(self.folder / "out.gguf")], cwd=REPOSITORY,
                              capture_output=True, text=True)
        self.assertEqual(done.stdout.splitlines()[-1:], ["0 []"], done.stderr)


if __name__ == "__main__":
    unittest.main()
