#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What README.md shows of `batchproc fetch` is what comes of it: the commands behind "    $ " in its section
# are run, in a fresh directory, and print what stands below them. The server that it starts is one on a free port
# here. BATCHPROC is the command. Run in the top directory of the source.
set -eu

command -v python3 >/dev/null || {
	echo "python3 is not installed"
	exit 77
}
tmp=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tmp"' EXIT

mkdir -p "$tmp/bin" "$tmp/run/www"
ln -s "$BATCHPROC" "$tmp/bin/batchproc"
python3 -u -m http.server 0 --bind 127.0.0.1 -d "$tmp/run/www" >"$tmp/server" 2>&1 &
server=$!
tries=0
until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$tmp/server") && [ -n "$port" ]; do
	tries=$((tries + 1))
	[ $tries -lt 500 ] || {
		cat "$tmp/server" >&2
		exit 1
	}
	sleep 0.02
done

# The section, with the server's port, and without its start.
sed -n '/^## Many URLs/,/^## /s/^    //p' README.md >"$tmp/section"
grep -q '^\$ python3 -m http.server .*-d www 8001 ' "$tmp/section"
grep -v '^\$ python3 -m http.server' "$tmp/section" | sed "s/localhost:8001/localhost:$port/g" >"$tmp/shown"
grep -q '^\$ batchproc fetch' "$tmp/shown"
grep '^\$ ' "$tmp/shown" | while read -r _ line; do
	printf '$ %s\n' "$line"
	(cd "$tmp/run" && PATH=$tmp/bin:$PATH sh -c "$line" 2>&1)
done >"$tmp/came"
diff "$tmp/shown" "$tmp/came"
