#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-fresh.sh [SUITE]: the first commands of README.md in a bare Debian, as somebody has it who knows nothing else:
# mmdebstrap makes one (bookworm by default), the source is put into it, and the lines of README.md that name this
# script are run there, one after the other. Needs root, mmdebstrap and the network; takes some minutes.
# MIRROR is a line of sources.list or a URL; APT_CONFIG and proxies are the caller's.
set -eu

cd "$(dirname "$0")/.."
suite=${1:-bookworm}
root=$(mktemp -d)
end()
{
	umount "$root/proc" 2>/dev/null || true
	rm -rf --one-file-system "$root"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# shellcheck disable=SC2086
mmdebstrap --mode=root --variant=minbase "$suite" "$root" ${MIRROR:+"$MIRROR"}
mkdir "$root/src"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -a -t "$root/src"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$root/proc"

# Their blocks are marked.
sed -n '/^<!-- run by: scripts\/check-fresh.sh -->$/,/^```$/s/^\$ //p' README.md >"$root/lines"
[ "$(wc -l <"$root/lines")" -eq 4 ] || {
	echo "README.md does not have two commands and two commands"
	exit 1
}
# One shell, as one that is typed into, and in a file, so that nothing reads the rest of it as its input.
(
	echo 'set -e; cd /src; export HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C'
	while IFS= read -r line; do
		printf "echo '\$ %s'\n" "$(echo "$line" | sed "s/'/'\\\\''/g")"
		printf '%s </dev/null\n' "$line"
	done <"$root/lines"
) >"$root/first.sh"
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
	${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
	chroot "$root" sh /first.sh
echo "a fresh $suite: all four commands went through"
