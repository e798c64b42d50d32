#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The picture of README.md is one of the demo as it is: made anew, of another tree, it has the same lines, but for
# numbers, digests and names of files. BATCHPROC is the command. Run in the top directory of the source.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

form()
{
	sed -E -e "s,$2,TREE,g" -e 's/[0-9a-f]{64} .*/DIGEST FILE/' -e 's/of=[^ ]*/of=FILE/; s/>[^ >]*: FAILED/>FILE: FAILED/' \
		-e 's/printf [xy]/printf BYTE/; s/(version|kernel|machine|backend)  .*</\1</' -e 's/[0-9]+(\.[0-9]+)?/N/g' "$1"
}

scripts/picture.sh lib >"$tmp/new.svg"
form docs/demo.svg /usr/include >"$tmp/wanted"
form "$tmp/new.svg" lib >"$tmp/got"
diff "$tmp/wanted" "$tmp/got"
