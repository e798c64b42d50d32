#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The commands that README.md shows under <!-- run: NAME --> work as they stand there, each with exit status 0;
# port 8000 is another one here, and batchproc is the one that BATCHPROC names. Run in the top directory
# of the source.
set -eu

command -v python3 >/dev/null || {
	echo "skipped: no python3 here"
	exit 77
}

dir=$(mktemp -d)
server=
end()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$dir"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

cp README.md "$dir"
# Below those that the kernel gives to connections, which other tests make by the thousand.
port=$(python3 -c '
import os, socket
for port in range(12000 + os.getpid() * 37 % 8000, 20000):
    try:
        socket.socket().bind(("127.0.0.1", port))
    except OSError:
        continue
    print(port)
    break')
awk '/^<!-- run: / { on = 1; next } /^[^ ]/ { on = 0 } on && /^    \$ / { print substr($0, 7) }' README.md |
	sed "s/8000/$port/g" >"$dir/lines"
[ -s "$dir/lines" ] || {
	echo "README.md shows no runs" >&2
	exit 1
}

mkdir "$dir/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(realpath "$BATCHPROC")" >"$dir/bin/batchproc"
chmod +x "$dir/bin/batchproc"
PATH=$dir/bin:$PATH
export PATH

cd "$dir"
while read -r line; do
	echo "\$ $line"
	eval "$line" </dev/null
	[ "${line%&}" = "$line" ] || server=$!
done <lines
grep -q '"code":200' records
