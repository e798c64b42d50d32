#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench-instructions.sh NOPS [COUNT]: how many instructions of its own a NOP takes, in each way that build/nops
# knows, at depth 64 and 256. callgrind counts runs of COUNT (default 50,000) and of twice as many; the difference is
# what they take without start and end. That is repeatable where time is not. valgrind makes each task seem to
# take long, so a loop starts 16 of them in a turn and not 64 (TAKE_MAX in lib/item.c), which adds some to `task`.
set -eu

nops=$1
count=${2:-50000}

if ! command -v valgrind >/dev/null; then
	echo "bench-instructions: needs valgrind" >&2
	exit 77
fi

# counted WAY COUNT DEPTH
counted()
{
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$nops" "$1" "$2" "$3" 2>&1 >/dev/null |
		awk '/Collected :/ { print $4; found = 1 } END { exit !found }'
}

echo "way        depth  instructions"
for depth in 64 256; do
	for way in bare op op-again task task-loop; do
		once=$(counted $way "$count" $depth)
		twice=$(counted $way $((2 * count)) $depth)
		awk -v way=$way -v depth=$depth -v n=$((twice - once)) -v count="$count" \
			'BEGIN { printf "%-10s %5d %13.1f\n", way, depth, n / count }'
	done
done
