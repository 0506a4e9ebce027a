#!/usr/bin/env bash
# How large a program with the whole library is: a recommender of any kind, for one instruction set, without its model file.
#
#     bash bench/program_size.sh [FLAG...]      flags after the size-conscious ones; CXX names the compiler
#
# Prints bytes: linked statically, with the C library inside; the same without it (dynamic); and an empty C program, statically.
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
cat >"$work/program.cpp" <<'CPP'
#include <cstdio>
#include <ranklet/recommender.hpp>
#include <string>

int main(int, char** argv) {  // MODEL TEXT QUERY
    const auto model = ranklet::Recommender::load(argv[1]);
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
echo 'int main(void) { return 0; }' >"$work/empty.c"
flags=(-std=c++20 -Os -march=x86-64-v3 -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections -Wl,--gc-sections -s
    -I include -isystem /usr/include/eigen3)
[ "$(uname -m)" = x86_64 ] || mapfile -t flags < <(printf "%s\n" "${flags[@]}" | grep -v march)
compiler=${CXX:-g++}
"$compiler" "${flags[@]}" "$@" -static "$work/program.cpp" -o "$work/static"
"$compiler" "${flags[@]}" "$@" "$work/program.cpp" -o "$work/dynamic"
"$compiler" -x c -Os -s -static "$work/empty.c" -o "$work/empty"
"$work/static" examples/models/demo-shop.gguf "Phone case" phone >/dev/null
for program in static dynamic empty; do printf '%-8s %8d bytes\n' "$program" "$(stat -c %s "$work/$program")"; done
