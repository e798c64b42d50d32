#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-packages.sh: makes the tarball of `make dist`, twice the same, and Debian packages of it, which lintian
# looks at; installs them into a new Debian and uses them there: the command on files, programs that are compiled with
# the installed library, shared and static. Then they go, and nothing of theirs may be left. Needs root and a mirror
# of Debian (MIRROR) for the last part, which is skipped by name where it cannot be. Exit status 77: nothing could be
# done. DIR is where the packages are kept. DEB_BUILD_OPTIONS= without nocheck runs the library's tests too.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

skip()
{
	echo "packages: skipped: $1"
	exit 77
}
for program in dpkg-buildpackage dh lintian git; do
	command -v $program >/dev/null || skip "$program is missing"
done
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || skip "no checkout"

tmp=$(mktemp -d)
trap 'rm -rf --one-file-system "$tmp"' EXIT
version=$(dpkg-parsechangelog -S Version)
header=$(sed -n 's/^#define BP_VERSION_STRING "\(.*\)"$/\1/p' lib/batchproc.h)
[ "$version" = "$header" ] || { echo "debian/changelog has version $version, lib/batchproc.h $header"; exit 1; }

src=$tmp/batchproc-$version
for n in 1 2; do
	make -s dist O="$tmp/dist$n" >/dev/null
done
cmp "$tmp"/dist[12]/batchproc-"$version".tar.gz
tar -xzf "$tmp/dist1/batchproc-$version.tar.gz" -C "$tmp"

echo "== dpkg-buildpackage"
(cd "$src" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-nocheck parallel=$(nproc)}" dpkg-buildpackage -us -uc) \
	>"$tmp/log" 2>&1 || { tail -n 40 "$tmp/log"; exit 1; }
ls -1sh "$tmp"/*.deb
[ -z "${DIR:-}" ] || cp "$tmp"/*_"$version"* "$DIR"
! grep -n 'dpkg-gensymbols: warning' "$tmp/log" || exit 1

echo "== lintian"
lintian --allow-root --info --fail-on error,warning --suppress-tags-from-file scripts/lintian.txt "$tmp"/*.changes

echo "== a new Debian"
if [ "$(id -u)" != 0 ] || ! command -v mmdebstrap >/dev/null; then
	echo "packages: built; not installed: that needs root and mmdebstrap"
	exit 0
fi
release=$(sed -n "s/^VERSION_CODENAME=//p" /etc/os-release)
root=$tmp/root
if ! mmdebstrap --quiet --variant=apt --include=gcc,libc6-dev,pkg-config,man-db \
	"$release" "$root" ${MIRROR:+"$MIRROR"} >"$tmp/log" 2>&1; then
	tail -n 5 "$tmp/log"
	echo "packages: built; not installed: no new Debian here"
	exit 0
fi
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/tmp/debs"
cp "$tmp"/*.deb "$root/tmp/debs"
rm "$root"/tmp/debs/*-dbgsym_*
cat >"$root/tmp/use.sh" <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
cd /tmp
apt-get update -qq
find / -xdev ! -path '/proc/*' ! -path '/var/*' ! -path '/tmp/*' | sort >before
apt-get install -y -qq --no-install-recommends ./debs/*_*.deb >log 2>&1 || { cat log; exit 1; }
echo hello >a
batchproc hash a | sha256sum -c --quiet
batchproc copy a b
cmp a b
batchproc info | head -n 3
cp /usr/share/doc/libbatchproc-dev/examples/count.c .
cc count.c $(pkg-config --cflags --libs batchproc) -o count
./count a b
cc count.c $(pkg-config --cflags batchproc) -o static -static $(pkg-config --static --libs batchproc)
./static a
cc -D_GNU_SOURCE= /usr/share/doc/libbatchproc-dev/examples/try_go.c -I/usr/share/doc/libbatchproc-dev/examples \
	$(pkg-config --cflags --libs batchproc) -o example
./example >log
[ "$(dpkg-query -L batchproc libbatchproc0 libbatchproc-dev | grep -c '/man3/bp_go.3')" = 1 ]
dpkg -V batchproc libbatchproc0 libbatchproc-dev
apt-get purge -y -qq batchproc libbatchproc0 libbatchproc-dev >log 2>&1 || { cat log; exit 1; }
find / -xdev ! -path '/proc/*' ! -path '/var/*' ! -path '/tmp/*' | sort >after
# What they needed stays.
comm -13 before after | grep -i batchproc && exit 1
echo "installed, used, purged"
END
chroot "$root" /bin/sh -e /tmp/use.sh
