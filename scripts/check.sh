#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh DIR: run tests one after another and add up what they say.
#
# Standard input has one test a line: KIND NAME COMMAND [ARGUMENT...]. KIND is cmocka (counted by
# the program's own closing lines), program or script (one test: exit status 0 passed, 77 skipped).
# The output of each goes to DIR/NAME.log; that of a failed one is shown. All are run, also after
# a failure, and the last lines are cmocka's closing lines with the totals of all.
#
# Environment: T names to run (shell patterns; all by default), CASE a pattern that is handed to
# the cmocka programs, TEST_TIMEOUT seconds for one test program, RUNNER a command put before
# each, MEMCHECK one put before what is not a script, V=1 to show every output.
set -u

dir=$1
: "${T:=*}" "${CASE:=}" "${TEST_TIMEOUT:=300}" "${RUNNER:=}" "${MEMCHECK:=}" "${V:=0}"
mkdir -p "$dir"
totals=$dir/totals
skips=$dir/skips
fails=$dir/fails
: >"$totals"
: >"$skips"
: >"$fails"

wanted()
{
	set -f
	# T is a list of patterns.
	# shellcheck disable=SC2086
	set -- "$1" $T
	set +f
	name=$1
	shift
	for pattern; do
		# shellcheck disable=SC2254
		case $name in
		$pattern) return 0 ;;
		esac
	done
	return 1
}

# cmocka_totals LOG: passed, failed and skipped, "none" without closing lines
cmocka_totals()
{
	awk '
		/^\[==========\] .*test\(s\) run\.?$/ { closed = 1 }
		/^\[ +PASSED +\] [0-9]+ test\(s\)/ { passed += $4 }
		/^\[ +FAILED +\] [0-9]+ test\(s\)/ { failed += $4 }
		/^\[ +SKIPPED +\] [0-9]+ test\(s\)/ { skipped += $4 }
		END {
			if (closed)
				print passed + 0, failed + 0, skipped + 0
			else
				print "none"
		}' "$1"
}

# list LOG WORD: the names that cmocka lists below "N test(s), listed below:"
list()
{
	awk -v word="$2" '
		/^\[/ && $2 == word && /listed below/ { on = 1; next }
		on && /^\[/ && $2 == word { sub(/^\[[^]]*\] /, ""); print; next }
		{ on = 0 }' "$1"
}

why()
{
	case $1 in
	124 | 137) echo "no end within $limit s" ;;
	13[0-9] | 14[0-9] | 15[0-9]) echo "ended by signal $(($1 - 128))" ;;
	*) echo "exit status $1" ;;
	esac
}

run_one()
{
	kind=$1
	name=$2
	shift 2
	log=$dir/$(echo "$name" | tr / -).log
	if [ "$kind" = cmocka ] && [ -n "$CASE" ]; then
		set -- "$@" "$CASE"
	fi
	# shellcheck disable=SC2086
	[ "$kind" = script ] || set -- $MEMCHECK "$@"
	# A program is an example, which shall not take long.
	limit=$TEST_TIMEOUT
	[ "$kind" != program ] || limit=$((TEST_TIMEOUT / 5))
	start=$(date +%s)
	# shellcheck disable=SC2086
	timeout -k 10 "$limit" $RUNNER "$@" </dev/null >"$log" 2>&1
	status=$?
	took=$(($(date +%s) - start))

	counts=none
	if [ "$kind" = cmocka ]; then
		counts=$(cmocka_totals "$log")
	elif [ $status -eq 0 ]; then
		counts='1 0 0'
	elif [ $status -eq 77 ]; then
		counts='0 0 1'
		status=0
		echo "$name: $(tail -n 1 "$log")" >>"$skips"
	fi
	fault=
	if [ "$counts" = none ]; then
		counts='0 1 0'
		fault=$(why $status)
		[ $status -ne 0 ] || fault="ended without cmocka's closing lines"
	fi
	# shellcheck disable=SC2086
	set -- $counts
	if [ $status -ne 0 ] && [ "$2" -eq 0 ]; then
		set -- "$1" 1 "$3"
		fault=$(why $status)
	fi
	if [ "$kind" = cmocka ]; then
		list "$log" SKIPPED | sed "s/^/$name: /" >>"$skips"
		list "$log" FAILED | sed "s/^/$name: /" >>"$fails"
	elif [ "$2" -ne 0 ] && [ -z "$fault" ]; then
		fault=$(why $status)
	fi
	[ -z "$fault" ] || echo "$name: $fault" >>"$fails"
	echo "$1 $2 $3" >>"$totals"

	text="$1 passed"
	[ "$2" -eq 0 ] || text="$text, $2 FAILED"
	[ "$3" -eq 0 ] || text="$text, $3 skipped"
	printf '  %-7s %-28s %s (%d s)\n' TEST "$name" "$text" "$took"
	if [ "$2" -ne 0 ] || [ "$V" = 1 ]; then
		sed 's/^/    | /' "$log"
	fi
}

# Scripts and programs first, so that what ends the output is a cmocka program's.
sort -s -k 1,1r >"$dir/list"
while read -r kind name command; do
	# shellcheck disable=SC2086
	! wanted "$name" || run_one "$kind" "$name" $command
done <"$dir/list"

if [ ! -s "$totals" ]; then
	echo "No test is called $T; there are: $(cut -d ' ' -f 2 "$dir/list" | xargs)" >&2
	exit 2
fi
if [ -s "$skips" ]; then
	sed 's/^/  SKIP    /' "$skips"
fi
# shellcheck disable=SC2046
set -- $(awk '{ p += $1; f += $2; s += $3 } END { print p, f, s }' "$totals")
echo "$1 $2 $3" >"$dir/sum"
echo "[==========] $(($1 + $2)) test(s) run."
[ "$3" -eq 0 ] || echo "[  SKIPPED ] $3 test(s)."
echo "[  PASSED  ] $1 test(s)."
if [ "$2" -ne 0 ]; then
	echo "[  FAILED  ] $2 test(s), listed below:"
	sed 's/^/[  FAILED  ] /' "$fails"
	exit 1
fi
