#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mini-httpd 1.30 serves x.tar.gz as an x.tar that is gzip-encoded on the way (Content-Type:
# application/x-tar, Content-Encoding: gzip), to a client that did not say it takes gzip. Who
# decodes what is labelled so saves a tar file by the name x.tar.gz, and its digest is not the
# published one. Seen: Content-Encoding: gzip without any Accept-Encoding.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install mini-httpd=1.30-3
mkdir www
head -c 3000 /dev/zero | gzip -n >www/x.tar.gz
port=$(free_port)
start mini_httpd -D -h 127.0.0.1 -p "$port" -d "$dir/www" -u root -i "$dir/pid"
printf 'GET /x.tar.gz HTTP/1.1\nHost: a\nConnection: close\n\n' |
	ask "$port" >answer
head_of answer >head.txt
shows "$(grep -i '^content-type' head.txt), $(grep -i '^content-encoding' head.txt)" grep -qi '^content-encoding: gzip' head.txt
