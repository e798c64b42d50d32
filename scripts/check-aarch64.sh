#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-aarch64.sh DIR: compiles all of lib/ for aarch64, without warnings, and runs
# tests/lib/bare/switch.c with lib/switch_aarch64.S and with lib/switch_ucontext.c in an emulator.
# (An emulator offers no io_uring, so the other tests need a real machine.) Exit status 77, and
# a line that says so, where the cross compiler or the emulator is not installed.
set -eu

dir=$1
: "${CROSS_CC:=aarch64-linux-gnu-gcc}" "${EMULATOR:=qemu-aarch64}"
for program in "$CROSS_CC" "$EMULATOR"; do
	if ! command -v "$program" >/dev/null; then
		echo "skipped: $program is not installed"
		exit 77
	fi
done

# liburing's headers are the same for all machines; nothing else of this one may be seen.
include=$(${PKG_CONFIG:-pkg-config} --variable=includedir liburing 2>/dev/null || echo /usr/include)
mkdir -p "$dir/include"
ln -sfn "$include/liburing.h" "$dir/include/liburing.h"
ln -sfn "$include/liburing" "$dir/include/liburing"

cc()
{
	"$CROSS_CC" -D_GNU_SOURCE= -std=gnu11 -O2 -g -Wall -Wextra -Werror \
		-iquote lib -I"$dir/include" "$@"
}

for source in lib/*.c lib/*/*.c lib/switch_aarch64.S; do
	[ "$source" != lib/switch_ucontext.c ] || continue # below
	mkdir -p "$dir/${source%/*}"
	cc -fPIC -fvisibility=hidden -c -o "$dir/$source.o" "$source"
done
cc -static -o "$dir/switch" tests/lib/bare/switch.c lib/stack.c lib/switch_aarch64.S -lm
"$EMULATOR" "$dir/switch"
cc -static -DBP_SWITCH_UCONTEXT -o "$dir/switch-ucontext" tests/lib/bare/switch.c lib/stack.c \
	lib/switch_ucontext.c -lm
"$EMULATOR" "$dir/switch-ucontext"
