#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The benchmark runs, each row alone too, and its output is whole. No figure is looked at.
# BATCHPROC is the command; the bench lies beside it.
set -eu

bench=$(dirname "$BATCHPROC")/bench
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "$1" >&2
	exit 1
}

rows=$("$bench" --list | awk '{ print $1 }')
[ -n "$rows" ] || fail "bench --list names no row"
for row in $rows; do
	"$bench" --smoke --json "$row" >"$tmp/$row" || fail "bench $row failed"
	[ -s "$tmp/$row" ] || fail "bench $row printed nothing"
	grep -q "\"row\":\"$row\"" "$tmp/$row" || fail "bench $row printed other rows"
	# Every line is one object: a comparison with both sides, or a peer skipped by name.
	awk -v row="$row" '
		!/^\{.*\}$/ { bad = 1 }
		/"skipped":"/ && /"peer":"[^"]/ { next }
		!/"ours":[0-9]/ || !/"theirs":[0-9]/ || !/"ratio":[0-9]/ { bad = 1 }
		!/"backend":"[a-z]/ || !/"loops":[0-9]/ || !/"limit":/ || !/"kernel":"/ { bad = 1 }
		bad { print "not whole: " $0; exit 1 }' "$tmp/$row" || fail "bench $row"
done
"$bench" --smoke nop-op | grep -q 'bare liburing loop' || fail "the table does not name the peer"
! "$bench" nosuchrow 2>/dev/null || fail "an unknown row was accepted"
! "$bench" -n 2 nop-op 2>/dev/null || fail "two runs were accepted"
# Nothing is left of the trees that rows make.
"$bench" --smoke --dir "$tmp" hash-tree copy-tree rm-tree lanes >/dev/null || fail "--dir"
! find "$tmp" -name 'batchproc-bench.*' | grep -q . || fail "a tree was left behind"
