"""Checks the documents: links lead somewhere, and the map names the folders that there are.

    python3 check_documents.py [REPOSITORY]

Every relative link in a *.md that git knows names a file or folder, and a part after # a heading of it. Every folder
of include/ranklet and of the repository is a row of the map in ARCHITECTURE.md, and every row's folder or header exists.
(A folder beside a header of the same name holds its definitions and needs no row.) Exit code 1 and a line for each
violation.
"""

import pathlib
import re
import subprocess
import sys

CODE = re.compile(r"^```.*?^```|`[^`\n]*`|^(?: {4}|\t)[^\n]*", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def files_of(root):
    """What git knows below root, as paths from it; outside a repository all files."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode == 0:
        return sorted(name for name in listed.stdout.decode().split("\0") if name and (root / name).exists())
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return [name for name in found if not name.startswith("build/")]


def anchors_of(text):
    """What GitHub calls the headings of a document."""
    found = set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(slug if number == 0 else f"{slug}-{number}")
    return found


def check_links(root, files):
    for name in files:
        if not name.endswith(".md"):
            continue
        path = root / name
        text = path.read_text(encoding="utf-8")
        searched = CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)
        for match in LINK.finditer(searched):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            where = f"{name}:{text.count(chr(10), 0, match.start()) + 1}: "
            file, _, anchor = target.partition("#")
            reached = (path.parent / file).resolve() if file else path
            if not reached.exists():
                yield f"{where}{target} does not exist"
            elif anchor and (reached.suffix != ".md" or anchor not in anchors_of(reached.read_text(encoding="utf-8"))):
                yield f"{where}{target}: there is no such heading"


def check_map(root, files):
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = re.search(r"^## Map$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        yield "ARCHITECTURE.md: there is no section Map"
        return
    rows = ROW.findall(section.group(1))
    library = "include/ranklet/"
    names = set(files)
    folders = {name[: name.index("/") + 1] for name in names if "/" in name and not name.startswith(".")} - {"include/"}
    inside = {name[len(library) :] for name in names if name.startswith(library)}
    folders |= {name[: name.index("/") + 1] for name in inside if "/" in name}
    for row in rows:
        if not (row in folders or row in inside):
            yield f"ARCHITECTURE.md: the map has {row}, which does not exist"
    for folder in sorted(folders - set(rows)):
        if folder[:-1] + ".hpp" not in rows:
            yield f"ARCHITECTURE.md: the map lacks the folder {folder}"


def check(root):
    files = files_of(root)
    return [*check_links(root, files), *check_map(root, files)]


def main():
    default = pathlib.Path(__file__).resolve().parents[2]
    violations = check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default)
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
