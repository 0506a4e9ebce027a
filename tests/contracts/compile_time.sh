#!/usr/bin/env bash
# Compile time is a feature: examples/01_minimal.cpp, which includes the umbrella, at -O2 in under 10 s.
# The goal is not met: 20 to 22 s with g++ 12 on one core of a cloud machine, since Recommender compiles every kind of
# encoder and decoder (fixed kinds: 17 s). The test keeps it from growing.
# The time that counts is the compiler's own CPU time, so that a busy machine does not fail the test; it is printed.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

source=examples/01_minimal.cpp
TIMEFORMAT='%U %S'
# shellcheck disable=SC2086 # the flags are words
times=$({ time "$CXX" -std=c++20 -O2 $RANKLET_FLAGS -c "$source" -o /dev/null; } 2>&1)
seconds=$(echo "$times" | tail -1 | awk '{ printf "%.1f", $1 + $2 }')
echo "$source at -O2 with $CXX: $seconds s of CPU time (goal: 10)"
awk -v seconds="$seconds" 'BEGIN { exit !(seconds < 30) }'
