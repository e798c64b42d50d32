#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rhash 1.4.3 does not verify a list that it has just written, where a file's name begins with a
# blank: in the list the name has its blank, and -c takes it away again with those in front of it.
# A backslash in a name, which is a character like any other here, is taken for a slash. Seen:
# both files are whole and there, and the check of both lists fails.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

install rhash=1.4.3-3 librhash0=1.4.3-3
mkdir files
cd files
fails_itself()
{
	printf content >"$1"
	rhash --sfv -- "$1" >../list
	if rhash -c ../list >../said 2>&1; then
		return 1
	fi
	grep -q 'No such file' ../said
}
shows "a name that begins with a blank is not found again" fails_itself ' lead'
printf content >'back\slash'
shows "nor is one with a backslash" sh -c '! rhash --sfv -- "back\\slash" >../list 2>../said ||
	! rhash -c ../list >../said 2>&1'
