/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm_trees - removing trees that are deep, wide, in the way or in motion, and runs that end
 * early
 *
 * What is found has exactly one record, whatever happened; what lies outside of the tree is never
 * touched.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

/* A chain of @levels directories with short names, each with a file beside the next. */
static void make_chain(const char *top, unsigned long levels)
{
	int fd, dir;

	make_dir(top);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned long i = 0; i < levels; i++) {
		close(openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		fd = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = fd;
	}
	close(dir);
}

/* @dirs directories with @files files in each. */
static void make_wide(const char *top, unsigned long dirs, unsigned long files)
{
	char path[64];

	make_dir(top);
	for (unsigned long i = 0; i < dirs; i++) {
		snprintf(path, sizeof(path), "%s/%lu", top, i);
		make_dir(path);
		for (unsigned long k = 0; k < files; k++) {
			snprintf(path, sizeof(path), "%s/%lu/%lu", top, i, k);
			make_file(path, "x");
		}
	}
}

/* All records that were printed, each of another name. */
static struct records *records_once(const struct run *run)
{
	struct records *records = expect_records(run, text_count(&run->out, "\n") - 1);
	struct run *names;

	names = SH("sed -n 's/.*,\"src\":\\(\"[^\"]*\"\\),.*/\\1/p' out | sort | uniq -d");
	expect_out(names, "");
	return records;
}

/* Runs to its end with its output in the file out, too. */
static struct run *run_kept(struct run *run)
{
	run_end(run);
	make_bytes("out", run->out.data, run->out.len);
	return run;
}

static void chains_of_thousands_of_levels(struct test *t)
{
	const unsigned long levels = scaled(3000);
	struct run *run;

	fresh_dir(t);
	make_chain("deep", levels);
	run = BP("rm", "-rv", "deep");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "removed directory '"), levels + 1);
	expect_gone("deep");

	make_chain("deep", levels / 4);
	run = RUN(HOW(.nofile = 32), "rm", "-r", "--loops", "2", "deep");
	expect_exit(run, 0);
	expect_err(run, "");
	expect_gone("deep");
}

static void many_trees_with_few_descriptors(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_wide("d", 300, 5);
	run = SH("ulimit -n 32; \"$BATCHPROC\" rm -r --json --loops 2 d/*");
	expect_exit(run, 0);
	expect_records(run, 300 * 6);
	expect_exit(BP("rm", "-d", "d"), 0);
}

/* Whose roots have to stay open until what is in their directories is gone. */
static void many_deeper_trees_with_few_descriptors(struct test *t)
{
	static const char *const most[] = {"22", "40"};

	fresh_dir(t);
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		expect_exit(SH("mkdir -p $(seq -f d/%.0f/a 400) $(seq -f d/%.0f/b 400) &&"
			       "touch $(seq -f d/%.0f/a/x 400) && ls d | sed 's|^|d/|' >list"),
			    0);
		expect_exit(SH("ulimit -n $1; \"$BATCHPROC\" rm -r -T list", most[i]), 0);
		expect_exit(BP("rm", "-d", "d"), 0);
	}
}

static long rss_of(const char *dir, size_t records)
{
	struct run *run = BP("rm", "-r", "--json", dir);

	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\n"), records + 1);
	return run->usage.ru_maxrss;
}

static void large_directories_take_no_more_memory(struct test *t)
{
	const unsigned long count = scaled(60000);
	long few, many;

	fresh_dir(t);
	make_wide("few", 1, 1000);
	make_wide("many", 1, count);
	few = rss_of("few", 1002);
	many = rss_of("many", count + 2);
	if (!UNDER_ASAN && !UNDER_TSAN)
		expect_between(many, 0, few + 16384);
}

/*
 * In the middle, by signal, twice or once: what was found has its record, and the root comes last.
 */
static void stopped_in_the_middle(struct test *t)
{
	static const char *const more[][2] = {{"-v", "-v"}, {"-k", "-v"}, {"-v", "-j1"}};

	fresh_dir(t);
	for (unsigned int i = 0; i < 6; i++) {
		const struct records *records;
		struct run *run;

		make_wide("d", 30, 10);
		/*
		 * A tenth of what there is, so that the rest takes longer than the test is ever
		 * held up.
		 */
		run = START(HOW(.feed = true), "rm", "-r", "--json", "--rate", "100/s",
			    more[i / 2][0], more[i / 2][1], "d");
		until_printed(run, 1, "\"ok\"", 30);
		run_signal(run, SIGINT);
		if (i % 2)
			run_kill(run, SIGINT);
		run_feed_end(run);
		run_kept(run);
		expect_exit(run, 128 + SIGINT);
		records = records_once(run);
		expect_status(records, "d", "not_started");
		expect_between(records->ok, 30, 330);
		expect_there("d");
		expect_exit(BP("rm", "-r", "d"), 0);
		expect_gone("d");
	}
}

/* So many names, so long, that their records do not fit into what may wait for a reader. */
static void make_wordy(const char *top)
{
	char path[300];

	make_dir(top);
	make_file("one", "");
	for (int i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "%s/%d", top, i);
		make_dir(path);
		for (int k = 0; k < 400; k++) {
			snprintf(path, sizeof(path), "%s/%d/%0230d", top, i, k);
			assert_int_equal(link("one", path), 0);
		}
	}
}

/* While walkers do by themselves what they find, and wait for the reader of their records. */
static void stopped_between_two_files(struct test *t)
{
	static const char *const how[] = {"-j128", "-j3", "-j1", "--backend=threads"};

	fresh_dir(t);
	for (unsigned int i = 0; i < 4; i++) {
		const struct records *records;
		struct run *run;

		make_wordy("d");
		run = START(HOW(.feed = true), "rm", "-r", "--json", how[i], "d");
		until_printed(run, 1, "\"ok\"", 10);
		run_kill(run, SIGINT);
		run_feed_end(run);
		run_kept(run);
		expect_exit(run, is_there("d") ? 128 + SIGINT : run->status);
		records = records_once(run);
		expect_between(records->ok, 10, 12 * 401 + 1);
		expect_eq(records->failed, 0);
		if (is_there("d"))
			expect_status(records, "d", "not_started");
		expect_exit(BP("rm", "-rf", "d"), 0);
	}
}

static void a_deadline_in_the_middle(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_wide("d", 30, 10);
	for (unsigned int i = 0; i < 4; i++) {
		run = START(HOW(.feed = true), "rm", "-r", "--json", "--rate", "500/s",
			    "--deadline", "60ms", i % 2 ? "-k" : "-v", "d");
		run_feed_end(run);
		run_kept(run);
		expect_exit(run, 124);
		records = records_once(run);
		expect_(strcmp(status_of(records, "d"), "none"), "d has a record", __FILE__,
			__LINE__);
		expect_there("d");
	}
	/* At once, again and again: while it opens, reads and leaves. */
	for (unsigned int i = 1; i < (UNDER_TSAN || UNDER_ASAN ? 5 : 40); i++) {
		char deadline[32];

		snprintf(deadline, sizeof(deadline), "%uus", i * 150);
		run = START(HOW(.feed = true), "rm", "-r", "--json", "--deadline", deadline, "d");
		run_feed_end(run);
		run_kept(run);
		if (run->status == 0)
			break;
		expect_exit(run, is_there("d") ? 124 : run->status);
		records_once(run);
	}
}

/* ---------------------------------------------------------------- what cannot be removed */

static void what_stays_is_named_once(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	const struct records *records;
	struct run *run;

	need_root(t);
	fresh_dir(t);
	expect_exit(SH("mkdir -p d/a/b/closed d/a/c; touch d/a/b/closed/f d/a/c/f d/g;"
		       "chown -R $1 d; chmod 555 d/a/b/closed; chmod 777 .",
		       "65534"),
		    0);
	run = RUN(&nobody, "rm", "-r", "--failed-to", "failed", "d");
	expect_exit(run, 1);
	expect_err(run, "batchproc: rm: d/a/b/closed/f: Permission denied\n");
	expect_gone("d/a/c");
	expect_gone("d/g");
	expect_out(SH("cat failed"), "d\n");

	records = expect_records(RUN(&nobody, "rm", "-r", "--json", "--retries", "9",
				     "--retry-delay", "1ms", "d"),
				 5);
	expect_eq(records->failed, 5);
	expect_eq(strcmp(record_of(records, "d/a/b")->error_name, "ENOTEMPTY"), 0);
	expect_eq(strcmp(record_of(records, "d/a/b")->error,
			 "not removed: something in it could not be"),
		  0);
	/* What is in it has had its own. */
	expect_eq(record_of(records, "d/a/b")->attempts, 1);

	/* The list is input again. */
	expect_exit(RUN(&nobody, "rm", "-r", "-q", "-T", "failed"), 1);
	assert_int_equal(chmod("d/a/b/closed", 0755), 0);
	expect_exit(RUN(&nobody, "rm", "-r", "-T", "failed"), 0);
	expect_gone("d");
}

/* One that may not be read can be removed if it is empty; GNU rm says the same. */
static void directories_that_may_not_be_read(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	static const char script[] = "rm -rf t; mkdir -p t/empty t/full/x t/fine; touch t/full/x/f;"
				     "chown -R 65534 t; chmod 0 t/empty; chmod 333 t/full/x";
	struct run *run;

	need_root(t);
	fresh_dir(t);
	assert_int_equal(chmod(".", 0777), 0);
	expect_exit(SH(script), 0);
	expect_exit(RUN(HOW(.uid = NOBODY, .program = "rm"), "-r", "t"), 1);
	expect_there("t/full/x/f");
	expect_gone("t/empty");
	expect_exit(SH(script), 0);
	run = RUN(&nobody, "rm", "-r", "t");
	expect_exit(run, 1);
	expect_err(run, "batchproc: rm: t/full/x: Permission denied\n");
	expect_gone("t/empty");
	expect_gone("t/fine");
	expect_there("t/full/x/f");
	/* As a root of its own. */
	expect_exit(RUN(&nobody, "rm", "-r", "t/full/x"), 1);
	assert_int_equal(mkdir("t/shut", 0) | chown("t/shut", NOBODY, NOBODY), 0);
	expect_exit(RUN(&nobody, "rm", "-r", "t/shut"), 0);
	expect_gone("t/shut");
}

static void what_is_immutable_fails_and_ends_a_run_that_fails_fast(struct test *t)
{
	const struct records *records;
	struct run *run;

	need_root(t);
	fresh_dir(t);
	make_wide("d", 20, 20);
	if (SH("chattr +i d/7/7")->status)
		skip_because(t, "files cannot be made immutable here");
	run = START(HOW(.feed = true), "rm", "-re", "--json", "-j4", "d");
	run_feed_end(run);
	run_kept(run);
	SH("chattr -i d/7/7");
	expect_exit(run, 3);
	records = records_once(run);
	expect_status(records, "d/7/7", "failed");
	expect_status(records, "d", "not_started");
	expect_exit(BP("rm", "-r", "d"), 0);
}

/* In a mount namespace of its own, which ends with the script. */
#define MOUNTS "unshare -m --propagation private sh -c"

static void need_mounts(struct test *t)
{
	need_root(t);
	if (SH(MOUNTS " 'mount -t tmpfs none /mnt'")->status)
		skip_because(t, "a mount namespace cannot be made here");
}

static void mount_points_stay(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_mounts(t);
	make_wide("d", 2, 2);
	make_dir("d/m");
	run = SH(MOUNTS " 'mount -t tmpfs none d/m && touch d/m/x && cd . &&"
			"\"$BATCHPROC\" rm -r --one-file-system d; e=$?; ls d d/m; exit $e'");
	expect_exit(run, 1);
	expect_out(run, "d:\nm\n\nd/m:\nx\n");
	expect_err(run, "batchproc: rm: d/m: is on another file system\n");
	run = SH(MOUNTS " 'mount -t tmpfs none d/m && touch d/m/x &&"
			"\"$BATCHPROC\" rm -r d; e=$?; ls d d/m; exit $e'");
	expect_exit(run, 1);
	expect_out(run, "d:\nm\n\nd/m:\n");
	expect_err(run, "batchproc: rm: d/m: Device or resource busy\n");
	expect_exit(BP("rm", "-r", "d"), 0);
}

/*
 * Removes what two layers of an overlayfs show as one, with $1 descriptors; 77: it cannot be
 * mounted.
 */
static const char remove_merged[] =
	"mount -t tmpfs none m && cd m && mkdir low up work all &&"
	"for d in $(seq 6); do for layer in low up; do"
	"	mkdir -p $layer/d/$d && (cd $layer/d/$d &&"
	"	seq -f $layer-one-of-many-in-a-large-directory-%.0f 3000 | xargs touch &&"
	"	seq -f dir-%.0f 300 | xargs mkdir); done; done &&"
	"mount -t overlay -o lowerdir=low,upperdir=up,workdir=work none all || exit 77\n"
	"cd all && ulimit -n $1 && \"$BATCHPROC\" rm -r d";

/*
 * Another walker may have to open them anew to read on. There a position is how many names are
 * before it, and those removed meanwhile do not count any more.
 */
static void large_directories_whose_positions_move(struct test *t)
{
	static const char *const most[] = {"22", "24", "40"};

	fresh_dir(t);
	need_mounts(t);
	make_dir("m");
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		struct run *run = SH("exec " MOUNTS " \"$2\" sh $1", most[i], remove_merged);

		if (run->status == 77)
			skip_because(t, "there is no overlayfs here");
		expect_exit(run, 0);
		expect_err(run, "");
	}
}

static void the_root_directory_stays_wherever_it_is_seen(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_mounts(t);
	make_wide("d", 1, 1);
	make_dir("d/m");
	/* Nothing but names: should it be wrong, nothing is lost. */
	run = SH(MOUNTS " 'mount --bind / d/m && \"$BATCHPROC\" rm -rn d'");
	expect_exit(run, 1);
	expect_err(run, "batchproc: rm: d/m: is the root directory, which is never removed\n");
	expect_eq(text_count(&run->out, "d/m/"), 0);
	run = SH(MOUNTS " 'mount --bind / d/m && \"$BATCHPROC\" rm -rn d/m/'");
	expect_exit(run, 1);
	expect_out(run, "");
}

/* ---------------------------------------------------------------- while trees change */

/* The directories themselves, so that the test does not go astray on its own links. */
static int dir_d, dir_a;

static void swap_for_links(unsigned long round)
{
	renameat2(dir_d, "a", AT_FDCWD, "link-a", RENAME_EXCHANGE);
	renameat2(dir_a, "b", AT_FDCWD, "link-b", RENAME_EXCHANGE);
	if (round % 16 == 0)
		renameat2(AT_FDCWD, "d", AT_FDCWD, "link-d", RENAME_EXCHANGE);
}

#define LIKE_THE_TREE                                                                              \
	"for d in $1 $1/a $1/a/b; do mkdir -p $d; for i in 1 2 3 4 5 6 7 8 9; do"                  \
	" mkdir $d/e$i; echo x >$d/$i; done; done;"

/* The root, a directory in it and one in that, again and again. */
static void a_directory_that_becomes_a_link_leads_nowhere(struct test *t)
{
	struct unrest unrest;
	struct run *before;

	fresh_dir(t);
	/* What the links lead to has every name that is in the tree, and empty directories too. */
	expect_exit(SH(LIKE_THE_TREE "ln -s $PWD/$1 link-d; ln -s $PWD/$1/a link-a;"
				     "ln -s $PWD/$1/a/b link-b; mkdir -p $1/b",
		       "outside"),
		    0);
	before = SH("find outside | sort");
	for (int i = 0; i < (UNDER_TSAN || UNDER_ASAN ? 5 : 15); i++) {
		struct run *run;

		expect_exit(SH("rm -rf d; " LIKE_THE_TREE, "d"), 0);
		dir_d = open("d", O_PATH | O_CLOEXEC);
		dir_a = open("d/a", O_PATH | O_CLOEXEC);
		unrest_begin(&unrest, swap_for_links);
		run = BP("rm", "-r", "-q", "d");
		unrest_end(&unrest);
		expect_(run->status == 0 || run->status == 1, "exit status 0 or 1", __FILE__,
			__LINE__);
		close(dir_d);
		close(dir_a);
		expect_out(SH("find outside | sort"), before->out.data);
		/* Links that lie in the place of what was removed are made anew. */
		SH("for l in d a b; do [ -h link-$l ] || rm -rf link-$l; done;"
		   "ln -sfn $PWD/outside link-d; ln -sfn $PWD/outside/a link-a;"
		   "ln -sfn $PWD/outside/a/b link-b");
	}
}

static void add_files(unsigned long round)
{
	char path[64];

	snprintf(path, sizeof(path), "d/%lu/new-%lu", round % 50, round % 7);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static void files_that_come_meanwhile(struct test *t)
{
	struct unrest unrest;

	fresh_dir(t);
	unrest_begin(&unrest, add_files);
	for (int i = 0; i < (UNDER_TSAN || UNDER_ASAN ? 2 : 4); i++) {
		struct run *run;

		if (!is_there("d"))
			make_wide("d", 50, 10);
		run = START(HOW(.feed = true), "rm", "-r", "--json", "d");
		run_feed_end(run);
		run_kept(run);
		records_once(run);
		expect_exit(run, is_there("d") ? 1 : 0);
	}
	unrest_end(&unrest);
	SH("rm -rf d");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(chains_of_thousands_of_levels),
		ONCE(many_trees_with_few_descriptors),
		ONCE(many_deeper_trees_with_few_descriptors),
		ONCE(large_directories_take_no_more_memory),
		ONCE(stopped_in_the_middle),
		ONCE(stopped_between_two_files),
		ONCE(a_deadline_in_the_middle),
		ONCE(what_stays_is_named_once),
		ONCE(directories_that_may_not_be_read),
		ONCE(what_is_immutable_fails_and_ends_a_run_that_fails_fast),
		ONCE(mount_points_stay),
		ONCE(large_directories_whose_positions_move),
		ONCE(the_root_directory_stays_wherever_it_is_seen),
		ONCE(a_directory_that_becomes_a_link_leads_nowhere),
		ONCE(files_that_come_meanwhile),
	};

	return RUN_CASES(argc, argv, cases);
}
