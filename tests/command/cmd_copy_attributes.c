/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_attributes - attributes, ACLs, owners and links that a file system cannot keep, or keeps
 * in its own way: what of them is said, and what nobody gets
 */
#include <sys/stat.h>

#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"

static void need_attributes(struct test *t)
{
	if (!have_program("setfacl") || !have_program("setfattr") ||
	    SH("echo x >probe && setfattr -n user.a -v b probe && setfacl -m u:12:r probe")->status)
		skip_because(t, "no attributes or ACLs can be set here");
}

/* XFS shows an ACL as an attribute of its own, too: it must not come back from that. */
static void access_that_was_taken_back_stays_so(struct test *t)
{
	fresh_dir(t);
	need_attributes(t);
	mount_at(t, "fs", "truncate -s 400M image && mkfs.xfs -q image && mount -o loop image fs");
	run_sh("mkdir fs/src && echo f >fs/src/f && setfacl -m u:12:rw fs/src/f && "
	       "setfattr -n trusted.mine -v b fs/src/f");
	expect_exit(BP("copy", "-a", "fs/src", "dst"), 0);
	expect_out(SH("getfattr -d -m - dst/f | grep -v '^#' | cut -d= -f1 | sort"),
		   "\nsystem.posix_acl_access\ntrusted.mine\n");
	run_sh("setfacl -b dst/f");
	expect_exit(BP("copy", "-a", "dst", "fs/back"), 0);
	expect_out(SH("getfacl -c --omit-header fs/back/f 2>/dev/null | grep -c user:12"), "0\n");
	unmount("fs");
}

/* The group's rights of the mode are the most that the ACL gives anybody. */
static void without_its_acl_a_file_gives_the_group_no_more(struct test *t)
{
	static const char *const ways[] = {"-p", "-a"};
	struct run *run;

	fresh_dir(t);
	need_attributes(t);
	mount_at(t, "fs", "mount -t ramfs none fs");
	run_sh("mkdir src; echo f >src/f; chmod 600 src/f; setfacl -m u:12:rw src/f; "
	       "echo g >src/g; chmod 640 src/g; setfacl -m u:12:rw,m::rw src/g");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = BP("copy", ways[i], "-r", "src/.", "fs");
		expect_exit(run, 1);
		expect_says(run, "copied, but without its ACL");
		expect_out(SH("cat fs/f fs/g; stat -c %a fs/f fs/g"), "f\ng\n600\n640\n");
	}
	unmount("fs");
}

static void an_acl_that_was_inherited_goes_from_directories_too(struct test *t)
{
	static const char *const ways[] = {"-p", "-a"};

	fresh_dir(t);
	need_attributes(t);
	run_sh("mkdir -p src/d && echo f >src/d/f");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf dst; mkdir dst; setfacl -d -m u:12:rwx dst");
		expect_exit(BP("copy", ways[i], "-r", "src", "dst"), 0);
		expect_out(SH("getfacl -R dst/src 2>/dev/null | grep 12"), "");
	}
	/* Without them it is what the destination wants. */
	expect_exit(BP("copy", "-r", "src", "dst/new"), 0);
	expect_out(SH("getfacl dst/new/d 2>/dev/null | grep -c default:user:12"), "1\n");
}

static void set_user_id_stays_with_root(struct test *t)
{
	fresh_dir(t);
	need_root(t);
	run_sh("echo new >src; for f in ours theirs; do echo old >$f; chmod 6755 $f; done; "
	       "cp src theirs");
	expect_exit(BP("copy", "src", "ours"), 0);
	expect_out(SH("cat ours; stat -c %a ours theirs"), "new\n6755\n6755\n");
}

/* One who is not in that group may not set the bit, but what is made there has it. */
static void set_group_id_of_directories_stays(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir -p src/d/e && chmod 711 src/d/e && echo f >src/d/e/f && chmod -R a+rX src && "
	       "for d in ours theirs; do mkdir $d; chgrp 12 $d; chmod 2777 $d; done");
	expect_exit(RUN(&nobody, "copy", "-r", "src", "ours"), 0);
	expect_exit(RUN(HOW(.program = "cp", .uid = NOBODY), "-r", "src", "theirs"), 0);
	expect_same_trees("theirs", "ours", 0);
	expect_out(SH("stat -c '%a %g' ours/src/d"), "2755 12\n");
}

/* It costs that attribute, and nothing else. */
static void an_attribute_that_does_not_fit(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_attributes(t);
	mount_at(t, "fs",
		 "truncate -s 20M image && mkfs.ext4 -qb 1024 -O ^ea_inode image && "
		 "mount -o loop image fs");
	run_sh("mkdir src && echo f >src/f && setfattr -n user.large -v $(head -c 3000 /dev/zero | "
	       "tr '\\0' x) src/f && setfattr -n user.small -v y src/f && chmod 640 src/f src && "
	       "chown 12:13 src/f && setfattr -n user.large -v $(head -c 3000 /dev/zero | "
	       "tr '\\0' x) src && touch -d '2001-02-03 04:05:06' src/f src");
	run = BP("copy", "-a", "src", "fs/dst");
	expect_exit(run, 1);
	expect_says(run, "src/f: copied, but without its attribute user.large");
	expect_says(run, "src: copied, but without its attribute user.large");
	expect_same_trees("src", "fs/dst", SAME_TIMES);
	expect_out(SH("stat -c %u:%g fs/dst/f; getfattr -d -m user fs/dst/f 2>&1 | grep user"),
		   "12:13\nuser.small=\"y\"\n");
	unmount("fs");
}

/* The file system says that it took them. */
static void an_owner_that_did_not_take(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_root(t);
	mount_at(t, "fs", "mkdir lower && bindfs --chown-ignore --chgrp-ignore lower fs");
	run_sh("mkdir src && cd src && echo f >f && ln -s f l && mkfifo p && chown -h 12:13 f l p && "
	       "chmod 4755 f");
	run = BP("copy", "-a", "src", "fs/dst");
	expect_exit(run, 1);
	expect_says(run, "src/f: copied, but without its owner");
	expect_says(run, "src/l: copied, but without its owner");
	expect_says(run, "src/p: copied, but without its owner");
	/* Rights that were somebody else's are not given as one's own. */
	expect_out(SH("cat fs/dst/f; stat -c %a fs/dst/f"), "f\n755\n");
	unmount("fs");
}

/* Nor need it take a mode. */
static void a_fifo_whose_mode_did_not_take(struct test *t)
{
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir b m && mkfifo p && chmod 644 p");
	bad = BADMOUNT(t, "b", "m", "modes ignored");
	run = BP("copy", "-a", "p", "m/p");
	expect_exit(run, 1);
	expect_says(run, "p: copied, but without its mode");
	badmount_end(bad);
}

/* ---------------------------------------------------------------- what is no file */

/* A server that cannot make it may have made a file, which nobody wants. */
static void a_file_in_place_of_a_fifo_goes(struct test *t)
{
	static const char *const ways[] = {"-q", "--atomic", "-u"};
	struct badmount *bad;

	fresh_dir(t);
	run_sh("mkdir -p src b/src m && mkfifo src/p src/new && echo old >b/src/p");
	bad = BADMOUNT(t, "b", "m", "mistakes on");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("touch -d 2001-02-03 b/src/p");
		expect_exit(BP("copy", "-a", ways[i], "src/new", "m"), 1);
		expect_exit(BP("copy", "-a", ways[i], "src", "m"), 1);
		expect_out(SH("find b -type f -o -type p | sort; cat b/src/p"), "b/src/p\nold\n");
	}
	badmount_end(bad);
}

static void links_among_what_is_no_file(struct test *t)
{
	static const char *const ways[] = {"-q", "--atomic", "-u"};

	fresh_dir(t);
	run_sh("mkdir src dst && cd src && ln -s nowhere a && ln a b && ln b c && mkfifo p && ln p q && "
	       "if [ $(id -u) = 0 ]; then mknod n c 1 3; ln n o; fi; touch -hd 2001-02-03 a p");
	for (size_t i = 0; i < 2 * COUNT_OF(ways); i++) {
		expect_exit(BP("copy", "-a", ways[i / 2], "src/.", "dst"), 0);
		expect_same_trees("src", "dst", SAME_TIMES | SAME_LINKS);
		if (i % 2)
			run_sh("rm -r dst && mkdir dst");
	}
}

/* What is gone of them is a link to what is there, in a run that goes on. */
static void links_of_a_run_that_is_gone_on_with(struct test *t)
{
	static const char *const gone[] = {"a", "b", "p", "q"};

	fresh_dir(t);
	run_sh("mkdir src && cd src && ln -s nowhere a && ln a b && ln b c && mkfifo p && ln p q");
	expect_exit(BP("copy", "-a", "--journal", "j", "src", "dst"), 0);
	for (size_t i = 0; i < COUNT_OF(gone); i++) {
		run_sh("rm dst/$1", gone[i]);
		expect_exit(BP("copy", "-a", "--journal", "j", "--resume", "src", "dst"), 0);
		expect_same_trees("src", "dst", SAME_LINKS);
	}
}

/* Where there are no hard links, each name is a file. */
static void names_that_cannot_be_links(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs",
		 "truncate -s 64M image && mkfs.exfat image && loop=$(losetup -f --show image) && "
		 "{ mount.exfat-fuse $loop fs; status=$?; losetup -d $loop; exit $status; }");
	run_sh("mkdir src && echo f >src/a && ln src/a src/b");
	run = BP("copy", "-a", "src", "fs/dst");
	expect_exit(run, 1);
	expect_says(run, "copied, but without its link to another name of it");
	expect_out(SH("cat fs/dst/a fs/dst/b"), "f\nf\n");
	unmount("fs");
}

static void attributes_of_symbolic_links(struct test *t)
{
	fresh_dir(t);
	need_root(t);
	need_attributes(t);
	run_sh("mkdir src && ln -s nowhere src/a && setfattr -hn trusted.mine -v b src/a && "
	       "setfattr -hn security.mine -v c src/a");
	expect_exit(BP("copy", "-a", "src", "dst"), 0);
	expect_out(SH("getfattr -hdm - dst/a | grep mine | sort"),
		   "security.mine=\"c\"\ntrusted.mine=\"b\"\n");
}

static void copy_without_proc(struct test *t, const struct denied *denied)
{
	struct run *run;

	if (UNDER_ASAN || UNDER_TSAN)
		skip_because(t, "sanitizers need /proc");
	fresh_dir(t);
	need_root(t);
	need_attributes(t);
	run_sh("mkdir src dst && cd src && echo new >f && setfattr -n user.a -v b f && "
	       "setfacl -m u:12:r f && mkdir d && setfacl -d -m u:13:rx d && mkfifo p && "
	       "chmod 604 p && chown 12 p && setfacl -m u:14:r p && ln -s nowhere l && "
	       "setfattr -hn trusted.mine -v b l && mknod n c 1 3 && chmod 620 n && "
	       "touch -hd 2001-02-03 f d p l n . && cd ../dst && echo old >old && "
	       "setfattr -n user.old -v c old && setfacl -m u:15:r old");
	run = RUN(
		HOW(.program = "unshare", .denied = denied), "-m", "sh", "-ec",
		"mount -t tmpfs none /proc; \"$1\" copy -a src dst; exec \"$1\" copy src/f dst/old",
		"sh", getenv("BATCHPROC"));
	if (strstr(run->err.data ? run->err.data : "", "unshare"))
		skip_because(t, "nothing can be mounted over /proc here");
	expect_exit(run, 0);
	expect_same_trees("src", "dst/src", SAME_TIMES);
	expect_same(SH("cd src; getfattr -Rhdm - .; getfacl -R ."),
		    SH("cd dst/src; getfattr -Rhdm - .; getfacl -R ."));
	expect_out(SH("cat dst/old; getfattr -dm user dst/old | grep user; getfacl dst/old | "
		      "grep -c user:15"),
		   "new\nuser.old=\"c\"\n1\n");
}

/* As in a chroot: what is done by paths in it otherwise is done by descriptors and names. */
static void without_proc(struct test *t)
{
	copy_without_proc(t, NULL);
}

/* Before Linux 6.13, which brought the calls for names. */
static void without_proc_and_calls_for_names(struct test *t)
{
	static const struct denied denied[] = {
		DENY(463, ENOSYS), /* setxattrat and its three relatives */
		DENY(464, ENOSYS), DENY(465, ENOSYS), DENY(466, ENOSYS), DENY_END,
	};

	need_denial(t);
	copy_without_proc(t, denied);
}

/* As an rclone mount answers, to whom nothing is lost. */
static void what_nobody_can_have_is_not_missed(struct test *t)
{
	struct badmount *bad;
	char line[40];

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_file("b/f", "old");
	make_file("f", "new");
	snprintf(line, sizeof(line), "error listxattr %d", EIO);
	bad = BADMOUNT(t, "b", "m", line);
	expect_exit(BP("copy", "f", "m/f"), 0);
	expect_exit(SH("cmp f b/f"), 0);
	badmount_end(bad);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(what_nobody_can_have_is_not_missed),
		ONCE(access_that_was_taken_back_stays_so),
		ONCE(without_its_acl_a_file_gives_the_group_no_more),
		ONCE(an_acl_that_was_inherited_goes_from_directories_too),
		ONCE(set_user_id_stays_with_root),
		ONCE(set_group_id_of_directories_stays),
		ONCE(an_attribute_that_does_not_fit),
		ONCE(an_owner_that_did_not_take),
		ONCE(a_fifo_whose_mode_did_not_take),
		ONCE(a_file_in_place_of_a_fifo_goes),
		ONCE(links_among_what_is_no_file),
		ONCE(links_of_a_run_that_is_gone_on_with),
		ONCE(names_that_cannot_be_links),
		ONCE(attributes_of_symbolic_links),
		ONCE(without_proc),
		ONCE(without_proc_and_calls_for_names),
	};

	return RUN_CASES(argc, argv, cases);
}
