#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-install.sh DIR: installs the build in DIR into a staging directory, and builds and runs a
# program against that by pkg-config alone, with the shared and with the static library; then
# uninstalls, and nothing may be left. The same with a prefix of its own, where an installed example is
# built too. Uses TEST_MAKE, TEST_CC, TEST_LDFLAGS and TEST_PKG_CONFIG.
set -eu

: "${TEST_MAKE:=make}" "${TEST_CC:=cc}" "${TEST_LDFLAGS:=}"
: "${TEST_PKG_CONFIG:=pkg-config}" "${RUNNER:=}"
dir=$1

if ! command -v "$TEST_PKG_CONFIG" >/dev/null; then
	echo "$TEST_PKG_CONFIG is not installed"
	exit 77
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
dest=$stage/dest

install()
{
	# TEST_MAKE has the options of this build as make quotes them.
	eval "$TEST_MAKE -s $1 O='$dir' DESTDIR='$dest' prefix=/usr libdir=/usr/lib"
}

install install
for file in lib/libbatchproc.a lib/libbatchproc.so include/batchproc.h include/batchproc.hpp include/batchproc_sim.h lib/pkgconfig/batchproc.pc \
	share/doc/batchproc/guide/library.md share/doc/batchproc/examples/fail_fast.c share/doc/batchproc/examples/words.cc share/man/man3/bp_go.3 \
	share/bash-completion/completions/batchproc share/zsh/site-functions/_batchproc share/fish/vendor_completions.d/batchproc.fish; do
	[ -f "$dest/usr/$file" ] || { echo "$file was not installed"; exit 1; }
done

# Each public function is a page's name, or leads to one.
functions=$(sed -n 's/^[[:space:]]*\(bp_[a-z0-9_]*\);$/\1/p' lib/batchproc.map)
for function in $functions; do
	page=$dest/usr/share/man/man3/$function.3
	[ -f "$page" ] || { echo "$function has no manual page installed"; exit 1; }
	target=$(sed -n 's/^\.so //p' "$page")
	[ -z "$target" ] || page=$dest/usr/share/man/$target
	grep -q "^\.Fn $function\( \|\$\)" "$page" || { echo "the page of $function is about something else"; exit 1; }
done

# A page of that name, not one line that leads to another page.
if grep -q '^\.so ' "$dest/usr/share/man/man3/batchproc.3"; then
	echo "batchproc(3) is not its own page"
	exit 1
fi

cat >"$stage/probe.c" <<'END'
#include <batchproc.h>
#include <string.h>

static int one(void *arg)
{
	*(int *)arg += 1;
	return 0;
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int count = 0;

	if (strcmp(bp_version(), BP_VERSION_STRING))
		return 1;
	if (bp_engine_create(&engine, NULL))
		return 2;
	if (bp_group_create(&group, engine, NULL))
		return 3;
	if (bp_go(group, one, &count) || bp_wait(group) || count != 1)
		return 4;
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	return 0;
}
END

# The staged .pc file, with its paths below the staging directory, beside the system's own.
pc()
{
	PKG_CONFIG_PATH=$dest/usr/lib/pkgconfig $TEST_PKG_CONFIG --define-variable=prefix="$dest/usr" \
		--define-variable=libdir="$dest/usr/lib" \
		--define-variable=includedir="$dest/usr/include" "$@" batchproc
}

version=$(pc --modversion)

# Installed elsewhere, as docs/building.md says: PKG_CONFIG_PATH finds it, and a path in the program the library. An
# installed example is built so, by what was installed alone.
prefix=$stage/own
eval "$TEST_MAKE -s install O='$dir' DESTDIR= LDCONFIG=: prefix='$prefix' libdir='$prefix/lib'"
own()
{
	PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} $TEST_PKG_CONFIG "$@" batchproc
}
# shellcheck disable=SC2046,SC2086
$TEST_CC $(own --cflags) -o "$stage/own-probe" "$stage/probe.c" $TEST_LDFLAGS $(own --libs) \
	-Wl,-rpath,$(own --variable=libdir)
$RUNNER "$stage/own-probe"
# shellcheck disable=SC2046,SC2086
$TEST_CC -D_GNU_SOURCE= $(own --cflags) -o "$stage/example" "$prefix/share/doc/batchproc/examples/try_go.c" $TEST_LDFLAGS \
	$(own --libs) -Wl,-rpath,$(own --variable=libdir)
$RUNNER "$stage/example" >/dev/null
eval "$TEST_MAKE -s uninstall O='$dir' DESTDIR= LDCONFIG=: prefix='$prefix' libdir='$prefix/lib'"
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || { echo "Left by uninstall: $left"; exit 1; }
# shellcheck disable=SC2046,SC2086
$TEST_CC $(pc --cflags) -o "$stage/shared" "$stage/probe.c" $TEST_LDFLAGS $(pc --libs)
LD_LIBRARY_PATH=$dest/usr/lib $RUNNER "$stage/shared"
rm "$dest"/usr/lib/libbatchproc.so*
# shellcheck disable=SC2046,SC2086
$TEST_CC $(pc --cflags) -o "$stage/static" "$stage/probe.c" $TEST_LDFLAGS $(pc --libs --static)
$RUNNER "$stage/static"

install install
install uninstall
left=$(find "$dest" ! -type d)
if [ -n "$left" ]; then
	echo "Left by uninstall:"
	echo "$left"
	exit 1
fi
echo "version $version installed, used by pkg-config, uninstalled"
