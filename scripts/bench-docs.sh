#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench-docs.sh [--check] [FILE [DIR]]: docs/benchmarks.md and its pictures from what `bench --json` wrote.
#
# FILE is docs/bench.json and DIR is docs unless given: DIR/benchmarks.md is the page, DIR/bench/NAME.gp each
# picture as gnuplot reads it, with its data, and NAME.svg and NAME.png what gnuplot makes of it. --check
# makes nothing, and fails when page or pictures are not those of FILE. O is where it was built (build).
set -eu

check=
if [ "${1:-}" = --check ]; then
	check=1
	shift
fi
cd "$(dirname "$0")/.."
file=${1:-docs/bench.json}
dir=${2:-docs}
docs=${O:-build}/bench-docs
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
pictures='limit cpu latency memory items'

fail()
{
	echo "bench-docs: $1" >&2
	exit 1
}

[ -x "$docs" ] || fail "$docs is not there: make all"
"$docs" check "$file"
mkdir "$tmp/bench"
"$docs" page "$file" >"$tmp/benchmarks.md"
drawn=
for name in $pictures; do
	status=0
	"$docs" plot "$name" "$file" >"$tmp/bench/$name.gp" || status=$?
	case $status in
	0) drawn="$drawn $name" ;;
	3) rm "$tmp/bench/$name.gp" ;;
	*) exit $status ;;
	esac
done

if [ "$check" ]; then
	cmp "$tmp/benchmarks.md" "$dir/benchmarks.md" || fail "$dir/benchmarks.md is not what $file says"
	for name in $drawn; do
		cmp "$tmp/bench/$name.gp" "$dir/bench/$name.gp" || fail "$name is drawn from other figures"
		if [ ! -s "$dir/bench/$name.svg" ] || [ ! -s "$dir/bench/$name.png" ]; then
			fail "$name is not drawn"
		fi
	done
	exit 0
fi

command -v gnuplot >/dev/null || fail "gnuplot is not here: make bench-deps"
mkdir -p "$dir/bench"
for name in $pictures; do
	rm -f "$dir/bench/$name.gp" "$dir/bench/$name.svg" "$dir/bench/$name.png"
done
for name in $drawn; do
	size=$(sed -n '1s/^# size \([0-9]*\) \([0-9]*\)$/\1,\2/p' "$tmp/bench/$name.gp")
	for form in svg png; do
		case $form in
		svg) terminal="svg size $size font 'sans,12' background rgb 'white' enhanced" ;;
		png) terminal="pngcairo size $size font 'sans,10' background rgb 'white' enhanced" ;;
		esac
		{
			printf "set terminal %s\nset output '%s'\n" "$terminal" "$dir/bench/$name.$form"
			cat "$tmp/bench/$name.gp"
		} | gnuplot || fail "gnuplot draws no $name"
	done
	cp "$tmp/bench/$name.gp" "$dir/bench"
done
cp "$tmp/benchmarks.md" "$dir/benchmarks.md"
echo "  DOCS    $dir/benchmarks.md, pictures:$drawn"
