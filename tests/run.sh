#!/usr/bin/env bash
# Installs what the tests need and is missing (Debian, Ubuntu), builds, runs every test. Ends with CTest's summary.
#
#     bash tests/run.sh                      the library, the converter, the examples
#     RANKLET_TEST_ALL=1 bash tests/run.sh   also against PyTorch, ONNX Runtime, Hugging Face's tokenizers, sentence-transformers
#     RANKLET_TEST_PRESETS=1 ...             also under sanitizers, with clang, and without exceptions
#
# Builds are in build/, and a second run rebuilds what changed. RANKLET_JOBS: compilers at a time (default: all cores).
set -euo pipefail

case ${1:-} in
    "") ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        [ "$1" = --help ] || [ "$1" = -h ] && exit 0
        exit 2
        ;;
esac

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# shellcheck source=cmake/packages.sh
source cmake/packages.sh
all=${RANKLET_TEST_ALL:-0}
presets=${RANKLET_TEST_PRESETS:-0}
jobs=${RANKLET_JOBS:-$(nproc)}
export PYTHON=${PYTHON:-/usr/bin/python3}

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

want g++ command -v g++
want cmake command -v cmake
want ninja-build command -v ninja
want pkg-config command -v pkg-config
want libeigen3-dev has_header Eigen/Core
want libxsimd-dev has_header xsimd/xsimd.hpp
want libcli11-dev has_header CLI/CLI.hpp
want doctest-dev has_header doctest/doctest.h
want libbenchmark-dev has_header benchmark/benchmark.h
want python3-numpy "$PYTHON" -c 'import numpy'
if [ "$all" = 1 ] || [ "$presets" = 1 ]; then
    want clang command -v clang++
    want libomp-dev eval 'echo "#include <omp.h>" | clang++ -fopenmp -fsyntax-only -x c++ -'
fi
if [ "$all" = 1 ]; then
    # The same bits on another processor: AArch64, emulated.
    want g++-aarch64-linux-gnu command -v aarch64-linux-gnu-g++
    want qemu-user command -v qemu-aarch64
    want nodejs command -v node
    want npm command -v npm
    want python3-torch "$PYTHON" -c 'import torch'
    want python3-onnx "$PYTHON" -c 'import onnx'
    # Debian's default BLAS starts threads of its own beside PyTorch's.
    want libopenblas0-openmp dpkg-query -L libopenblas0-openmp
fi
install_wanted

# build_and_test PRESET [CTEST OPTION...] [-- CMAKE OPTION...]
build_and_test() {
    local preset=$1 ctest_options=() cmake_options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        ctest_options+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    cmake_options=("$@")
    [ -e "build/$preset/CMakeCache.txt" ] || cmake_options+=(-G Ninja)
    # ccache keeps no object that was made with a precompiled header.
    ! command -v ccache >/dev/null ||
        cmake_options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON)
    step "$preset: building in build/$preset"
    cmake --preset "$preset" -DRANKLET_PYTHON="$PYTHON" "${cmake_options[@]}" >"build/$preset.log" || {
        cat "build/$preset.log"
        return 1
    }
    cmake --build "build/$preset" -j "$jobs"
    step "$preset: testing"
    ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" "${ctest_options[@]}"
}
mkdir -p build

if [ "$all" = 1 ]; then
    export RANKLET_ORACLE_DIR=${RANKLET_ORACLE_DIR:-$repository/build/oracle}
    export RANKLET_PARITY_DIR=${RANKLET_PARITY_DIR:-$repository/build/parity}
    for oracle in tests/text/oracle/run.sh tests/tokenizers/run.sh tests/parity/onnx/run.sh tests/layouts/run.sh; do
        step "$oracle"
        bash "$oracle"
    done
fi

build_and_test release

if [ "$presets" = 1 ]; then
    # What does not depend on the build's options has been tested above.
    once=(-LE build-independent)
    wide=()
    if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
        wide=(-- -DCMAKE_CXX_FLAGS=-march=x86-64-v3) # what most machines have, where release has this one's
    fi
    RANKLET_PARITY_DIR=none build_and_test asan-ubsan "${once[@]}" # the tiny models: BERT-base would take an hour
    build_and_test clang "${once[@]}" "${wide[@]}"
    build_and_test no-exceptions "${once[@]}"
fi
