#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Exceptions of C++ belong to the task that throws them: tests/lib/cxx/exceptions.cc, built with the C++
# compiler beside the build's C compiler, against the shared library and against the archive, on each
# backend. BATCHPROC names the command, beside which the library is. Skipped without such a compiler.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=$(CDPATH='' cd -- "$(dirname -- "$BATCHPROC")" && pwd)
: "${TEST_CC:=cc}" "${TEST_LDFLAGS:=}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The words of TEST_CC that C++ shares: sanitizers, and where headers are.
set -f
cxx=g++
flags=
for word in $TEST_CC; do
	case $word in
	*clang*) cxx=clang++ ;;
	-fsanitize=* | -fno-sanitize* | -I* | -pthread | -O* | -g*) flags="$flags $word" ;;
	esac
done
set +f
command -v $cxx >/dev/null || {
	echo "$cxx is not installed"
	exit 77
}

for kind in so a; do
	# The flags are words.
	# shellcheck disable=SC2086
	$cxx -std=c++11 -Wall -Wextra -Werror -Wno-deprecated-declarations $flags -I"$out/include" \
		-o "$tmp/$kind" "$here/cxx/exceptions.cc" $TEST_LDFLAGS "$out/lib/libbatchproc.$kind" -luring -pthread
	for backend in uring threads sim; do
		status=0
		LD_LIBRARY_PATH=$out/lib "$tmp/$kind" $backend || status=$?
		case $status in
		0) ;;
		77) echo "$backend: not here" ;;
		*)
			echo "$kind, $backend: exit status $status" >&2
			exit 1
			;;
		esac
	done
done
echo "exceptions stay with their tasks"
