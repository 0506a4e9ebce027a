#!/usr/bin/env bash
# Makes the tokenizer oracle: what Hugging Face's own tokenizers (npm) makes of many texts.
# usage: tests/text/oracle/run.sh [OUT]     OUT: $RANKLET_ORACLE_DIR, else build/oracle. Needs node and npm.
# Real vocabularies and corpora are used when $RANKLET_ASSETS (else ../shared/assets beside the repository) has them.
# The last line of the output is OUT. A second run finds everything made and is quick.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=${1:-${RANKLET_ORACLE_DIR:-$root/build/oracle}}
assets=${RANKLET_ASSETS:-$root/../shared/assets}
mkdir -p "$out/npm"
out=$(cd "$out" && pwd)

stamp=$(cat "$here/make_oracle.mjs" "$here/package.json" | sha256sum | cut -d' ' -f1)
[ -d "$assets/tokenizers" ] && [ -d "$assets/corpora" ] && stamp="$stamp with assets" || assets=
if [ "$(cat "$out/stamp" 2>/dev/null || true)" != "$stamp" ]; then
    rm -rf "$out/cases" "$out/goldens" "$out/stamp"
    cp "$here/package.json" "$out/npm/"
    cd "$out/npm"
    [ -d node_modules/tokenizers ] && grep -q "\"version\": \"$(sed -n 's/.*"tokenizers": "\(.*\)"/\1/p' package.json)\"" \
        node_modules/tokenizers/package.json || npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent
    node "$here/make_oracle.mjs" "$out/goldens" --goldens
    node "$here/make_oracle.mjs" "$out/cases" ${assets:+--assets "$assets"}
    echo "$stamp" >"$out/stamp"
fi
# The committed goldens are what this script makes (but for the version line).
for file in "$out"/goldens/*; do
    if ! diff -q <(grep -v '^# made by' "$file") <(grep -v '^# made by' "$here/../goldens/$(basename "$file")") >/dev/null; then
        echo "tests/text/goldens/$(basename "$file") is not what make_oracle.mjs makes" >&2
        exit 1
    fi
done
echo "$out/cases"
