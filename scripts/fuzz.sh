#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh DIR SECONDS: look for inputs that break the parsers, with clang's libFuzzer.
#
# T of the environment names the harnesses, tests/fuzz/fuzz_NAME.c; all of them by default, one after
# the other. The line "fuzzes: FILE..." in one names the sources of the command that it is about;
# CPPFLAGS and LIBS are what they stand on. DIR/NAME/ gets the program, what it
# found worth keeping (corpus/), what broke (crash-*, ...) and its output (log). Without libFuzzer
# nothing is done, and that is said.
set -eu

dir=$1
seconds=$2
: "${T:=}" "${CPPFLAGS:=}" "${LIBS:=}" "${CLANG:=clang}"
sanitizers=-fsanitize=fuzzer,address,undefined

mkdir -p "$dir"
printf 'int LLVMFuzzerTestOneInput(void) { return 0; }\n' >"$dir/has.c"
if ! $CLANG $sanitizers -o "$dir/has" "$dir/has.c" >/dev/null 2>&1; then
	echo "  SKIP    fuzz: $CLANG has no libFuzzer here; make deps-ci installs it"
	exit 0
fi

if [ -z "$T" ]; then
	T=$(printf '%s\n' tests/fuzz/fuzz_*.c | sed 's|.*/fuzz_\(.*\)\.c|\1|' | xargs)
fi
status=0
for name in $T; do
	if [ ! -e "tests/fuzz/fuzz_$name.c" ]; then
		echo "fuzz: there is no tests/fuzz/fuzz_$name.c" >&2
		exit 2
	fi
	own=$dir/$name
	sources=$(sed -n 's/^ \* fuzzes: //p' "tests/fuzz/fuzz_$name.c")
	if [ -z "$sources" ]; then
		echo "fuzz: tests/fuzz/fuzz_$name.c does not say what it fuzzes" >&2
		exit 2
	fi
	mkdir -p "$own/corpus"
	# Lists of words. The harness is what libFuzzer calls.
	# shellcheck disable=SC2086
	$CLANG -g -O1 $sanitizers -fno-sanitize-recover=undefined -fno-omit-frame-pointer $CPPFLAGS \
		"-Dfuzz_$name=LLVMFuzzerTestOneInput" -o "$own/fuzz" "tests/fuzz/fuzz_$name.c" \
		tests/fuzz/verbs.c $sources $LIBS
	if "$own/fuzz" -max_total_time="$seconds" -max_len=2048 -print_final_stats=1 \
		-artifact_prefix="$own/" "$own/corpus" "tests/fuzz/corpus/$name" >"$own/log" 2>&1; then
		word=passed
	else
		word=FAILED
		status=1
		sed 's/^/    | /' "$own/log"
	fi
	printf '  %-7s %-28s %s (%s executions, %d s)\n' FUZZ "$name" "$word" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$own/log")" "$seconds"
done
exit $status
