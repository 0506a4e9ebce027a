#!/usr/bin/env bash
# The demo: installs what is missing to build it (Debian, Ubuntu), builds it in build/demo, runs it.
#
#     bash examples/demo.sh [OPTION...]      options are the program's: see --help
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# shellcheck source=cmake/packages.sh
source cmake/packages.sh

want g++ command -v "${CXX:-g++}"
want cmake command -v cmake
want make eval 'command -v make || command -v ninja'
want libeigen3-dev has_header Eigen/Core
want libxsimd-dev has_header xsimd/xsimd.hpp
want libcli11-dev has_header CLI/CLI.hpp
install_wanted

mkdir -p build
generator=()
if [ ! -e build/demo/CMakeCache.txt ] && command -v ninja >/dev/null; then
    generator=(-G Ninja)
fi
echo "== building the demo in build/demo (the first time: about half a minute)"
# The log is shown only when something goes wrong.
if ! {
    cmake -S . -B build/demo "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DRANKLET_NATIVE=ON \
        -DRANKLET_BUILD_TESTS=OFF -DRANKLET_BUILD_BENCHMARKS=OFF
    cmake --build build/demo --target example_demo -j "$(nproc)"
} >build/demo.log 2>&1; then
    cat build/demo.log >&2
    echo "The demo could not be built: see above." >&2
    exit 1
fi
exec build/demo/examples/demo "$@"
