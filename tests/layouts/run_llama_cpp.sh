#!/usr/bin/env bash
# Files that llama.cpp's own converter writes of seeded checkpoints, read by the library and compared with what made the checkpoints: a
# tier of its own, three minutes. Needs what run.sh installs; the converter is that in llama-cpp-python's source package, which is
# fetched into build/llama_cpp once, with sentencepiece.
#
#     bash tests/layouts/run_llama_cpp.sh [TEST ...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
python=${RANKLET_ORACLE_PYTHON:-$repository/build/layouts/bin/python}
[ -x "$python" ] || bash "$here/run.sh" test_layouts.Encoders.test_poolings_and_pairs_of_them  # makes the environment
tools=$repository/build/llama_cpp
if [ ! -e "$tools/ready" ]; then
    rm -rf "$tools"
    mkdir -p "$tools"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$tools/site" sentencepiece==0.2.1 protobuf
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python -d "$tools" llama-cpp-python==0.3.36
    tar xzf "$tools"/llama_cpp_python-*.tar.gz -C "$tools" --strip-components=3 --wildcards \
        "*/vendor/llama.cpp/conversion" "*/vendor/llama.cpp/gguf-py" "*/vendor/llama.cpp/convert_hf_to_gguf.py"
    touch "$tools/ready"
fi
cd "$here"
export RANKLET_LLAMA_CPP=$tools OMP_NUM_THREADS=1
exec "$python" -m unittest "${@:-test_llama_cpp}"
