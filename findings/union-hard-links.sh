#!/bin/bash
# SPDX-License-Identifier: MIT
#
# unionfs-fuse 1.0 and mergerfs 2.33.5 show the two names of a hard-linked file with a link count
# of 2 and with *different* inode numbers. Whoever keeps hard links apart by device and inode, as
# cp -a, tar and rsync -H do, sees two files that each have a second name which never comes. Seen:
# links 2 and 2, inodes differ, for both; the directory below has one inode.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs fusermount fusermount3
[ -e /dev/fuse ] || cannot "no /dev/fuse"
install unionfs-fuse=1.0-1+b1 mergerfs=2.33.5-1 libfuse2=2.9.9-6+b1
mkdir below m
unionfs -o cow below=RW m || cannot "unionfs does not mount"
mounted m
echo content >m/a
ln m/a m/b
look()
{
	stat -c %i m/a m/b below/a below/b | paste -s -d ' ' | {
		read -r a b c d
		[ "$a" = "$b" ] || echo differ
		[ "$c" != "$d" ] || echo same
	} | paste -s -d ' '
}
shows "unionfs: inodes of the two names, then below: $(look)" [ "$(look)" = "differ same" ]
fusermount -u m
mergerfs below m || cannot "mergerfs does not mount"
mounted m
shows "mergerfs: likewise: $(look)" [ "$(look)" = "differ same" ]
shows "links of the two names: $(stat -c %h m/a m/b | paste -s -d ' ')" [ "$(stat -c %h m/a)" = 2 ]
