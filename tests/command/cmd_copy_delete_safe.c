/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_delete_safe - copy --delete where more could be lost than what the source has not
 */
#include <sys/stat.h>

#include "support/badmount.h"
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

/* ---- what is a source stays */

static void a_source_in_the_destination(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p d/src/in d/old && echo 1 >d/src/in/f && echo 2 >d/old/g");
	run = BP("copy", "-a", "--delete", "d/src/.", "d");
	expect_exit(run, 0);
	expect_says(run, "d/src: not removed: it is a source of this run");
	expect_out(SH("cat d/src/in/f d/in/f"), "1\n1\n");
	expect_gone("d/old");
	/* Deep in what goes; a file, and a link. */
	run_sh("mkdir -p A D/A/x/y/B D/A/x/z && echo 1 >A/f && echo 2 >D/A/x/y/B/g && "
	       "echo 3 >D/A/file && ln -s file D/A/link");
	run = BP("copy", "-a", "--delete", "A", "D/A/x/y/B", "D/A/file", "D/A/link", "D");
	expect_exit(run, 0);
	expect_out(SH("cat D/A/x/y/B/g D/A/file D/A/link D/B/g D/A/f"), "2\n3\n3\n2\n1\n");
	expect_gone("D/A/x/z");
	/* A copy that is a source itself. */
	run_sh("mkdir -p E/s e/E/s && echo 1 >e/E/s/only && echo 2 >E/f");
	run = BP("copy", "-a", "--delete", "E", "e/E/s", "e");
	expect_exit(run, 0);
	expect_says(run, "e/E/s: nothing is removed in it: it is a source of this run");
	expect_out(SH("cat e/E/s/only e/s/only"), "1\n1\n");
}

/* How much is in a directory that cannot be listed nobody knows: it may be more than may go. */
static void what_cannot_be_counted_is_too_much(struct test *t)
{
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src b/d/e m && touch src/s b/d/e/f b/d/e/g");
	bad = BADMOUNT(t, "b", "m", "error readdir 5 e");
	run = BP("copy", "-a", "--delete", "--max-delete=3", "src/.", "m");
	expect_exit(run, 1);
	expect_says(run, "m/d: not removed: more would go than --max-delete allows");
	badmount_end(bad);
	expect_there("b/d/e/f");
}

/* A tree where something was not removed can be given again. */
static void what_was_not_removed_is_in_a_list(struct test *t)
{
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/d other b/src/d/e b/other m && touch src/d/s other/s b/src/d/e/f "
	       "b/src/d/g b/src/d/h b/other/gone && mkdir -p \"one\ntwo\" \"b/one\ntwo\" && "
	       "touch \"b/one\ntwo/k\"");
	bad = BADMOUNT(t, "b", "m", "error unlink 5");
	expect_exit(BP("copy", "-a", "--delete", "--failed-to=list", "src", "other", "m"), 1);
	expect_out(SH("sort list"), "other\nsrc\n");
	run = BP("copy", "-a", "--delete", "--failed-to=none", "one\ntwo", "m");
	expect_exit(run, 1);
	expect_says(run, "not written to --failed-to");
	expect_exit(BP("copy", "-a", "--delete", "-0", "--failed-to=zero", "one\ntwo", "m"), 1);
	expect_out(SH("tr '\\0\\n' '\\n_' <zero"), "one_two\n");
	badmount_end(bad);
	make_dir("m2");
	bad = BADMOUNT(t, "b", "m2", "error unlink 5 g");
	expect_exit(BP("copy", "-a", "--delete", "--failed-to=list", "src", "m2"), 1);
	expect_out(SH("cat list"), "src\n");
	badmount_end(bad);
	expect_gone("b/src/d/h");
	expect_exit(SH("$BATCHPROC copy -a --delete --failed-to=none $(cat list) b"), 0);
	expect_gone("b/src/d/g");
	expect_there("b/src/d/s");
	expect_out(SH("cat none"), "");
}

/*
 * Where what is looked at has another inode each time, a source is known by where it is; and of what
 * is another directory by its inode nothing goes.
 */
static void sources_without_an_inode_of_their_own(struct test *t)
{
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p A b/D/A/x/y/B b/D/A/x/z b/s/src/in b/s/old m && echo 1 >A/f && "
	       "echo 2 >b/D/A/x/y/B/g && echo 3 >b/D/A/file && ln -s file b/D/A/link && "
	       "echo 4 >b/s/src/in/f && echo 5 >b/s/old/g");
	bad = BADMOUNT(t, "b", "m", "inodes changing");
	run = BP("copy", "-a", "--delete", "A", "m/D/A/x/y/B", "m/D/A/file", "m/D/A/link", "m/D");
	expect_exit(run, 0);
	expect_says(run, "m/D/A/x: not removed: it is a source of this run, or holds one");
	expect_out(SH("cd b/D && cat A/x/y/B/g A/file A/link B/g A/f"), "2\n3\n3\n2\n1\n");
	expect_gone("b/D/A/x/z");
	/* From another working directory, by a longer way. */
	run_sh("mkdir b/D/A/x/z; cd A && $BATCHPROC copy -a --delete . ../A/../m/./D/A/x/y/B/ "
	       "../m/D/A/file ../m/D/A/link ../m/D 2>/dev/null; true");
	expect_out(SH("cd b/D && cat A/x/y/B/g A/file A/link"), "2\n3\n3\n");
	run = BP("copy", "-a", "--delete", "m/s/src/.", "m/s");
	expect(!run->status || run->status == 1);
	expect_out(SH("cat b/s/src/in/f"), "4\n");
	expect_there("b/s/old/g");
	badmount_end(bad);
}

static void a_source_that_could_not_be_read(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir -p A D/A/B && echo 1 >A/f && echo 2 >D/A/B/g && chown -R 65534:65534 A D . && "
	       "chmod 0 D/A/B/g");
	run = RUN(HOW(.uid = NOBODY), "copy", "-a", "--delete", "A", "D/A/B", "D");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "--delete: nothing was removed: not all was copied"), 1);
	expect_there("D/A/B/g");
}

/* ---- not where something failed */

static void nothing_goes_where_the_copy_has_no_room(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs", "mount -t tmpfs -o size=1m none fs");
	run_sh("mkdir es fs/ed && head -c 700000 /dev/zero | tr '\\0' x >fs/ed/oldname && "
	       "cp fs/ed/oldname es/newname");
	run = BP("copy", "-a", "--delete", "es/.", "fs/ed");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "--delete: nothing was removed: not all was copied"), 1);
	run_sh("cmp es/newname fs/ed/oldname");
	unmount("fs");
}

static void a_link_to_what_it_is_in(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p src/a dst/a/loop && ln -s .. src/a/loop && touch dst/a/loop/x dst/y");
	expect_exit(BP("copy", "-rL", "--delete", "src/.", "dst"), 1);
	expect_there("dst/a/loop/x");
	expect_there("dst/y");
	/* By two ways, both of which were read. */
	run_sh("rm src/a/loop && mkdir src/b && touch src/b/f && ln -s ../b src/a/loop && "
	       "mkdir dst/b && touch dst/b/x");
	expect_exit(BP("copy", "-rL", "--delete", "src/.", "dst"), 0);
	expect_out(SH("cd dst && find . -type f | sort"), "./a/loop/f\n./b/f\n");
}

/* What was moved to where it was not seen is not copied; its copy is all there is of it. */
static void a_source_that_changes_meanwhile(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/sub src/same dst/sub dst/same && echo f >src/sub/f && mkfifo src/p && "
	       "touch dst/same/x && sleep 0.05");
	run = START(HOW(.feed = false), "copy", "-r", "--copy-contents", "--delete", "-v", "src/.",
		    "dst");
	until_printed(run, 1, "sub/f' -> ", 1);
	run_sh("mv src/sub src/sub2 && echo fed >src/p");
	run_end(run);
	expect_exit(run, 1);
	expect_says(run, "dst: nothing was removed from it: its source has changed meanwhile");
	expect_out(SH("cat dst/sub/f dst/p"), "f\nfed\n");
	expect_gone("dst/same/x");
	expect_exit(BP("copy", "-r", "--delete", "--copy-contents", "--exclude=p", "src/.", "dst"),
		    0);
	expect_out(SH("cd dst && find . -type f | sort"), "./p\n./sub2/f\n");
}

/* ---- what is mounted in the destination */

static void what_is_mounted_is_not_entered(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/m src/in dst/in out && touch out/keep dst/gone dst/in/gone");
	mount_at(t, "dst/m", "mount --bind out dst/m");
	mount_at(t, "dst/t", "mount -t tmpfs none dst/t");
	run_sh("mkdir src/t && touch dst/t/keep");
	for (int i = 0; i < 2; i++) {
		run = BP("copy", i ? "-ax" : "-a", "--delete", "src/.", "dst");
		expect_exit(run, 0);
		expect_says(run, "dst/m: nothing is removed in it: a file system is mounted there");
		expect_says(run, "dst/t: nothing is removed in it: a file system is mounted there");
		expect_there("out/keep");
		expect_there("dst/t/keep");
		expect_gone("dst/gone");
		expect_gone("dst/in/gone");
	}
	/* In what is to go, too. */
	run_sh("rmdir src/m src/t");
	run = BP("copy", "-a", "--delete", "src/.", "dst");
	expect_exit(run, 1);
	expect_says(run, "dst/m: not removed: ");
	expect_says(run, "dst/t: not removed: ");
	expect_there("out/keep");
	expect_there("dst/t/keep");
	/* What was named is meant, but not what is below that. */
	run_sh("touch dst/t/other && mkdir -p as/m && touch as/m/f");
	run = BP("copy", "-a", "--delete", "as/m", "dst");
	expect_exit(run, 0);
	expect_says(run, "dst/m: nothing is removed in it");
	expect_there("out/keep");
	expect_exit(BP("copy", "-a", "--delete", "as/m/.", "dst/t"), 0);
	expect_out(SH("ls dst/t"), "f\n");
	unmount("dst/t");
	unmount("dst/m");
}

/* ---- what is not done is said, and what stays is as it was */

static void what_cannot_be_opened_is_said(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("d=$(seq -s/ 150) && mkdir -p src/$d dst/$d && touch dst/$d/extra");
	run = RUN(HOW(.nofile = 220), "copy", "-r", "--delete", "src/.", "dst");
	/* However many it takes, it is removed or said. */
	if (run->status) {
		expect_exit(run, 1);
		expect_says(run, "Too many open files");
	} else {
		expect_out(SH("find dst -name extra"), "");
	}
	expect_exit(BP("copy", "-r", "--delete", "src/.", "dst"), 0);
	expect_out(SH("find dst -name extra"), "");
}

static void directories_have_their_times(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p s/d t/d/gone t/old && touch t/d/a t/d/b t/d/c t/x && touch -d @1000000001.5 "
	       "s/d && touch -d @1000000002 s");
	expect_exit(BP("copy", "-a", "--delete", "s/.", "t"), 0);
	expect_out(SH("stat -c %.Y t/d t; ls t t/d"), "1000000001.500000000\n1000000002.000000000\n"
						      "t:\nd\n\nt/d:\n");
	/* Not without -p. */
	run_sh("touch t/d/a");
	expect_exit(BP("copy", "-r", "--delete", "s/.", "t"), 0);
	run_sh("test $(stat -c %Y t/d) -gt 1000000001 && test ! -e t/d/a");
}

static void directories_that_may_not_be_written(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir -p s/d t/d/gone/deep && touch s/d/f t/d/a t/d/b t/d/c t/d/gone/deep/f && "
	       "chmod 555 s/d t/d/gone/deep t/d/gone && chown -R 65534:65534 s t .");
	run = RUN(HOW(.uid = NOBODY), "copy", "-a", "--delete", "s/.", "t");
	expect_exit(run, 0);
	expect_out(SH("ls t/d; stat -c %a t/d"), "f\n555\n");
	/* What stays for a reason has its mode. */
	run_sh("chmod 755 t/d && mkdir t/d/gone && touch t/d/gone/a t/d/gone/core && "
	       "chmod 555 t/d/gone && chown -R 65534:65534 t");
	run = RUN(HOW(.uid = NOBODY), "copy", "-a", "--delete", "--exclude=core", "s/.", "t");
	expect_exit(run, 0);
	expect_out(SH("ls t/d/gone; stat -c %a t/d/gone t/d"), "core\n555\n555\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(names_that_differ_in_case),
		ONCE(names_that_differ_in_case_and_inode),
		ONCE(names_that_are_two),
		ONCE(a_source_in_the_destination),
		ONCE(what_cannot_be_counted_is_too_much),
		ONCE(what_was_not_removed_is_in_a_list),
		ONCE(sources_without_an_inode_of_their_own),
		ONCE(a_source_that_could_not_be_read),
		ONCE(nothing_goes_where_the_copy_has_no_room),
		ONCE(a_link_to_what_it_is_in),
		ONCE(a_source_that_changes_meanwhile),
		ONCE(what_is_mounted_is_not_entered),
		ONCE(what_cannot_be_opened_is_said),
		ONCE(directories_have_their_times),
		ONCE(directories_that_may_not_be_written),
	};

	return RUN_CASES(argc, argv, cases);
}
