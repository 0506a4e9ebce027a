#!/usr/bin/env bash
# Makes everything the parity tests compare with: checkpoints, model files, ONNX Runtime's and PyTorch's answers.
#
#     bash tests/parity/onnx/run.sh [NAME ...]        (default: every real configuration and the tiny encoders)
#
# Out: the folder $RANKLET_PARITY_DIR (default: build/parity): checkpoints/, models/, onnx/, oracle/.
# Needs node, npm, and a python3 with numpy and onnx ($PYTHON; PyTorch too for its own answers). What was made before by
# the same scripts is kept, so the second run takes a moment.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../../.." && pwd)
root=${RANKLET_PARITY_DIR:-$repository/build/parity}
export RANKLET_ASSETS=${RANKLET_ASSETS:-$repository/../shared/assets}
python=${PYTHON:-/usr/bin/python3}
export OMP_NUM_THREADS=1

if ! "$python" -c 'import numpy, onnx' 2>/dev/null; then
    echo "tests/parity/onnx/run.sh: $python needs numpy and onnx (Debian: python3-numpy python3-onnx)" >&2
    exit 1
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "tests/parity/onnx/run.sh: node and npm are needed" >&2
    exit 1
fi

mkdir -p "$root/node" "$root/models" "$root/onnx" "$root/oracle"
root=$(cd "$root" && pwd)

# onnxruntime-node's own install script would download a GPU build; the CPU one is inside the package.
if ! cmp -s "$here/package.json" "$root/node/package.json" || [ ! -d "$root/node/node_modules/onnxruntime-node" ]; then
    rm -f "$root/node/package.json"
    cp "$here/package.json" "$root/node/package.json.new"
    mv "$root/node/package.json.new" "$root/node/package.json"
    if ! (cd "$root/node" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error); then
        rm -f "$root/node/package.json"
        exit 1
    fi
fi

if [ $# -gt 0 ]; then
    names=("$@")
else
    names=(all-MiniLM-L6-v2 bge-small-zh-v1.5 bert-base-uncased bert-base-chinese distilbert-base-uncased
           tiny-minilm tiny-distilbert)
fi

"$python" "$here/../make_checkpoints.py" "$root/checkpoints" --only "${names[@]}"

# One number that changes when a script or a file of the checkpoint does.
stamp_of() {
    cat "$@" "$root/checkpoints/$name/.made_by" | cksum
}

# fresh STAMP FILE: is FILE there, made by what STAMP names?
fresh() {
    [ -e "$2" ] && [ -e "$2.stamp" ] && [ "$(cat "$2.stamp")" = "$1" ]
}

for name in "${names[@]}"; do
    checkpoint=$root/checkpoints/$name
    [ -d "$checkpoint" ] || continue # make_checkpoints.py has said why
    # What no modules.json says has to be said here.
    pooling=() extra=()
    case $name in
        bert-base-uncased) pooling=(--pooling mean) ;;
        bert-base-chinese) pooling=(--pooling cls) ;;
        distilbert-base-uncased) pooling=(--pooling mean --normalize) ;;
    esac
    [ ${#pooling[@]} -eq 0 ] || extra=(--max-length 512)

    stamp=$(stamp_of "$here/export.py" "$here/oracle.mjs" "$here/run.sh" "$here/package.json")
    if ! fresh "$stamp" "$root/oracle/$name/onnx.vectors.f32"; then
        "$python" "$here/export.py" "$checkpoint" "$root/onnx/$name.onnx" "${pooling[@]}"
        node "$here/oracle.mjs" "$root" "$name"
        rm -f "$root/onnx/$name.onnx" # as large as the checkpoint, and made in a second
        echo "$stamp" >"$root/oracle/$name/onnx.vectors.f32.stamp"
    fi

    stamp=$(stamp_of "$repository"/weights_converter/{,kinds/}*.py "$here/run.sh")
    if ! fresh "$stamp" "$root/models/$name.gguf"; then
        (cd "$repository" && "$python" -m weights_converter "$checkpoint" "$root/models/$name.gguf" "${pooling[@]}" "${extra[@]}")
        echo "$stamp" >"$root/models/$name.gguf.stamp"
    fi

    if "$python" -c 'import torch' 2>/dev/null; then
        stamp=$(stamp_of "$here/../run_torch.py" "$repository"/weights_converter/reference/*.py "$root/oracle/$name/ids.txt")
        if ! fresh "$stamp" "$root/oracle/$name/torch.vectors.f32"; then
            "$python" "$here/../run_torch.py" "$root" "$name" "${pooling[@]}"
            echo "$stamp" >"$root/oracle/$name/torch.vectors.f32.stamp"
        fi
    else
        echo "$name: no PyTorch in $python, its answers are left out" >&2
    fi
done
echo "parity material is in $root"
