#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where the kernel, or a container's filter, answers ENOSYS to statx(2), glibc 2.36 does the work with
# fstatat(2), but takes none of the hints how fresh it has to be: AT_STATX_DONT_SYNC and
# AT_STATX_FORCE_SYNC are EINVAL, although what fstatat does would serve. So stat(1) of coreutils 9.1
# works as it is, and says "Invalid argument" of every file with --cached=always or --cached=never.
# The ENOSYS is strace's here. Seen: 0, then twice "cannot statx '.': Invalid argument", exit 1; without
# strace all three are 0.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

install strace=6.1-0.1 coreutils=9.1-1
case $(getconf GNU_LIBC_VERSION) in
"glibc 2.36") ;;
*) cannot "this is not glibc 2.36" ;;
esac
stat=$root/bin/stat
[ -x "$stat" ] || stat=$root/usr/bin/stat

works()
{
	"$stat" --cached="$1" -c %F . | grep -qx directory
}
refused()
{
	strace -o trace -e trace=statx -e inject=statx:error=ENOSYS true || cannot "no tracing"
	! strace -o trace -e trace=statx -e inject=statx:error=ENOSYS \
		"$stat" --cached="$1" -c %F . 2>said && grep -q 'Invalid argument' said
}
for how in default always never; do
	shows "with statx, --cached=$how works" works $how
done
emulated()
{
	strace -o trace -e trace=statx -e inject=statx:error=ENOSYS \
		"$stat" --cached=default -c %F . | grep -qx directory
}
shows "without it the default works" emulated
for how in always never; do
	shows "without it --cached=$how is an invalid argument" refused $how
done
