#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lazy.sh OBJECT...: which functions of which libraries do these objects call? One line for each library and each
# function, for tools/batchproc/base/lazy.c, which loads them when they are first called.
#
# Uses CC, NM, READELF, CFLAGS, SAN and LAZY of the environment. Nothing is lazy, and so all of it linked, with
# LAZY=0, in builds with a sanitizer, which wants to see the libraries at the start, where the names in the objects
# cannot be read (-flto), and on machines that lazy.c has no jumps for. A library that is not found as a shared one
# with a name of its own is linked too.
set -eu

: "${CC:=cc}" "${NM:=nm}" "${READELF:=readelf}" "${CFLAGS:=}" "${SAN:=}" "${LAZY:=1}"
export LC_ALL=C

case $CFLAGS in *-flto*) LAZY=0 ;; esac
# shellcheck disable=SC2086
case $($CC $CFLAGS -dM -E -x c /dev/null) in
*'__ILP32__ 1'* | *'__APX_F__ 1'*) LAZY=0 ;;
*'__x86_64__ 1'* | *'__aarch64__ 1'*) ;;
*) LAZY=0 ;;
esac
[ "$LAZY" = 1 ] && [ -z "$SAN" ] || exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$NM" -u "$@" | sed -n 's/^ *U \([A-Za-z0-9_]*\)$/\1/p' | sort -u >"$tmp/called"

# Those of one library are not looked for in the next: libssl names functions of libcrypto too.
for name in ssl crypto b2 blake3 idn2 z jansson llhttp http_parser xxhash; do
	# shellcheck disable=SC2086
	file=$($CC $CFLAGS -print-file-name="lib$name.so")
	soname=$("$READELF" -d "$file" 2>/dev/null | sed -n 's/.*(SONAME).*\[\(.*\)\]$/\1/p')
	[ -n "$soname" ] || continue
	"$NM" -D --defined-only "$file" | sed -n 's/^[0-9a-f]* [TW] \([A-Za-z0-9_]*\)\(@.*\)\{0,1\}$/\1/p' |
		sort -u >"$tmp/defined"
	comm -12 "$tmp/called" "$tmp/defined" >"$tmp/both"
	[ -s "$tmp/both" ] || continue
	printf 'LAZY_LIBRARY(%s, "%s")\n' "$name" "$soname"
	sed "s/.*/LAZY_CALL($name, &)/" "$tmp/both"
	comm -23 "$tmp/called" "$tmp/both" >"$tmp/rest"
	mv "$tmp/rest" "$tmp/called"
done
