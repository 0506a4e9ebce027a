"""The library itself, for comparing: a program of it that is made once, and what it makes of texts.

In: a model file, texts. Out: rows of numbers. The program is engine.cpp, compiled with what stands beside this package.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

import numpy as np

from .errors import ConversionError

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "engine.cpp")
INCLUDE = os.path.join(os.path.dirname(HERE), "include")
FLAGS = ["-std=c++20", "-O2", "-march=native", "-pthread"]
PAIR = "\x1e"  # between a pair's texts


def _compiler():
    stated = os.environ.get("CXX")
    found = shutil.which(stated) if stated else next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
    if found is None:
        raise ConversionError(f"comparing runs the library itself, which has to be compiled once, and there is no compiler "
                              f"{stated or '(g++ or clang++)'} (Debian: apt install g++ libeigen3-dev libxsimd-dev)")
    return found


def _eigen():
    pkg_config = shutil.which("pkg-config")
    if pkg_config:
        flags = subprocess.run([pkg_config, "--cflags", "eigen3"], capture_output=True, text=True, check=False).stdout.split()
        if flags:
            return [flag for each in flags for flag in (["-isystem", each[2:]] if each.startswith("-I") else [each])]
    return ["-isystem", "/usr/include/eigen3"]


def program(stage, source=SOURCE):
    """Path of the compiled engine, or of another source; compiles it where it is not there for these sources, flags and this
    compiler."""
    if not os.path.isdir(os.path.join(INCLUDE, "ranklet")):
        raise ConversionError(f"comparing runs the library itself, and its headers are not in {INCLUDE}: run it in the project's folder")
    command = [_compiler(), *FLAGS, "-I", INCLUDE, *_eigen()]
    of_what = hashlib.sha256(repr(command).encode())
    of_what.update(subprocess.run([command[0], "-march=native", "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, check=False).stdout)
    for path in [source, *sorted(glob.glob(os.path.join(INCLUDE, "**", "*.hpp"), recursive=True))]:
        with open(path, "rb") as file:
            of_what.update(file.read())
    folder = os.path.join(os.path.dirname(HERE), "build")
    if not os.access(folder if os.path.isdir(folder) else os.path.dirname(HERE), os.W_OK):
        folder = tempfile.mkdtemp(prefix="ranklet-engine-")  # compiled anew each time
    name = os.path.splitext(os.path.basename(source))[0]
    path = os.path.join(folder, f"{name}-{of_what.hexdigest()[:16]}")
    if os.path.exists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    stage(f"compiling the {name} (once, about a minute)")
    new = f"{path}.{os.getpid()}"
    done = subprocess.run([*command, source, "-o", new], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise ConversionError(f"{source} does not compile with {command[0]}: {first}")
    os.replace(new, path)
    return path


def run(path, model, texts, prompt=None):
    """(what the rows are: "vectors", "scores" or "tokens"; the rows; of tokens, how many each text has). texts: strings,
    or pairs of them; prompt: a name of the model file's, None: its default."""
    joined = [text if isinstance(text, str) else PAIR.join(text) for text in texts]
    for text in joined:
        if "\0" in text:
            raise ConversionError(f"a text has a zero byte: {text[:40]!r}")
    with tempfile.TemporaryDirectory(prefix="ranklet-check-") as folder:
        given, out = os.path.join(folder, "texts"), os.path.join(folder, "rows")
        with open(given, "wb") as file:
            file.write(b"".join(text.encode() + b"\0" for text in joined))
        done = subprocess.run([path, model, given, out, *([] if prompt is None else [prompt])], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ConversionError(f"{model}: {done.stderr.strip() or f'the engine ended with {done.returncode}'}")
        (what, rows, columns), *counts = (line.split() for line in done.stdout.splitlines())
        numbers = np.fromfile(out, "<f4").reshape(int(rows), int(columns))
    return what, numbers, [int(count) for count, in counts]
