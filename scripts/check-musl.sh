#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-musl.sh [DIR]: builds the library with musl's compiler, and with it statically the examples, and runs these. The library needs liburing, which Debian has for its own C library alone: it is
# made of Debian's source package, or of a tree that LIBURING_SRC names, once, in DIR/musl. Exit status 77, and a line
# that says so, where there is no such compiler or no such source.
set -eu

cd "$(dirname "$0")/.."
dir=${1:-build}
: "${MUSL_CC:=musl-gcc}"
export LC_ALL=C
mkdir -p "$dir/musl"
dir=$(cd "$dir/musl" && pwd)

skip()
{
	echo "musl: skipped: $1"
	exit 77
}
command -v "$MUSL_CC" >/dev/null || skip "$MUSL_CC is missing"

# The kernel's headers belong to no C library.
mkdir -p "$dir/kernel"
multiarch=$(gcc -print-multiarch 2>/dev/null || true)
ln -sfn /usr/include/linux "$dir/kernel/linux"
ln -sfn /usr/include/asm-generic "$dir/kernel/asm-generic"
for asm in /usr/include/asm "/usr/include/$multiarch/asm"; do
	[ ! -d "$asm" ] || ln -sfn "$asm" "$dir/kernel/asm"
done
[ -e "$dir/kernel/asm/unistd.h" ] || skip "the kernel's headers are missing"

# apt's own ways, with lists of its own: nothing of the system's is changed.
get_source()
{
	[ -n "$(command -v apt-get)" ] && [ -n "$(command -v dpkg-source)" ] || return 1
	apt=$dir/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/sources.d"
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	echo "deb-src ${MIRROR:-http://deb.debian.org/debian} $release main" >"$apt/sources.list"
	set -- -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/sources.d" \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
	(cd "$dir" && apt-get "$@" update && apt-get "$@" source liburing) >"$dir/log" 2>&1
}

if [ ! -e "$dir/lib/liburing.a" ]; then
	src=${LIBURING_SRC:-}
	if [ -z "$src" ]; then
		get_source || skip "the source of liburing cannot be had"
		src=$(find "$dir" -maxdepth 1 -type d -name 'liburing-*' | head -n 1)
	fi
	[ -x "$src/configure" ] || skip "no source of liburing in $src"
	echo "  MUSL    liburing of $(basename "$src")"
	rm -rf "$dir/liburing"
	cp -R "$src" "$dir/liburing"
	(
		cd "$dir/liburing"
		./configure --prefix="$dir" --libdir="$dir/lib" --cc="$MUSL_CC -idirafter $dir/kernel"
		make -C src ENABLE_SHARED=0 CFLAGS="-O2 -D_GNU_SOURCE -idirafter $dir/kernel" liburing.a
		mkdir -p "$dir/lib" "$dir/include"
		cp src/liburing.a "$dir/lib"
		cp -R src/include/. "$dir/include"
	) >"$dir/log" 2>&1 || { tail -n 20 "$dir/log"; exit 1; }
fi

# Nothing of the system's own libraries is found, so that what is optional is left out.
make="make -s O=$dir/build CC=$MUSL_CC PKG_CONFIG=false WERROR=1"
flags="-I$dir/include -idirafter $dir/kernel"
$make CPPFLAGS="$flags" LDFLAGS="-L$dir/lib" lib

passed=0 failed=0
for source in docs/examples/*.c; do
	name=$(basename "$source" .c)
	case $name in own_loop_libuv) continue ;; esac
	# shellcheck disable=SC2086
	"$MUSL_CC" -std=gnu11 -D_GNU_SOURCE= -O2 -g -static -I"$dir/build/include" $flags -o "$dir/example" "$source" \
		"$dir/build/lib/libbatchproc.a" -L"$dir/lib" -luring -pthread
	# Those that read files are given some.
	case $name in
	hash_files | health) set -- README.md LICENSE ;;
	*) set -- ;;
	esac
	if timeout 60 "$dir/example" "$@" >"$dir/log" 2>&1; then
		passed=$((passed + 1))
	else
		echo "$name: exit status $?"
		tail -n 5 "$dir/log"
		failed=$((failed + 1))
	fi
done
echo "musl: the library is built, $passed examples pass, $failed fail"
[ $failed -eq 0 ]
