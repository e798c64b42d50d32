#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh [TREE]: shows the command at work on a real tree, /usr/include by default, and checks
# what it shows against sha256sum. Reads TREE, writes only below a temporary directory of its own.
# BATCHPROC is the command. Exit status 0 when everything was as it should be.
set -eu

tree=${1:-/usr/include}
: "${BATCHPROC:=build/batchproc}"
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold=
plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m')
	plain=$(printf '\033[0m')
fi

title()
{
	printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

command_line()
{
	printf '  $ %s\n' "$*"
}

fail()
{
	printf '\nThis is wrong: %s\n' "$1" >&2
	exit 1
}

indent()
{
	sed 's/^/    /'
}

# Long lines go on under their second column.
wrap()
{
	awk -v width=96 '{
		while (length($0) > width && match(substr($0, 1, width), /^.*[^ ] /)) {
			print substr($0, 1, RLENGTH - 1)
			$0 = sprintf("%20s%s", "", substr($0, RLENGTH + 1))
		}
		print
	}'
}

# timed FILE COMMAND...: the milliseconds that it took go to FILE
timed()
{
	file=$1
	shift
	start=$(date +%s%N)
	"$@"
	end=$(date +%s%N)
	echo $(((end - start) / 1000000)) >>"$file"
}

best()
{
	sort -n "$1" | head -n 1
}

with_batchproc()
{
	"$BATCHPROC" hash -r "$tree" >"$tmp/ours"
}

with_xargs()
{
	: >"$tmp/theirs"
	find "$tree" -type f -print0 | xargs -0 -r -P "$cpus" -n 200 sha256sum >>"$tmp/theirs"
}

[ -x "$BATCHPROC" ] || fail "$BATCHPROC is not built"
[ -d "$tree" ] || fail "$tree is not a directory"
cpus=$(nproc)
files=$(find "$tree" -type f -printf x | wc -c)
bytes=$(find "$tree" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.1f", n / 1048576 }')
[ "$files" -gt 0 ] || fail "$tree has no files"

title "What runs here"
command_line batchproc info
"$BATCHPROC" info >"$tmp/info" || fail "batchproc info failed"
wrap <"$tmp/info" | indent

title "The digests of $tree: $files files, $bytes MiB, on $cpus CPUs"
# Both read from the page cache, in turn, three times; the best counts.
with_xargs || fail "sha256sum could not read all of $tree"
for _ in 1 2 3; do
	timed "$tmp/ours.ms" with_batchproc || fail "batchproc hash -r $tree failed"
	timed "$tmp/theirs.ms" with_xargs
done
ours=$(best "$tmp/ours.ms")
theirs=$(best "$tmp/theirs.ms")
command_line "batchproc hash -r $tree >ours"
printf '    %d lines in %d ms, such as\n' "$(wc -l <"$tmp/ours")" "$ours"
head -n 2 "$tmp/ours" | cut -c 1-100 | indent
command_line "find $tree -type f -print0 | xargs -0 -P $cpus -n 200 sha256sum >theirs"
printf '    %d lines in %d ms\n' "$(wc -l <"$tmp/theirs")" "$theirs"
command_line "sort ours >a; sort theirs >b; cmp a b && echo equal"
sort "$tmp/ours" >"$tmp/a"
sort "$tmp/theirs" >"$tmp/b"
if ! cmp "$tmp/a" "$tmp/b"; then
	diff "$tmp/a" "$tmp/b" | head -n 10 | indent
	fail "the two lists differ"
fi
echo equal | indent
awk -v a="$ours" -v b="$theirs" 'BEGIN {
	if (a < 1) a = 1
	printf "    sha256sum under xargs took %.1f times as long as batchproc (best of three, cached).\n", b / a
}'

title "sha256sum takes the list back"
command_line "sha256sum --check --quiet ours && echo 'all match'"
sha256sum --check --quiet "$tmp/ours" || fail "sha256sum does not accept the list"
echo "all match" | indent

title "One altered byte, in a copy of 200 of these files"
mkdir "$tmp/copy"
find "$tree" -type f -size +0 -size -2048 -print | grep '/[A-Za-z0-9._+-]*$' | sort | head -n 200 >"$tmp/sample"
n=0
while IFS= read -r file; do
	n=$((n + 1))
	cp "$file" "$tmp/copy/$n-$(basename "$file")"
done <"$tmp/sample"
(cd "$tmp/copy" && "$BATCHPROC" hash -r . >"$tmp/list") || fail "the copy could not be hashed"
command_line "batchproc verify --quiet list; echo \$?"
status=0
(cd "$tmp/copy" && "$BATCHPROC" verify --quiet "$tmp/list") >"$tmp/out" 2>&1 || status=$?
indent <"$tmp/out"
echo $status | indent
[ $status -eq 0 ] || fail "verify complains about an untouched copy"

victim=$(find "$tmp/copy" -type f | sort | tail -n 1)
# The first byte becomes another one.
byte=x
[ "$(head -c 1 "$victim")" != x ] || byte=y
command_line "printf $byte | dd of=$(basename "$victim") bs=1 count=1 conv=notrunc"
printf %s "$byte" | dd of="$victim" bs=1 count=1 conv=notrunc 2>/dev/null
command_line "batchproc verify --quiet list; echo \$?"
status=0
(cd "$tmp/copy" && "$BATCHPROC" verify --quiet "$tmp/list") >"$tmp/out" 2>&1 || status=$?
indent <"$tmp/out"
echo $status | indent
[ $status -eq 1 ] || fail "verify did not end with status 1"
grep -qF "$(basename "$victim"): FAILED" "$tmp/out" || fail "verify did not name the altered file"

title "Everything was as it should be."
