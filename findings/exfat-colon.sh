#!/bin/bash
# SPDX-License-Identifier: MIT
#
# exfat-fuse 1.3.0: a file whose name the format cannot hold (a colon, a question mark, a
# backslash, a newline) is refused with ENOENT, "No such file or directory", by an open() with
# O_CREAT in a directory that is there. Not EINVAL, which the kernel's own exfat gives, nor
# EILSEQ, which exfat-fuse gives for bytes that are not UTF-8. Who takes ENOENT for a directory
# that has gone looks in the wrong place. Seen: ENOENT for each of the four, EILSEQ for the byte
# 0xff.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3 losetup
[ -e /dev/fuse ] || cannot "no /dev/fuse"
[ "$(id -u)" = 0 ] || cannot "not root: no loop device"
install exfat-fuse=1.3.0+git20220115-2 exfatprogs=1.2.0-1+deb12u1 libfuse2=2.9.9-6+b1
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
said=$(python3 -c '
import errno, os
for name in b"a:", b"a?", b"a\\", b"a\n", b"\xff":
    try:
        os.open(b"m/" + name, os.O_CREAT | os.O_WRONLY)
        print("made", end=" ")
    except OSError as e:
        print(errno.errorcode[e.errno], end=" ")')
shows "$said" [ "$said" = "ENOENT ENOENT ENOENT ENOENT EILSEQ " ]
