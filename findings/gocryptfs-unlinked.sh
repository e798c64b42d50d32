#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gocryptfs 2.3: fchmod() of a descriptor whose file was unlinked fails with ENOENT, an error that
# POSIX does not have for fchmod(); fstat(), ftruncate() and write() of the same descriptor work.
# So permissions cannot be given to a file that has no name yet, or no longer. Seen: fchmod
# ENOENT, ftruncate works.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3 fusermount3
[ -e /dev/fuse ] || cannot "no /dev/fuse"
install gocryptfs=2.3-1+b4
mkdir plain m
echo word >word
gocryptfs -q -init -scryptn 10 -passfile word plain
gocryptfs -q -passfile word plain m || cannot "gocryptfs does not mount"
mounted m
said=$(python3 -c '
import errno, os
fd = os.open("m/u", os.O_CREAT | os.O_RDWR, 0o600)
os.unlink("m/u")
for name, call in ("fchmod", lambda: os.fchmod(fd, 0o640)), ("ftruncate", lambda: os.ftruncate(fd, 10)):
    try:
        call()
        print(name, "works", end=" ")
    except OSError as e:
        print(name, errno.errorcode[e.errno], end=" ")')
shows "$said" [ "$said" = "fchmod ENOENT ftruncate works " ]
