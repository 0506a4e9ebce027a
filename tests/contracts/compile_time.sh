#!/usr/bin/env bash
# Compile time is a feature: examples/01_minimal.cpp, which includes the umbrella, at -O2 in under 10 s.
# The goal is not met from nothing: 21 s with g++ 12 on one core of a cloud machine, since Recommender compiles every kind of
# encoder and decoder. The test keeps it from growing. It is met where the recommender is compiled once
# for a program (RANKLET_EXTERN_RECOMMENDER): 5 s.
# The time that counts is the compiler's own CPU time; it is printed. Where it is too long, the compiler is measured too, by
# a program of Eigen and <regex> that took it 11.5 s on the machine of those 21 s: a slow or busy machine may take longer.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

source=examples/01_minimal.cpp
TIMEFORMAT='%U %S'

# seconds_of SOURCE FLAG...: CPU time of compiling it.
seconds_of() {
    local times
    # shellcheck disable=SC2086 # the flags are words
    times=$({ time "$CXX" -std=c++20 -O2 $RANKLET_FLAGS "${@:2}" -c -x c++ "$1" -o /dev/null; } 2>&1)
    echo "$times" | tail -1 | awk '{ printf "%.1f", $1 + $2 }'
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/reference.cpp" <<'CPP'
#include <Eigen/Dense>
#include <iostream>
#include <regex>
int main(int argc, char** argv) {
    const std::regex word("(a|b)*c+");
    const Eigen::MatrixXd m = Eigen::MatrixXd::Random(argc, argc);
    std::cout << m.inverse() * m.householderQr().solve(m) << std::regex_match(argv[0], word);
}
CPP

# compile LIMIT FLAG...: fails where it takes longer than LIMIT seconds, or than as much more as the reference takes.
compile() {
    local limit=$1 seconds reference
    shift
    seconds=$(seconds_of "$source" "$@")
    echo "$source at -O2 with $CXX $*: $seconds s of CPU time (goal: 10)"
    awk -v seconds="$seconds" -v limit="$limit" 'BEGIN { exit !(seconds < limit) }' && return
    reference=$(seconds_of "$work/reference.cpp")
    echo "the reference takes $reference s (11.5 where the limit of $limit s was set)"
    awk -v seconds="$seconds" -v limit="$limit" -v slower="$reference" \
        'BEGIN { exit !(seconds < limit * slower / 11.5) }'
}
compile 30
compile 10 -DRANKLET_EXTERN_RECOMMENDER
