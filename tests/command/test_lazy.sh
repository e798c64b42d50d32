#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Libraries that are loaded when they are needed (tools/batchproc/base/lazy.c): what needs none of them works where they
# are broken, what needs one says which, with status 125; arguments come through the first call as through the next.
# In a build that is linked to all of them there is nothing to see.
#
# BATCHPROC is the command.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
status=0
wrong()
{
	echo "$1" >&2
	status=1
}

if LD_TRACE_LOADED_OBJECTS=1 "$BATCHPROC" | grep -q libcrypto; then
	echo "this command is linked to its libraries"
	exit 77
fi

# broken WORD...: the command, where none of the libraries is one
mkdir "$dir/broken" "$dir/tree"
for name in $(tr -d '\0' <"$BATCHPROC" | grep -aoE '"soname":\["[^"]*' | sed 's/.*"//' | sort -u); do
	: >"$dir/broken/$name"
done
[ -e "$dir/broken/libcrypto.so.3" ] || wrong "no note in the program names libcrypto"
broken()
{
	LD_LIBRARY_PATH=$dir/broken "$BATCHPROC" "$@"
}

echo one >"$dir/tree/one"
head -c 300000 /dev/zero >"$dir/tree/large"
broken --version >/dev/null || wrong "--version needs a library"
mkdir "$dir/full"
echo full >"$dir/full/file"
broken list -r "$dir/full" >/dev/null || wrong "list needs a library"
broken rm -r "$dir/full" || wrong "rm needs a library"

# fails LIBRARY WORD...: it ends with 125, and says that it was that one
fails()
{
	library=$1
	shift
	got=0
	broken "$@" >/dev/null 2>"$dir/err" || got=$?
	[ "$got" = 125 ] || wrong "batchproc $*: status $got"
	grep -q "$library" "$dir/err" || wrong "batchproc $*: $(cat "$dir/err")"
}
fails libcrypto hash -r "$dir/tree"
fails libcrypto hash "$dir/tree/large"
fails libxxhash hash -a xxh3 "$dir/tree/one"
fails libz hash -a crc32 "$dir/tree/one"
fails libb2 hash -a blake2b-24 "$dir/tree/one"

# Small files and large ones, first one and then the other; and all at once.
for alg in md5 sha1 sha256 sha512; do
	(cd "$dir/tree" && "${alg}sum" one large) >"$dir/expected"
	(cd "$dir/tree" && "$BATCHPROC" hash -k -a $alg one large) | cmp - "$dir/expected" ||
		wrong "$alg of a small and a large file"
	(cd "$dir/tree" && "$BATCHPROC" hash -k -a $alg large one) | sort |
		cmp - "$(sort -o "$dir/expected" "$dir/expected" && echo "$dir/expected")" ||
		wrong "$alg of a large and a small file"
	(cd "$dir/tree" && "$BATCHPROC" verify -q "$dir/expected") || wrong "verify of $alg"
done

# Few descriptors: it has the library before it has the file.
got=$(prlimit --nofile=10 "$BATCHPROC" hash "$dir/tree/one" "$dir/tree/large" | wc -l)
[ "$got" = 2 ] || wrong "with 10 descriptors: $got lines"
exit $status
