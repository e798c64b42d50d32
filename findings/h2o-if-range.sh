#!/bin/bash
# SPDX-License-Identifier: MIT
#
# h2o 2.2.5 does not look at If-Range: a range is served as 206 although the validator names
# another version of the file. A download that is resumed so gets the end of another file than it
# has the begin of, unless the client compares the ETag of the 206 itself. Seen: 206 with an ETag
# that is not the one asked for.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install h2o=2.2.5+dfsg2-7
mkdir www
head -c 1000 /dev/zero >www/file
port=$(free_port)
cat >h2o.conf <<END
listen: {host: 127.0.0.1, port: $port}
hosts: {"default": {paths: {"/": {file.dir: $dir/www}}}}
END
chmod 755 "$dir"
start h2o -c h2o.conf
printf 'GET /file HTTP/1.1\nHost: a\nRange: bytes=5-9\nIf-Range: "another"\nConnection: close\n\n' |
	ask "$port" >answer
head_of answer >head.txt
shows "$(head -n 1 head.txt), $(grep -i '^etag' head.txt)" grep -q '^HTTP/1.1 206' head.txt
