#!/bin/bash
# SPDX-License-Identifier: MIT
#
# caddy 2.6.2 with encode gzip: HEAD with Accept-Encoding: gzip announces Content-Length: 20 for a
# file of any length (the size of an empty gzip stream), where GET sends all of it, without a
# length. Who sizes a download by a HEAD takes it for complete after 20 bytes. Seen: 20 for a text
# of 428,903 bytes.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install caddy=2.6.2-5
mkdir www
head -c 428903 /dev/zero | tr '\0' a >www/text.txt
port=$(free_port)
cat >Caddyfile <<END
{
	admin off
	auto_https off
}
http://127.0.0.1:$port {
	root * $dir/www
	encode gzip
	file_server
}
END
HOME=$dir start caddy run --config Caddyfile --adapter caddyfile
printf 'HEAD /text.txt HTTP/1.1\nHost: 127.0.0.1:%d\nAccept-Encoding: gzip\nConnection: close\n\n' "$port" |
	ask "$port" >answer
head_of answer >head.txt
shows "$(grep -i '^content-length' head.txt) and $(grep -i '^content-encoding' head.txt)" grep -qi '^content-length: 20$' head.txt
