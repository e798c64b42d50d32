#!/bin/sh
# SPDX-License-Identifier: MIT
#
# batchproc.hpp in the compilers and standards that a user may bring: what it promises holds, the examples in C++
# run, and no warning is given. Skipped, exit status 77, where there is no C++ compiler. BATCHPROC is the
# command, beside the library; TEST_CC tells what sanitizers it was built with.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
lib=$(CDPATH='' cd -- "$(dirname -- "$BATCHPROC")/lib" && pwd)
san=$(echo "${TEST_CC-}" | grep -o -- '-fsanitize=[a-z,]*' | head -n 1 || true)
flags="-Wall -Wextra -Werror -pthread -I$top/lib $san"
tried=0
failed=0

# try COMPILER STANDARD FILE...: each is a program of its own
try()
{
	command -v "$1" >/dev/null || return 0
	cxx=$1 std=$2
	shift 2
	# A runtime of sanitizers is one compiler's.
	if [ -n "$san" ]; then
		case ${TEST_CC%% *}/$cxx in
		*clang*/g++ | *gcc*/clang++ | cc/clang++) return 0 ;;
		esac
	fi
	for file; do
		tried=$((tried + 1))
		# The flags are words.
		# shellcheck disable=SC2086
		if ! $cxx -std=$std $flags -o "$dir/program" "$file" -L"$lib" -lbatchproc \
			-Wl,-rpath,"$lib" -luring 2>"$dir/err" ||
			! "$dir/program" >"$dir/out" 2>"$dir/err"; then
			failed=$((failed + 1))
			echo "$cxx -std=$std $file:"
			cat "$dir/err"
		fi
	done
}

# The oldest standard with one, the newest with the other: each takes a while.
try g++ c++11 "$top/tests/lib/cxx.cc"
try clang++ c++20 "$top/tests/lib/cxx.cc"
try g++ c++17 "$top"/docs/examples/*.cc
[ "$tried" -gt 0 ] || exit 77
echo "$tried programs, $failed failed"
[ "$failed" -eq 0 ]
