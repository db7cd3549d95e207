#!/bin/sh
# Installs gnatter from BUILD_DIR into a directory of its own and builds each program of
# tests/install/consumer against it in every way that is promised: test_install.sh BUILD_DIR CC
set -eu
build=${1:?usage: test_install.sh BUILD_DIR CC}
cc=${2:?usage: test_install.sh BUILD_DIR CC}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install: $*" >&2
    exit 1
}

cmake --install "$build" --prefix "$work/usr" >/dev/null
pc=$(find "$work/usr" -name gnatter.pc)
[ -n "$pc" ] || fail "there is no gnatter.pc"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir gnatter)
[ -x "$work/usr/bin/gnatter" ] || fail "there is no bin/gnatter"
for document in gnatter.yaml gnatter.service; do
    [ -n "$(find "$work/usr" -name $document)" ] || fail "there is no $document"
done

foreign=$(nm -D --defined-only "$libdir/libgnatter.so" | awk '$3 !~ /^gnatter_/ { print $3 }')
[ -z "$foreign" ] || fail "libgnatter.so exports $foreign"
for header in "$work"/usr/include/*; do
    [ "$header" = "$work/usr/include/gnatter" ] || fail "$header is installed, too"
done

links_shared() { ldd "$1" | grep -q libgnatter; }

for source in "$here"/consumer/*.c; do
    program=$work/$(basename "$source" .c)

    # shellcheck disable=SC2046 # flags are words
    "$cc" -Wall -Wextra -Werror "$source" -o "$program-shared" \
        $(pkg-config --cflags --libs gnatter) -Wl,-rpath,"$libdir"
    links_shared "$program-shared" || fail "$program-shared is not linked to libgnatter.so"
    "$program-shared"

    # shellcheck disable=SC2046
    "$cc" -Wall -Wextra -Werror "$source" -o "$program-static" \
        $(pkg-config --static --cflags --libs gnatter | sed 's/-lgnatter/-l:libgnatter.a/')
    ! links_shared "$program-static" || fail "$program-static is linked to libgnatter.so"
    "$program-static"
    echo "install: $(basename "$source") builds and runs by pkg-config, shared and static"
done

if ! { cmake -G Ninja -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/usr" \
    -DCMAKE_C_COMPILER="$cc" && cmake --build "$work/cmake"; } >"$work/log" 2>&1; then
    cat "$work/log"
    fail "the CMake package does not do"
fi
for source in "$here"/consumer/*.c; do
    program=$work/cmake/$(basename "$source" .c)
    links_shared "$program-shared" || fail "$program-shared is not linked to libgnatter.so"
    ! links_shared "$program-static" || fail "$program-static is linked to libgnatter.so"
    "$program-shared"
    "$program-static"
    echo "install: $(basename "$source") builds and runs by find_package, shared and static"
done
