# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For test_denied.sh, test_hidden.sh and test_sysctl.sh: the tests of the command, and the conformance
# cases of the library on threads, where io_uring is refused.
#
# BATCHPROC is the command; the test programs that were built lie beside it, in tests/. They run at a
# twentieth of their size: what is another here than elsewhere is how it begins. Under sanitizers the
# conformance cases are left out: they have run there already, on threads too.

tests=$(dirname "$BATCHPROC")/tests
export TEST_SHARE=20
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

sanitized()
{
	case $TEST_CC in
	*-fsanitize*) return 0 ;;
	esac
	return 1
}

# try HOW PROGRAM [ARGUMENT...]: HOW is a prefix
try()
{
	how=$1
	shift
	# shellcheck disable=SC2086
	if $how "$@" </dev/null >"$dir/log" 2>&1 8>&- 9>&-; then
		echo "$(basename "$1"): $(grep PASSED "$dir/log" | tr -s ' ' | head -n 1)"
		return
	fi
	echo "$(basename "$1") failed:"
	cat "$dir/log"
	failed=1
}

# blocked HOW: all that shall work, after HOW
blocked()
{
	$1 "$BATCHPROC" info >"$dir/info"
	if ! grep -q '^backend  *threads$' "$dir/info"; then
		echo "the command does not run on threads:"
		cat "$dir/info"
		failed=1
	fi
	for test in "$tests"/cmd_*; do
		[ ! -x "$test" ] || try "$1" "$test"
	done
	! sanitized || return 0
	for test in "$tests"/conf_*; do
		[ ! -x "$test" ] || try "$1" "$test" '*threads*]'
	done
}

# filtered ERROR: the same behind a seccomp filter that gives this error for io_uring_setup()
filtered()
{
	# shellcheck disable=SC2086
	$TEST_CC -o "$dir/deny" tests/bare/deny.c $TEST_LDFLAGS
	status=0
	"$dir/deny" "$1" /bin/true || status=$?
	if [ $status -eq 77 ]; then
		echo "no seccomp filter can be set here"
		exit 77
	fi
	blocked "$dir/deny $1"
	exit $failed
}
