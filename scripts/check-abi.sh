#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-abi.sh HEADER FURTHER-HEADER MAP LIBRARY ARCHIVE: the functions that the public headers declare, those that
# the symbol map lists and those that the shared library and the archive export are the same, each of the version
# that the map gives it; and the first header's two spellings of the version agree. What 0.1.0 had stays what it was.
# Uses TEST_CC and TEST_NM of the environment.
set -eu

header=$1
further=$2
map=$3
library=$4
archive=$5
: "${TEST_CC:=cc}" "${TEST_NM:=nm}"
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The further header includes the first. A declaration is a name followed by "("; a function pointer's name is followed by ")".
$TEST_CC -D_GNU_SOURCE= -E -P "$further" | grep -v '^#\|static inline' | grep -o '\<bp_[a-z0-9_]*(' | tr -d '(' |
	sort -u >"$tmp/header"
sed -n 's/^[[:space:]]*\(bp_[a-z0-9_]*\);$/\1/p' "$map" | sort -u >"$tmp/map"
$TEST_NM -D --defined-only "$library" | awk '$2 ~ /^[A-Z]$/ && $2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	sort -u >"$tmp/library"

# Names that the compiler made up for sanitizers begin with two underscores.
$TEST_NM --defined-only --extern-only "$archive" | awk 'NF == 3 && $3 !~ /^__/ { print $3 }' |
	sort -u >"$tmp/archive"

status=0
for what in map library archive; do
	if ! diff "$tmp/header" "$tmp/$what" >"$tmp/diff"; then
		echo "The public headers (<) and the $what (>) differ:"
		grep '^[<>]' "$tmp/diff"
		status=1
	fi
done
if [ ! -s "$tmp/header" ]; then
	echo "$header declares nothing"
	status=1
fi

# A program asks for a name of a version, so no name may change its node.
awk '/^BATCHPROC_.* {$/ { node = $1 } /^[[:space:]]*bp_[a-z0-9_]*;$/ { sub(/;/, ""); print $1, node }' "$map" |
	sort >"$tmp/nodes"
$TEST_NM -D --with-symbol-versions --defined-only "$library" |
	awk '$2 ~ /^[A-Z]$/ && $2 != "A" { sub(/@@/, " ", $3); print $3 }' | sort >"$tmp/exported"
if ! diff "$tmp/nodes" "$tmp/exported" >"$tmp/diff"; then
	echo "The versions of the map (<) and of the library (>) differ:"
	grep '^[<>]' "$tmp/diff"
	status=1
fi
if [ "$(grep -c ' BATCHPROC_0\.1$' "$tmp/nodes")" -ne 56 ]; then
	echo "BATCHPROC_0.1 had 56 functions, and can have neither more nor fewer"
	status=1
fi

version()
{
	sed -n "s/^#define BP_VERSION_$1 //p" "$header"
}
if [ "$(version STRING)" != "\"$(version MAJOR).$(version MINOR).$(version PATCH)\"" ]; then
	echo "BP_VERSION_STRING is not made of the three numbers"
	status=1
fi
[ $status -ne 0 ] || echo "$(wc -l <"$tmp/header") functions: headers, map, library and archive agree"
exit $status
