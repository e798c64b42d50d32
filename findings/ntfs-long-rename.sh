#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where a file is renamed onto another one whose name has 238 characters or more, ntfs-3g 2022.10.3
# leaves the old file in the directory: under a new name, which is as many of the same characters as
# the length and 19 come to, less 256. rename(2) says 0, the new file is right, and the other one stays
# after the next mount. Of 237 characters it is EINVAL, and of less nothing is left. Seen: of 230 characters nothing; of 243 a
# name of 6 with the old content, of 250 one of 13, of 255 one of 18.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

[ -e /dev/fuse ] || cannot "no /dev/fuse"
[ "$(id -u)" = 0 ] || cannot "not root: mounts"
install ntfs-3g=1:2022.10.3-1+deb12u4 libntfs-3g89=1:2022.10.3-1+deb12u4
truncate -s 32M image
mkdir m
"$root"/sbin/mkfs.ntfs -F -q image >/dev/null 2>&1 || cannot "no file system can be made"
"$root"/bin/ntfs-3g image m >/dev/null 2>&1 || cannot "ntfs-3g does not mount"
mounted m

# replaced LENGTH LEFT: what is there after the rename, by the lengths of the names; 0: nothing is left
replaced()
{
	local name left
	name=$(printf "%0$1d" 0)
	mkdir "m/$1"
	echo old >"m/$1/$name"
	echo new >"m/$1/new"
	mv -f "m/$1/new" "m/$1/$name" || return 1
	grep -qx new "m/$1/$name" || return 1
	left=$(find "m/$1" -type f ! -name "$name")
	if [ "$2" = 0 ]; then
		[ -z "$left" ]
	else
		[ "$(basename "$left")" = "$(printf "%0$2d" 0)" ] && grep -qx old "$left"
	fi
}
shows "of 230 characters nothing is left" replaced 230 0
invalid()
{
	! replaced 237 0 2>said && grep -qx old "m/237/$(printf "%0237d" 0)"
}
shows "of 237 it fails, and the old file stays" invalid
shows "of 243 a file of 6, with the old content" replaced 243 6
shows "of 250 one of 13" replaced 250 13
shows "of 255 one of 18" replaced 255 18
