#!/bin/sh
# Compiles every header by itself: check_headers.sh BUILD_DIR [COMPILER...]
#
# BUILD_DIR is a configured one: its header_flags.txt has the project's flags for this.  Compilers
# default to gcc and clang.  Public headers are compiled as C++ too, by the C++ sisters of those.
# Prints the compiler's words for each header that fails, then "N passed, M failed".
set -eu
cd "$(dirname "$0")/.."
build=${1:?usage: check_headers.sh BUILD_DIR [COMPILER...]}
shift
[ $# -gt 0 ] || set -- gcc clang
[ -r "$build/header_flags.txt" ] || { echo "$build/header_flags.txt: configure first" >&2; exit 2; }

results=$(mktemp)
trap 'rm -f "$results"' EXIT

# A public header must do with plain C11 or C++11, without src/ and GNU extensions: what its users
# have.
one() { # COMPILER DIALECT HEADER
    case $2 in
    private) flags="-x c -std=gnu17 -D_GNU_SOURCE $(cat "$build/header_flags.txt")" ;;
    c11) flags="-x c -std=c11 -Iinclude $(grep '^-W' "$build/header_flags.txt")" ;;
    c++11) flags="-x c++ -std=c++11 -Iinclude -Wall -Wextra -Wpedantic -Wshadow -Werror" ;;
    esac
    # shellcheck disable=SC2086 # flags are words
    if printf '#include "%s"\nextern int a_declaration_of_its_own;\n' "$3" |
        "$1" $flags -fsyntax-only -; then
        echo passed >>"$results"
    else
        echo "$1 ($2): $3 does not compile alone"
        echo failed >>"$results"
    fi
}

headers() {
    (cd "$1" && find . -name '*.h' | sed 's,^\./,,' | sort)
}

for compiler in "$@"; do
    for header in $(headers src); do
        one "$compiler" private "$header"
    done
    plusplus=$(echo "$compiler" | sed 's/gcc/g++/; s/clang/clang++/')
    for header in $(headers include); do
        one "$compiler" c11 "$header"
        if command -v "$plusplus" >/dev/null; then
            one "$plusplus" c++11 "$header"
        fi
    done
done
passed=$(grep -c passed "$results" || true)
failed=$(grep -c failed "$results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
