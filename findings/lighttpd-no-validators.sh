#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lighttpd 1.4.69 sends neither ETag nor Last-Modified for a file whose extension mimetype.assign
# does not name: what a client may keep, resume or ask for conditionally depends on the table of
# content types. Seen: no validator for /a.bin, both for /a.txt, which is of the same bytes, with
# a table that has .txt alone.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install lighttpd=1.4.69-1 liblua5.4-0=5.4.4-3+deb12u1 libnettle8=3.8.1-2 libpcre2-8-0=10.42-1
mkdir www
echo content | tee www/a.bin >www/a.txt
port=$(free_port)
cat >lighttpd.conf <<END
server.document-root = "$dir/www"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$dir/errors"
server.modules = ()
mimetype.assign = ( ".txt" => "text/plain" )
END
start lighttpd -D -f lighttpd.conf -m "$root/usr/lib/lighttpd"
validators()
{
	printf 'HEAD %s HTTP/1.1\nHost: a\nConnection: close\n\n' "$1" | ask "$port" >answer
	head_of answer | grep -ciE '^(etag|last-modified):' || true
}
said="$(validators /a.txt) $(validators /a.bin)"
shows "validators of a.txt and a.bin: $said" [ "$said" = "2 0" ]
