/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_replaced - what is replaced, backups, names and holes, as cp has it
 *
 * Each line is run by both, on trees of the same kind beside each other: what is there afterwards
 * is the same, and so is the exit status.
 */
#include "support/beside.h"
#include "support/cmd.h"
#include "support/copies.h"

static void what_is_replaced(struct test *t)
{
	static const struct beside all[] = {
		{"true", "-b p n"},
		{"true", "--backup p n"},
		{"true", "--backup=simple p n"},
		{"true", "--backup=numbered p n"},
		{"true", "--backup=t p n"},
		{"echo 1 >n.~1~", "-b p n"},
		{"echo 1 >n.~1~; echo 9 >n.~9~; echo 7 >n.~07~", "--backup=existing p n"},
		{"echo 1 >n.~1~", "--backup=simple p n"},
		{"true", "--backup=none p n"},
		{"true", "--backup=off p n"},
		{"true", "-S .old p n"},
		{"true", "-b --suffix=.old p n"},
		{"true", "-b --suffix .old p n"},
		{"echo old >n~", "-b p n"},
		{"ln n other", "-b p n"},
		{"ln -s n nl", "-b p nl"},
		{"mkdir x && echo x >x/p && echo y >x/n", "-b p n x"},
		{"mkdir new && cp -r d new/d && echo changed >new/d/f", "-rb d new"},
		{"mkdir new && cp -r d new/d && echo changed >new/d/f", "-ab d new"},
		{"true", "-b p new"},
		{"echo s >n~", "-b n~ n"},
		{"export VERSION_CONTROL=numbered", "-b p n"},
		{"true", "--remove-destination p n"},
		{"ln n other", "--remove-destination p n"},
		{"ln -s n nl", "--remove-destination p nl"},
		{"ln -s nowhere nl", "--remove-destination p nl"},
		{"mkfifo ff", "--remove-destination p ff"},
		{"chmod 600 n", "-f p n"},
		{"true", "--attributes-only p n"},
		{"true", "--attributes-only -p p n"},
		{"true", "--attributes-only -p p new"},
		{"true", "-a --attributes-only d new"},
	};

	beside_cp(t, all, COUNT_OF(all), 0);
}

/*
 * The backup of one has the name of the other's copy: whichever comes first, one of them is an error,
 * and all that was there is there still.
 */
static void a_backup_and_a_copy_of_its_name(struct test *t)
{
	static const char *const ways[] = {"-b s/f s/f~ d", "-b s/f~ s/f d", "-ab s/. x/. d",
					   "-b -T list d", "-ab --exclude=nothing s/. d"};
	struct run *run;

	fresh_dir(t);
	run_sh("printf 's/f\\ns/f~\\n' >list; mkdir x s d");
	for (size_t i = 0; i < 3 * COUNT_OF(ways); i++) {
		run_sh("rm -f s/* d/*; head -c 3M /dev/zero >s/f; echo copy >s/f~; echo OLD >d/f");
		run = SH("$BATCHPROC copy $1", ways[i % COUNT_OF(ways)]);
		expect_exit(run, 1);
		expect_(strstr(run->err.data, "the backup of what is there would be called") ||
				strstr(run->err.data, "has the same destination"),
			"it says why", __FILE__, __LINE__);
		run = SH("cat d/f d/f~ 2>/dev/null | tr -d '\\0' | sort");
		/* OLD beside the new f, or beside the new f~. */
		expect_(!strcmp(run->out.data, "OLD\n") || !strcmp(run->out.data, "OLD\ncopy\n"),
			"nothing is lost", __FILE__, __LINE__);
	}
	/* Numbers give each a name. */
	run_sh("rm -f s/* d/*; echo new >s/f; echo copy >s/f.~1~; echo OLD >d/f");
	expect_exit(SH("$BATCHPROC copy --backup=numbered s/f s/f.~1~ d"), 0);
	expect_out(SH("cat d/* | sort"), "OLD\ncopy\nnew\n");
}

/* What is not copied is in no backup's way. */
static void a_backup_beside_what_is_left_out(struct test *t)
{
	static const char *const ways[] = {"-ab --exclude=*~ s/. d", "-ab --max-size=4 s/. d",
					   "-ab --newer=1d s/. d", "-b -r s/. d"};
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir s d");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -f s/* d/*; echo new >s/f; echo OLD >d/f; echo kept >d/f~");
		/* Without -a a FIFO is passed over. */
		run = SH("case $1 in -ab*) echo large >s/f~; touch -d 2001-01-01 s/f~;; "
			 "*) mkfifo s/f~;; esac; $BATCHPROC copy $1; cat d/f d/f~",
			 ways[i]);
		expect_out(run, "new\nOLD\n");
	}
}

static void whole_names(struct test *t)
{
	static const struct beside all[] = {
		{"mkdir to", "--parents d/sub/g to"},
		{"mkdir to", "--parents d/sub/g d/f p to"},
		{"mkdir to", "-p --parents d/sub/g to"},
		{"mkdir to", "-r --parents d/sub to"},
		{"mkdir to", "-r --parents ./d/./sub/ to"},
		{"mkdir -p to/d && chmod 700 to/d", "--parents d/sub/g to"},
		{"true", "--parents d/sub/g to"},
		{"mkdir to", "--parents -t to d/f d/sub/g"},
	};
	struct run *run;

	beside_cp(t, all, COUNT_OF(all), 0);
	fresh_dir(t);
	run_sh("mkdir -p a/b to && echo f >a/b/f");
	run = BP("copy", "--parents", "a/../a/b/f", "to");
	expect_exit(run, 1);
	expect_says(run, "goes up by ..");
	expect_out(SH("find to"), "to\n");
	run = SH("printf 'a/b/f\\n' | $BATCHPROC copy --parents -T - to && cat to/a/b/f");
	expect_out(run, "f\n");
}

static void holes(struct test *t)
{
	static const char *const ways[] = {"auto", "always", "never"};
	struct run *run;

	fresh_dir(t);
	run_sh("truncate -s 3M holey && printf x | dd of=holey bs=1 seek=1500000 conv=notrunc 2>&1 && "
	       "head -c 2M /dev/zero >zeros && printf x >>zeros && head -c 300000 /dev/zero >>zeros && "
	       "head -c 8192 /dev/zero >small && : >empty && head -c 5000 /dev/urandom >random");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = SH(
			"mkdir -p cp bp && for f in holey zeros small empty random; do "
			"cp --sparse=$1 $f cp && $BATCHPROC copy --sparse=$1 $f bp && cmp $f bp/$f || "
			"exit 1; a=$(stat -c %b cp/$f) b=$(stat -c %b bp/$f); "
			"echo $f $(((a - b) / 64)); done; rm -r cp bp",
			ways[i]);
		expect_exit(run, 0);
		expect_out(run, "holey 0\nzeros 0\nsmall 0\nempty 0\nrandom 0\n");
		expect_exit(
			SH("$BATCHPROC copy --sparse $1 --verify --hash sha256 zeros z >list && "
			   "$BATCHPROC verify list && rm z",
			   ways[i]),
			0);
	}
	expect_exit(BP("copy", "--sparse=some", "holey", "x"), 2);
	expect_exit(BP("copy", "--sparse=always", "--reflink=always", "holey", "x"), 2);
	expect_exit(SH("cp --sparse=always --reflink=always holey x"), 1);
}

/* Nobody but root can be in the way of -f. */
static void what_may_not_be_written(struct test *t)
{
	fresh_dir(t);
	need_root(t);
	run_sh("for i in cp bp; do mkdir $i && echo new >$i/n && echo old >$i/o && chmod 444 $i/o && "
	       "chmod 600 $i/n; done; chown -R 65534:65534 cp bp");
	expect_exit(RUN(HOW(.uid = NOBODY), "copy", "bp/n", "bp/o"), 1);
	expect_exit(RUN(HOW(.uid = NOBODY, .program = "cp"), "cp/n", "cp/o"), 1);
	expect_exit(RUN(HOW(.uid = NOBODY), "copy", "-f", "bp/n", "bp/o"), 0);
	expect_exit(RUN(HOW(.uid = NOBODY, .program = "cp"), "-f", "cp/n", "cp/o"), 0);
	expect_same(beside_list("cp"), beside_list("bp"));
}

static void a_line_for_each(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p d/sub && echo f >d/f && echo g >d/sub/g && ln -s f d/link && echo o >old");
	expect_same(BP("copy", "-rv", "d", "new"), SH("cp -rv d new2 | sed s/new2/new/"));
	/* Directories that were there have none. */
	expect_same(BP("copy", "-rv", "--no-target-directory", "d", "new"),
		    SH("cp -rvT d new2 | sed '/^removed/d; s/new2/new/'"));
	expect_same(BP("copy", "-v", "-b", "d/f", "old"),
		    SH("echo o >old2; cp -vb d/f old2 | sed s/old2/old/g"));
	expect_out(BP("copy", "-v", "-u", "d/f", "old"), "");
	expect_out(BP("copy", "d/f", "old"), "");
	expect_exit(SH("$BATCHPROC copy -v --hash md5 d/f x >list && $BATCHPROC verify list"), 0);
}

static void contents_of_what_is_no_file(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir d && mkfifo d/fifo && echo f >d/f && mknod d/null c 1 3");
	run = SH(
		"(echo through; echo the pipe) >d/fifo & $BATCHPROC copy -r --copy-contents d bp && "
		"wait && cat bp/fifo && stat -c '%F %s' bp/null");
	expect_out(run, "through\nthe pipe\nregular empty file 0\n");
	run = SH("cat bp/f >d/fifo & cp -r --copy-contents d cp && wait && cat cp/fifo");
	expect_out(run, "f\n");
	/* Nobody writes. */
	run = BP("copy", "-r", "--copy-contents", "--timeout", "0.2", "d", "late");
	expect_exit(run, 1);
	expect_gone("late/fifo");
	expect_there("late/f");
}

static void letters_that_mean_something_else(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("echo a >a && echo b >b && mkdir d e && echo f >d/f");
	run = BP("copy", "-n", "a", "b");
	expect_exit(run, 0);
	expect_err(run, "batchproc: copy: -n is a dry run, and copies nothing; what cp -n does is "
			"--no-clobber\n");
	expect_err(BP("copy", "-n", "a", "new"), "");
	run = BP("copy", "-T", "a", "b");
	expect_exit(run, 2);
	expect_says(run, "(-T reads names of sources from a; what cp -T does is "
			 "--no-target-directory)");
	run = BP("copy", "-rT", "d", "e");
	expect_exit(run, 2);
	expect_says(run, "-T: d is a directory, not a list of names (what cp -T does is "
			 "--no-target-directory)");
	run = BP("copy", "--no-clobber", "a", "b");
	expect_exit(run, 0);
	expect_out(SH("cat b"), "b\n");
	/* It has its own meaning, or none. */
	expect_exit(BP("copy", "--force", "a", "b"), 0);
	run = BP("hash", "--force", "a");
	expect_exit(run, 2);
	expect_says(run, "option --force is not known, and not short for --force-resume");
	run = BP("fetch", "--retry", "http://127.0.0.1:9/");
	expect_exit(run, 2);
	expect_exit(BP("hash", "--force-res", "--journal", "j", "a"), 0);
	/* What is short for one with two letters is short for it; for two it is said for which. */
	expect_exit(BP("copy", "--rec", "--pres=mode", "a", "b"), 0);
	run = BP("copy", "--back", "a", "b");
	expect_exit(run, 2);
	expect_says(run, "option --back is short for several: --backup, --backend\n");
	run = SH("echo 'hash --force a' | $BATCHPROC run -n -");
	expect_exit(run, 1);
	expect_says(run, "'--force' is not an option of hash");
}

static void what_excludes_each_other(struct test *t)
{
	static const char *const all[][2] = {
		{"--inplace --backup", "--inplace and --backup exclude each other"},
		{"--inplace --remove-destination", "--inplace and --remove-destination exclude"},
		{"-b --no-clobber", "--backup and --ignore-existing exclude"},
		{"-l --hash md5", "-l and -s read no file"},
		{"-s --verify", "-l and -s read no file"},
		{"-l --attributes-only", "-l and -s exclude --attributes-only"},
		{"-l -s", "-l and -s exclude each other"},
		{"-s -l", "-l and -s exclude each other"},
		{"--attributes-only --verify", "--attributes-only reads no file"},
		{"--parents --no-target-directory", "--parents and --no-target-directory exclude"},
		{"--backup=sometimes", "--backup: 'sometimes' is not none, simple, existing"},
		{"--suffix=a/b", "-S: 'a/b' is not a suffix"},
		{"--preserve=", "--preserve: '' is not a list of mode"},
		{"--no-preserve=modes", "--no-preserve: 'modes' is not a list of mode"},
	};
	struct run *run;

	fresh_dir(t);
	make_file("a", "a");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		run = SH("$BATCHPROC copy $1 a b", all[i][0]);
		expect_exit(run, 2);
		expect_says(run, all[i][1]);
		expect_gone("b");
	}
}

/* What is resumed comes to the same. */
static void a_journal_holds_for_them(struct test *t)
{
	static const char *const ways[] = {"-l",  "-s",	       "-b",
					   "-rL", "--parents", "--preserve=xattr"};

	fresh_dir(t);
	run_sh("mkdir -p d/sub && for i in a b c; do echo $i >d/$i; echo $i >d/sub/$i; done");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf to j && mkdir to");
		expect_exit(SH("$BATCHPROC copy -r $1 --journal j $PWD/d to", ways[i]), 0);
		expect_exit(SH("$BATCHPROC copy -r $1 --journal j --resume --json $PWD/d to | "
			       "grep -q '\"skipped\":6'",
			       ways[i]),
			    0);
	}
	/* Other options are another job. */
	expect_exit(BP("copy", "-rs", "--journal", "j", "--resume", "d", "to"), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(what_is_replaced),
		ONCE(a_backup_and_a_copy_of_its_name),
		ONCE(a_backup_beside_what_is_left_out),
		ONCE(whole_names),
		ONCE(holes),
		ONCE(what_may_not_be_written),
		ONCE(a_line_for_each),
		ONCE(contents_of_what_is_no_file),
		ONCE(letters_that_mean_something_else),
		ONCE(what_excludes_each_other),
		ONCE(a_journal_holds_for_them),
	};

	return RUN_CASES(argc, argv, cases);
}
