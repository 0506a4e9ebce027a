#!/usr/bin/env bash
# Writes tests/parity/goldens/tiny-fitted.gguf: what ranklet-fit makes of tiny-minilm and a small log of the items that
# answers.hpp has (whose ids are not all ASCII). Run at the project's root; again only for a new case.
#     bash tests/unchanged/make_fitted.sh PATH/TO/ranklet-fit
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk 'BEGIN {
    print "user\titem\ttime"
    for (u = 0; u < 40; ++u)
        for (e = 0; e < 6; ++e) {
            i = (u * 7 + e * (1 + u % 3)) % 10
            print "u" u "\t" (i % 3 == 0 ? "商品-" : "item-") i "\t" 1700000000 + u * 1000 + e
        }
}' > "$folder/events.tsv"
"${1:?the program}" --encoder tests/parity/goldens/tiny-minilm.gguf --events "$folder/events.tsv" \
    --out tests/parity/goldens/tiny-fitted.gguf
