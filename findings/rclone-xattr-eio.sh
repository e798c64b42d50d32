#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rclone 1.60.1, any mount: listxattr(), getxattr() and setxattr() do not answer "not supported"
# but EIO, an error that elsewhere means a disk that fails. Seen: EIO from all three, for a
# healthy file that cat reads.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3 fusermount3
[ -e /dev/fuse ] || cannot "no /dev/fuse"
install rclone=1.60.1+dfsg-2+b5
mkdir src m
echo content >src/a
start rclone mount --config /dev/null "$dir/src" "$dir/m"
mounted m
said=$(python3 -c '
import errno, os
for call in (lambda: os.listxattr("m/a"), lambda: os.getxattr("m/a", "user.x"),
             lambda: os.setxattr("m/a", "user.x", b"1")):
    try:
        call()
        print("worked", end=" ")
    except OSError as e:
        print(errno.errorcode[e.errno], end=" ")
print(open("m/a").read().strip())' 2>&1)
shows "$said" [ "$said" = "EIO EIO EIO content" ]
