#!/usr/bin/env bash
# Kernels and whole models give the same bits on every instruction set with fused multiply-add and with every compiler:
# AVX2 (x86-64-v3, also with AVX-VNNI), AVX-512 (this processor's own, and without VNNI), and AArch64 (also with its dot
# product), under an emulator where need be. bf16 models do so with
# RANKLET_BF16_DOT=0; with the dot product they alone have other bits, those of its emulation.
# The bits are those of digest.txt: what digest.cpp printed with the headers of commit 697647c. A line is added there for
# a kernel or model that is new; a line that changes is a change of results, which a release says.
# In: $CXX, $RANKLET_FLAGS (the include path); started at the project's root. What cannot run here is skipped, saying so.
set -euo pipefail

models=tests/parity/goldens
expected=tests/contracts/digest.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compilers=("$CXX")
for other in g++ clang++; do
    command -v "$other" >/dev/null || continue
    [ "$(readlink -f "$(command -v "$other")")" = "$(readlink -f "$(command -v "$CXX")")" ] || compilers+=("$other")
done

# has FLAG...: the processor has all of these.
has() {
    local flag
    for flag in "$@"; do grep -qw "$flag" /proc/cpuinfo || return 1; done
}

# digest NAME RUNNER COMPILER FLAG...: builds, runs under RUNNER (nothing: as it is), and keeps what it prints.
digest() {
    local name=$1 runner=$2 compiler=$3
    shift 3
    # shellcheck disable=SC2086 # the runner is words
    "$compiler" -std=c++20 -O2 "$@" tests/contracts/digest.cpp -o "$work/$name" &&
        $runner "$work/$name" "$models" >"$work/$name.digest" || { echo "fails: $name" >&2; return 1; }
    echo "ran: $name"
}
names=() pids=()
start() { # two at a time
    names+=("$1")
    digest "$@" &
    pids+=($!)
    if [ ${#pids[@]} -ge 2 ]; then
        wait "${pids[0]}"
        pids=("${pids[@]:1}")
    fi
}

machine=$(uname -m)
for compiler in "${compilers[@]}"; do
    label=$(basename "$compiler")
    if [ "$machine" = aarch64 ]; then
        # shellcheck disable=SC2086 # the flags are words
        start "$label-aarch64" "" "$compiler" $RANKLET_FLAGS
    elif [ "$machine" = x86_64 ] && has avx2 fma bmi2; then
        # shellcheck disable=SC2086
        start "$label-x86-64-v3" "" "$compiler" -march=x86-64-v3 $RANKLET_FLAGS
        if has avx512f avx512bw avx512cd avx512dq avx512vl; then
            # shellcheck disable=SC2086
            start "$label-native-avx512" "" "$compiler" -march=native -DRANKLET_BF16_DOT=0 $RANKLET_FLAGS
        else
            echo "skipping AVX-512 with $compiler: this processor has none"
        fi
    else
        echo "skipping $compiler on $machine: no fused multiply-add to count on"
    fi
done
if [ "$machine" = x86_64 ] && has avx2 fma bmi2; then
    # shellcheck disable=SC2086
    start unoptimised-x86-64-v3 "" "$CXX" -march=x86-64-v3 -O0 $RANKLET_FLAGS
    if has avx_vnni; then
        # shellcheck disable=SC2086
        start x86-64-v3-avxvnni "" "$CXX" -march=x86-64-v3 -mavxvnni $RANKLET_FLAGS
    else
        echo "skipping AVX-VNNI: this processor has none"
    fi
    if has avx512f avx512bw avx512cd avx512dq avx512vl; then
        # shellcheck disable=SC2086
        start x86-64-v4 "" "$CXX" -march=x86-64-v4 $RANKLET_FLAGS
    fi
fi

if [ "$machine" != aarch64 ]; then
    emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
    if command -v aarch64-linux-gnu-g++ >/dev/null && [ -n "$emulator" ]; then
        # Only the header libraries themselves: the folder they are in may hold this machine's own headers.
        mkdir "$work/include"
        for header in Eigen/Core xsimd/xsimd.hpp; do
            # shellcheck disable=SC2086
            path=$(echo "#include <$header>" | "$CXX" -std=c++20 $RANKLET_FLAGS -M -x c++ - | tr ' ' '\n' |
                grep "/$header\$" | head -1)
            ln -s "$(dirname "$path")" "$work/include/$(dirname "$header")"
        done
        start aarch64 "$emulator" aarch64-linux-gnu-g++ -static -I include -isystem "$work/include"
        start aarch64-dotprod "$emulator" aarch64-linux-gnu-g++ -static -march=armv8.2-a+dotprod -I include \
            -isystem "$work/include"
    else
        echo "skipping AArch64: it takes aarch64-linux-gnu-g++ and qemu-aarch64"
    fi
fi

# The bf16 dot product: digests of their own, compared with each other below.
dots=()
if [ "$machine" = x86_64 ] && has avx512f avx512bw avx512cd avx512dq avx512vl; then
    all=("${names[@]}")
    # shellcheck disable=SC2086
    start emulated-bf16-dot "" "$CXX" -march=native -DRANKLET_EMULATE_BF16_DOT $RANKLET_FLAGS
    dots+=(emulated-bf16-dot)
    if has avx512_bf16; then
        # shellcheck disable=SC2086
        start bf16-dot "" "$CXX" -march=native $RANKLET_FLAGS
        dots+=(bf16-dot)
    else
        echo "skipping the bf16 dot product but for its emulation: this processor has none"
    fi
    names=("${all[@]}")
fi

for pid in "${pids[@]}"; do wait "$pid"; done

if [ ${#names[@]} -lt 1 ]; then
    echo "skipping: nothing to compare on this machine"
    exit 77
fi
failed=0
for name in "${names[@]}"; do
    if ! diff "$expected" "$work/$name.digest" >"$work/difference"; then
        echo "$expected and $name differ:" >&2
        cat "$work/difference" >&2
        failed=1
    fi
done
for name in "${dots[@]}"; do
    if ! diff "$work/${dots[0]}.digest" "$work/$name.digest" >&2; then
        echo "${dots[0]} and $name differ" >&2
        failed=1
    fi
    # Files whose matrices are bf16, as make_goldens.py writes them.
    changed=$({ diff "$expected" "$work/$name.digest" || true; } |
        sed -n 's/^> \([^ ]*\) .*/\1/p' | tr '\n' ' ')
    if [ "$changed" != "tiny-distilbert tiny-tokens-distilbert " ]; then
        echo "with $name other digests changed than those of the bf16 models: $changed" >&2
        failed=1
    fi
done
[ "$failed" -eq 0 ] && echo "the bits of $expected in all of: ${names[*]}"
exit "$failed"
