#!/bin/bash
# SPDX-License-Identifier: MIT
#
# md5sum -c of coreutils 9.1 learns from the first line that it reads whether digest and name have
# one blank between them or two, and keeps that for all lists of the command line. Of two lists
# that are each fine, the second fails, and which one that is depends on their order. Seen: status
# 0 for each alone, 1 for one behind the other.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

install coreutils=9.1-1
sum=$root/usr/bin/md5sum
printf content >f
digest=$("$sum" f | cut -d ' ' -f 1)
printf '%s f\n' "$digest" >one
printf '%s  f\n' "$digest" >two
status_of()
{
	local status=0
	"$sum" --status -c "$@" 2>said || status=$?
	echo $status
}
said="$(status_of one) $(status_of two) $(status_of one two)"
shows "each list alone, then both: $said" [ "$said" = "0 0 1" ]
