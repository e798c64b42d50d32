#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The scripts of tools/trace under a real bpftrace: every file that the command hashes is opened and closed, and
# whose end it was that cancelled a group is named. BATCHPROC is the command. Skipped, exit status 77, where
# bpftrace or its rights are missing, and under sanitizers, with which it starts programs too slowly to be of use.
set -eu

build=$(cd "$(dirname "$BATCHPROC")" && pwd)
skip()
{
	echo "$1"
	exit 77
}
command -v bpftrace >/dev/null || skip "bpftrace is missing"
grep -q '^#define BP_HAVE_SDT' "$build/config.h" || skip "built without <sys/sdt.h>"
[ "$(id -u)" = 0 ] || skip "only root can attach probes"
case "${TEST_CC-}" in *-fsanitize=*) skip "not under sanitizers" ;; esac

tmp=$(mktemp -d)
tracer=
trap '[ -z "$tracer" ] || kill -KILL "$tracer"; rm -rf "$tmp"' EXIT
export LC_ALL=C BPFTRACE_STRLEN=64

cat >"$tmp/try.bt" <<'END'
usdt:$1:batchproc:end { @ended = count(); }
END
echo 1 >"$tmp/one"
timeout 60 bpftrace "$tmp/try.bt" "$build/batchproc" -c "$build/batchproc hash $tmp/one" >"$tmp/tried" 2>&1 || true
grep -q '^@ended: 1$' "$tmp/tried" || skip "bpftrace does not work here: $(grep -m 1 ERROR "$tmp/tried" || tail -n 1 "$tmp/tried")"

fail()
{
	echo "$1:"
	cat "$2"
	exit 1
}

files=200
mkdir "$tmp/tree"
i=0
while [ $i -lt $files ]; do
	i=$((i + 1))
	echo $i >"$tmp/tree/$i"
done

# Adds up the histogram of one opcode.
counted()
{
	awk -v op="@usecs[$1," 'index($0, op) == 1 { on = 1; next } /^$/ { on = 0 } on { sum += $3 } END { print sum + 0 }' "$2"
}

# Of files and of the one directory; what has several intervals in a line has the count in the third word.
timeout 60 bpftrace tools/trace/latency.bt "$build/batchproc" \
	-c "$build/batchproc hash -r --loops 1 $tmp/tree" >"$tmp/latency" 2>&1 || fail "latency.bt fails" "$tmp/latency"
for op in openat close; do
	n=$(counted $op "$tmp/latency" | tr -d ,)
	if [ "$n" -lt $files ] || [ "$n" -gt $((files + 10)) ]; then
		fail "latency.bt counts $n of $op, not about $files" "$tmp/latency"
	fi
done

# The shared library, which bpftrace finds in no program that has yet to begin: the first success of a race cancels
# the rest. That it has attached its probes it does not say.
echo >"$tmp/race"
bpftrace tools/trace/cancelled.bt "$(readlink -f "$build/lib/libbatchproc.so")" >>"$tmp/race" 2>&1 &
tracer=$!
tries=0
while ! grep -q 'stopped' "$tmp/race"; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || fail "cancelled.bt sees nobody who was stopped" "$tmp/race"
	"$build/docs/examples/race" >"$tmp/raced"
	sleep 0.3
done
kill -INT $tracer
wait $tracer || fail "cancelled.bt fails" "$tmp/race"
tracer=
grep -q 'cancelled by a success, cause 0,' "$tmp/race" || fail "cancelled.bt names no success" "$tmp/race"
grep -q 'did it with [0-9]*$' "$tmp/race" || fail "cancelled.bt does not say who did it" "$tmp/race"
grep -q '^@stopped: [1-9]' "$tmp/race" || fail "cancelled.bt counts nobody who was stopped" "$tmp/race"
echo "latency.bt, cancelled.bt"
