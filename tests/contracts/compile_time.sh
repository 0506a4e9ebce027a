#!/usr/bin/env bash
# Compile time is a feature: examples/01_minimal.cpp, which includes the umbrella, at -O2 in under 10 s.
# The goal is not met from nothing: 21 s with g++ 12 on one core of a cloud machine, since Recommender compiles every kind of
# encoder and decoder. The test keeps it from growing. It is met where the recommender is compiled once
# for a program (RANKLET_EXTERN_RECOMMENDER): 5 s.
# The time that counts is the compiler's own CPU time, so that a busy machine does not fail the test; it is printed.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

source=examples/01_minimal.cpp
TIMEFORMAT='%U %S'

# compile LIMIT FLAG...: fails where it takes longer than LIMIT seconds.
compile() {
    local limit=$1 times seconds
    shift
    # shellcheck disable=SC2086 # the flags are words
    times=$({ time "$CXX" -std=c++20 -O2 $RANKLET_FLAGS "$@" -c "$source" -o /dev/null; } 2>&1)
    seconds=$(echo "$times" | tail -1 | awk '{ printf "%.1f", $1 + $2 }')
    echo "$source at -O2 with $CXX $*: $seconds s of CPU time (goal: 10)"
    awk -v seconds="$seconds" -v limit="$limit" 'BEGIN { exit !(seconds < limit) }'
}
compile 30
compile 10 -DRANKLET_EXTERN_RECOMMENDER
