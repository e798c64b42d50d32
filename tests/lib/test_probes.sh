#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The USDT probes that docs/tracing.md lists are in the shared library, in the archive and in the command, each with
# as many arguments as its line has there. BATCHPROC is the command. Skipped, exit status 77, where the library was
# built without <sys/sdt.h>.
set -eu

build=$(dirname "$BATCHPROC")
if ! grep -q '^#define BP_HAVE_SDT' "$build/config.h"; then
	echo "built without <sys/sdt.h>"
	exit 77
fi
if ! command -v readelf >/dev/null; then
	echo "readelf is missing"
	exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

# "NAME ARGUMENTS" of each, from the table.
sed -n '/^| probe /,/^$/s/^| \([a-z_]*\) | [^|]* \(|.*\)|$/\1 \2/p' docs/tracing.md |
	awk '$1 != "probe" { name = $1; $1 = ""; n = split($0, cell, "|"); args = 0
		for (i = 2; i <= n; i++)
			if (cell[i] ~ /[a-z]/)
				args++
		print name, args }' | sort >"$tmp/said"
[ "$(wc -l <"$tmp/said")" -gt 5 ] || { echo "docs/tracing.md lists no probes"; exit 1; }

status=0
for file in "$build/lib/libbatchproc.so" "$build/lib/libbatchproc.a" "$BATCHPROC"; do
	readelf -nW "$file" 2>/dev/null | awk '
		/Provider: / { provider = $NF }
		$1 == "Name:" { name = $2 }
		$1 == "Arguments:" && provider == "batchproc" { print name, NF - 1 }' | sort -u >"$tmp/found"
	if ! diff "$tmp/said" "$tmp/found" >"$tmp/diff"; then
		echo "docs/tracing.md (<) and $file (>) differ:"
		grep '^[<>]' "$tmp/diff"
		status=1
	fi
done
[ $status -ne 0 ] || echo "$(wc -l <"$tmp/said") probes"
exit $status
