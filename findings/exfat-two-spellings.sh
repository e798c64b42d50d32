#!/bin/bash
# SPDX-License-Identifier: MIT
#
# exfat-fuse 1.3.0 gives each spelling of a name an inode number of its own, although names that differ in
# case are one file there: stat says two files, with one link each, and a directory that lists one. So who
# compares device and inode number does not see that source and destination are the same. cp of coreutils
# 9.1 empties the file, with exit status 0: it opens the other spelling with O_TRUNC. Seen: two numbers,
# one entry, cp's status 0, a file of 0 bytes.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3 losetup
[ -e /dev/fuse ] || cannot "no /dev/fuse"
[ "$(id -u)" = 0 ] || cannot "not root: no loop device"
install exfat-fuse=1.3.0+git20220115-2 exfatprogs=1.2.0-1+deb12u1 libfuse2=2.9.9-6+b1 coreutils=9.1-1
truncate -s 64M image
mkfs.exfat image >/dev/null
loop=$(losetup -f --show image) || cannot "no loop device"
mkdir m
"$root"/sbin/mount.exfat-fuse "$loop" m >/dev/null 2>&1 || {
	losetup -d "$loop"
	cannot "exfat-fuse does not mount"
}
losetup -d "$loop" # goes with the mount
mounted m
echo precious >m/name
said=$(python3 -c '
import os
print(os.path.samefile("m/name", "m/NAME"), *os.listdir("m"))')
shows "one file, listed once, is two by its inode numbers" [ "$said" = "False name" ]
status=0
"$root/bin/cp" m/name m/NAME || status=$?
shows "cp onto the other spelling has exit status 0" [ $status = 0 ]
shows "and the file is empty" [ "$(cat m/name m/NAME | wc -c)" = 0 ]
