#!/bin/sh
# SPDX-License-Identifier: MIT
#
# man-aliases.sh install|remove MANDIR PAGE...: a page that describes several functions is found
# under each of their names. For every further .Nm of a PAGE's section NAME, MANDIR/manN gets a
# page of one line that leads to it.
set -eu

what=$1
mandir=$2
shift 2

for page; do
	section=${page##*.}
	file=$(basename "$page")
	names=$(sed -n '/^\.Sh NAME$/,/^\.Nd /s/^\.Nm \([A-Za-z0-9_.-]*\).*$/\1/p' "$page")
	for name in $names; do
		alias=$mandir/man$section/$name.$section
		[ "$name.$section" != "$file" ] || continue
		if [ "$what" = install ]; then
			echo ".so man$section/$file" >"$alias"
			chmod 644 "$alias"
		else
			rm -f "$alias"
		fi
	done
done
