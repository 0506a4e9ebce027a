#!/usr/bin/env bash
# Who includes only the core, the tokenizer or the model file's reader pays for neither Eigen nor xsimd, however deep.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root.
set -euo pipefail

failed=0 count=0
for header in include/ranklet/core/*.hpp include/ranklet/text/*.hpp include/ranklet/io/*.hpp; do
    [ -e "$header" ] || continue
    count=$((count + 1))
    # shellcheck disable=SC2086 # the flags are words
    if heavy=$("$CXX" -std=c++20 $RANKLET_FLAGS -M -x c++ "$header" | grep -oE '[^ ]*/(Eigen/|xsimd/|bits/stdc\+\+)[^ ]*|[^ ]*/iostream'); then
        echo "$header brings in $(echo "$heavy" | head -1)" >&2
        failed=1
    fi
done
[ "$count" -gt 0 ] || { echo "no headers found" >&2; exit 1; }
[ "$failed" -eq 0 ] && echo "$count headers include neither Eigen nor xsimd nor iostream"
exit "$failed"
