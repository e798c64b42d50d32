#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tinyproxy 1.11.1 answers a CONNECT without a password with 407 (Proxy Authentication Required), as
# RFC 9110 has it, but one with a wrong password with 401 (Unauthorized), the status of the server
# behind it, and with a page of HTML. A client that knows a proxy's refusal by 407 alone takes it for
# another failure. Seen: "407 Proxy Authentication Required", then "401 Unauthorized".

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
install tinyproxy-bin=1.11.1-2.1+deb12u1
proxy=$(free_port)
cat >conf <<END
Port $proxy
Listen 127.0.0.1
Timeout 10
BasicAuth user right
END
start "$root/usr/bin/tinyproxy" -d -c "$dir/conf"

# status [CREDENTIALS]: of the answer to a CONNECT
status()
{
	printf 'CONNECT 127.0.0.1:9 HTTP/1.1\nHost: 127.0.0.1:9\n%s\n' \
		"${1:+Proxy-Authorization: Basic $(printf %s "$1" | base64)
}" | ask "$proxy" >answer
	head -n 1 answer | tr -d '\r'
}
without()
{
	[[ $(status) == HTTP/*' 407 '* ]]
}
wrong()
{
	[[ $(status user:wrong) == HTTP/*' 401 '* ]]
}
shows "without a password the status is 407" without
shows "with a wrong one it is 401" wrong
