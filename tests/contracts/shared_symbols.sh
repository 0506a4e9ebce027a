#!/usr/bin/env bash
# Two objects compiled with different flags define no symbol of ranklet's in common: the linker would keep either one.
# In: nm, the two object files.
set -euo pipefail

nm=$1
shift
[ $# -eq 2 ] || { echo "expected two object files, got $#: $*" >&2; exit 1; }

# Defined functions and variables whose name is in namespace ranklet (7ranklet in the mangled form).
symbols() { "$nm" --defined-only "$1" | awk '$NF ~ /7ranklet/ && $(NF-1) ~ /[TWVuBDR]/ { print $NF }' | sort -u; }

for object in "$@"; do
    [ -n "$(symbols "$object")" ] || { echo "no symbols of ranklet's in $object: is the check blind?" >&2; exit 1; }
done
common=$(comm -12 <(symbols "$1") <(symbols "$2"))
if [ -n "$common" ]; then
    echo "defined in both objects:" >&2
    echo "$common" | head -20 | c++filt >&2
    exit 1
fi
echo "no symbol in common"
