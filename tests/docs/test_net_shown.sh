#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The runs that the manual pages of fetch and probe show do what the pages say: each line behind ".Dl $" is run,
# in a directory of its own, and has to succeed. The names of hosts in them stand for servers on loopback.
# BATCHPROC is the command. Run in the top directory of the source.
set -eu

for program in python3 openssl; do
	command -v $program >/dev/null || {
		echo "$program is not installed"
		exit 77
	}
done
tmp=$(mktemp -d)
http=
tls=
trap '[ -z "$http" ] || kill "$http"; [ -z "$tls" ] || kill "$tls"; rm -rf "$tmp"' EXIT

mkdir "$tmp/www" "$tmp/bin" "$tmp/run"
ln -s "$BATCHPROC" "$tmp/bin/batchproc"
echo hello >"$tmp/www/a.txt"
echo well >"$tmp/www/health"
cat >"$tmp/serve.py" <<'END'
import functools, http.server, socket, sys
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1] + "/sock")
unix.listen(16)
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1] + "/www")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
END
python3 "$tmp/serve.py" "$tmp" >"$tmp/port" 2>"$tmp/server" &
http=$!
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/key" -out "$tmp/cert" \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost -days 90 2>/dev/null
(cd "$tmp" && exec openssl s_server -accept 127.0.0.1:0 -cert cert -key key -www >accept 2>&1) &
tls=$!
tries=0
until port=$(cat "$tmp/port") && [ -n "$port" ] &&
	tls_port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$tmp/accept") && [ -n "$tls_port" ]; do
	tries=$((tries + 1))
	[ $tries -lt 500 ] || {
		cat "$tmp/server" "$tmp/accept" >&2
		exit 1
	}
	sleep 0.02
done

cd "$tmp/run"
printf 'http://127.0.0.1:%s/a.txt\nhttp://127.0.0.1:%s/health\n' "$port" "$port" | tee list >links
echo "tls://localhost:$tls_port" >hosts
printf '#!/bin/sh\ntouch began\n' >service
chmod +x service
cd - >/dev/null

sed -n 's/^\.Dl \$ //p' docs/man/batchproc-fetch.1 docs/man/batchproc-probe.1 >"$tmp/shown"
grep -q 'fetch' "$tmp/shown" && grep -q 'probe' "$tmp/shown"
sed -i "s,\(db\|queue\|api\):[0-9]*,127.0.0.1:$port,g; s,unix:[^ ]*,unix:$tmp/sock,g" "$tmp/shown"
status=0
while read -r line; do
	(cd "$tmp/run" && PATH=$tmp/bin:$PATH SSL_CERT_FILE=$tmp/cert sh -c "$line") >"$tmp/said" 2>&1 </dev/null || {
		echo "failed: $line" >&2
		cat "$tmp/said" >&2
		status=1
	}
done <"$tmp/shown"
for file in mirror/a.txt mirror/health began; do
	[ -e "$tmp/run/$file" ] || {
		echo "nothing made $file" >&2
		status=1
	}
done
exit $status
