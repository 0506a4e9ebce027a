#!/usr/bin/env bash
# What current tools write is read as they read it: checkpoints made by sentence-transformers, transformers and model2vec
# themselves (tiny, random), converted, run by the library and compared with the tool; names on the Hub likewise.
#
#     bash tests/layouts/run.sh [TEST ...]     e.g. test_layouts.Routers
#
# The tools are those of $RANKLET_ORACLE_PYTHON, else of a virtual environment in build/layouts, which is made from
# requirements.txt once. Where that cannot be had the tests are left out, saying so.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
python=${RANKLET_ORACLE_PYTHON:-}
export OMP_NUM_THREADS=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1

if [ -z "$python" ]; then
    environment=$repository/build/layouts
    python=$environment/bin/python
    if ! cmp -s "$here/requirements.txt" "$environment/made_from"; then
        rm -rf "$environment"
        mkdir -p "$repository/build"
        if ! { python3 -m venv "$environment" &&
            "$python" -m pip install --quiet --disable-pip-version-check --timeout 20 --retries 1 -r "$here/requirements.txt"; }; then
            echo "tests/layouts/run.sh: skipped: what requirements.txt names cannot be installed" >&2
            exit 0
        fi
        cp "$here/requirements.txt" "$environment/made_from"
    fi
fi
cd "$here"
if [ $# -gt 0 ]; then
    exec "$python" -m unittest "$@"
fi
"$python" -m unittest test_layouts test_architectures test_hybrid test_examples test_trained
cd "$repository/tests/converter"
exec "$python" -m unittest test_hub
