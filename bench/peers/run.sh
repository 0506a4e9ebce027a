#!/usr/bin/env bash
# Measures ranklet beside ONNX Runtime, PyTorch, faiss, usearch, numpy and Hugging Face's tokenizers on this machine.
#
#     bash bench/peers/run.sh [--quick] [--only WORD ...] [--append]
#
# --quick: three rounds of fewer shapes instead of five of all. --only: groups of work whose name holds one of the words.
# --append: beside what was measured here earlier today, in place of the same groups.
# Out: bench/results/DATE-CPU.md and .svg ($RANKLET_RESULTS names another folder). Peers, inputs and the program are kept in
# build/peers ($RANKLET_PEERS_DIR names another folder; about 5 GB). Needs 16 GB of memory, $RANKLET_ASSETS (see
# make_inputs.py), node, npm, g++ and Debian's python3 ($PYTHON). Leave the machine alone meanwhile.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
mkdir -p "${RANKLET_PEERS_DIR:-$repository/build/peers}"
root=$(cd "${RANKLET_PEERS_DIR:-$repository/build/peers}" && pwd)
results=${RANKLET_RESULTS:-$repository/bench/results}
python=${PYTHON:-/usr/bin/python3}

missing=()
for package in python3-numpy python3-onnx python3-torch python3-faiss libopenblas0-openmp g++ libeigen3-dev libxsimd-dev; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
for tool in node:nodejs npm:npm; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# onnxruntime-node's own install script would download a GPU build; the CPU one is inside the package.
if ! cmp -s "$here/package.json" "$root/node/package.json"; then
    mkdir -p "$root/node/new"
    cp "$here/package.json" "$root/node/new/"
    (cd "$root/node/new" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error)
    rm -rf "$root/node/node_modules"
    mv "$root/node/new/node_modules" "$root/node/"
    mv "$root/node/new/package.json" "$root/node/"
fi

echo "building ranklet_peer"
"${CXX:-g++}" -std=c++20 -O3 -march=native -fopenmp -I "$repository/include" -isystem /usr/include/eigen3 \
    "$here/ranklet_peer.cpp" -o "$root/ranklet_peer"

# An older OpenBLAS does not know newer processors and then uses kernels of 2004: name the right ones for PyTorch and numpy.
if [ -z "${OPENBLAS_CORETYPE:-}" ] && [ -r /proc/cpuinfo ]; then
    if grep -qw avx512bw /proc/cpuinfo; then
        export OPENBLAS_CORETYPE=SkylakeX
    elif grep -qw avx2 /proc/cpuinfo; then
        export OPENBLAS_CORETYPE=Haswell
    fi
fi

echo "making inputs"
"$python" "$here/make_inputs.py" "$root" >"$root/make_inputs.log"
echo "measuring"
status=0
"$python" "$here/measure.py" "$root" "$root/results.json" "$@" || status=$?
"$python" "$here/report.py" "$root/results.json" "$results"
exit "$status"
