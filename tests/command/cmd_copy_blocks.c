/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_blocks - what file systems keep beside bytes: holes, shared blocks, attributes, ACLs
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"

static void make_three_extents(const char *name)
{
	static const off_t at[] = {0, 5ll << 30, (10ll << 30) - 4096};
	char data[4096];
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < COUNT_OF(at); i++)
		assert_int_equal(pwrite(fd, data, sizeof(data), at[i]), sizeof(data));
	close(fd);
}

static void expect_sparse(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	expect_eq(st.st_size, 10ll << 30);
	expect_between(st.st_blocks, 1, 200);
	expect_out(SH("for at in 0 1310720 2621439; do dd if=\"$1\" bs=4096 skip=$at count=1 "
		      "status=none | tr -d x; done",
		      name),
		   "");
}

static void holes_stay_holes(struct test *t)
{
	struct stat st;

	fresh_dir(t);
	make_three_extents("src");
	assert_int_equal(stat("src", &st), 0);
	if (st.st_blocks > 200)
		skip_because(t, "this file system keeps no holes");
	expect_exit(BP("copy", "src", "new"), 0);
	expect_sparse("new");
	expect_exit(BP("copy", "--reflink=never", "src", "new"), 0);
	expect_sparse("new");
	/* A file that ends with a hole, and one that is nothing else. */
	make_file("end", "data");
	assert_int_equal(truncate("end", 3000000), 0);
	make_sparse("hole", 1000000);
	expect_exit(BP("copy", "end", "end2"), 0);
	expect_exit(BP("copy", "--hash", "sha256", "hole", "hole2"), 0);
	run_sh("cmp end end2 && cmp hole hole2");
	expect_out(SH("stat -c %b hole2"), "0\n");
}

/* Their physical blocks, as FIEMAP has them. */
static struct run *blocks_of(const char *name)
{
	return SH("filefrag -v \"$1\" | sed -n 's/^ *[0-9]*: *[0-9. ]*: *\\([0-9. ]*\\):.*/\\1/p'",
		  name);
}

static void shares_blocks(struct test *t, const char *mkfs, const char *script)
{
	static const char *const ways[] = {"--reflink=auto", "--reflink=always", "--atomic"};

	need_root(t);
	fresh_dir(t);
	if (!have_program(mkfs))
		skip_because(t, "the tool that makes this file system is not here");
	if (!have_program("filefrag"))
		skip_because(t, "filefrag is not here");
	mount_at(t, "fs", script);
	make_pattern("fs/src", 3000000);
	run_sh("sync fs/src");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		expect_exit(BP("copy", ways[i], "fs/src", "fs/dst"), 0);
		run_sh("cmp fs/src fs/dst; sync fs/dst");
		expect_same(blocks_of("fs/src"), blocks_of("fs/dst"));
	}
	expect_exit(BP("copy", "--reflink=never", "fs/src", "fs/dst"), 0);
	run_sh("cmp fs/src fs/dst; sync fs/dst");
	expect_(strcmp(blocks_of("fs/src")->out.data, blocks_of("fs/dst")->out.data),
		"they have blocks of their own", __FILE__, __LINE__);
	expect_same(BP("copy", "--hash", "sha256", "fs/src", "fs/dst"), SH("sha256sum fs/dst"));
	/* Not to be had between two file systems. */
	expect_exit(BP("copy", "--reflink=always", "fs/src", "dst"), 1);
	expect_eq(access("dst", F_OK), -1);
	expect_exit(BP("copy", "fs/src", "dst"), 0);
	run_sh("cmp fs/src dst");
	unmount("fs");
}

static void blocks_are_shared_on_xfs(struct test *t)
{
	shares_blocks(t, "mkfs.xfs",
		      "truncate -s 400M image && mkfs.xfs -q image && mount -o loop image fs");
}

static void blocks_are_shared_on_btrfs(struct test *t)
{
	shares_blocks(t, "mkfs.btrfs",
		      "truncate -s 400M image && mkfs.btrfs -q image && mount -o loop image fs");
}

static void attributes_and_acls_are_kept(struct test *t)
{
	struct run *ours, *theirs;

	fresh_dir(t);
	if (!have_program("setfacl") || !have_program("setfattr"))
		skip_because(t, "setfacl and setfattr are not here");
	run_sh("mkdir -p src/d && echo x >src/f && echo y >src/d/g");
	if (SH("setfattr -n user.colour -v blue src/f src/d && setfacl -m u:12:r src/f && "
	       "setfacl -m d:u:13:rx,u:13:rwx src/d && chmod 440 src/d/g")
		    ->status)
		skip_because(t, "this file system has no attributes or ACLs");
	expect_exit(BP("copy", "-a", "src", "ours"), 0);
	run_sh("cp -a src theirs");
	ours = SH("cd ours && getfattr -Rd -m - . && getfacl -Rn .");
	theirs = SH("cd theirs && getfattr -Rd -m - . && getfacl -Rn .");
	expect_same(ours, theirs);
	/* With an ACL the mode shows more than the group may: both are kept, or neither. */
	expect_exit(BP("copy", "-rp", "src", "kept"), 0);
	run_sh("cp -rp src kept2");
	expect_same(SH("cd kept && getfacl -Rn ."), SH("cd kept2 && getfacl -Rn ."));
	/* What is made in a directory inherits its default ACL, unless everything is kept. */
	run_sh("setfacl -d -m u:14:rwx,o::- ours theirs && umask 027 && "
	       "\"$1\" copy -r src/f src/d ours/d && cp -r src/f src/d theirs/d && "
	       "\"$1\" copy -a src/f ours && cp -a src/f theirs",
	       getenv("BATCHPROC"));
	expect_same(SH("cd ours && getfacl -Rn ."), SH("cd theirs && getfacl -Rn ."));
	/* A file that is replaced keeps its ACL. */
	run_sh("setfacl -m u:15:rw theirs/f ours/f && \"$1\" copy src/d/g ours/f && cp src/d/g theirs/f",
	       getenv("BATCHPROC"));
	expect_same(SH("cd ours && getfacl -n f"), SH("cd theirs && getfacl -n f"));
}

static const struct test_case cases[] = {
	ONCE(holes_stay_holes),
	ONCE(blocks_are_shared_on_xfs),
	ONCE(blocks_are_shared_on_btrfs),
	ONCE(attributes_and_acls_are_kept),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
