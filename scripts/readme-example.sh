#!/bin/sh
# SPDX-License-Identifier: MIT
#
# readme-example.sh FILE [NAME]: the C programs that a Markdown file shows.
#
# An example is a ```c block right after a line <!-- example: NAME.c [ARGUMENT...] -->. Without
# NAME, prints the names; with NAME, its source, under #line, so that the compiler's messages
# speak of FILE. NAME:args prints its arguments instead.
set -eu

file=$1
name=${2:-}

if [ -z "$name" ]; then
	sed -n 's/^<!-- example: \([A-Za-z0-9_-]*\)\.c\( .*\)\{0,1\} -->$/\1/p' "$file"
	exit
fi
case $name in
*:args)
	sed -n "s/^<!-- example: ${name%:args}\\.c \\(.*\\) -->\$/\\1/p" "$file"
	exit
	;;
esac

awk -v start="<!-- example: $name.c" -v file="$file" '
	index($0, start) == 1 && substr($0, length(start) + 1, 1) == " " { armed = 1; next }
	armed && /^```c$/ { on = 1; armed = 0; printf "#line %d \"%s\"\n", NR + 1, file; next }
	on && /^```$/ { whole = 1; exit }
	on { print }
	END { exit !whole }' "$file" || {
	echo "$file has no whole C block after <!-- example: $name.c -->" >&2
	exit 1
}
