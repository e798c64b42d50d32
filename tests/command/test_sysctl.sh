#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The conformance cases on threads, and some tests of the command, where kernel.io_uring_disabled is 2. That is the
# whole machine's: while it lasts nobody can make a ring. So this is done only when asked for with TEST_SYSCTL=1,
# by root, while no process has a ring, and for some seconds; skipped, exit status 77, otherwise. All tests of the
# command run where a filter gives the same error (denied/*).
#
# What the setting was is put back however this test ends: by a process of a session of its own, which
# waits for this one's end; and where that died too, by the next run, which finds the value in $state.
#
# BATCHPROC is the command; the test programs that were built lie beside it, in tests/.
set -eu

sysctl=/proc/sys/kernel/io_uring_disabled
state=/run/batchproc-test-io_uring_disabled
patience=60 # seconds that others may go on using rings

skip()
{
	echo "$1"
	exit 77
}

[ "${TEST_SYSCTL:-0}" = 1 ] || skip "kernel.io_uring_disabled is left alone without TEST_SYSCTL=1"
[ "$(id -u)" = 0 ] || skip "only root can set kernel.io_uring_disabled"
[ -w $sysctl ] || skip "kernel.io_uring_disabled cannot be set here"

tests=$(dirname "$BATCHPROC")/tests
export TEST_SHARE=20
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

exec 8<$sysctl
flock -n 8 || skip "another run of this test is at work"
if [ -s $state ]; then
	echo "a run of this test died; kernel.io_uring_disabled is $(cat $state) again"
	cat $state >$sysctl
	rm $state
fi
old=$(cat $sysctl)
[ "$old" = 0 ] || skip "kernel.io_uring_disabled is $old already"

# Everybody who has a ring, as far as root can see.
users()
{
	find /proc/[0-9]*/fd -lname 'anon_inode:*io_uring*' 2>/dev/null | cut -d / -f 3 | sort -u
}

while [ -n "$(users)" ]; do
	[ $patience -gt 0 ] || skip "others use io_uring all the time: process $(users | xargs)"
	patience=$((patience - 1))
	sleep 1
done

# try PROGRAM [ARGUMENT...]
try()
{
	if "$@" </dev/null >"$dir/log" 2>&1 8>&- 9>&-; then
		echo "$(basename "$1"): $(grep PASSED "$dir/log" | tr -s ' ' | head -n 1)"
		return
	fi
	echo "$(basename "$1") failed:"
	cat "$dir/log"
	failed=1
}

mkfifo "$dir/hold"
echo "$old" >$state
# shellcheck disable=SC2016
setsid sh -c 'read -r _ <"$1"; cat "$2" >"$3"; rm "$2"' sh "$dir/hold" $state $sysctl 8>&- &
guardian=$!
exec 9>"$dir/hold"
echo 2 >$sysctl
"$BATCHPROC" info >"$dir/info"
if ! grep -q '^backend  *threads$' "$dir/info"; then
	echo "the command does not run on threads:"
	cat "$dir/info"
	failed=1
fi
for test in cmd_hash cmd_stops; do
	try "$tests/command/$test"
done
try "$tests/lib/test_fallback" 'kernel_io_uring_disabled_*'
for test in "$tests"/lib/conf_*; do
	[ ! -x "$test" ] || try "$test" '*[threads*'
done
exec 9>&-
wait $guardian
[ "$(cat $sysctl)" = "$old" ] || failed=1
exit $failed
