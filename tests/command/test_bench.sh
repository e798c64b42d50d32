#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The benchmark runs, each row alone too, and its output is whole. No figure is looked at.
# BATCHPROC is the command; the bench lies beside it.
#
# And it is honest: who is not there is passed over by name, who fails or does other work than the
# others is marked, and nobody gets a figure for that.
set -eu

built=$(dirname "$BATCHPROC")
bench=$built/bench
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "$1" >&2
	exit 1
}

# ---------------------------------------------------------------- it is whole

rows=$("$bench" --list | awk '{ print $1 }')
[ -n "$rows" ] || fail "bench --list names no row"
for row in $rows; do
	"$bench" --smoke --json "$tmp/$row" "$row" >"$tmp/table" || {
		cat "$tmp/table" >&2
		fail "bench $row failed"
	}
	"$built/bench-docs" check "$tmp/$row" || fail "bench $row: its file is not whole"
	"$built/bench-docs" rows "$tmp/$row" >"$tmp/said"
	! grep -qv "^$row	" "$tmp/said" || fail "bench $row has measured other rows"
	# Who is in the file is in the table, by name.
	while IFS='	' read -r name peer what _; do
		grep "^$name " "$tmp/table" | grep -qF "$peer" || fail "bench $row: no $peer ($what) in the table"
	done <"$tmp/said"
done
! "$bench" nosuchrow 2>/dev/null || fail "an unknown row was accepted"
! "$bench" -n 2 nop-op 2>/dev/null || fail "two runs were accepted"
! "$bench" --smoke --json "$tmp/no/such" nop-op >/dev/null 2>&1 || fail "a file that cannot be written was no failure"
# Nothing is left of the trees that rows make: check.sh looks at TMPDIR after this, where the rows were.
"$bench" --smoke --dir "$tmp" hash-tree >/dev/null || fail "--dir"
! find "$tmp" -name 'batchproc-bench.*' | grep -q . || fail "a tree was left behind"

# ---------------------------------------------------------------- page and pictures

# One file with all that was measured, as a page shows it.
"$bench" --smoke --json "$tmp/file" nop-op hash-tree in-flight >/dev/null || fail "three rows together"
"$built/bench-docs" page "$tmp/file" >"$tmp/page" || fail "no page can be made"
"$built/bench-docs" rows "$tmp/file" | while IFS='	' read -r name peer what _; do
	grep -q "^### $name:" "$tmp/page" || fail "the page has no row $name"
	case $what in
	measured) line="| $peer |" ;;
	*) line="- $name: $peer: " ;;
	esac
	grep -qF -e "$line" "$tmp/page" || fail "the page does not name $peer"
done
"$built/bench-docs" plot cpu "$tmp/file" | grep -q 'find | xargs -P2 sha256sum' || fail "a peer is not drawn"
status=0
"$built/bench-docs" plot limit "$tmp/file" >/dev/null || status=$?
[ $status -eq 3 ] || fail "a picture is drawn of nothing"
if command -v gnuplot >/dev/null; then
	O=$built scripts/bench-docs.sh "$tmp/file" "$tmp/docs" >/dev/null || fail "no page and pictures can be made"
	O=$built scripts/bench-docs.sh --check "$tmp/file" "$tmp/docs" || fail "page and pictures are not those of their file"
	grep -q '</svg>' "$tmp/docs/bench/cpu.svg" || fail "there is no picture"
	sed '0,/"median": [0-9.]*/s//"median": 0.125/' "$tmp/file" >"$tmp/other"
	! O=$built scripts/bench-docs.sh --check "$tmp/other" "$tmp/docs" >/dev/null 2>&1 || fail "a page of other figures passed"
fi

# ---------------------------------------------------------------- it is honest

# Sanitizers have seen all rows by now; who is marked is the same there, and takes long.
case ${TEST_CC-} in
*-fsanitize=*) exit 0 ;;
esac

# broken PROGRAM SCRIPT ROW PEER: a peer that goes wrong is marked with its name, has no figure, and the rest has
broken()
{
	mkdir "$tmp/bin"
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
	! PATH=$tmp/bin:$PATH "$bench" --smoke --json "$tmp/file" "$3" >"$tmp/table" 2>/dev/null ||
		fail "a $1 that does '$2' was no failure of $3"
	"$built/bench-docs" check "$tmp/file" || fail "a broken $1 breaks the file"
	"$built/bench-docs" rows "$tmp/file" >"$tmp/said"
	grep -qF "$3	$4	failed" "$tmp/said" || fail "a $1 that does '$2' is not marked"
	! grep -qF "$3	$4	measured" "$tmp/said" || fail "a $1 that does '$2' has a figure"
	grep -q "^$3 .*FAILED: $4" "$tmp/table" || fail "a $1 that does '$2' is not marked in the table"
	grep -q "	measured	" "$tmp/said" || fail "nobody but $1 was measured any more"
	rm -r "${tmp:?}/bin"
}

real=$(command -v sha256sum)
broken sha256sum 'exit 1' hash-tree 'find | xargs -P2 sha256sum'
# shellcheck disable=SC2016
broken sha256sum 'for f; do echo "0000000000000000000000000000000000000000000000000000000000000000  $f"; done' \
	hash-tree 'find | xargs -P2 sha256sum'
broken sha256sum "shift; exec $real \"\$@\"" hash-tree 'find | xargs -P2 sha256sum'
if command -v nc >/dev/null; then
	broken nc 'exit 0' probe 'xargs -P64 nc -z'
fi
if command -v b3sum >/dev/null; then
	broken b3sum 'exit 1' hash-tree 'find | xargs -P2 b3sum'
fi
if command -v fio >/dev/null && ! "$bench" --smoke latency | grep -q 'skipped: all'; then
	broken fio 'echo "{}"' latency 'fio, io_uring, 64 deep'
fi
if ! "$bench" --smoke copy-tree | grep -q 'skipped: all'; then
	real=$(command -v cp)
	broken cp 'exit 1' copy-tree 'cp -r'
	broken cp "$real \"\$@\"; find \"\$3\" -name f00001 -exec rm {} +" copy-tree 'cp -r'
	broken cp "$real \"\$@\"; find \"\$3\" -name f00001 -exec truncate -s 0 {} + -exec truncate -s 8192 {} +" \
		copy-tree 'cp -r'
fi

# Who hangs is ended with the bench, with all that it started, and what was measured before is there.
mkdir "$tmp/bin"
# shellcheck disable=SC2016
printf '#!/bin/sh\n[ "$1" != --version ] || exit 1\necho $$ >"%s/hangs"\nsleep 1000 & echo $! >>"%s/hangs"\nwait\n' "$tmp" "$tmp" >"$tmp/bin/sha256sum"
chmod +x "$tmp/bin/sha256sum"
PATH=$tmp/bin:$PATH "$bench" --smoke --json "$tmp/file" nop-op hash-tree >"$tmp/table" 2>/dev/null &
pid=$!
while [ ! -e "$tmp/hangs" ] || [ "$(wc -l <"$tmp/hangs")" -lt 2 ]; do
	kill -0 $pid || fail "nobody has waited for what hangs"
	sleep 0.1
done
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status -eq 130 ] || fail "a bench that was ended has the status $status"
while read -r child; do
	! kill -0 "$child" 2>/dev/null || [ "$(sed 's/.*) //; s/ .*//' "/proc/$child/stat")" = Z ] ||
		fail "what hung goes on"
done <"$tmp/hangs"
"$built/bench-docs" check "$tmp/file" || fail "the file of a bench that was ended is not whole"
"$built/bench-docs" rows "$tmp/file" | grep -q '^nop-op	bare liburing loop	measured' || fail "what was measured is lost"
rm -r "${tmp:?}/bin"

# Ours is held to the same.
printf '#!/bin/sh\n"%s" "$@" | sed 1d\n' "$BATCHPROC" >"$tmp/wrong"
chmod +x "$tmp/wrong"
! "$bench" --smoke --batchproc "$tmp/wrong" hash-tree >/dev/null 2>&1 || fail "a digest too few of ours was no failure"

# Who is not there is passed over by name, and that is no failure.
mkdir "$tmp/some"
(
	IFS=:
	for dir in $PATH; do
		ln -s "$dir"/* "$tmp/some" 2>/dev/null || true
	done
)
rm -f "$tmp/some/wget2" "$tmp/some/wrk"
if [ -e "$tmp/some/nginx" ] && [ -e "$tmp/some/curl" ]; then
	PATH=$tmp/some "$bench" --smoke --json "$tmp/file" get >/dev/null || fail "no wget2 and no wrk is a failure"
	"$built/bench-docs" rows "$tmp/file" >"$tmp/said"
	for peer in wget2 wrk; do
		grep -q "^get	$peer	skipped	not installed" "$tmp/said" || fail "$peer is not passed over by name"
	done
	grep -q '^get	curl --parallel	measured' "$tmp/said" || fail "curl was not measured without the others"
fi
