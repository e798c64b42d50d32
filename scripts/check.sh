#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh DIR: run tests, several at a time, and add up what they say.
#
# Standard input has one test a line: KIND NAME COMMAND [ARGUMENT...]. KIND is cmocka (counted by the
# program's own closing lines), program or script (one test: exit status 0 passed, 77 skipped), or alone
# (a script that is run when nothing else runs any more). The output of each goes to DIR/NAME.log; that
# of a failed one is shown, whole. All are run, also after a failure, and the last lines are cmocka's
# closing lines with the totals of all.
#
# Environment: T names to run (shell patterns; all by default), CASE a pattern that is handed to
# the cmocka programs, JOBS how many run at a time (one for each processor by default, 8 at most),
# TEST_TIMEOUT seconds for one test program, RUNNER a command put before each, MEMCHECK one put before
# what is not a script, V=1 to show every output.
#
# check.sh DIR one TEST is how it calls itself for each of them: what is to be shown goes to DIR/NAME.said,
# what is to be added up to DIR/NAME.sum, .skips and .fails, and only when all that is whole NAME is printed.
set -u

dir=$1
: "${T:=*}" "${CASE:=}" "${TEST_TIMEOUT:=300}" "${RUNNER:=}" "${MEMCHECK:=}" "${V:=0}"

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

# Sets cpu to the seconds of CPU time of all that this shell has waited for.
look_at_cpu()
{
	# Not in a subshell, which would have children of its own.
	times >"$base.times"
	cpu=$(awk -F '[ms ]' 'END { printf "%d", $1 * 60 + $2 + $4 * 60 + $5 }' "$base.times")
	rm -f "$base.times"
}

# run_one KIND NAME COMMAND [ARGUMENT...]
run_one()
{
	kind=$1
	name=$2
	shift 2
	base=$dir/$(echo "$name" | tr / -)
	log=$base.log
	if [ "$kind" = cmocka ] && [ -n "$CASE" ]; then
		set -- "$@" "$CASE"
	fi
	# shellcheck disable=SC2086
	case $kind in
	cmocka | program) set -- $MEMCHECK "$@" ;;
	esac
	# A program is an example, which shall not take long.
	limit=$TEST_TIMEOUT
	[ "$kind" != program ] || limit=$((TEST_TIMEOUT / 5))
	# What it leaves there, because it was killed in the middle, goes with its end.
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/bp-check-XXXXXX") || exit 1
	chmod 755 "$tmp"
	start=$(date +%s)
	# shellcheck disable=SC2086
	TMPDIR=$tmp timeout -k 10 "$limit" $RUNNER "$@" </dev/null >"$log" 2>&1
	status=$?
	took=$(($(date +%s) - start))
	look_at_cpu
	if ! rmdir "$tmp" 2>/dev/null; then
		left=$(find "$tmp" -mindepth 1 -maxdepth 1 | head -n 3 | tr '\n' ' ')
		echo "left behind: $left" >>"$log"
		chattr -R -i "$tmp" 2>/dev/null
		chmod -R u+rwx "$tmp" 2>/dev/null
		rm -rf --one-file-system "$tmp"
	fi

	: >"$base.skips"
	: >"$base.fails"
	counts=none
	if [ "$kind" = cmocka ]; then
		counts=$(cmocka_totals "$log")
	elif [ $status -eq 0 ]; then
		counts='1 0 0'
	elif [ $status -eq 77 ]; then
		counts='0 0 1'
		status=0
		echo "$name: $(tail -n 1 "$log")" >>"$base.skips"
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
		list "$log" SKIPPED | sed "s|^|$name: |" >>"$base.skips"
		list "$log" FAILED | sed "s|^|$name: |" >>"$base.fails"
	elif [ "$2" -ne 0 ] && [ -z "$fault" ]; then
		fault=$(why $status)
	fi
	[ -z "$fault" ] || echo "$name: $fault" >>"$base.fails"
	echo "$1 $2 $3" >"$base.sum"

	text="$1 passed"
	[ "$2" -eq 0 ] || text="$text, $2 FAILED"
	[ "$3" -eq 0 ] || text="$text, $3 skipped"
	{
		printf '  %-7s %-28s %s (%d s, %d s of CPU time)\n' TEST "$name" "$text" "$took" "$cpu"
		if [ "$2" -ne 0 ] || [ "$V" = 1 ]; then
			sed 's/^/    | /' "$log"
		fi
	} >"$base.said"
	echo "$base"
}

if [ "${2:-}" = one ]; then
	set -f
	# A line is words.
	# shellcheck disable=SC2086
	run_one $3
	exit 0
fi

# run_all JOBS: runs the tests on standard input; each is shown when it has ended
run_all()
{
	tr '\n' '\0' | xargs -r -0 -n 1 -P "$1" "$0" "$dir" one | while read -r base; do
		cat "$base.said"
		cat "$base.sum" >>"$dir/totals"
		cat "$base.skips" >>"$dir/skips"
		cat "$base.fails" >>"$dir/fails"
	done
}

if [ -z "${JOBS:-}" ]; then
	JOBS=$(nproc)
	[ "$JOBS" -le 8 ] || JOBS=8
fi
mkdir -p "$dir"
rm -f "$dir/sum"
for file in totals skips fails list; do
	: >"$dir/$file"
done
all=
while read -r kind name command; do
	all="$all $name"
	! wanted "$name" || echo "$kind $name $command" >>"$dir/list"
done
if [ ! -s "$dir/list" ]; then
	echo "No test is called $T; there are:$all" >&2
	exit 2
fi

# What takes long begins early: scripts, programs of tests, and then the examples.
for kind in script cmocka program; do
	grep "^$kind " "$dir/list" | sort -s -k 2,2
done | run_all "$JOBS"
grep '^alone ' "$dir/list" | run_all 1

if [ "$(wc -l <"$dir/totals")" -ne "$(wc -l <"$dir/list")" ]; then
	echo "$(wc -l <"$dir/list") tests were to be run, $(wc -l <"$dir/totals") have ended" >&2
	exit 1
fi
if [ -s "$dir/skips" ]; then
	sed 's/^/  SKIP    /' "$dir/skips"
fi
# shellcheck disable=SC2046
set -- $(awk '{ p += $1; f += $2; s += $3 } END { print p, f, s }' "$dir/totals")
echo "$1 $2 $3" >"$dir/sum"
echo "[==========] $(($1 + $2)) test(s) run."
[ "$3" -eq 0 ] || echo "[  SKIPPED ] $3 test(s)."
echo "[  PASSED  ] $1 test(s)."
if [ "$2" -ne 0 ]; then
	echo "[  FAILED  ] $2 test(s), listed below:"
	sed 's/^/[  FAILED  ] /' "$dir/fails"
	exit 1
fi
