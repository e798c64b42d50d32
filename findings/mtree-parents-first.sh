#!/bin/bash
# SPDX-License-Identifier: MIT
#
# NetBSD's mtree (Debian's mtree-netbsd 20180822) takes entries with whole paths only behind an entry
# for each directory above them, "." included: a list of two files, which bsdtar reads, is refused at
# its first line of that kind. And a file that the list does not have is told of as "extra", but the
# exit status is 0 all the same. Seen: "failed at line 2", exit 1; with the entries for the
# directories exit 0; with one more file "extra: d/new" and exit 0.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

install mtree-netbsd=20180822-7
mtree=$(find "$root" -type f -name 'mtree*' -perm -u+x | head -n 1)
[ -n "$mtree" ] || cannot "the package has no program"
mkdir -p tree/d
printf content >tree/d/f
printf '#mtree\n./d/f type=file size=7\n' >files
printf '#mtree\n. type=dir\n./d type=dir\n./d/f type=file size=7\n' >all

refused()
{
	! "$mtree" -p tree -f files >said 2>&1 && grep -q 'failed at line 2' said
}
shows "a whole path without entries for its directories is refused" refused
taken()
{
	"$mtree" -p tree -f all >said 2>&1
}
shows "with them the same list is taken" taken
printf more >tree/d/new
extra()
{
	"$mtree" -p tree -f all >said 2>&1 && grep -q '^extra: .*d/new' said
}
shows "a file that no entry has is told of, with exit status 0" extra
