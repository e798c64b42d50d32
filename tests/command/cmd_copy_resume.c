/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_resume - a copy that is killed again and again comes to the same end
 *
 * COPY_KILLS says how many kills (6 by default).
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

#define ITEMS 90u

static unsigned long kills_wanted(void)
{
	const char *wanted = getenv("COPY_KILLS");
	unsigned long kills = wanted ? strtoul(wanted, NULL, 0) : 0;

	return kills ? kills : 6;
}

static unsigned int pick(uint64_t *x, unsigned int n)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*x >> 33) % n;
}

static void make_source(void)
{
	run_sh("mkdir -p src/a/b src/c src/empty && cd src && "
	       "for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6; do "
	       "head -c $i$j$i /dev/urandom >a/$i$j; done; ln -s $i c/link$i; done; "
	       "ln a/11 a/b/hard && ln a/11 c/hard && mkfifo c/fifo && chmod 500 empty && "
	       "find . -exec touch -h -d '2003-04-05 06:07:08.9' {} +");
	make_pattern("src/large", 20000000);
	make_pattern("src/c/large", 5000000);
}

/* Kills a run when it has told of some items, the next one goes on; until one comes to its end. */
static void kill_and_resume(uint64_t seed, unsigned long kills)
{
	uint64_t x = seed;
	struct run *run;
	struct stat st;

	for (unsigned long i = 0; i < kills; i++) {
		const char *how = pick(&x, 2) ? "--atomic" : "-q";

		run = START(HOW(.feed = false), "copy", "-a", "--json", how, "--journal", "journal",
			    "--resume", "src", "dst");
		until_printed(run, 1, "\n", 1 + pick(&x, ITEMS));
		kill(run->pid, SIGKILL);
		run_end(run);
		/* A file that was not there is one that is not whole yet, for nobody to read. */
		if (pick(&x, 3) == 0 && !stat("journal", &st) && st.st_size > 1000)
			assert_int_equal(truncate("journal",
						  200 + pick(&x, (unsigned int)st.st_size - 200)),
					 0);
	}
	expect_exit(BP("copy", "-a", "--journal", "journal", "--resume", "src", "dst"), 0);
	expect_same_trees("src", "dst", SAME_TIMES | SAME_LINKS);
	expect_out(SH("find dst -name '.*'"), "");
}

static void killed_and_gone_on_with(struct test *t)
{
	const unsigned long kills = kills_wanted();
	unsigned long done = 0;

	for (uint64_t seed = 1; done < kills; seed++) {
		fresh_dir(t);
		run_sh("rm -rf src dst journal");
		make_source();
		kill_and_resume(seed, 3);
		done += 3;
	}
}

/* What is done is not done again, and its digest is told again. */
static void what_is_done_stays_done(struct test *t)
{
	const struct records *records;
	struct run *first, *second;

	fresh_dir(t);
	make_source();
	run_sh("rm src/c/hard src/a/b/hard src/c/fifo");
	first = BP("copy", "-r", "--hash", "sha256", "--journal", "journal", "src", "dst");
	expect_exit(first, 0);
	second = BP("copy", "-r", "--hash", "sha256", "--journal", "journal", "--resume", "src",
		    "dst");
	expect_exit(second, 0);
	expect_same(first, second);
	run_sh("rm dst/a/11; truncate -s 5 dst/a/12; echo new >src/a/13; rm dst/c/link1; "
	       "ln -s other dst/c/link1; chmod 1000 dst/a/14");
	records = expect_records(BP("copy", "-r", "--json", "--hash", "sha256", "--journal",
				    "journal", "--resume", "src", "dst"),
				 87);
	/* Five files and a link; directories are left anew. */
	expect_eq(records->ok, 5 + 5);
	expect_same_trees("src", "dst", 0);
	/* Into it or as it: what it was at first counts. */
	expect_eq(access("dst/src", F_OK), -1);
	expect_exit(BP("copy", "-a", "--journal", "journal", "--resume", "src", "dst"), 2);
}

/* One of a file's names is there as it was, the others are links to it; nothing is read again. */
static void names_of_one_file_are_not_copied_again(struct test *t)
{
	const struct records *records;

	fresh_dir(t);
	make_source();
	expect_exit(BP("copy", "-a", "--journal", "journal", "src", "dst"), 0);
	records = expect_records(
		BP("copy", "-a", "--json", "--journal", "journal", "--resume", "src", "dst"), 90);
	expect_eq(records->bytes, 0);
	/* Five directories, and two further names that were looked at. */
	expect_eq(records->ok, 5 + 2);
	run_sh("rm dst/a/b/hard; ln src/a/11 src/new");
	expect_exit(BP("copy", "-a", "--journal", "journal", "--resume", "src", "dst"), 0);
	expect_same_trees("src", "dst", SAME_TIMES | SAME_LINKS);
}

/* As a file's copy is there with the size that was noted; what was in a directory nobody knows. */
static void a_copy_stays_done_when_its_source_is_gone(struct test *t)
{
	const struct records *records;
	struct run *first, *run;

	fresh_dir(t);
	run_sh("mkdir d s; echo hello >a; echo world >b; echo tree >s/f; ln -s a l; mkfifo p");
	first = BP("copy", "--hash", "sha256", "--journal", "J", "a", "b", "d");
	expect_exit(first, 0);
	run_sh("rm a b");
	run = BP("copy", "--hash", "sha256", "--journal", "J", "--resume", "a", "b", "d");
	expect_exit(run, 0);
	expect_same(first, run);
	/* Of another size, not whole, of another kind, gone. */
	run_sh("echo more >>d/a; chmod 1000 d/b");
	run = BP("copy", "--hash", "sha256", "--journal", "J", "--resume", "a", "b", "d");
	expect_exit(run, 1);
	expect_says(run, "batchproc: copy: a: No such file or directory\n");
	expect_says(run, "batchproc: copy: b: No such file or directory\n");
	expect_eq(text_count(&run->err, "\n"), 2);
	run_sh("rm J d/a d/b; echo hello >a; echo world >b");
	expect_exit(BP("copy", "-k", "--journal", "J", "a", "b", "d"), 0);
	run_sh("rm a b d/a d/b; ln -s a d/b");
	expect_eq(expect_records(BP("copy", "--json", "--journal", "J", "--resume", "a", "b", "d"),
				 2)
			  ->failed,
		  2);

	/* What is no file, and a tree; a name that never was stays an error. */
	for (int i = 0; i < 2; i++) {
		const char *what = i ? "--hash=md5" : "-q"; /* of which a link has no digest */

		run_sh("rm -rf J d s; mkdir d s; echo tree >s/f; ln -sf a l; [ -p p ] || mkfifo p");
		expect_exit(BP("copy", "-a", what, "--journal", "J", "l", "p", "s", "d"), 0);
		run_sh("rm -r l p s");
		run = BP("copy", "-a", what, "--json", "--journal", "J", "--resume", "l", "p", "s",
			 "x", "d");
		expect_exit(run, 1);
		records = expect_records(run, 4);
		expect_status(records, "l", "skipped");
		expect_status(records, "p", "skipped");
		expect_status(records, "s", "failed");
		expect_status(records, "x", "failed");
	}
}

/* A digest is about a file: of one that is gone none is told. */
static void a_manifest_is_done_when_its_sources_are_gone(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir d; echo hello >a; echo world >b; echo tree >c;"
	       "printf 'copy a d/a\ncopy b d\nhash c\n' >jobs");
	expect_exit(BP("run", "--journal", "J", "jobs"), 0);
	run_sh("rm a b c");
	run = BP("run", "--json", "--journal", "J", "--resume", "jobs");
	expect_exit(run, 1);
	records = expect_records(run, 3);
	expect_status(records, "a", "skipped");
	expect_status(records, "b", "skipped");
	expect_status(records, "c", "failed");
	expect_out(SH("cat d/a d/b"), "hello\nworld\n");
}

/* By force the algorithm may be another; a digest is not taken for one of that. */
static void a_digest_is_told_again_for_what_it_is(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_dir("d");
	expect_exit(BP("copy", "--hash", "md5", "--journal", "journal", "a", "d"), 0);
	run = BP("copy", "--hash", "xxh128", "--journal", "journal", "--force-resume", "a", "d");
	expect_exit(run, 0);
	expect_same(run, BP("hash", "-a", "xxh128", "d/a"));
}

static const struct test_case cases[] = {
	ONCE(killed_and_gone_on_with),
	ONCE(what_is_done_stays_done),
	ONCE(names_of_one_file_are_not_copied_again),
	ONCE(a_copy_stays_done_when_its_source_is_gone),
	ONCE(a_manifest_is_done_when_its_sources_are_gone),
	ONCE(a_digest_is_told_again_for_what_it_is),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
