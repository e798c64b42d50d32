/* SPDX-License-Identifier: MIT */
/*
 * cmd_shard - processes that divide the same items: nothing twice, nothing left out
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

/* No array job of the surroundings. */
#define NO_ARRAY                                                                                   \
	"SLURM_ARRAY_TASK_ID", "SGE_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX", \
		"BATCH_TASK_INDEX", "CLOUD_RUN_TASK_INDEX", "PBS_ARRAY_INDEX", "LSB_JOBINDEX"

static void make_tree(unsigned int dirs, unsigned int files)
{
	char path[64];

	make_dir("d");
	for (unsigned int i = 0; i < dirs; i++) {
		snprintf(path, sizeof(path), "d/%u", i);
		make_dir(path);
		for (unsigned int k = 0; k < files; k++) {
			snprintf(path, sizeof(path), "d/%u/%u", i, k);
			make_file(path, path);
		}
	}
}

/* What the parts printed, as one run. */
static struct run *together(const char *script)
{
	struct run *run = SH(script);

	expect_exit(run, 0);
	return run;
}

static void the_parts_are_the_whole(struct test *t)
{
	struct run *expected, *parts, *list;

	fresh_dir(t);
	make_tree(20, 20);
	expected = SH("find d -type f | xargs sha256sum");
	/* Each walks in an order of its own. */
	parts = together("for i in 1 2 3 4 5; do"
			 " \"$BATCHPROC\" hash --shard $i/5 --loops $i -r d || exit; done");
	expect_same(parts, expected);
	/* A list, in an order that no two processes share; and one that was walked by another. */
	list = together("find d -type f >list; for i in 1 2 3 4 5; do"
			" shuf list | \"$BATCHPROC\" hash --shard $i/5 -T - || exit; done");
	expect_same(list, expected);
	expect_same(together("\"$BATCHPROC\" hash --shard 2/5 -r d"),
		    together("shuf list | LC_ALL=C \"$BATCHPROC\" hash --shard 2/5 -k -T - "
			     "--backend threads"));
	expect_same(together("\"$BATCHPROC\" hash --shard 1/1 -r d"), expected);
	expect_same(together("for i in 1 2 3; do"
			     " \"$BATCHPROC\" hash --shard $i/3 d/*/* || exit; done"),
		    expected);
	/* They are about the same size: 400 are divided by chance, 80 on average. */
	expect_between(text_count(&together("\"$BATCHPROC\" hash --shard 3/5 -r d")->out, "\n"), 40,
		       130);
	/* A plan, and digests that are checked. */
	expect_eq(text_count(&together("for i in 1 2; do"
				       " \"$BATCHPROC\" hash -n --shard $i/2 -r d || exit; done")
				      ->out,
			     "hash d/"),
		  400);
	expect_eq(text_count(&together("find d -type f | xargs sha256sum >sums; for i in 1 2 3; do"
				       " \"$BATCHPROC\" verify --shard $i/3 sums || exit; done")
				      ->out,
			     ": OK\n"),
		  400);
}

/* All at once, as an array job has it: each makes the directories that it finds missing. */
static void parts_of_a_copy_make_one_tree(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree(20, 10);
	run = SH(
		"for i in 1 2 3 4; do"
		" \"$BATCHPROC\" copy -a --shard $i/4 --no-target-directory d copy & all=\"$all $!\";"
		" done; for p in $all; do wait $p || exit; done; diff -r d copy");
	expect_exit(run, 0);
	expect_err(run, "");
	/* Whether it exists is not a question of who comes first. */
	run = BP("copy", "-r", "--shard", "1/4", "d", "other");
	expect_exit(run, 2);
	expect_says(run, "--shard with one source needs -t or --no-target-directory");
	assert_int_equal(mkdir("other", 0755), 0);
	expect_exit(SH("for i in 1 2 3; do"
		       " \"$BATCHPROC\" copy -r --shard $i/3 -t other d || exit; done;"
		       " diff -r d other/d"),
		    0);
}

/* Another version on another machine has to divide them in the same way. */
static void a_name_is_always_of_the_same_part(struct test *t)
{
	static const char names[] = "a\nb\nc\nsome/path\n\xc3\xa9\nf\ng\nh\n";

	fresh_dir(t);
	expect_same(RUN(HOW(.input = names), "hash", "-n", "--shard", "1/3", "-T", "-"),
		    SH("printf 'hash %b\\n' c '\\0303\\0251' f g"));
	expect_same(RUN(HOW(.input = names), "hash", "-n", "--shard", "2/3", "-T", "-"),
		    SH("printf 'hash %s\\n' a some/path h"));
	expect_same(RUN(HOW(.input = names), "hash", "-n", "--shard", "3/3", "-T", "-"),
		    SH("printf 'hash %s\\n' b"));
}

static void what_others_do_has_no_record(struct test *t)
{
	const struct records *first, *second;
	struct run *run;

	fresh_dir(t);
	make_tree(5, 10);
	run = BP("hash", "--json", "--shard", "1/2", "-r", "d", "nosuch");
	first = expect_records(run, text_count(&run->out, "\"seq\":"));
	expect_eq(strcmp(first->shard, "1/2"), 0);
	run = BP("hash", "--json", "--shard", "2/2", "-r", "d", "nosuch");
	second = expect_records(run, text_count(&run->out, "\"seq\":"));
	expect_eq(first->ok + second->ok, 50);
	expect_eq(first->failed + second->failed, 1);
	expect_says(BP("hash", "-v", "--shard", "1/2", "-r", "d"), " of other parts; ");
}

static void an_empty_part_is_fine_and_an_empty_list_is_not(struct test *t)
{
	static const char *const policies[] = {"-k", "--race", "--quorum=2", "-e"};
	unsigned int empty = 0;

	fresh_dir(t);
	make_file("a", "hello");
	for (size_t i = 0; i < COUNT_OF(policies); i++) {
		struct run *run = BP("hash", policies[i], "--shard", "1/1000", "a");

		expect_exit(run, 0);
		expect_err(run, "");
		empty += !run->out.len;
	}
	expect_eq(empty, COUNT_OF(policies));
	expect_exit(BP("hash", "--shard", "1/2", "-T", "/dev/null"), 2);
	expect_exit(BP("hash", "--shard", "1/2"), 2);
}

/* Who cannot read a directory knows nothing of his part of it, whosever the directory is. */
static void what_cannot_be_read_fails_in_every_part(struct test *t)
{
	fresh_dir(t);
	for (int i = 1; i <= 3; i++) {
		char part[12];

		snprintf(part, sizeof(part), "%d/3", i);
		expect_exit(BP("verify", "--shard", part, "nosuch"), 1);
	}
	need_root(t);
	make_tree(1, 3);
	assert_int_equal(chmod("d/0", 0), 0);
	for (int i = 1; i <= 3; i++) {
		struct run *run;
		char part[12];

		snprintf(part, sizeof(part), "%d/3", i);
		run = RUN(HOW(.uid = NOBODY), "hash", "--shard", part, "-r", "d");
		expect_exit(run, 1);
		expect_says(run, "d/0: Permission denied");
	}
}

/* ---------------------------------------------------------------- array jobs */

struct array {
	const char *env[6];
	const char *part; /* or what is said */
};

static struct run *in_array(const struct array *array, const char *const *args)
{
	const char *env[16] = {NO_ARRAY};
	size_t at = 8;

	for (size_t i = 0; i < COUNT_OF(array->env) && array->env[i]; i++)
		env[at++] = array->env[i];
	return run_end(run_start(HOW(.env = env), args));
}

static void an_array_job_says_which_part(struct test *t)
{
	static const struct array arrays[] = {
		{{"SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_MIN=0", "SLURM_ARRAY_TASK_MAX=3",
		  "SLURM_ARRAY_TASK_COUNT=4", "SLURM_ARRAY_TASK_STEP=1"},
		 "1/4"},
		{{"SLURM_ARRAY_TASK_ID=5", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=9",
		  "SLURM_ARRAY_TASK_COUNT=5", "SLURM_ARRAY_TASK_STEP=2"},
		 "3/5"},
		{{"SLURM_ARRAY_TASK_ID=12", "SLURM_ARRAY_TASK_MIN=11", "SLURM_ARRAY_TASK_MAX=13"},
		 "2/3"},
		/* The last step does not reach the end. */
		{{"SGE_TASK_ID=7", "SGE_TASK_FIRST=1", "SGE_TASK_LAST=9", "SGE_TASK_STEPSIZE=3"},
		 "3/3"},
		{{"JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=3"}, "1/3"},
		{{"JOB_COMPLETION_INDEX=2", "JOB_COMPLETIONS=3", "SGE_TASK_ID=undefined"}, "3/3"},
		{{"AWS_BATCH_JOB_ARRAY_INDEX=1", "AWS_BATCH_JOB_ARRAY_SIZE=2"}, "2/2"},
		{{"BATCH_TASK_INDEX=1", "BATCH_TASK_COUNT=3", "LSB_JOBINDEX=0"}, "2/3"},
		{{"CLOUD_RUN_TASK_INDEX=4", "CLOUD_RUN_TASK_COUNT=5"}, "5/5"},
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(arrays); i++) {
		struct run *run = in_array(&arrays[i], ARGS("hash", "--json", "-q", "--shard",
							    "auto", "nosuch"));
		char field[32];

		snprintf(field, sizeof(field), "\"shard\":\"%s\"", arrays[i].part);
		if (!expect_eq(text_count(&run->out, field), 1))
			print_error("row %zu: %s%s\n", i, run->out.data, run->err.data);
	}
}

static void an_array_job_that_does_not_say_is_refused(struct test *t)
{
	static const struct array arrays[] = {
		{{NULL}, "this is no task of an array job"},
		{{"SGE_TASK_ID=undefined", "SGE_TASK_FIRST=undefined"}, "no task of an array job"},
		{{"LSB_JOBINDEX=0"}, "no task of an array job"},
		{{"JOB_COMPLETION_INDEX=2", "JOB_COMPLETIONS"},
		 "JOB_COMPLETION_INDEX is 2, but JOB_COMPLETIONS is not set: give --shard I/N"},
		{{"AWS_BATCH_JOB_ARRAY_INDEX=2", "AWS_BATCH_JOB_ARRAY_SIZE"},
		 "AWS_BATCH_JOB_ARRAY_SIZE is not set: give --shard I/N"},
		{{"PBS_ARRAY_INDEX=4"}, "PBS does not tell of how many: give --shard I/N"},
		{{"LSB_JOBINDEX=4"}, "LSF does not tell of how many: give --shard I/N"},
		/* --array=1,3,7 */
		{{"SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=7",
		  "SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_STEP=1"},
		 "not evenly spaced"},
		{{"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=9",
		  "SLURM_ARRAY_TASK_COUNT=5", "SLURM_ARRAY_TASK_STEP=2"},
		 "not evenly spaced"},
		{{"JOB_COMPLETION_INDEX=3", "JOB_COMPLETIONS=3"}, "do not agree"},
		{{"JOB_COMPLETION_INDEX=x", "JOB_COMPLETIONS=3"},
		 "JOB_COMPLETION_INDEX is not a number"},
		{{"JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=0"},
		 "JOB_COMPLETIONS is not a number"},
		{{"JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=3", "PBS_ARRAY_INDEX=4"},
		 "both JOB_COMPLETION_INDEX and PBS_ARRAY_INDEX are set"},
	};

	fresh_dir(t);
	make_file("a", "hello");
	for (size_t i = 0; i < COUNT_OF(arrays); i++) {
		struct run *run = in_array(&arrays[i], ARGS("hash", "--shard", "auto", "a"));

		expect_exit(run, 2);
		expect_out(run, "");
		expect_says(run, arrays[i].part);
	}
}

/* The part that one of an array did is not the whole, nor another part. */
static void a_journal_is_of_one_part(struct test *t)
{
	static const char *const others[] = {"--shard 1/4", "--shard 2/3", "--shard 1/1", ""};
	struct run *run;

	fresh_dir(t);
	make_tree(4, 10);
	expect_exit(SH("$BATCHPROC hash -q --journal j --shard 2/4 -r d"), 0);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		run = SH("$BATCHPROC hash -q --journal j --resume $1 -r d", others[i]);
		if (!expect_exit(run, 2))
			print_error("of: %s\n", others[i]);
		expect_says(run,
			    "j is the journal of 'hash shard=2/4 algorithm=sha256', not of 'hash ");
		expect_eq(run->out.len, 0);
	}
	/* An array task that is alone takes itself for the whole. */
	run = RUN(HOW(.env = (const char *const[]){NO_ARRAY, "SLURM_ARRAY_TASK_ID=2",
						   "SLURM_ARRAY_TASK_MIN=2",
						   "SLURM_ARRAY_TASK_MAX=2",
						   "SLURM_ARRAY_TASK_STEP=1",
						   "SLURM_ARRAY_TASK_COUNT=1", NULL}),
		  "hash", "--journal", "j", "--resume", "--shard", "auto", "-r", "d");
	expect_exit(run, 2);
	run = SH("$BATCHPROC hash -v --journal j --resume --shard 2/4 -r d");
	expect_exit(run, 0);
	expect_says(run, ": 0 ok, ");
	expect_exit(SH("$BATCHPROC hash -q --journal j --force-resume -r d"), 0);
	/* The whole is the whole, in one part or without any. */
	expect_exit(SH("$BATCHPROC hash -q --journal k --shard 1/1 -r d && "
		       "$BATCHPROC hash -q --journal k --resume -r d && "
		       "$BATCHPROC copy -rq --shard 1/2 --journal l d -t . && "
		       "$BATCHPROC copy -rq --shard 1/2 --journal l --resume d -t ."),
		    1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_parts_are_the_whole),
		ONCE(parts_of_a_copy_make_one_tree),
		ONCE(a_name_is_always_of_the_same_part),
		ONCE(what_others_do_has_no_record),
		ONCE(an_empty_part_is_fine_and_an_empty_list_is_not),
		ONCE(what_cannot_be_read_fails_in_every_part),
		ONCE(an_array_job_says_which_part),
		ONCE(an_array_job_that_does_not_say_is_refused),
		ONCE(a_journal_is_of_one_part),
	};

	return RUN_CASES(argc, argv, cases);
}
