#!/usr/bin/env bash
# The whole library builds by a plain compiler line, links and gives right answers: with each compiler that is there,
# with and without OpenMP, with and without exceptions and run-time type information.
# In: $CXX, $RANKLET_FLAGS (the include path), the folder of everything.hpp; started at the project's root.
set -euo pipefail

everything=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warnings="-Wall -Wextra -Wconversion -Wshadow -Werror"

compilers=("$CXX")
for other in g++ clang++; do
    command -v "$other" >/dev/null || continue
    [ "$(readlink -f "$(command -v "$other")")" = "$(readlink -f "$CXX")" ] || compilers+=("$other")
done

cat >"$work/openmp.cpp" <<'CPP'
#include <omp.h>
int main() { return omp_get_max_threads() > 0 ? 0 : 1; }
CPP

build_and_run() {
    local compiler=$1 number=$2
    shift 2
    # shellcheck disable=SC2086 # the flags are words
    "$compiler" -std=c++20 -O1 $warnings $RANKLET_FLAGS -I "$everything" "$@" tests/contracts/flag_matrix.cpp \
        -o "$work/program$number" || { echo "does not build: $compiler $*" >&2; return 1; }
    "$work/program$number" || { echo "wrong answers: $compiler $*" >&2; return 1; }
    echo "builds and runs: $compiler $*"
}

number=0 pids=()
for compiler in "${compilers[@]}"; do
    threads=("")
    if "$compiler" -fopenmp "$work/openmp.cpp" -o "$work/openmp" 2>/dev/null; then
        threads+=(-fopenmp)
    else
        echo "skipping -fopenmp: $compiler has no OpenMP here"
    fi
    for openmp in "${threads[@]}"; do
        for lean in "" "-fno-exceptions -fno-rtti"; do
            number=$((number + 1))
            # shellcheck disable=SC2086 # both are flags or nothing
            build_and_run "$compiler" "$number" $openmp $lean &
            pids+=($!)
            if [ ${#pids[@]} -ge 2 ]; then # two at a time
                wait "${pids[0]}"
                pids=("${pids[@]:1}")
            fi
        done
    done
done
for pid in "${pids[@]}"; do wait "$pid"; done
