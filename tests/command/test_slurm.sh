#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_slurm: batchproc submit on a real Slurm with two nodes on loopback. A tree is copied in eight parts
# while a node loses its power; the parts that it had are done elsewhere, and the whole is the tree, each item
# once. Then a job that is interrupted while it is waited for; and, beside both, one whose time is over too early.
#
# Functions are called by until_so.
# shellcheck disable=SC2317
set -u
: "${BATCHPROC:?}" "${TMPDIR:=/tmp}"
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${SLURM_LOCAL_DIR:-}" ]; then
	case "${TEST_CC:-}" in
	*-fsanitize*)
		echo "what it shows is not about memory or threads"
		exit 77
		;;
	esac
	exec "$here/../support/slurm-local.sh" -n 2 -c 2 -t 240 "$0"
fi

if [ -z "${SLURM_LOCAL_POWER:-}" ]; then
	echo "no PID namespaces here, without which no node can lose its power"
	exit 77
fi

work=$(mktemp -d "$TMPDIR/job-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

wrong()
{
	echo "$1" >&2
	status=1
}

show()
{
	squeue --array
	tail -n 5 w*/*.log said
} >&2

# until_so SECONDS COMMAND...
until_so()
{
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep .2
	done
}

# member NAME FILE: a number of a summary
member()
{
	sed -n "s/.*\"$1\":\([0-9]*\)[,}].*/\1/p" "$2" | tail -n 1
}

mkdir src
(cd "$here/../.." && find tests lib tools docs -type f ! -path '*/corpora/*' | head -n 400 | tar -cf - -T -) | tar -xf - -C src
ln -s nowhere src/link

# A minute, of which most is for the end: it is stopped the next time that Slurm looks, which it does twice a
# minute, and goes on. On the node that stays, beside all that follows.
"$BATCHPROC" submit --shards 1 --work-dir w3 --time 1 --stop-before 55s --sbatch=--nodelist=node0 --sbatch=--mem=50 \
	-- hash -r --rate 8/s src >/dev/null || wrong "the first job is not submitted"

# ---------------------------------------------------------------- a node is lost

# Slow enough that a node can be lost in the middle.
submit=("$BATCHPROC" submit --shards 8 --work-dir w --wait --json --time 5 --sbatch=--mem=50 --
	copy -a --rate 12/s --loops 1 --no-target-directory src dst)
"${submit[@]}" >summary 2>said &
waiting=$!

node_of()
{
	squeue --noheader --array --states=RUNNING --format='%a %i %N %j' | sed -n "s/^[^ ]* [0-9]*_\([0-9]*\) $1 .*/\1/p"
}
under_way()
{
	local part count
	for part in $(node_of node1); do
		count=$(grep -cs '^ok' "w/$part.journal")
		[ "${count:-0}" -lt 5 ] || return 0
	done
	return 1
}
if until_so 60 under_way; then
	lost=$(node_of node1)
	kill -9 "$(cat "$SLURM_LOCAL_DIR/node1.pid")"
else
	wrong "no part has begun on the second node"
	show
	lost=
fi
wait $waiting
code=$?
[ $code -eq 0 ] || wrong "submit --wait ended with status $code"
[ $status -eq 0 ] || show
diff -r --no-dereference src dst >&2 || wrong "the copy is another tree"
items=$(find src | wc -l)
[ "$(member items summary)" = "$items" ] || wrong "of $items items the summary has $(member items summary)"
[ "$(member failed summary)" = 0 ] || wrong "items have failed"
[ "$(member ended summary)" = 8 ] || wrong "not all parts have ended"
[ ! -s w/failed ] || wrong "there is a list of failures"
cmp -s summary w/summary || wrong "another summary was printed than was made"
# Each file was done once, but for what a part had at the moment of the loss.
for part in $lost; do
	[ "$(grep -c '"summary":true' "w/$part.records")" -eq 1 ] || wrong "part $part has not one end"
	grep -q 'done according to the journal' "w/$part.records" || again="${again-} $part"
done
[ "$(echo "$lost" | wc -w)" -gt "$(echo "${again-}" | wc -w)" ] ||
	wrong "no part has gone on where it was: lost $lost, begun anew ${again-}"
grep -q 'of 8 parts' said || wrong "no progress was shown"

# ---------------------------------------------------------------- it is interrupted, and goes on

"$BATCHPROC" submit --shards 2 --work-dir w2 --wait -q --sbatch=--mem=50 --sbatch=--job-name=stopped -- \
	hash -r --rate 5/s src >out 2>said &
waiting=$!
until_so 60 test -s w2/1.records || wrong "the second job does not begin"
kill -TERM $waiting
wait $waiting
code=$?
[ $code -eq 143 ] || wrong "interrupted, submit ended with status $code"
grep -q 'is cancelled' said || wrong "it does not say that the job is cancelled"
no_jobs()
{
	[ -z "$(squeue --noheader --name=stopped)" ]
}
until_so 30 no_jobs || wrong "the job goes on"

# ---------------------------------------------------------------- its time is over

until_so 100 test -s w3/status || wrong "the first job does not end"
[ "$(cut -d ' ' -f 2 w3/status 2>/dev/null)" = 0 ] || wrong "the status of the first job is $(cat w3/status)"
[ "$(member items w3/summary)" = "$(find src -type f | wc -l)" ] || wrong "the first job lacks items"
[ "$(grep -c '"summary":true' w3/1.records)" -ge 2 ] || wrong "the first job was not stopped before its end"
grep -q '"exit":143' w3/1.records || wrong "the first job was not stopped cleanly"

[ $status -eq 0 ] || show
exit $status
