#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The table of docs/filesystems.md is what is so here: on each file system that can be had, trees are
# copied, copied again, cut short and gone on with, hashed, verified and removed, and what a copy cannot
# keep is looked for thing by thing. What cannot be had is skipped by name. UPDATE=1 writes the table.
#
# Mounts and servers live in a namespace of their own, which ends with this script however it ends.
# BATCHPROC is the command. Run in the top directory of the source.
#
# Functions are called by names put together, and no name here has a space in it.
# shellcheck disable=SC2317,SC2086
set -eu
export LC_ALL=C

page=$PWD/docs/filesystems.md
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped, because only root can mount"
	exit 77
fi
if [ -z "${FILESYSTEMS_DIR-}" ]; then
	if ! unshare --mount --pid --fork --mount-proc --kill-child true 2>/dev/null; then
		echo "skipped, because there are no namespaces of mounts and processes here"
		exit 77
	fi
	FILESYSTEMS_DIR=$(mktemp -d)
	export FILESYSTEMS_DIR
	trap 'rm -rf "$FILESYSTEMS_DIR"' EXIT
	status=0
	unshare --mount --pid --fork --mount-proc --kill-child sh "$0" || status=$?
	exit $status
fi

mount --make-rprivate /
umask 022
cd "$FILESYSTEMS_DIR"
mkdir base m
failed=0

# image SIZE: a new, empty file for a file system
image()
{
	rm -f image
	truncate -s "$1" image
}

here()
{
	command -v "$1" >/dev/null
}

# ---------------------------------------------------------------- the file systems

# Each mounts an empty one on m; a server's files are in $back.
mount_ext4()
{
	here mkfs.ext4 && image 64M && mkfs.ext4 -q image && mount -o loop image m
}

mount_XFS()
{
	here mkfs.xfs && image 320M && mkfs.xfs -q image && mount -o loop image m
}

mount_btrfs()
{
	here mkfs.btrfs && image 128M && mkfs.btrfs -q image && mount -o loop image m
}

# From a snapshot into a subvolume, in which there is another one.
mount_btrfs_subvolumes()
{
	mount_btrfs && btrfs subvolume create m/a && cp -a base/plain m/a &&
		btrfs subvolume snapshot -r m/a m/snap && btrfs subvolume create m/sub &&
		plain=m/snap/plain t=m/sub/t && mkdir $t && btrfs subvolume create $t/inner
}

mount_overlayfs()
{
	mkdir "$back/lower" "$back/upper" "$back/work" &&
		mount -t overlay -o "lowerdir=$back/lower,upperdir=$back/upper,workdir=$back/work" none m
}

mount_tmpfs()
{
	mount -t tmpfs none m
}

mount_bindfs()
{
	here bindfs && bindfs "$back" m
}

mount_mergerfs()
{
	here mergerfs && mkdir "$back/a" "$back/b" && mergerfs -o minfreespace=0 "$back/a:$back/b" m
}

mount_gocryptfs()
{
	here gocryptfs && echo secret >word && gocryptfs -q -init -scryptn 10 -passfile word "$back" &&
		gocryptfs -q -passfile word "$back" m
}

mount_ntfs_3g()
{
	here ntfs-3g && here mkfs.ntfs && image 64M && mkfs.ntfs -q -Q -F image && ntfs-3g image m
}

mount_exfat_fuse()
{
	here mount.exfat-fuse && here mkfs.exfat && image 64M && mkfs.exfat image &&
		loop=$(losetup -f --show image) || return 1
	mount.exfat-fuse "$loop" m || { losetup -d "$loop" && return 1; }
	# It goes when the server has closed it.
	losetup -d "$loop"
}

mount_sshfs()
{
	here sshfs && server=$(find /usr/lib /usr/libexec -name sftp-server | head -n 1) &&
		[ -n "$server" ] && printf '#!/bin/sh\nexec %s\n' "$server" >ssh && chmod 755 ssh &&
		sshfs -o "ssh_command=$PWD/ssh" "localhost:$back" m
}

mount_rclone()
{
	here rclone && rclone mount --config /dev/null --vfs-cache-mode writes \
		--cache-dir "$PWD/rclone.$$" --daemon ":local:$back" m
}

mount_fuse2fs()
{
	here fuse2fs && here mkfs.ext4 && image 64M && mkfs.ext4 -q image && fuse2fs image m
}

mount_unionfs_fuse()
{
	here unionfs && mkdir "$back/rw" "$back/ro" && unionfs -o cow "$back/rw=RW:$back/ro=RO" m
}

# ---------------------------------------------------------------- what is copied

# The tree that every file system can hold.
make_plain()
{
	mkdir -p "$1/dir/empty" "$1/many"
	: >"$1/none"
	printf 'hello\n' >"$1/dir/a b"
	head -c 300000 "$BATCHPROC" >"$1/dir/large"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		head -c 100000 "$BATCHPROC" >"$1/many/$i"
	done
	touch -d '2001-02-03 04:05:07.123456789' "$1/dir/a b" "$1/dir/large" "$1/none"
}

# One directory for each thing that may be lost.
things="modes set-ID owners times links hard-links FIFOs devices xattrs ACLs holes long-names \
odd-names bytes-names case"
make_things()
{
	for thing in $things; do
		mkdir -p "$1/$thing"
	done
	(
		cd "$1"
		for mode in 400 640 755; do
			echo $mode >modes/$mode
			chmod $mode modes/$mode
		done
		echo set >set-ID/f
		chmod 6755 set-ID/f
		echo own >owners/f
		chown 1234:2345 owners/f
		echo time >times/f
		touch -d '2001-02-03 04:05:07.123456789' times/f
		ln -s nowhere links/l
		echo hard >hard-links/a
		ln hard-links/a hard-links/b
		mkfifo FIFOs/p
		mknod devices/d c 1 3
		echo x >xattrs/f
		setfattr -n user.name -v value xattrs/f
		echo acl >ACLs/f
		chmod 640 ACLs/f
		setfacl -m u:1234:rw ACLs/f
		truncate -s 4M holes/f
		printf end | dd of=holes/f bs=1 seek=3000000 conv=notrunc status=none
		printf long >"long-names/$(printf '%0255d' 0)"
		echo odd >'odd-names/a:b?*|"<'
		printf bytes >"bytes-names/$(printf '\377')"
		echo lower >case/a
		echo upper >case/A
	)
}

# holds THING DIR: whether it is there, the same
holds()
{
	(
		cd "$2" 2>/dev/null || return 1
		case $1 in
		modes) [ "$(stat -c %a 400 640 755 | paste -s -d ' ')" = '400 640 755' ] ;;
		set-ID) [ "$(stat -c %a f)" = 6755 ] ;;
		owners) [ "$(stat -c %u:%g f)" = 1234:2345 ] ;;
		times) [ "$(stat -c %y f | cut -c 21-29)" = 123456789 ] ;;
		links) [ "$(readlink l)" = nowhere ] ;;
		hard-links)
			[ "$(stat -c %h a)" = 2 ] ||
				[ -n "$(find "$back" -path '*/hard-links/b' -links 2)" ]
			;;
		FIFOs) [ -p p ] ;;
		devices) [ -c d ] ;;
		xattrs) [ "$(getfattr --only-values -n user.name f 2>/dev/null)" = value ] ;;
		ACLs) getfacl -n f 2>/dev/null | grep -q '^user:1234:rw-' ;;
		holes) [ "$(stat -c %s f)" = 4194304 ] && [ "$(stat -c %b f)" -lt 4096 ] ;;
		long-names) [ -f "$(printf '%0255d' 0)" ] ;;
		odd-names) [ -f 'a:b?*|"<' ] ;;
		bytes-names) [ -f "$(printf '\377')" ] ;;
		case) [ "$(cat a A)" = "$(printf 'lower\nupper')" ] ;;
		esac
	)
}

# How finely times are kept, of a file that had 7.123456789 s.
precision()
{
	case $(stat -c %y "$1" | cut -c 18-29) in
	07.1234567*00) echo '100 ns' ;;
	07.123456*) echo '1 us' ;;
	07.12*) echo '10 ms' ;;
	07.0*) echo '1 s' ;;
	*) echo '2 s' ;;
	esac
}

# ---------------------------------------------------------------- one of them

# But for what libfuse calls a removed file until it has heard of its last close.
same()
{
	diff -r -x '.fuse_hidden*' "$1" "$2" >>log 2>&1
}

# word NAME COMMAND...: yes, or no with what was printed
word()
{
	if "$@" >>log 2>&1; then
		echo yes
	else
		echo NO
	fi
}

does_copy_r()
{
	"$BATCHPROC" copy -r $plain $t/r && same $plain $t/r
}

# The data in any case: what else is lost has its own column.
does_copy_a()
{
	"$BATCHPROC" copy -a $plain $t/a || [ $? -eq 1 ]
	same $plain $t/a
}

# The second time every file is passed over.
does_update_twice()
{
	files=$(find $plain -type f | wc -l)
	for how in -r -a; do
		set -- copy $how -u --no-target-directory $plain $t/u$how
		"$BATCHPROC" "$@" || [ $? -eq 1 ]
		"$BATCHPROC" "$@" --json >again || [ $? -eq 1 ]
		grep -q "\"summary\":true.*\"skipped\":$files," again || { cat again; return 1; }
		same $plain $t/u$how || return 1
	done
}

# Killed once some of it is there, and part of a file.
kill_midway()
{
	rm -f journal
	"$BATCHPROC" copy -r -j 2 --bwlimit 2M --journal journal $plain "$1" &
	pid=$!
	until [ -s journal ] && [ -n "$(find "$1" -type f -size +0 2>/dev/null | head -n 1)" ]; do
		kill -0 $pid 2>/dev/null || break
	done
	kill -9 $pid
	wait $pid 2>/dev/null || [ $? -eq 137 ] || return 1
}

does_resume()
{
	kill_midway $t/k && "$BATCHPROC" copy -r --journal journal --resume $plain $t/k &&
		same $plain $t/k && kill_midway $t/l &&
		"$BATCHPROC" copy -r -u --no-target-directory $plain $t/l && same $plain $t/l
}

does_hash()
{
	(cd $t/r && "$BATCHPROC" hash -r .) | sort >found
	cmp base/list found
}

does_verify()
{
	list=$PWD/base/list
	(cd $t/r && "$BATCHPROC" verify --quiet "$list")
}

does_rm()
{
	"$BATCHPROC" rm -r $t && [ ! -e $t ]
}

# A loss that the file system has no notion of may go without a word, as with cp -a.
may_be_silent()
{
	case $1 in
	times | holes | xattrs) return 0 ;;
	esac
	return 1
}

# What a copy -a loses, and whether it says so.
lost()
{
	list=
	mkdir -p $t/things
	for thing in $things; do
		status=0
		# One after the other: exfat-fuse 1.3 dies of two names at once that differ in case only.
		"$BATCHPROC" copy -a -j 1 "base/things/$thing" $t/things/ >said 2>&1 || status=$?
		! holds "$thing" "$t/things/$thing" || continue
		printf '%s: exit status %d\n' "$thing" $status >>log
		cat said >>log
		name=$(echo "$thing" | tr - ' ')
		if [ "$thing" = times ]; then
			name="times finer than $(precision $t/things/times/f)"
		fi
		if [ $status -eq 0 ] && ! may_be_silent "$thing"; then
			name="$name (SILENTLY)"
		fi
		list="${list:+$list, }$name"
	done
	echo "${list:--}"
}

row()
{
	mkdir -p $t
	r=$(word does_copy_r)
	a=$(word does_copy_a)
	u=$(word does_update_twice)
	k=$(word does_resume)
	h=$(word does_hash)
	v=$(word does_verify)
	l=$(lost)
	d=$(word does_rm)
	echo "| $1 | $r | $a | $u | $k | $h | $v | $d | $l |"
}

# ---------------------------------------------------------------- all of them

begin_base()
{
	truncate -s 900M base.image && mkfs.ext4 -q base.image && mount -o loop base.image base
}

if ! here setfacl || ! here setfattr || ! begin_base 2>log; then
	echo "skipped, because there is no ext4 to copy from, or no setfacl and setfattr: $(cat log)"
	exit 77
fi
make_plain base/plain
make_things base/things
(cd base/plain && find . -type f -exec sha256sum {} + | sort) >base/list


# replace NAME: the row in the page
replace()
{
	awk -v name="| $1 |" 'NR == FNR { row = $0; next }
		index($0, name) == 1 { print row; next }
		{ print }' row "$page" >page.new
	cat page.new >"$page"
}

found=0
for name in ext4 XFS btrfs 'btrfs subvolumes' overlayfs tmpfs bindfs mergerfs gocryptfs ntfs-3g \
	exfat-fuse sshfs rclone fuse2fs unionfs-fuse; do
	function=mount_$(echo "$name" | tr ' -' __)
	back=$PWD/base/$function plain=base/plain t=m/t
	mkdir "$back"
	if ! $function >log 2>&1 || ! mountpoint -q m; then
		echo "skipped: $name: $(tail -n 1 log)"
		continue
	fi
	found=1
	: >log
	row "$name" >row.new
	mv row.new row
	umount m || umount -l m
	[ -z "${UPDATE-}" ] || replace "$name"
	if grep -q 'NO\|SILENTLY' row; then
		echo "This must not be:"
		cat row log
		failed=1
	elif ! grep -qxF "$(cat row)" "$page"; then
		echo "docs/filesystems.md does not say:"
		cat row log
		failed=1
	fi
done
if [ $found = 0 ]; then
	echo "skipped, because none of them can be had here"
	exit 77
fi
exit $failed
