#!/usr/bin/env bash
# The demo says what it said before, but for the times: goldens/demo.txt, printed with the headers of commit 697647c.
# In: the demo's program; started at the project's root. Without the program (no CLI11): skipped.
set -euo pipefail

demo=$1 golden=tests/unchanged/goldens/demo.txt
[ -x "$demo" ] || { echo "skipping: there is no $demo"; exit 77; }
"$demo" </dev/null |
    sed -E 's/ in [0-9]+ ms$/ in # ms/; s/ in [0-9.]+ ms\)$/ in # ms)/; s/, [0-9]+ a second$/, # a second/' |
    diff "$golden" - && echo "the demo's output is that of $golden"
