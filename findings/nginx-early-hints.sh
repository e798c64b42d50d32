#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nginx 1.22.1 as a proxy takes the 103 (Early Hints, RFC 8297) of its origin for the final
# response: it passes on 103 with "Connection: close", and the 200 that follows goes to the client
# as bytes behind a response without a body. The client never sees the status of what it asked
# for. Seen: status line 103, Connection: close.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install nginx=1.22.1-9+deb12u11
origin=$(free_port)
port=$(free_port)
cat >origin.py <<'END'
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(8)
while True:
    c, _ = s.accept()
    asked = b""
    while b"\r\n\r\n" not in asked:
        part = c.recv(4096)
        if not part:
            break
        asked += part
    else:
        c.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n")
        time.sleep(0.2)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    c.close()
END
start python3 origin.py "$origin"
cat >nginx.conf <<END
daemon off; master_process off; pid $dir/pid; error_log $dir/errors;
events {}
http {
	access_log off;
	client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
	uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
	server {
		listen 127.0.0.1:$port;
		location / { proxy_pass http://127.0.0.1:$origin; proxy_http_version 1.1; }
	}
}
END
start nginx -p "$dir" -c "$dir/nginx.conf"
# The origin listens as soon as it answers.
printf 'GET / HTTP/1.1\nHost: a\nConnection: close\n\n' | ask "$origin" >/dev/null
printf 'GET / HTTP/1.1\nHost: a\nConnection: close\n\n' |
	ask "$port" >answer
head_of answer >head.txt
shows "$(head -n 1 head.txt), $(grep -i '^connection' head.txt)" grep -q '^HTTP/1.1 103' head.txt
