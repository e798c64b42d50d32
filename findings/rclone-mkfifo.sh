#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rclone 1.60.1, mount of a local directory with its full cache: mkfifo() fails with EIO, and yet
# a name is there afterwards, and it is an empty regular file. Who takes the error for "nothing
# was made" leaves that file behind. Seen: mkfifo: EIO; then a regular file of 0 bytes.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3 fusermount3
[ -e /dev/fuse ] || cannot "no /dev/fuse"
install rclone=1.60.1+dfsg-2+b5
mkdir src m
start rclone mount --config /dev/null --vfs-cache-mode full --cache-dir "$dir/cache" "$dir/src" "$dir/m"
mounted m
said=$(python3 -c '
import errno, os, stat
try:
    os.mkfifo("m/p")
    print("made")
except OSError as e:
    print(errno.errorcode[e.errno], end=", ")
    s = os.lstat("m/p")
    print("regular" if stat.S_ISREG(s.st_mode) else "other", s.st_size)' 2>&1)
shows "$said" [ "$said" = "EIO, regular 0" ]
