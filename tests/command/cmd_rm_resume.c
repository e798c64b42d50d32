/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm_resume - a removal that is killed, and gone on with by its journal
 *
 * What a killed run removed may have no line. A name that is not there is no error then; where
 * every line is there it is one, as a name that was typed wrongly always is.
 *
 * RM_KILLS says how many kills (12 by default).
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

#define MAY_HAVE "does not exist; the run before, which was cut short, may have removed it"
#define RESUME "rm", "-r", "--journal", "J", "--resume"

static unsigned int pick(uint64_t *x, unsigned int n)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*x >> 33) % n;
}

/* Takes @lines off the end of the journal; the last one is that of the run's end. */
static void cut_journal(const char *lines)
{
	run_sh("head -n -$1 J >J2 && mv J2 J", lines);
}

/* ---------------------------------------------------------------- kills */

/* 60 files and 8 trees are named; what is beside them is to stay. */
static void make_much(void)
{
	run_sh("rm -rf d J list; mkdir d && cd d && for i in 0 1 2 3 4 5 6 7; do mkdir -p t$i/a/b; "
	       "for k in 0 1 2 3 4 5 6 7 8 9; do echo x >t$i/a/b/$k; echo x >t$i/$k; done; "
	       "ln -s ../../keep t$i/a/link; done; for i in $(seq 60); do echo x >f$i; done; "
	       "echo x >keep; mkdir keep-too; ls -d f* t* | sed s,^,d/, | sort -R >../list");
}

#define NAMED 68
#define LINES (60 + 8 * 24)

/*
 * Kills a run when it has told of some items, somewhere in what it does next; the next one goes on.
 */
static unsigned long kill_and_resume(uint64_t seed, unsigned long kills)
{
	unsigned long killed = 0;
	uint64_t x = seed;
	struct run *run;

	for (unsigned long i = 0; i < kills; i++) {
		run = START(HOW(.feed = false), RESUME, "--json", pick(&x, 2) ? "-k" : "-j4", "-T",
			    "list");
		/* Of what is named each run tells. */
		until_printed(run, 1, "\n", pick(&x, i ? NAMED : LINES));
		for (unsigned int spin = pick(&x, 20000); spin; spin--)
			__asm__ volatile("");
		kill(run->pid, SIGKILL);
		run_end(run);
		killed += run->status == 128 + SIGKILL;
		/* As the machine may leave it: without some of its last lines. */
		if (pick(&x, 3) == 0 && killed)
			run_sh("s=$(stat -c %s J); test $s -lt 900 || truncate -s -$1 J",
			       pick(&x, 2) ? "1" : "500");
	}
	run = BP(RESUME, "-T", "list");
	expect_exit(run, 0);
	expect_eq(text_count(&run->err, "\n"), text_count(&run->err, MAY_HAVE));
	expect_out(SH("ls -A d"), "keep\nkeep-too\n");
	/* Now all is noted. */
	run = BP(RESUME, "--json", "-T", "list");
	expect_exit(run, 0);
	expect_eq(expect_records(run, NAMED)->skipped, NAMED);
	expect_eq(text_count(&run->out, "done according to the journal"), NAMED);
	return killed;
}

static void killed_again_and_again_it_comes_to_its_end(struct test *t)
{
	const char *wanted = getenv("RM_KILLS");
	const unsigned long kills = wanted ? strtoul(wanted, NULL, 0) : 12;
	unsigned long killed = 0;

	fresh_dir(t);
	for (uint64_t seed = 1; killed < kills && seed < 4 * kills; seed++) {
		make_much();
		killed += kill_and_resume(seed, 3);
	}
	expect_between(killed, kills, kills + 3);
}

/* ---------------------------------------------------------------- lines that are missing */

static void what_went_without_a_line_is_no_error(struct test *t)
{
	/* Of the lines of a, d/f, d, b and the end. */
	static const char *const cuts[] = {"1", "2", "3", "4", "5"};
	static const unsigned int unnoted[] = {0, 1, 2, 2, 3};
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(cuts); i++) {
		run_sh("rm -f J; mkdir d; touch d/f a b");
		expect_exit(BP("rm", "-rk", "--journal", "J", "a", "d/", "b"), 0);
		cut_journal(cuts[i]);
		run = BP(RESUME, "--json", "-v", "a", "d/", "b");
		expect_exit(run, 0);
		records = expect_records(run, 3);
		expect_eq(records->skipped, 3);
		/* Said, since it could be a name that never was. */
		expect_eq(text_count(&run->err, MAY_HAVE), unnoted[i]);
		/* Now it has its line. */
		run = BP(RESUME, "a", "d/", "b");
		expect_exit(run, 0);
		expect_err(run, "");
	}
	/* A quorum counts it. */
	cut_journal("2");
	expect_exit(BP(RESUME, "-q", "--quorum", "3", "a", "d", "b", "nosuch"), 0);
}

/* In any verb's company, too. */
static void a_manifest_is_gone_on_with(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir d; touch d/f a b; printf 'rm -r d/\\nhash b\\nrm a\\n' >jobs");
	expect_exit(BP("run", "-j1", "--journal", "J", "jobs"), 0);
	cut_journal("2");
	run = BP("run", "-q", "--json", "--journal", "J", "--resume", "jobs");
	expect_exit(run, 0);
	expect_eq(expect_records(run, 3)->skipped, 3);
	expect_exit(BP("run", "--journal", "J", "--resume", "jobs"), 0);
}

static void a_name_that_is_wrong_stays_an_error(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("touch a b");
	/* There is no journal, one without a line, one whose every line is there. */
	expect_exit(BP(RESUME, "nosuch"), 1);
	run_sh(">J");
	expect_exit(BP(RESUME, "a", "nosuch"), 1);
	expect_exit(BP(RESUME, "a", "nosuch2"), 1);
	expect_exit(BP(RESUME, "nosuch2/"), 1);
	/* A run that has met it has noted it, and when that was killed afterwards it is known. */
	expect_exit(BP(RESUME, "-j1", "nosuch3", "b"), 1);
	cut_journal("2");
	run = BP(RESUME, "a", "b", "nosuch3");
	expect_exit(run, 1);
	expect_says(run, "b: skipped: " MAY_HAVE);
	expect_says(run, "nosuch3: No such file or directory");
	expect_exit(BP("rm", "--journal", "J", "--force-resume", "--retry-failed", "nosuch3"), 1);
	/* What is refused before anything starts does not make the journal one of a cut run. */
	expect_exit(BP(RESUME, "--failed-to", "no/where", "a"), 2);
	expect_exit(BP(RESUME, "a", "nosuch4"), 1);
	/* Nor does a look at what would be done. */
	expect_exit(BP(RESUME, "-n", "a"), 0);
	expect_exit(BP(RESUME, "a", "nosuch5"), 1);
}

/* A line that says why it failed says that it was there. */
static void what_failed_and_is_gone_was_removed(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	struct run *run;

	need_root(t);
	fresh_dir(t);
	run_sh("chmod 777 .; mkdir d; touch d/f; touch J; chown 65534 J");
	expect_exit(RUN(&nobody, "rm", "--journal", "J", "d/f"), 1);
	run_sh("rm d/f");
	expect_exit(BP("rm", "--journal", "J", "--retry-failed", "d/f"), 1);
	run_sh("sed -i '/ENOENT/d' J");
	cut_journal("1");
	run = BP("rm", "--journal", "J", "--retry-failed", "d/f", "never");
	expect_exit(run, 0);
	expect_err(run, "batchproc: rm: d/f: skipped: " MAY_HAVE "\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(killed_again_and_again_it_comes_to_its_end),
		ONCE(what_went_without_a_line_is_no_error),
		ONCE(a_manifest_is_gone_on_with),
		ONCE(a_name_that_is_wrong_stays_an_error),
		ONCE(what_failed_and_is_gone_was_removed),
	};

	return RUN_CASES(argc, argv, cases);
}
