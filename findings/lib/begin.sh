# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the findings share; each sources it first. A temporary directory, $dir, which is the working
# directory and goes at the end with all that was mounted or started.
set -euo pipefail

dir=$(mktemp -d)
root=$dir/root
pids=()
mounts=()
cd "$dir"

finish()
{
	local m p
	for m in "${mounts[@]}"; do
		fusermount -u "$m" 2>/dev/null || umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null || true
	done
	for p in "${pids[@]}"; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null || true
	done
	cd /
	rm -rf --one-file-system "$dir"
}
trap finish EXIT

cannot()
{
	echo "cannot be tried here: $*"
	exit 77
}

# install PACKAGE=VERSION...: unpacked below $root, where programs and libraries of it are found
install()
{
	local name
	for name; do
		apt-get download "$name" >/dev/null 2>&1 || cannot "there is no package $name"
	done
	for name in ./*.deb; do
		dpkg -x "$name" "$root"
	done
	rm -f ./*.deb
	PATH=$root/usr/bin:$root/bin:$root/usr/sbin:$PATH
	LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	export LD_LIBRARY_PATH
}

needs()
{
	local name
	for name; do
		command -v "$name" >/dev/null || cannot "$name is missing"
	done
}

# start COMMAND...: in the background, until the end
start()
{
	"$@" >"$dir/started.log" 2>&1 &
	pids+=($!)
}

# mounted DIR: waits until something is mounted there
mounted()
{
	local tries=0
	mounts+=("$dir/$1")
	until mountpoint -q "$1"; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || cannot "nothing was mounted within ten seconds"
		sleep 0.1
	done
}

# ask PORT: sends the request on standard input over a connection to that port of loopback, each line
# ended as HTTP ends it; the answer is on standard output, up to the end of the connection.
ask()
{
	python3 -c '
import socket, sys, time
request = sys.stdin.buffer.read().replace(b"\n", b"\r\n")
for tries in range(100):
    try:
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
s.sendall(request)
while True:
    part = s.recv(65536)
    if not part:
        break
    sys.stdout.buffer.write(part)' "$1"
}

# A port of loopback that was free a moment ago.
free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# head_of FILE, body_size FILE: the header of an answer, without CR, and the length of what follows it
head_of()
{
	sed '/^\r$/q' "$1" | tr -d '\r'
}

body_size()
{
	python3 -c 'import sys; print(len(open(sys.argv[1], "rb").read().partition(b"\r\n\r\n")[2]))' "$1"
}

# shows TEXT COMMAND...: the finding holds while the command succeeds
shows()
{
	local text=$1
	shift
	if "$@"; then
		echo "seen: $text"
	else
		echo "CHANGED, no longer so: $text"
		exit 1
	fi
}
