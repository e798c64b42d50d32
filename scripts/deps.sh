#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deps.sh GROUP...: install what is missing, with the distribution's package manager.
#
# GROUP is build (what the build, the demo and the tests need), ci (what only .ci/run needs) or bench (the
# benchmark's peers, and gnuplot for its pictures).
# What is missing is found by looking for the thing itself, a program or a library that compiles,
# not by asking for a package: what was installed by other means counts. Nothing missing means
# nothing is done, without a look at the network. Uses CC and PKG_CONFIG of the environment.
set -eu

: "${CC:=cc}" "${PKG_CONFIG:=pkg-config}"
here=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

# ---------------------------------------------------------------- what is needed

# THING | how it is looked for | apt | dnf | pacman | apk | zypper; "-" where there is no package
things()
{
	case $1 in
	build)
		cat <<'END'
C compiler|compiles compiler|gcc libc6-dev|gcc glibc-devel|gcc|gcc musl-dev linux-headers|gcc glibc-devel
pkg-config|program pkg-config|pkg-config|pkgconf-pkg-config|pkgconf|pkgconf|pkg-config
liburing|compiles liburing -luring|liburing-dev|liburing-devel|liburing|liburing-dev|liburing-devel
OpenSSL|compiles openssl -lssl -lcrypto|libssl-dev|openssl-devel|openssl|openssl-dev|libopenssl-devel
xxHash|compiles xxhash -lxxhash|libxxhash-dev|xxhash-devel|xxhash|xxhash-dev|xxhash-devel
libb2|compiles b2 -lb2|libb2-dev|libb2-devel|libb2|libb2-dev|libb2-devel
jansson|compiles jansson -ljansson|libjansson-dev|jansson-devel|jansson|jansson-dev|libjansson-devel
zlib|compiles zlib -lz|zlib1g-dev|zlib-devel|zlib|zlib-dev|zlib-devel
libidn2|compiles idn2 -lidn2|libidn2-dev|libidn2-devel|libidn2|libidn2-dev|libidn2-devel
nettle|compiles nettle -lnettle|nettle-dev|nettle-devel|nettle|nettle-dev|libnettle-devel
HTTP parser|http_parser|libhttp-parser-dev|http-parser-devel|llhttp|llhttp-dev|llhttp-devel
cmocka|compiles cmocka -lcmocka|libcmocka-dev|libcmocka-devel|cmocka|cmocka-dev|libcmocka-devel
libfuse|compiles fuse3 -lfuse3|libfuse3-dev fuse3|fuse3-devel fuse3|fuse3|fuse3-dev fuse3|fuse3-devel fuse3
xargs|program xargs|findutils|findutils|findutils|findutils|findutils
END
		;;
	ci)
		cat <<'END'
clang|program clang|clang|clang|clang|clang|clang
clang's sanitizers|clang_compiles -fsanitize=address|libclang-rt-dev|compiler-rt|compiler-rt|compiler-rt|clang
clang's libFuzzer|clang_fuzzes|libclang-rt-dev|compiler-rt|compiler-rt|compiler-rt|clang
clang-format|program clang-format|clang-format|clang-tools-extra|clang|clang-extra-tools|clang-tools
cppcheck|program cppcheck|cppcheck|cppcheck|cppcheck|cppcheck|cppcheck
patch|program patch|patch|patch|patch|patch|patch
codespell|program codespell|codespell|codespell|codespell|codespell|python3-codespell
mandoc|program mandoc|mandoc|mandoc|mandoc|mandoc|mandoc
shellcheck|program shellcheck|shellcheck|ShellCheck|shellcheck|shellcheck|ShellCheck
valgrind|program valgrind|valgrind|valgrind|valgrind|valgrind|valgrind
libcurl|compiles curl -lcurl|libcurl4-openssl-dev|libcurl-devel|curl|curl-dev|libcurl-devel
C++ compiler|program g++|g++|gcc-c++|gcc|g++|gcc-c++
libuv|compiles uv -luv|libuv1-dev|libuv-devel|libuv|libuv-dev|libuv-devel
nginx|program nginx|nginx-light|nginx|nginx|nginx|nginx
lighttpd|program lighttpd|lighttpd|lighttpd|lighttpd|lighttpd|lighttpd
apache|program apache2|apache2|-|-|-|-
haproxy|program haproxy|haproxy|haproxy|haproxy|haproxy|haproxy
tinyproxy|program tinyproxy|tinyproxy|tinyproxy|tinyproxy|tinyproxy|tinyproxy
curl program|program curl|curl|curl|curl|curl|curl
wget|program wget|wget|wget|wget|wget|wget
openssl program|program openssl|openssl|openssl|openssl|openssl|openssl
python3|program python3|python3|python3|python|python3|python3
rsync|program rsync|rsync|rsync|rsync|rsync|rsync
sys/sdt.h|compiles sdt|systemtap-sdt-dev|systemtap-sdt-devel|-|-|systemtap-sdt-devel
bpftrace|program bpftrace|bpftrace|bpftrace|bpftrace|bpftrace|bpftrace
valgrind.h|compiles valgrind|valgrind|valgrind-devel|valgrind|valgrind-dev|valgrind-devel
XFS tools|program mkfs.xfs|xfsprogs|xfsprogs|xfsprogs|xfsprogs|xfsprogs
btrfs tools|program mkfs.btrfs|btrfs-progs|btrfs-progs|btrfs-progs|btrfs-progs|btrfsprogs
bindfs|program bindfs|bindfs|bindfs|-|bindfs|bindfs
mergerfs|program mergerfs|mergerfs|-|-|mergerfs|-
gocryptfs|program gocryptfs|gocryptfs|gocryptfs|gocryptfs|gocryptfs|gocryptfs
ntfs-3g|program mkfs.ntfs|ntfs-3g|ntfs-3g ntfsprogs|ntfs-3g|ntfs-3g-progs|ntfs-3g ntfsprogs
exfat-fuse|program mount.exfat-fuse|exfat-fuse|-|-|-|exfat-utils
exFAT tools|program mkfs.exfat|exfatprogs|exfatprogs|exfatprogs|exfatprogs|exfatprogs
sshfs|program sshfs|sshfs|fuse-sshfs|sshfs|sshfs|sshfs
sftp-server|sftp_server|openssh-sftp-server|openssh-server|openssh|openssh-sftp-server|openssh-server
rclone|program rclone|rclone|rclone|rclone|rclone|rclone
fuse2fs|program fuse2fs|fuse2fs|fuse2fs|-|fuse2fs|fuse2fs
unionfs-fuse|program unionfs|unionfs-fuse|-|-|-|-
setfacl|program setfacl|acl|acl|acl|acl|acl
setfattr|program setfattr|attr|attr|attr|attr|attr
filefrag|program filefrag|e2fsprogs|e2fsprogs|e2fsprogs|e2fsprogs-extra|e2fsprogs
bash|program bash|bash|bash|bash|bash|bash
zsh|program zsh|zsh|zsh|zsh|zsh|zsh
fish|program fish|fish|fish|fish|fish|fish
setarch|program setarch|util-linux|util-linux|util-linux|setarch|util-linux
xxhsum|program xxhsum|xxhash|xxhash|xxhash|xxhash|xxhash
rhash|program rhash|rhash|rhash|rhash|rhash|rhash
hashdeep|program hashdeep|hashdeep|md5deep|-|-|-
NetBSD's mtree|program mtree|mtree-netbsd|-|-|-|-
bsdtar|program bsdtar|libarchive-tools|bsdtar|libarchive|libarchive-tools|bsdtar
bagit-python|bagit_python|-|-|-|-|-
b3sum|program b3sum|b3sum|b3sum|b3sum|b3sum|-
9base|test -x /usr/lib/plan9/bin/sha1sum|9base|-|-|-|-
Slurm|program sbatch|slurmctld slurmd slurm-client munge|-|-|-|-
gpg|program gpg|gnupg|gnupg2|gnupg|gnupg|gpg2
musl compiler|program musl-gcc|musl-tools|musl-gcc|musl|-|-
dpkg-buildpackage|program dpkg-buildpackage|dpkg-dev|-|-|-|-
aarch64 compiler|aarch64_compiles|gcc-aarch64-linux-gnu libc6-dev-arm64-cross|-|aarch64-linux-gnu-gcc|-|-
aarch64 emulator|program qemu-aarch64|qemu-user|qemu-user|qemu-user|qemu-aarch64|qemu-linux-user
END
		;;
	bench)
		cat <<'END'
find and xargs|program xargs|findutils|findutils|findutils|findutils|findutils
cp and sha256sum|program sha256sum|coreutils|coreutils|coreutils|coreutils|coreutils
b3sum|program b3sum|b3sum|b3sum|b3sum|b3sum|-
curl|program curl|curl|curl|curl|curl|curl
ext4 tools|program mkfs.ext4|e2fsprogs|e2fsprogs|e2fsprogs|e2fsprogs|e2fsprogs
fio|program fio|fio|fio|fio|fio|fio
gnuplot|program gnuplot|gnuplot-nox|gnuplot|gnuplot|gnuplot|gnuplot
Go|program go|golang-go|golang|go|go|go
Go's errgroup|test -d /usr/share/gocode/src/golang.org/x/sync/errgroup|golang-golang-x-sync-dev|-|-|-|-
libuv|compiles uv -luv|libuv1-dev|libuv-devel|libuv|libuv-dev|libuv-devel
nc|program nc|netcat-openbsd|netcat|openbsd-netcat|netcat-openbsd|netcat-openbsd
nginx|program nginx|nginx-light|nginx|nginx|nginx|nginx
openssl program|program openssl|openssl|openssl|openssl|openssl|openssl
rsync|program rsync|rsync|rsync|rsync|rsync|rsync
wget2|program wget2|wget2|wget2|-|-|wget2
wrk|program wrk|wrk|-|wrk|wrk|-
XFS tools|program mkfs.xfs|xfsprogs|xfsprogs|xfsprogs|xfsprogs|xfsprogs
xxhsum|program xxhsum|xxhash|xxhash|xxhash|xxhash|xxhash
END
		;;
	*)
		echo "usage: deps.sh build|ci|bench..." >&2
		exit 2
		;;
	esac
}

program()
{
	command -v "$1" >/dev/null
}

compiles()
{
	what=$1
	shift
	libs=$*
	flags=
	case $what in
	liburing | jansson | cmocka | zlib | fuse3 | nettle) package=$what ;;
	idn2 | curl | uv) package=lib$what ;;
	openssl) package=openssl ;;
	xxhash) package=libxxhash ;;
	b2) package=libb2 ;;
	*) package= ;;
	esac
	if [ -n "$package" ] && $PKG_CONFIG --exists "$package" 2>/dev/null; then
		flags=$($PKG_CONFIG --cflags "$package")
		libs=$($PKG_CONFIG --libs "$package")
	fi
	# shellcheck disable=SC2086
	$CC -D_GNU_SOURCE= $flags -o "$tmp/a.out" "$here/has/$what.c" $libs >/dev/null 2>&1
}

http_parser()
{
	compiles llhttp -lllhttp || compiles http_parser -lhttp_parser
}

sftp_server()
{
	find /usr/lib /usr/libexec -name sftp-server 2>/dev/null | grep -q .
}

bagit_python()
{
	python3 -c 'import bagit' 2>/dev/null
}

clang_compiles()
{
	clang "$1" -o "$tmp/a.out" "$here/has/compiler.c" >/dev/null 2>&1
}

clang_fuzzes()
{
	printf 'int LLVMFuzzerTestOneInput(void) { return 0; }\n' >"$tmp/fuzz.c"
	clang -fsanitize=fuzzer -o "$tmp/a.out" "$tmp/fuzz.c" >/dev/null 2>&1
}

aarch64_compiles()
{
	aarch64-linux-gnu-gcc -static -o "$tmp/a.out" "$here/has/compiler.c" >/dev/null 2>&1
}

# missing GROUP...: the lines of things() that are not there
missing()
{
	for group; do
		things "$group" | while IFS='|' read -r thing probe packages; do
			# shellcheck disable=SC2086
			$probe || echo "$thing|$probe|$packages"
		done
	done
}

# ---------------------------------------------------------------- who installs it

column=0
manager=none
for row in apt-get:3 dnf:4 pacman:5 apk:6 zypper:7; do
	if program "${row%:*}"; then
		manager=${row%:*}
		column=${row#*:}
		break
	fi
done

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if program sudo; then
		sudo=sudo
	elif program doas; then
		sudo=doas
	fi
fi

as_root()
{
	echo "  RUN     ${sudo:+$sudo }$*"
	if [ "$(id -u)" -ne 0 ] && [ -z "$sudo" ]; then
		echo "deps: not root, and neither sudo nor doas is here: run the line above as root" >&2
		exit 1
	fi
	$sudo "$@" </dev/null
}

apt_lists()
{
	find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | grep -q .
}

install()
{
	case $manager in
	apt-get)
		apt="env DEBIAN_FRONTEND=noninteractive apt-get -q"
		# shellcheck disable=SC2086
		apt_lists || as_root $apt update
		# Lists that have grown old name packages that are gone: get new ones and try again.
		# shellcheck disable=SC2086
		as_root $apt install -y --no-install-recommends "$@" || {
			as_root $apt update
			as_root $apt install -y --no-install-recommends "$@"
		}
		;;
	dnf) as_root dnf install -y "$@" ;;
	pacman) as_root pacman -Sy --needed --noconfirm "$@" ;;
	apk) as_root apk add "$@" ;;
	zypper) as_root zypper --non-interactive install "$@" ;;
	esac
}

# ---------------------------------------------------------------- do it

# Without a compiler no library can be looked for, so look again after each round.
for round in 1 2; do
	missing "$@" >"$tmp/missing"
	[ -s "$tmp/missing" ] || break
	if [ $round = 1 ]; then
		sed 's/^\([^|]*\)|.*/  MISSING \1/' "$tmp/missing"
	fi
	if [ "$manager" = none ]; then
		echo "deps: none of apt-get, dnf, pacman, apk, zypper is here: install these by hand" >&2
		exit 1
	fi
	packages=$(cut -d '|' -f "$column" "$tmp/missing" | tr ' ' '\n' | grep -vx -e - | sort -u)
	[ -n "$packages" ] || break
	# shellcheck disable=SC2086
	install $packages
done

missing "$@" >"$tmp/missing"
if [ -s "$tmp/missing" ]; then
	if [ $# -eq 1 ] && [ "$1" = build ]; then
		echo "deps: still missing: $(cut -d '|' -f 1 "$tmp/missing" | paste -s -d ,)" >&2
		exit 1
	fi
	# What only .ci/run and the benchmark use has no package everywhere; they name what they leave out.
	sed 's/^\([^|]*\)|.*/  ABSENT  \1: no package here/' "$tmp/missing"
	exit 0
fi
echo "  DEPS    nothing is missing for: $*"
