#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-aarch64.sh DIR: compiles all of lib/ for aarch64, without warnings, and runs
# tests/lib/bare/switch.c with lib/switch_aarch64.S and with lib/switch_ucontext.c in an emulator.
# Then, where apt can get aarch64's libraries (into DIR, the system stays as it is), all of it is built, and
# some conformance cases and the command run there: an emulator offers no io_uring, so on threads and
# in the simulation. Exit status 77, and a line that says so, where the cross compiler or the
# emulator is not installed.
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

# ---------------------------------------------------------------- with aarch64's libraries

dir=$(cd "$dir" && pwd)
root=$dir/root
get_libraries()
{
	apt=$dir/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/sources.d" "$apt/debs" "$root"
	: >"$apt/status"
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	echo "deb ${MIRROR:-http://deb.debian.org/debian} $release main" >"$apt/sources.list"
	set -- -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::Etc::SourceList="$apt/sources.list" \
		-o Dir::Etc::SourceParts="$apt/sources.d" -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o Dir::State::status="$apt/status" -o APT::Sandbox::User=root
	apt-get "$@" update && cd "$apt/debs" && apt-get "$@" download liburing-dev liburing2 libcmocka-dev libcmocka0 \
		libssl-dev libssl3 libxxhash-dev libxxhash0 libb2-dev libb2-1 libjansson-dev libjansson4 zlib1g-dev zlib1g \
		libhttp-parser-dev libhttp-parser2.9 libgomp1 || return 1
	for deb in *.deb; do
		dpkg-deb -x "$deb" "$root" || return 1
	done
}

if [ ! -e "$dir/got" ]; then
	if ! command -v apt-get >/dev/null || ! (get_libraries) >"$dir/log" 2>&1; then
		echo "aarch64: no more than that: its libraries cannot be had"
		exit 0
	fi
	: >"$dir/got"
fi
# Not the cases in which a process ends by a signal: an emulator adds words of its own then.
libs=$root/usr/lib/aarch64-linux-gnu
export PKG_CONFIG=false
make -j"$(nproc)" O="$dir/build" CC="$CROSS_CC" CROSS_COMPILE=aarch64-linux-gnu- HTTP_PARSER=http_parser \
	CPPFLAGS="-I$root/usr/include -I$root/usr/include/aarch64-linux-gnu" \
	LDFLAGS="-L$libs -L$root/lib/aarch64-linux-gnu -Wl,-rpath-link,$libs:$root/lib/aarch64-linux-gnu" \
	CONFIG_RUNNER="$EMULATOR -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$libs:$root/lib/aarch64-linux-gnu" \
	T="${T:-conf_causes conf_draining conf_lifecycle conf_limit}" TEST_TIMEOUT=600 check
