#!/usr/bin/env bash
# Builds use.cpp as a project outside this one would, and checks what it prints.
# In: METHOD, ranklet's source folder, a folder to work in (holds prefix/, the install), the version; $CXX, $CMAKE,
# $RANKLET_FLAGS (include path of Eigen and xsimd where the compiler does not have it).
set -euo pipefail
unset CXXFLAGS

method=$1 source=$2 work=$3 version=$4
here=$source/tests/consume
build=$work/$method
expected="tokens 2 4 5 6 3 best 1 2 3 sum 1"
rm -rf "$build"
mkdir -p "$build"

fail() {
    echo "$method: $*" >&2
    exit 1
}

by_cmake() {
    # Warnings of the library are the host's warnings: as strict as they get.
    "$CMAKE" -S "$here/$method" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
        -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" "$@"
    "$CMAKE" --build "$build"
    # The host's flags are the host's: ranklet brings include paths, the language level and at most OpenMP.
    if grep -oE -e ' -(march|mtune|mcpu|W(conversion|shadow)|ffast-math|O[0-2])[^ ]*' "$build/compile_commands.json"; then
        fail "ranklet changed the host's flags"
    fi
    "$build/use_compiled" >"$build/output_compiled"
    [ "$(cat "$build/output_compiled")" = "$expected" ] || fail "compiled once it prints: $(cat "$build/output_compiled")"
    "$build/use" >"$build/output"
}

# warns HOW MANY, FLAG...: configured without a build type, with these flags, ranklet warns so many times.
warns() {
    local wanted=$1
    shift
    env -u CMAKE_BUILD_TYPE "$CMAKE" -S "$here/$method" -B "$build/no_type" -DCMAKE_BUILD_TYPE= "$@" >"$build/no_type.log" 2>&1 ||
        fail "does not configure without a build type: $(cat "$build/no_type.log")"
    [ "$(grep -c 'No CMAKE_BUILD_TYPE' "$build/no_type.log")" -eq "$wanted" ] ||
        fail "with $* it warns otherwise than $wanted times: $(cat "$build/no_type.log")"
    rm -rf "$build/no_type"
}
build_types() { # FLAG...: of the method
    warns 1 "$@"
    warns 0 "$@" -DCMAKE_BUILD_TYPE=Debug
    warns 0 "$@" -DCMAKE_CXX_FLAGS=-O2
    warns 0 "$@" -DRANKLET_WARN_BUILD_TYPE=OFF
}

case $method in
    find_package)
        build_types -DCMAKE_PREFIX_PATH="$work/prefix" -DWANTED_VERSION="$version"
        by_cmake -DCMAKE_PREFIX_PATH="$work/prefix" -DWANTED_VERSION="$version"
        # A version that is not there is refused.
        if "$CMAKE" -S "$here/$method" -B "$build/newer" -DCMAKE_PREFIX_PATH="$work/prefix" -DWANTED_VERSION=99.0 \
            >"$build/newer.log" 2>&1; then
            fail "version 99.0 was found"
        fi
        grep -q "requested version" "$build/newer.log" || fail "another failure than the version: $(cat "$build/newer.log")"
        # The package does not know where it was built.
        if grep -rlE "$(printf '%s' "$source|$work" | sed 's/[.+]/\\&/g')" "$work/prefix"; then
            fail "the install names a folder of the build"
        fi
        ;;
    add_subdirectory | fetch_content)
        build_types -DRANKLET_SOURCE="$source"
        by_cmake -DRANKLET_SOURCE="$source"
        ;;
    pkg_config)
        command -v pkg-config >/dev/null || { echo "skipping: no pkg-config"; exit 77; }
        export PKG_CONFIG_PATH=$work/prefix/share/pkgconfig
        [ "$(pkg-config --modversion ranklet)" = "$version" ] || fail "wrong version"
        flags=$(pkg-config --cflags --libs ranklet)
        # shellcheck disable=SC2086 # the flags are words
        "$CXX" -std=c++20 -O2 -Wall -Wextra -Werror "$here/use.cpp" $flags -o "$build/use"
        "$build/use" >"$build/output"
        ;;
    plain_compiler_line)
        # shellcheck disable=SC2086 # the flags are words
        "$CXX" -std=c++20 -O3 -I "$source/include" $RANKLET_FLAGS "$here/use.cpp" -o "$build/use"
        "$build/use" >"$build/output"
        ;;
    *) fail "no such method" ;;
esac

[ "$(cat "$build/output")" = "$expected" ] || fail "printed '$(cat "$build/output")', expected '$expected'"
echo "$method: $(cat "$build/output")"
