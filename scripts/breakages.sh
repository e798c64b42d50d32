#!/bin/sh
# SPDX-License-Identifier: MIT
#
# breakages.sh DIR [SEEDS]: tests the simulation: does it find bugs?
#
# Each patch in tests/breakages breaks one promise of the library. One after the other they are applied to a
# copy of the sources in DIR, and test_sim plays SEEDS schedules (20,000 by default) of the broken library.
# Said for each: after how many schedules the breakage was found, and by what. One that is not found, or that no
# longer applies, fails. TEST_MAKE is make with the options of this build.
set -eu

: "${TEST_MAKE:=make}"
dir=$1
seeds=${2:-20000}
src=$(cd "$(dirname "$0")/.." && pwd)
copy=$dir/source

rm -rf "$copy"
mkdir -p "$copy"
for part in Makefile lib tests tools docs scripts; do
	cp -r "$src/$part" "$copy/"
done
dir=$(cd "$dir" && pwd)

build()
{
	# shellcheck disable=SC2086
	eval "$TEST_MAKE -s -C '$copy' O='$dir/build' '$dir/build/tests/lib/test_sim'" >"$dir/log" 2>&1 || {
		cat "$dir/log"
		return 1
	}
}

# play: runs test_sim; what it says is in $dir/log
play()
{
	SIM_BRIEF=1 "$dir/build/tests/lib/test_sim" play 0 "$seeds" >"$dir/log" 2>&1
}

build
if ! play; then
	echo "unbroken: fails"
	cat "$dir/log"
	exit 1
fi
failed=0
count=0
for patch in "$src"/tests/breakages/*.patch; do
	name=$(basename "$patch" .patch)
	count=$((count + 1))
	if ! (cd "$copy" && patch -s -p1 --no-backup-if-mismatch -i "$patch") >"$dir/log" 2>&1; then
		echo "$name: no longer applies"
		cat "$dir/log"
		failed=$((failed + 1))
		rm -rf "${copy:?}/lib"
		cp -r "$src/lib" "$copy/"
		continue
	fi
	if ! build; then
		echo "$name: does not compile"
		failed=$((failed + 1))
	elif play; then
		echo "$name: NOT FOUND in $seeds schedules"
		failed=$((failed + 1))
	else
		after=$(sed -n 's/^after \([0-9]*\) schedules$/\1/p' "$dir/log")
		by=$(grep -v '^played\|^after' "$dir/log" | head -n 1)
		printf '%-32s after %6s schedules: %s\n' "$name" "$after" "$by"
	fi
	(cd "$copy" && patch -s -R -p1 --no-backup-if-mismatch -i "$patch")
done
rm -rf "$copy"
echo "$((count - failed)) of $count breakages found"
[ $failed -eq 0 ]
