#!/bin/bash
# SPDX-License-Identifier: MIT
#
# busybox 1.35 httpd answers HEAD with the header of GET and then with the body as well, all of
# it. A client that knows that HEAD has no body takes the file's bytes for the next response on
# that connection, where it has not closed it. Seen: 300,000 bytes behind the header.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install busybox=1:1.35.0-4+deb12u1+b1
mkdir www
head -c 300000 /dev/zero >www/file
port=$(free_port)
start busybox httpd -f -p 127.0.0.1:"$port" -h www
printf 'HEAD /file HTTP/1.1\nHost: a\nConnection: close\n\n' |
	ask "$port" >answer
size=$(body_size answer)
shows "a HEAD is answered with a body of $size bytes" [ "$size" = 300000 ]
