/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_inplace - destinations that cannot be replaced: --inplace writes into them
 */
#include <sys/stat.h>

#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

/* Long, short, with holes: what was there is gone, and what it is besides stays. */
static void what_is_there_is_written_into(struct test *t)
{
	static const char *const ways[] = {"-q", "--verify", "--hash=md5", "--reflink=never",
					   "--sync"};

	fresh_dir(t);
	run_sh("echo new >small; head -c 400000 /dev/urandom >large; truncate -s 3M holes; "
	       "echo x >>holes; : >empty");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("for f in small large holes empty; do head -c 200000 /dev/zero >to-$f; "
		       "chmod 604 to-$f; ln -f to-$f other-$f; done");
		expect_exit(SH("for f in small large holes empty; do "
			       "$1 copy --inplace $2 $f to-$f >list || exit; cmp $f to-$f || exit; "
			       "cmp $f other-$f || exit; done",
			       getenv("BATCHPROC"), ways[i]),
			    0);
		expect_out(SH("stat -c %a to-*"), "604\n604\n604\n604\n");
	}
	/* With -p it has what the source has. */
	run_sh("chmod 640 small; touch -d 2001-02-03 small");
	expect_exit(BP("copy", "-p", "--inplace", "small", "to-small"), 0);
	expect_same(SH("stat -c '%a %Y' small"), SH("stat -c '%a %Y' other-small"));
	/* A new one is made as ever. */
	expect_exit(BP("copy", "--inplace", "small", "new"), 0);
	run_sh("cmp small new");
	expect_exit(BP("copy", "--inplace", "--atomic", "small", "new"), 2);
	/* A link below the destination is not followed. */
	run_sh("mkdir -p src dst; echo f >src/f; echo g >g; ln -s ../g dst/f");
	expect_exit(BP("copy", "-r", "--inplace", "src/.", "dst"), 1);
	expect_out(SH("cat g"), "g\n");
}

/* Two names of one file would be written into at once, or a source be overwritten unread. */
static void other_names_are_not_mixed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir h hd l ld; echo S1 >h/1; echo S2 >h/2; ln h/2 hd/1; echo L1 >l/1; "
	       "echo L22 >l/2; echo old >ld/1; ln ld/1 ld/2");
	run = BP("copy", "--inplace", "h/1", "h/2", "hd");
	expect_exit(run, 1);
	expect_says(run, "the destination has other names");
	expect_out(SH("cat h/1 h/2 hd/1 hd/2"), "S1\nS2\nS2\nS2\n");
	for (int i = 0; i < 2; i++) {
		run = i ? BP("copy", "-r", "--inplace", "l/.", "ld") :
			  BP("copy", "--inplace", "l/1", "l/2", "ld");
		expect_exit(run, 1);
		expect_says(run, "the destination has other names");
		expect_out(SH("cat ld/1 ld/2"), "old\nold\n");
	}
	/* Alone there is nothing that it could be mixed with. */
	expect_exit(BP("copy", "--inplace", "l/1", "ld"), 0);
	expect_out(SH("cat ld/1 ld/2"), "L1\nL1\n");
}

/* One file that has two names by a mount. */
static void what_is_mounted_twice_is_written_once(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs",
		 "mount -t tmpfs none fs && touch fs/1 fs/2 fs/of && mount --bind fs/of fs/1 && "
		 "mount --bind fs/of fs/2");
	run_sh("mkdir s; echo one >s/1; echo two >s/2");
	run = BP("copy", "-j1", "--inplace", "-k", "s/1", "s/2", "fs");
	expect_exit(run, 1);
	expect_says(run, "another item of this run has the same destination");
	expect_out(SH("cat fs/of | grep -c 'one\\|two'"), "1\n");
	run_sh("umount fs/1 fs/2");
	unmount("fs");
}

static void a_file_that_is_mounted_by_itself(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs",
		 "mount -t tmpfs none fs && echo old >fs/file && echo lower >lower && "
		 "mount --bind lower fs/file");
	make_file("src", "new\n");
	run = BP("copy", "src", "fs/file");
	expect_exit(run, 1);
	expect_says(run, "--inplace writes into it");
	expect_out(SH("cat fs/file; ls -A fs"), "lower\nfile\n");
	expect_exit(BP("copy", "--inplace", "src", "fs/file"), 0);
	expect_out(SH("cat fs/file lower; ls -A fs"), "new\nnew\nfile\n");
	run_sh("umount fs/file");
	unmount("fs");
}

static void a_file_in_a_directory_that_is_not_ones_own(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	struct run *run;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir d s; echo new >src; echo old >d/f; echo old >s/f; chmod 666 d/f s/f; "
	       "chmod 755 d; chmod 1777 s");
	for (size_t i = 0; i < 2; i++) {
		const char *name = i ? "s/f" : "d/f";

		run = RUN(&nobody, "copy", "src", name);
		expect_exit(run, 1);
		expect_says(run, "--inplace writes into it");
		expect_out(SH("cat $1; ls -A $(dirname $1)", name), "old\nf\n");
		expect_exit(RUN(&nobody, "copy", "--inplace", "src", name), 0);
		expect_out(SH("cat $1; stat -c %u $1", name), "new\n0\n");
	}
}

static void pipes_and_devices(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_pattern("src", 300000);
	run_sh("mkfifo p");
	run = BP("copy", "src", "p");
	expect_exit(run, 1);
	expect_says(run, "--inplace writes into it");
	run = BP("copy", "--inplace", "src", "p");
	expect_exit(run, 1);
	expect_says(run, "nobody reads from the FIFO");
	expect_exit(SH("cat p >got & exec 3>p; \"$1\" copy --inplace src p; status=$?; exec 3>&-; "
		       "wait; exit $status",
		       getenv("BATCHPROC")),
		    0);
	run_sh("cmp src got");
	expect_exit(BP("copy", "--inplace", "src", "/dev/null"), 0);
	expect_out(SH("stat -c %F /dev/null"), "character special file\n");
}

/* What is open already stays what it is, and is written to where it stands. */
static void standard_output(struct test *t)
{
	static const char *const names[] = {
		"/dev/stdout",	   "/dev//stdout",	     "/dev/fd/1",
		"/proc/self/fd/1", "/proc/thread-self/fd/1", "link",
		"d/link"};

	fresh_dir(t);
	run_sh("mkdir d && ln -s /dev/stdout link && ln -s ../link d/link && ln -s small l && mkfifo p");
	make_pattern("src", 300000);
	make_file("small", "small\n");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		run_sh("echo log >log; ln -f log other");
		expect_exit(SH("exec \"$1\" copy small \"$2\" >>log", getenv("BATCHPROC"),
			       names[i]),
			    0);
		expect_out(SH("cat other"), "log\nsmall\n");
		expect_exit(SH("\"$1\" copy src \"$2\" | cmp - src", getenv("BATCHPROC"), names[i]),
			    0);
	}
	/* What is no file has no bytes, and must not take the place of the name. */
	expect_exit(SH("exec \"$1\" copy -a l link >>log", getenv("BATCHPROC")), 1);
	expect_exit(SH("exec \"$1\" copy -a p link >>log", getenv("BATCHPROC")), 1);
	expect_out(SH("cat log; readlink link"), "log\nsmall\n/dev/stdout\n");
}

/* ---------------------------------------------------------------- servers of FUSE */

/* Its daemon opens files by name, as an ordinary user. */
static void a_server_that_may_not_open_what_it_made(struct test *t)
{
	struct badmount *bad;

	fresh_dir(t);
	run_sh("mkdir b m src; echo f >src/f; head -c 400000 /dev/urandom >src/g; truncate -s 2M "
	       "src/h; chmod 444 src/f");
	bad = BADMOUNT(t, "b", "m", "closed on");
	expect_exit(BP("copy", "-r", "--reflink=never", "src", "m/dst"), 0);
	expect_same_trees("src", "b/dst", 0);
	expect_exit(BP("copy", "-a", "src", "m/all"), 0);
	expect_same_trees("src", "b/all", SAME_TIMES);
	badmount_end(bad);
}

/* What is given up must not be there when the file is closed. */
static void a_server_that_brings_back_what_was_removed(struct test *t)
{
	static const char *const ways[] = {"-q", "--atomic"};
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_pattern("src", 400000);
	bad = BADMOUNT(t, "b", "m", "revive on");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		badmount_say(bad, "error write %d", ENOSPC);
		expect_exit(BP("copy", ways[i], "src", "m/f"), 1);
		expect_out(SH("ls -A b"), "");
		badmount_say(bad, "error write 0");
		expect_exit(BP("copy", ways[i], "-u", "src", "m/f"), 0);
		expect_out(SH("cmp src b/f; ls -A b; rm b/f"), "f\n");
	}
	badmount_end(bad);
}

/* Each call for attributes and times that fails costs what it was for. */
static void a_server_that_keeps_little(struct test *t)
{
	static const struct {
		const char *line, *says;
	} rules[] = {
		{"error setxattr 28", "attribute user.a (No space left on device)"},
		{"error setxattr 7", "attribute user.a (Argument list too long)"},
		{"error setxattr 5", "attribute user.a (Input/output error)"},
		{"error utimens 1", "times (Operation not permitted)"},
		{"error chown 1", "owner (Operation not permitted)"},
		{"owners ignored", "owner"},
		{"error chmod 1", "mode (Operation not permitted)"},
		{"error chmod 38", "mode"},
	};
	struct badmount *bad;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir b m; echo f >src; chown 12:13 src; chmod 640 src; touch -d 2001-02-03 src");
	if (SH("setfattr -n user.a -v b src")->status)
		skip_because(t, "no attributes can be set here");
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct run *run;

		bad = BADMOUNT(t, "b", "m", rules[i].line);
		run = BP("copy", "-a", "src", "m/f");
		expect_exit(run, 1);
		if (!expect_says(run, "copied, but without its ") ||
		    !expect_says(run, rules[i].says))
			print_message("%s\n", rules[i].line);
		expect_out(SH("cat b/f; ls -A b; rm b/f"), "f\nf\n");
		/* Without -p it is as with cp. */
		expect_exit(BP("copy", "src", "m/f"), 0);
		expect_out(SH("cat b/f; stat -c %a b/f; rm b/f"), "f\n640\n");
		badmount_end(bad);
	}
}

/* They are more than a counter holds. */
static void sums_of_bytes_do_not_wrap(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs", "truncate -s 400M image && mkfs.xfs -q image && mount -o loop image fs");
	if (SH("mkdir fs/src && for i in 1 2 3; do truncate -s 9223372036854775807 fs/src/$i || "
	       "exit; done")
		    ->status)
		skip_because(t, "no files of that size can be made here");
	run = BP("copy", "-r", "--reflink=always", "--json", "fs/src", "fs/dst");
	expect_exit(run, 0);
	expect(strstr(run->out.data, "\"bytes\":18446744073709551615"));
	unmount("fs");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(what_is_there_is_written_into),
		ONCE(other_names_are_not_mixed),
		ONCE(what_is_mounted_twice_is_written_once),
		ONCE(a_file_that_is_mounted_by_itself),
		ONCE(a_file_in_a_directory_that_is_not_ones_own),
		ONCE(pipes_and_devices),
		ONCE(standard_output),
		ONCE(a_server_that_may_not_open_what_it_made),
		ONCE(a_server_that_brings_back_what_was_removed),
		ONCE(a_server_that_keeps_little),
		ONCE(sums_of_bytes_do_not_wrap),
	};

	return RUN_CASES(argc, argv, cases);
}
