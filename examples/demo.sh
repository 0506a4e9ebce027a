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

# What the build has done so far and how long it took: on a terminal one line that is written over every second, else a
# line for each step and every ten seconds.
log=build/demo.log
: >"$log"
show_progress() {
    local step last="" start=$SECONDS
    while sleep 1 >/dev/null 2>&1; do
        step=$(grep -E '^\[ *[0-9/]+%?\] (Building|Linking)' "$log" | grep -oE '^[^]]*]' | tail -1) ||
            if grep -q 'Build files have been written' "$log"; then step=compiling; else step=configuring; fi
        if [ -t 1 ]; then
            printf '\r\033[K   %s %d s' "$step" $((SECONDS - start))
        elif [ "$step" != "$last" ] || [ $(((SECONDS - start) % 10)) -eq 0 ]; then
            printf '   %s %d s\n' "$step" $((SECONDS - start))
            last=$step
        fi
    done
}
show_progress &
progress=$!
stop_progress() {
    kill "$progress" 2>/dev/null || return 0
    wait "$progress" 2>/dev/null || true
    if [ -t 1 ]; then printf '\r\033[K'; fi
}
trap stop_progress EXIT

# The log is shown only when something goes wrong.
if ! {
    cmake -S . -B build/demo "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DRANKLET_NATIVE=ON \
        -DRANKLET_BUILD_TESTS=OFF -DRANKLET_BUILD_BENCHMARKS=OFF &&
        cmake --build build/demo --target example_demo -j "$(nproc)"
} >"$log" 2>&1; then
    stop_progress
    cat "$log" >&2
    echo "The demo could not be built: see above." >&2
    exit 1
fi
stop_progress
exec build/demo/examples/demo "$@"
