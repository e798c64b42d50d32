/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_delete_safe - copy --delete where more could be lost than what the source has not
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"

/* ---- names that are one to the file system */

/* What is listed in another case is the copy of what the source has. */
static void a_mirror_of_another_case(const char *list)
{
	run_sh("mkdir -p src/Dir fs/dst/dIR && echo f >src/File && echo g >src/Dir/g && "
	       "echo old >fs/dst/fILE && echo gone >fs/dst/Other");
	for (int i = 0; i < 2; i++) {
		expect_exit(BP("copy", "-r", "--delete", "src/.", "fs/dst"), 0);
		expect_out(SH("cat fs/dst/file fs/dst/dir/g; ls fs/dst | wc -l"), list);
	}
	unmount("fs");
}

static void names_that_differ_in_case(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "fs",
		 "truncate -s 64M image && mkfs.vfat image >/dev/null && mount -o loop image fs");
	a_mirror_of_another_case("f\ng\n2\n");
}

/* There each spelling is an inode of its own. */
static void names_that_differ_in_case_and_inode(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "fs",
		 "truncate -s 64M image && mkfs.exfat image && loop=$(losetup -f --show image) && "
		 "{ mount.exfat-fuse $loop fs; status=$?; losetup -d $loop; exit $status; }");
	a_mirror_of_another_case("f\ng\n2\n");
}

/* Where they are two names, they are two things. */
static void names_that_are_two(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir src dst && echo a >src/readme && echo b >dst/README && echo c >dst/readme && "
	       "printf u >src/\303\251 && printf u >dst/\303\251 && printf u >dst/\303\211");
	expect_exit(BP("copy", "-a", "--delete", "src/.", "dst"), 0);
	expect_out(SH("ls dst | wc -l; cat dst/readme"), "2\na\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(names_that_differ_in_case),
		ONCE(names_that_differ_in_case_and_inode),
		ONCE(names_that_are_two),
	};

	return RUN_CASES(argc, argv, cases);
}
