#!/usr/bin/env bash
# The headers compile after headers and macros that would break Eigen, xsimd or the library, and give the macros back.
# In: $CXX, $RANKLET_FLAGS (the include path), the folder of everything.hpp; started at the project's root.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What system headers really define (<resolv.h> is what an HTTP library includes), then what others do: X11, windows.h,
# Arduino, newlib. Names in FUNCTIONS are macros with arguments.
system='#include <resolv.h>
#include <sys/param.h>
#include <sys/sysmacros.h>
#include <complex.h>
#if !defined(_res)
#error "this <resolv.h> does not define _res: the test tests nothing"
#endif
#undef I
#define I 1i
#undef major
#define major(x) x
#undef minor
#define minor(x) x
'
words='Status Success None Bool True False Always Complex Convex Above Below Unsorted KeyPress
    OPTIONAL ERROR VOID CONST DELETE IGNORE IN OUT near far small interface
    B0 B1 HIGH LOW DEFAULT INTERNAL EXTERNAL SERIAL DISPLAY PI
    _B _C _L _N _P _S _T _U _X'
defined=$system
for word in $words; do defined+="#undef $word"$'\n'"#define $word 1"$'\n'; done
for function in F bit sq; do defined+="#define $function(x) (x)"$'\n'; done
back='#if Success != 1 || None != 1 || B1 != 1 || F(3) != 3 || !defined(_res) || !defined(I) || !defined(major)
#error "a macro of the host was not given back"
#endif
'

compile() { # NAME, the source on standard input
    cat >"$work/source.cpp"
    # shellcheck disable=SC2086 # the flags are words
    "$CXX" -std=c++20 -w $RANKLET_FLAGS -I "$everything" -fsyntax-only "$work/source.cpp" ||
        { echo "does not compile: $1" >&2; exit 1; }
}
everything=$1
compile "each header by itself" <<<"$defined#include \"everything.hpp\""$'\n'"$back"
# The umbrella also stands a macro min, max, N or E: a name that the standard library or templates use, defined after it.
compile "ranklet.hpp and layers.hpp" <<<"#include <algorithm>
#include <string>
$defined#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) < (b) ? (b) : (a))
#define N 1
#define E 2
#include <ranklet/ranklet.hpp>
#include <ranklet/layers/layers.hpp>
$back
static_assert(min(1, 2) == 1 && max(1, 2) == 2 && N + E == 3);
int main() { return ranklet::Recommender::load(\"x\").ok(); }"
echo "the host's macros break nothing and stay"
