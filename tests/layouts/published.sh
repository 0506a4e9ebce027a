#!/usr/bin/env bash
# Token states of every architecture in its published sizes beside transformers' own class in float64: see published.py. A tier
# of its own: half an hour of two cores, 16 GiB of memory. Needs what run.sh installs.
#
#     bash tests/layouts/published.sh [NAME ...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/run.sh" test_layouts.Encoders.test_poolings_and_pairs_of_them  # makes the environment
python=${RANKLET_ORACLE_PYTHON:-$here/../../build/layouts/bin/python}
cd "$here"
exec "$python" published.py "$@"
