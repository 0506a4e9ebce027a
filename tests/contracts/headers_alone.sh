#!/usr/bin/env bash
# Each header under include/ranklet compiles alone, and twice in a row, with the project's warnings as errors.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

compile() {
    local header=$1
    # shellcheck disable=SC2086 # the flags are words
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$CXX" -std=c++20 -Wall -Wextra -Wconversion -Wshadow -Werror $RANKLET_FLAGS -fsyntax-only -x c++ - ||
        { echo "does not compile alone: $header" >&2; return 1; }
}
export -f compile

headers=$(cd include && find ranklet -name '*.hpp' | sort)
[ -n "$headers" ] || { echo "no headers under include/ranklet" >&2; exit 1; }
# shellcheck disable=SC2016 # the inner shell expands it
echo "$headers" | xargs -P "$(nproc)" -I{} bash -c 'compile "$1"' compile {}
echo "$(echo "$headers" | wc -l) headers compile alone"
