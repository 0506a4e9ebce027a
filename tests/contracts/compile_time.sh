#!/usr/bin/env bash
# Compile time is a feature. What a program pays is compared with a file that inverts one matrix with Eigen, compiled with
# the same flags (-O2) in the same run; the figures are the compiler's own CPU time (Eigen's: the least of three).
#
#   what                                                     goal     limit here
#   a program with Recommender, by headers alone             5        11.5     the goal is not met: see docs/performance.md
#   the same with RANKLET_COMPILED                           1.5      1.5
#
# Printed beside them, without a limit: the tokenizer alone, an encoder alone, programs that name their kinds (what each
# kind adds), and the file that RANKLET_COMPILED leaves the rest to.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'

# seconds_of TRIES FLAG...: CPU time of compiling standard input; the least of so many.
seconds_of() {
    cat >"$work/source.cpp"
    local try times tries=$1
    shift
    for ((try = 0; try < tries; ++try)); do
        # shellcheck disable=SC2086 # the flags are words
        times=$({ time "$CXX" -std=c++20 -O2 $RANKLET_FLAGS "$@" -c "$work/source.cpp" -o "$work/object.o"; } 2>&1) ||
            { echo "$times" >&2; return 1; }
        echo "$times" | tail -1
    done | awk '{ seconds = $1 + $2; if (NR == 1 || seconds < least) least = seconds } END { printf "%.2f", least }'
}

eigen() {
    seconds_of 3 <<'CPP'
#include <Eigen/Dense>
#include <iostream>
int main(int argc, char**) {
    const Eigen::MatrixXd matrix = Eigen::MatrixXd::Random(argc, argc);
    std::cout << matrix.inverse();
}
CPP
}
reference=$(eigen)
echo "Eigen's inverse: $reference s with $CXX"

failed=0
# compare NAME LIMIT FLAG... <SOURCE: prints the ratio; LIMIT 0: none. Not in a pipe, where `failed` would be another's.
compare() {
    local name=$1 limit=$2 seconds
    shift 2
    seconds=$(seconds_of "$([ "$limit" = 0 ] && echo 1 || echo 2)" "$@") || { failed=1; echo "does not compile: $name" >&2; return; }
    # What disturbs the machine for a while disturbs both: the slower one of before and after counts.
    if [ "$limit" != 0 ]; then reference=$(printf '%s\n' "$reference" "$(eigen)" | sort -g | tail -1); fi
    awk -v name="$name" -v s="$seconds" -v r="$reference" -v l="$limit" 'BEGIN {
        printf("%-52s %6.2f s %5.2f times%s\n", name, s, s / r, (l > 0 ? sprintf("  (limit %s)", l) : ""))
        exit (l > 0 && s > l * r) }' || failed=1
}
recommends() { # [KINDS]
    cat <<CPP
#include <iostream>
#include <ranklet/${2:-ranklet}.hpp>
int main(int, char** argv) {
    const auto model = ranklet::Recommender::load$1(argv[1]).value();
    const std::vector<ranklet::Item> items{{"phone", "Nera One Smartphone"}, {"case", "Slim phone case"}};
    const auto catalog = model.encode_catalog(items).value();
    auto user = model.new_user();
    user.observe(catalog.at("phone"), 5.0f).value();
    for (const auto& r : model.recommend(user, catalog).value()) std::cout << r.id << ' ' << r.probability << '\n';
}
CPP
}
compare "a program with Recommender, headers alone" 11.5 < <(recommends "")
compare "the same, RANKLET_COMPILED" 1.5 -DRANKLET_COMPILED < <(recommends "")
compare "cmake/compiled.cpp, once a program" 0 -DRANKLET_COMPILED <cmake/compiled.cpp
for kinds in "ItemTable, ranklet::DotProduct" "WordVectors, ranklet::DotProduct" "Bert, ranklet::DotProduct" \
    "NewsEncoder, ranklet::UserTower"; do
    compare "load<${kinds//ranklet::/}>" 0 < <(recommends "<ranklet::$kinds>" recommender)
done
compare "the tokenizer alone" 0 <<'CPP'
#include <ranklet/text/wordpiece.hpp>
int main(int, char** argv) {
    const std::string_view words[] = {"[UNK]", argv[0]};
    return ranklet::WordPiece::create(words, {})->encode("a").ok() ? 0 : 1;
}
CPP
compare "an encoder alone" 0 <<'CPP'
#include <ranklet/encoders/bert.hpp>
int main(int, char** argv) { return ranklet::Bert::load(argv[1]).value().encode("text").ok() ? 0 : 1; }
CPP
exit "$failed"
