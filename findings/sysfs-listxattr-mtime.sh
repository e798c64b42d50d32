#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Linux 6.18, sysfs: to list the extended attributes of a file changes its modification time, the
# first time that somebody does. A copy that looks whether its source has changed while it was
# read, and asks for the attributes between both looks, finds that it has. Seen: another st_mtime
# after listxattr(), which says that there are none, for one of the first files that nobody has
# asked yet.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs python3
said=$(python3 -c '
import glob, os
changed = 0
for name in sorted(glob.glob("/sys/module/*/parameters/*") + glob.glob("/sys/kernel/mm/*/*")):
    try:
        before = os.stat(name).st_mtime_ns
        os.listxattr(name)
        changed += os.stat(name).st_mtime_ns != before
    except OSError:
        pass
print(changed)')
[ "$said" != 0 ] || cannot "somebody has asked all of them since the machine was started"
shows "mtime changed by listxattr() of $said files" [ "$said" -gt 0 ]
