#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Where io_uring is blocked the same tests pass: the conformance cases and the tests of the command, under
# a seccomp filter that denies io_uring_setup() with EPERM, as containers do; those of the command also
# with ENOSYS, as old kernels do. With TEST_SYSCTL=1, and as root, all of them with
# kernel.io_uring_disabled=2, which is the whole machine's while it lasts.
#
# BATCHPROC is the command; the test programs that were built lie beside it, in tests/. Under
# sanitizers the conformance cases are left out: they have run there already, on threads too.
set -eu

tests=$(dirname "$BATCHPROC")/tests
sysctl=/proc/sys/kernel/io_uring_disabled
dir=$(mktemp -d)
failed=0
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

# try HOW WORD PROGRAM [ARGUMENT...]: HOW is a prefix; WORD says for the reader what it is
try()
{
	how=$1
	word=$2
	shift 2
	# shellcheck disable=SC2086
	if $how "$@" </dev/null >"$dir/log" 2>&1; then
		echo "$word: $(basename "$1"): $(grep -E 'PASSED|SKIPPED' "$dir/log" | tr -s ' ' | head -n 1)"
		return
	fi
	echo "$word: $(basename "$1") failed:"
	cat "$dir/log"
	failed=1
}

# program HOW WORD: its tests, on the backend that is left
program()
{
	$1 "$BATCHPROC" info >"$dir/info"
	if ! grep -q '^backend  *threads$' "$dir/info"; then
		echo "$2: the command does not run on threads:"
		cat "$dir/info"
		failed=1
	fi
	for test in "$tests"/cmd_*; do
		[ ! -x "$test" ] || try "$1" "$2" "$test"
	done
}

# library HOW WORD: the conformance cases on threads
library()
{
	case $TEST_CC in
	*-fsanitize*) return ;;
	esac
	for test in "$tests"/conf_*; do
		[ ! -x "$test" ] || try "$1" "$2" "$test" '*threads]'
	done
}

# shellcheck disable=SC2086
$TEST_CC -o "$dir/deny" tests/bare/deny.c $TEST_LDFLAGS
status=0
"$dir/deny" EPERM /bin/true || status=$?
if [ $status -eq 77 ]; then
	echo "no seccomp filter can be set here"
	exit 77
fi
library "$dir/deny EPERM" 'seccomp, EPERM'
program "$dir/deny EPERM" 'seccomp, EPERM'
program "$dir/deny ENOSYS" 'seccomp, ENOSYS'

if [ "${TEST_SYSCTL:-0}" = 1 ] && [ -w $sysctl ]; then
	old=$(cat $sysctl)
	mkfifo "$dir/hold"
	# Puts the old value back when the other end of the FIFO is closed, whoever dies of what.
	# shellcheck disable=SC2016
	setsid sh -c 'read -r _ <"$1"; echo "$2" >"$3"' sh "$dir/hold" "$old" $sysctl &
	exec 9>"$dir/hold"
	echo 2 >$sysctl
	library '' 'kernel.io_uring_disabled=2'
	program '' 'kernel.io_uring_disabled=2'
	exec 9>&-
	wait $!
	[ "$(cat $sysctl)" = "$old" ] || failed=1
fi
exit $failed
