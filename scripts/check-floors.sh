#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-floors.sh [DIR]: does the code still stand as the table below says? DIR is where it was built
# (build). A file may include, call and look at what is its own room's and what stands on lower floors,
# never what is beside or above it; so there is no circle. Calls and variables are looked up in the
# objects with nm, so that a declaration elsewhere hides nothing; what is handed down in a table of
# functions is no call.
#
# And no file is longer than 600 lines but the public header, no function longer than 70. Functions are
# found by their braces in column 1, from one to the other: what a macro makes is not seen, and the lines
# of the signature are not counted.
set -eu

cd "$(dirname "$0")/.."
out=${1:-build}
: "${NM:=${TEST_NM:-nm}}"
export LC_ALL=C
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# One floor a line, from the ground up; | stands between rooms that do not know each other. A file is
# where the first pattern is that fits.
floors()
{
	case $1 in
	lib)
		cat <<'END'
base.* bufs.* opcode.* public.h probes.h compat.h cxx.h batchproc.h batchproc_sim.h
timer.* | limit.* | stack.* switch* | backend/backend.h | backend/exec*
core.h
loop.* loop_threads.c state.c
pool.* | post.*
task.* task_cancel.c task_local.c | instead.*
wait.*
backend/* | sim/*
group.* item.c admit.c auto.c cancel.c circle.c handle.* go.c context.c | lane.* | sync.* channel.c
op.h op.c op_*.c | dump.c | turn.c | ordered.c
engine.c
explore/*
END
		;;
	tools/batchproc)
		cat <<'END'
base/* verb.h verb.c
cli/*
output/*
run/*
journal/*
walk/*
digest/*
net/*
verbs/*
verbs.c help.* complete.* main.c
END
		;;
	esac
}

# shellcheck disable=SC2016
# "include FROM LINE TO" for each include of a file of the same part
includes()
{
	find "$1" -name '*.[chS]' | sort | xargs awk -F '"' -v part="$1/" '
		/^#include "/ { print "include", substr(FILENAME, length(part) + 1), FNR, $2 }'
}

# "define FILE 0 NAME" and "use FILE 0 NAME" for each symbol of the objects whose source is still there
symbols()
{
	{
		find "$1" -name '*.[cS]'
		find "$out/$1" -name '*.o' | sort | xargs "$NM" -gA
	} | awk -v part="$1/" -v made="$out/$1/" '
		!/:/ { source[substr($0, length(part) + 1, length($0) - length(part) - 2)] = $0; next }
		{
			end = index($0, ".o:")
			object = substr($0, length(made) + 1, end - length(made) - 1)
			if (!(object in source))
				next
			file = substr(source[object], length(part) + 1)
			if ($(NF - 1) == "U" || $(NF - 1) ~ /:U$/)
				print "use", file, 0, $NF
			else
				print "define", file, 0, $NF
		}'
}

# The table in numbers first, then what is to be held against it.
stands()
{
	{
		floors "$1" | awk '{ print "floor", NR, $0 }'
		symbols "$1" | sort -s -k 1,1
		includes "$1"
	} | awk -v part="$1" '
		function fits(name, pattern) {
			gsub(/\./, "\\.", pattern)
			gsub(/\*/, ".*", pattern)
			return name ~ ("^" pattern "$")
		}
		function find(name, i) {
			if (!(name in floor)) {
				for (i = 1; i <= patterns; i++)
					if (fits(name, pattern[i]))
						break
				floor[name] = i > patterns ? 0 : floor_of[i]
				room[name] = i > patterns ? 0 : room_of[i]
				if (i > patterns) {
					print part "/" name ": has no place in the table"
					bad = 1
				}
			}
			return floor[name]
		}
		function hold(from, to, how) {
			find(from)
			find(to)
			if (floor[to] < floor[from] || room[to] == room[from])
				return
			print part "/" from ": " how \
				(floor[to] == floor[from] ? ", which stands beside it" : ", which stands above it")
			bad = 1
		}
		$1 == "floor" {
			rooms++
			for (i = 3; i <= NF; i++) {
				if ($i == "|") {
					rooms++
					continue
				}
				pattern[++patterns] = $i
				floor_of[patterns] = $2
				room_of[patterns] = rooms
			}
		}
		$1 == "define" { home[$4] = $2; objects[$2] = 1 }
		$1 == "use" && ($4 in home) { hold($2, home[$4], "uses " $4 " of " home[$4]) }
		$1 == "include" && !($4 ~ /^batchproc\.h$/ && part != "lib") {
			hold($2, $4, "line " $3 " includes " $4)
		}
		END {
			for (o in objects)
				count++
			if (!count) {
				print part ": nothing was built"
				bad = 1
			}
			exit bad
		}'
}

# No file and no function too long.
short()
{
	find lib tools tests docs scripts -name '*.[ch]' ! -path lib/batchproc.h | sort | xargs awk '
		FNR == 1 { begin = 0 }
		FNR == 601 { print FILENAME ": more than 600 lines"; bad = 1 }
		/^\{$/ { begin = FNR }
		/^\}/ {
			if (begin && FNR - begin > 70) {
				printf "%s:%d: a function of %d lines\n", FILENAME, begin, FNR - begin + 1
				bad = 1
			}
			begin = 0
		}
		END { exit bad }'
}

status=0
for part in lib tools/batchproc; do
	stands "$part" >"$tmp/found" || status=1
	sort -u "$tmp/found"
done
short || status=1
exit $status
