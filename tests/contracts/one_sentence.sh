#!/usr/bin/env bash
# What the headers cannot be compiled with is told by one sentence: no error but that, and the one that ends the compiler.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/host.cpp" <<'CPP'
#include <ranklet/ranklet.hpp>
int main() {
    const auto model = ranklet::Recommender::load("x").value();
    std::vector<ranklet::Item> items{{"a", "b"}};
    return static_cast<int>(model.encode_catalog(items).value().size());
}
CPP
cat >"$work/text.cpp" <<'CPP'
#include <ranklet/text/wordpiece.hpp>
int main() { return ranklet::WordPieceConfig().lowercase ? 0 : 1; }
CPP

# says SENTENCE SOURCE FLAG...
says() {
    local sentence=$1 source=$2 output errors
    shift 2
    # shellcheck disable=SC2086 # the flags are words
    if output=$("$CXX" $RANKLET_FLAGS "$@" -fsyntax-only "$work/$source" 2>&1); then
        echo "compiles, though it should not: $*" >&2
        exit 1
    fi
    errors=$(grep -cE '(^|[ :])(fatal )?error: ' <<<"$output")
    if [ "$errors" -ne 2 ] || [ "$(grep -cE "error: .*$sentence" <<<"$output")" -ne 1 ] ||
        ! grep -q 'fatal error: .*ranklet/stopped' <<<"$output"; then
        printf '%s errors with %s, expected "%s" and a stop:\n%s\n' "$errors" "$*" "$sentence" "$output" >&2
        exit 1
    fi
}
says 'needs C\+\+20' host.cpp -std=c++17
says 'needs C\+\+20' text.cpp -std=c++17
says 'needs C\+\+20' host.cpp -std=c++14
says 'needs IEEE arithmetic' host.cpp -std=c++20 -ffast-math
case $("$CXX" -dumpmachine) in
    x86_64-*)
        says 'need SSE2 or NEON' host.cpp -std=c++20 -mno-sse2
        # shellcheck disable=SC2086
        "$CXX" $RANKLET_FLAGS -std=c++20 -mno-sse2 -fsyntax-only "$work/text.cpp"  # texts need no vectors
        ;;
    *) echo "no switch takes the vectors away on $("$CXX" -dumpmachine): left out" ;;
esac
echo "each is told in one sentence"
