#!/usr/bin/env bash
# Compile time is a feature: examples/01_minimal.cpp, which includes the umbrella, at -O2 in under 10 s.
# The goal is not met from nothing: 21 s with g++ 12 on one core of a cloud machine, since Recommender compiles every kind of
# encoder and decoder. The test keeps it from growing. It is met where the recommender is compiled once
# for a program (RANKLET_EXTERN_RECOMMENDER): 5 s.
# The time that counts is the compiler's own CPU time; it is printed. A slow or busy machine may take longer, in proportion to
# a program of Eigen and <regex>, which is compiled where the time is too long: with g++ 12 the example takes 1.8 to 2.1 times
# as long as that, 0.6 times with the recommender compiled once.
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

# compile LIMIT RATIO FLAG...: fails where it takes both more than LIMIT seconds and more than RATIO times the reference.
compile() {
    local limit=$1 ratio=$2 seconds reference
    shift 2
    seconds=$(seconds_of "$source" "$@")
    echo "$source at -O2 with $CXX $*: $seconds s of CPU time (goal: 10)"
    awk -v seconds="$seconds" -v limit="$limit" 'BEGIN { exit !(seconds < limit) }' && return
    reference=$(seconds_of "$work/reference.cpp")
    echo "the reference takes $reference s: a limit of $ratio times that"
    awk -v seconds="$seconds" -v limit="$ratio" -v reference="$reference" \
        'BEGIN { exit !(seconds < limit * reference) }'
}
compile 30 2.6
compile 10 0.9 -DRANKLET_EXTERN_RECOMMENDER
