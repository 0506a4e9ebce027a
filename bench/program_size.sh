#!/usr/bin/env bash
# How large a program with the library is, for one instruction set, without its model file: a recommender of any kind, and
# programs that name their kinds and link those alone.
#
#     bash bench/program_size.sh [FLAG...]      flags after the size-conscious ones; CXX names the compiler
#
# Prints bytes: linked statically, with the C library inside, and without it (dynamically); an empty C program is the C
# library's share.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=cmake/packages.sh
source cmake/packages.sh
want g++ command -v "${CXX:-g++}"
want libeigen3-dev has_header Eigen/Core
want libxsimd-dev has_header xsimd/xsimd.hpp
install_wanted

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -Os -march=x86-64-v3 -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections -Wl,--gc-sections -s
    -I include -isystem /usr/include/eigen3)
[ "$(uname -m)" = x86_64 ] || mapfile -t flags < <(printf "%s\n" "${flags[@]}" | grep -v march)
compiler=${CXX:-g++}

report() { # NAME STATIC DYNAMIC
    printf '%-36s %8d static %8d dynamic\n' "$1" "$(stat -c %s "$2")" "$(stat -c %s "$3")"
}
# program NAME KINDS MODEL [FLAG...]: a program that loads MODEL and ranks one item; KINDS are load's template arguments.
program() {
    local name=$1 kinds=$2 model=$3
    shift 3
    cat >"$work/program.cpp" <<CPP
#include <cstdio>
#include <ranklet/recommender.hpp>
#include <string>

int main(int, char** argv) {  // MODEL TEXT QUERY
    const auto model = ranklet::Recommender::load$kinds(argv[1]);
    if (!model.ok()) return std::fputs(model.error().message.c_str(), stderr), 1;
    const ranklet::Item item{"item", argv[2]};
    const auto catalog = model->encode_catalog({&item, 1});
    auto user = model->new_user();
    if (!catalog.ok() || !user.observe_text(argv[3]).ok()) return 1;
    const auto ranked = model->recommend(user, *catalog);
    if (!ranked.ok()) return 1;
    for (const auto& found : *ranked) std::printf("%s %g\n", std::string(found.id).c_str(), double{found.score});
}
CPP
    "$compiler" "${flags[@]}" "$@" -static "$work/program.cpp" -o "$work/static"
    "$compiler" "${flags[@]}" "$@" "$work/program.cpp" -o "$work/dynamic"
    [ -z "$model" ] || "$work/static" "$model" "Phone case" phone >/dev/null
    report "$name" "$work/static" "$work/dynamic"
}

program "any model" "" examples/models/demo-shop.gguf "$@"
program "Bert and DotProduct" "<ranklet::Bert, ranklet::DotProduct>" "" "$@"
program "WordVectors and DotProduct" "<ranklet::WordVectors, ranklet::DotProduct>" "" "$@"
program "ItemTable and DotProduct" "<ranklet::ItemTable, ranklet::DotProduct>" "" "$@"
program "NewsEncoder and UserTower" "<ranklet::NewsEncoder, ranklet::UserTower>" "" "$@"
echo 'int main(void) { return 0; }' >"$work/empty.c"
"$compiler" -x c -Os -s -static "$work/empty.c" -o "$work/empty-static"
"$compiler" -x c -Os -s "$work/empty.c" -o "$work/empty-dynamic"
report "an empty C program" "$work/empty-static" "$work/empty-dynamic"
