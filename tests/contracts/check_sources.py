"""Checks what the headers under include/ranklet may include and say.

    python3 check_sources.py [INCLUDE_FOLDER]

Includes go one way (FOLDERS below). SIMD stays in kernels/. The library never aborts, exits or prints. Exit code 1 and
a line for each violation.
"""

import pathlib
import re
import sys

# What each folder of include/ranklet, and each header beside the folders, may include besides itself: folders, or single
# headers of one. From the bottom to the top: a line names only what has a line above it.
FOLDERS = {
    "core": set(),
    "kernels": {"core"},
    "layers": {"core", "kernels"},
    "text": {"core"},
    "io": {"core"},
    "counting": {"core", "io"},
    "model_file": {"core", "kernels", "layers", "text", "io"},
    "catalog": {"core", "io", "counting"},
    "encoders": {"core", "kernels", "layers", "text", "io", "model_file", "catalog"},
    "decoders": {"core", "kernels", "layers", "io", "counting", "model_file", "catalog", "encoders/item_encoder.hpp"},
    "ranking": {"core", "kernels", "catalog", "decoders/user_state.hpp"},
    "recommender": {"core", "model_file", "encoders", "decoders"},
    "recommender.hpp": {"core", "model_file", "catalog", "encoders", "decoders", "ranking", "recommender"},
    "explain": {"core", "text", "catalog", "encoders/item_encoder.hpp", "decoders/user_state.hpp", "recommender.hpp"},
    "tasks": {"core", "kernels", "layers", "text", "model_file", "catalog", "encoders"},
    "fit": {"core", "text", "io", "counting", "model_file", "catalog", "decoders", "ranking", "recommender.hpp"},
    "ranklet.hpp": {"core", "text", "io", "counting", "model_file", "catalog", "encoders", "decoders", "ranking",
                    "recommender.hpp", "explain", "tasks"},
}
WITHOUT_EIGEN = {"core", "text", "io", "counting"}

INCLUDE = re.compile(r'^[ \t]*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SIMD = re.compile(r"\bxsimd\b|\b_mm\d*_\w+|\b__m(?:128|256|512)\w*|\bv\w+q_[fsu]\d+\b|\b(?:imm|arm_neon|x86)intrin\.h\b")
SPEECH = re.compile(
    r"\b(?:abort|_?exit|quick_exit|terminate|v?f?printf|puts|fputs|putchar|perror)\s*\("
    r"|\bstd\s*::\s*(?:cout|cerr|clog|abort|exit|terminate)\b|\bstd(?:out|err)\b"
)
SPEAKING_HEADERS = {"iostream", "print"}
# `throw` has one place: Result::value().
THROW = re.compile(r"\bthrow\b(?!\s*\()")
MAY_THROW = {"core/result.hpp"}


def without_comments(text):
    """The text with comments and the insides of literals blanked, lines kept."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return "\n" * found.count("\n") or " "
        return found[0] + "\n" * found.count("\n") + found[-1]

    return token.sub(lambda m: m.group(0) if _is_include(text, m) else blank(m), text)


def _is_include(text, match):
    start = text.rfind("\n", 0, match.start()) + 1
    return re.match(r"\s*#\s*include\s*$", text[start : match.start()]) is not None


def check(root):
    """The violations in the headers of root/ranklet, each a line 'file:line: what'."""
    base = pathlib.Path(root) / "ranklet"
    headers = sorted(base.rglob("*.hpp"))
    if not headers:
        return [f"{base}: no headers"]
    violations = []
    for path in headers:
        name = path.relative_to(base).as_posix()
        folder = name.split("/")[0]
        if folder not in FOLDERS:
            violations.append(f"{path}:1: {folder} has no place in the order of includes")
            continue
        code = without_comments(path.read_text(encoding="utf-8"))

        def report(position, what):
            violations.append(f"{path}:{code.count(chr(10), 0, position) + 1}: {what}")

        for match in INCLUDE.finditer(code):
            quote, target = match.groups()
            if target.startswith("ranklet/"):
                header = target.removeprefix("ranklet/")
                other = header.split("/")[0]
                if not (base.parent / target).is_file():
                    report(match.start(), f"includes {target}, which does not exist")
                elif other != folder and not {other, header} & FOLDERS[folder]:
                    report(match.start(), f"{folder} includes {target}: includes go one way")
            elif quote == '"':
                report(match.start(), f'includes "{target}": own headers are named from ranklet/')
            elif target in SPEAKING_HEADERS:
                report(match.start(), f"includes <{target}>: the library does not print")
            elif target.startswith("Eigen/") and folder in WITHOUT_EIGEN:
                report(match.start(), f"{folder} includes {target}: it does without Eigen")
        if folder != "kernels":
            for match in SIMD.finditer(code):
                report(match.start(), f"{match.group(0)}: SIMD stays in kernels/")
        for match in SPEECH.finditer(code):
            report(match.start(), f"{match.group(0)}: the library never aborts, exits or prints")
        if name not in MAY_THROW:
            for match in THROW.finditer(code):
                report(match.start(), "throw: failure is an Error")
    return violations


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "include"
    violations = check(sys.argv[1] if len(sys.argv) > 1 else default)
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
