/* SPDX-License-Identifier: MIT */
/*
 * cmd_run - manifests of jobs are checked, done, and what did not succeed is handed back
 *
 * What lines mean is tested in test_manifest and test_words; here it is what becomes of them.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"
#define WORLD_MD5 "7d793037a0760186574b0282f2f435e7"

#define FROM(text) HOW(.input = (text))

static void make_ab(void)
{
	make_file("a", "hello");
	make_file("b c", "world");
}

static char *file_text(const char *name)
{
	struct run *run = SH("cat -- \"$1\"", name);

	expect_exit(run, 0);
	return run->out.data;
}

static void jobs_in_either_form_are_done(struct test *t)
{
	static const char jobs[] =
		"# a comment, then an empty line\n"
		"\n"
		"hash a\n"
		"hash -a md5 a 'b c'\n"
		"  {\"op\":\"hash\",\"src\":\"b c\",\"algorithm\":\"md5\",\"tag\":true}";
	static const char expected[] = HELLO_SHA256 "  a\n" HELLO_MD5 "  a\n" WORLD_MD5 "  b c\n"
						    "MD5 (b c) = " WORLD_MD5 "\n";

	fresh_dir(t);
	make_ab();
	make_file("jobs", jobs);
	expect_out(BP("run", "-k", "jobs"), expected);
	expect_out(RUN(FROM(jobs), "run", "-k"), expected);
	expect_out(RUN(FROM(jobs), "run", "-k", "-"), expected);
	expect_out(RUN(FROM(jobs), "run", "-k", "-T", "-"), expected);
	expect_exit(BP("run", "jobs"), 0);
	expect_out(BP("run", "-n", "jobs"), "hash a\nhash a\nhash b c\nhash b c\n");
}

static void a_tree_is_walked_only_where_its_job_says_so(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	make_dir("d/e");
	make_file("d/e/x", "hello");
	run = RUN(FROM("hash -r d\nhash d/e\n{\"op\":\"hash\",\"src\":\"a\",\"recursive\":true}\n"),
		  "run", "--json");
	expect_exit(run, 1);
	records = expect_records(run, 3);
	expect(!strcmp(status_of(records, "d/e/x"), "ok"));
	expect(!strcmp(status_of(records, "d/e"), "failed"));
	expect(!strcmp(status_of(records, "a"), "ok"));
}

static void verbs_are_mixed_in_one_run(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	make_file("d/x", "hello");
	make_dir("e");
	make_file("e/x", "hello");
	make_dir("f");
	make_file("f/x", "hello");
	make_file("jobs", "hash a\nrm -r d\nhash -r e\nrm f\nrm -f nosuch\n"
			  "{\"op\":\"rm\",\"src\":\"b c\"}\n");
	run = BP("run", "-q", "-n", "jobs");
	expect_exit(run, 0);
	expect_exit(SH("test -e 'b c' && test -e d/x"), 0);
	run = BP("run", "--json", "--failed-to", "failed", "jobs");
	expect_exit(run, 1);
	records = expect_records(run, 7);
	expect_eq(records->ok, 5);
	expect_eq(records->skipped, 1);
	expect(!strcmp(record_of(records, "d/x")->op, "rm"));
	expect(!strcmp(record_of(records, "e/x")->op, "hash"));
	expect(!strcmp(status_of(records, "f"), "failed"));
	expect_exit(SH("test ! -e 'b c' && test ! -e d && test -e e/x && test -e f/x"), 0);
	expect(!strcmp(file_text("failed"), "{\"op\":\"rm\",\"src\":\"f\"}\n"));

	/* What asks cannot be asked. */
	run = RUN(FROM("rm -I a\n"), "run");
	expect_exit(run, 1);
	expect_says(run, "rm -i and -I ask");
}

static void two_jobs_with_one_destination_are_never_mixed(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	make_dir("d/s");
	make_dir("s");
	make_file("s/a", "other");
	make_file("jobs",
		  "copy a d\ncopy 'b c' d/a\n{\"op\":\"copy\",\"src\":\"b c\",\"dst\":\"./d/a\"}\n"
		  "copy a x\ncopy -r s d\ncopy a d/s/a\n");
	run = BP("run", "--json", "jobs");
	expect_exit(run, 1);
	records = expect_records(run, 7);
	expect_eq(records->failed, 3);
	expect_eq(text_count(&run->out, "another item of this run has the same destination"), 3);
	expect_exit(SH("cmp a d/a && cmp a x"), 0);
}

/* Whether it is a file, a tree, or one of several, and whether its place was found out or not. */
static void what_was_not_copied_is_given_back_with_its_place(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	make_dir("s");
	make_file("s/x", "hello");
	make_file(
		"jobs",
		"hash nosuch\ncopy a d\ncopy -r s d\n{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"y\"}\n"
		"copy a 'b c' none\ncopy a no/such\n");
	run = BP("run", "-q", "-e", "-j1", "-k", "--failed-to", "failed", "jobs");
	expect_exit(run, 3);
	run = BP("run", "-q", "--failed-to", "again", "failed");
	expect_exit(run, 1);
	expect_exit(SH("cmp a d/a && cmp s/x d/s/x && cmp a y && test ! -e none && test ! -e no"),
		    0);
	/* What is left fails as it did. */
	expect(!strcmp(SH("sort again")->out.data,
		       "{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"no/such\"}\n"
		       "{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"none/\"}\n"
		       "{\"op\":\"copy\",\"src\":\"b c\",\"dst\":\"none/\"}\n"
		       "{\"op\":\"hash\",\"src\":\"nosuch\"}\n"));
}

/* A directory that could not be read has its place too, and takes no other one's name. */
static void a_directory_that_failed_is_copied_to_its_place(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_root(t);
	make_dir("s");
	make_dir("s/d");
	make_file("s/d/x", "hello");
	make_dir("top");
	expect_exit(SH("chmod 0 s/d top; mkdir out; chmod 777 . out"), 0);
	run = RUN(HOW(.input = "copy -r s out\ncopy -r top out\n", .uid = NOBODY), "run", "-q",
		  "--failed-to", "failed");
	expect_exit(run, 1);
	expect(!strcmp(SH("sort failed")->out.data,
		       "{\"op\":\"copy\",\"src\":\"s/d\",\"dst\":\"out/s/d\",\"recursive\":true,"
		       "\"status\":\"failed\"}\n"
		       "{\"op\":\"copy\",\"src\":\"top\",\"dst\":\"out/top\",\"recursive\":true,"
		       "\"status\":\"failed\"}\n"));
	expect_exit(SH("chmod 755 s/d top"), 0);
	expect_exit(RUN(HOW(.uid = NOBODY), "run", "failed"), 0);
	expect_exit(SH("diff -r s out/s && test -d out/top && test ! -e out/top/top"), 0);
}

/*
 * A tree whose name was new has that name again, and is not copied into itself of the first time.
 */
static void a_run_that_goes_on_finds_the_same_places(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("s");
	make_file("s/x", "hello");
	make_dir("into");
	make_file("jobs", "copy -r s ./new//\ncopy -r s/ into\ncopy a b\nhash nosuch\n");
	expect_exit(BP("run", "-q", "--journal", "journal", "jobs"), 1);
	expect_exit(BP("run", "-q", "--journal", "journal", "--resume", "jobs"), 1);
	make_file("nosuch", "hello");
	make_file("s/y", "world");
	run = BP("run", "--journal", "journal", "--resume", "jobs");
	expect_exit(run, 0);
	expect_out(run, HELLO_SHA256 "  nosuch\n");
	expect_exit(
		SH("diff -r s new && diff -r s into/s && cmp a b && test $(ls into | wc -l) = 1"),
		0);
}

static void a_file_is_checked_before_anything_starts(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_file("good", "hash a\n");
	make_file("jobs",
		  "hash a\ncpy a b\n# fine\nhash *\n{\"op\":\"hash\",\"src\":\"a\",\"alg0\":1}\n"
		  "hash -a md9 a\nhash\nhash -j 4 a\n");
	run = BP("run", "--failed-to", "failed", "good", "jobs");
	expect_exit(run, 2);
	expect_eq(run->out.len, 0);
	expect(access("failed", F_OK) < 0);
	expect_says(run, "batchproc: run: jobs:2: 'cpy' is not an operation; there are hash, ");
	expect_says(run,
		    "batchproc: run: jobs:4: unquoted *: nothing is expanded here; quote it to "
		    "mean the character itself (column 6)\n");
	expect_says(run, "batchproc: run: jobs:5: 'alg0' is not an option of hash\n");
	expect_says(run, "batchproc: run: jobs:6: algorithm: 'md9' is not one of sha256, ");
	expect_says(run, "batchproc: run: jobs:7: hash names no file\n");
	expect_says(run, "batchproc: run: jobs:8: '-j' is an option for the whole run\n");
	expect_says(run, "batchproc: run: nothing was started\n");
	expect_eq(text_count(&run->err, "\n"), 7);
}

static void ten_errors_are_shown_and_the_rest_is_counted(struct test *t)
{
	struct text jobs = {0};
	struct run *run;

	fresh_dir(t);
	for (int i = 0; i < 25; i++)
		text_printf(&jobs, "nothing\n");
	make_file("jobs", jobs.data);
	run = BP("run", "jobs");
	expect_exit(run, 2);
	expect_eq(text_count(&run->err, "is not an operation"), 10);
	expect_says(run, "jobs:10: ");
	expect_says(run, "15 more lines are no jobs");
	text_free(&jobs);
}

static void in_a_stream_a_bad_line_fails_and_the_rest_goes_on(struct test *t)
{
	static const char jobs[] = "hash a\nhash *\nnothing\nhash 'b c'\n";
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = RUN(FROM(jobs), "run", "--json", "--failed-to", "failed");
	expect_exit(run, 1);
	records = expect_records(run, 4);
	expect(!strcmp(status_of(records, "a"), "ok"));
	expect(!strcmp(status_of(records, "b c"), "ok"));
	expect(!strcmp(status_of(records, "hash *"), "failed"));
	expect(!strcmp(record_of(records, "hash *")->op, "run"));
	expect(strstr(record_of(records, "nothing")->error, "standard input:3: 'nothing' is not"));
	expect(strstr(file_text("failed"), "hash *\n"));
	expect(strstr(file_text("failed"), "nothing\n"));

	/* A FIFO with a name is a stream too. */
	run = SH("mkfifo fifo && { printf \"$1\" >fifo & \"$BATCHPROC\" run -q fifo; }", jobs);
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, "\n"), 2);
}

static void lines_may_be_from_a_dos_machine(struct test *t)
{
	fresh_dir(t);
	make_ab();
	make_file("cr\r", "hello");
	make_file(
		"jobs",
		"\xef\xbb\xbfhash a\r\n\r\n# c\r\n{\"op\":\"hash\",\"src\":\"a\"}\r\nhash 'cr\r'\r\n");
	expect_out(BP("run", "-k", "jobs"), HELLO_SHA256 "  a\n" HELLO_SHA256 "  a\n"
							 "\\" HELLO_SHA256 "  cr\\r\n");
}

static void a_line_may_have_any_length(struct test *t)
{
	const unsigned long words = scaled(100000);
	struct text jobs = {0};
	const struct run *run;

	fresh_dir(t);
	make_ab();
	text_printf(&jobs, "hash -a md5");
	for (unsigned long i = 0; i < words; i++)
		text_printf(&jobs, " a");
	text_printf(&jobs, "\n{%*s\"op\":\"hash\",\"src\":\"a\"}\n#%*s\nhash a", 1000000, "",
		    1000000, "");
	make_file("jobs", jobs.data);
	run = BP("run", "jobs");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, HELLO_MD5 "  a\n"), words);
	expect_eq(text_count(&run->out, HELLO_SHA256 "  a\n"), 2);
	text_free(&jobs);
}

static void a_nul_in_a_line_is_an_error_but_may_separate_jobs(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_bytes("jobs", "hash a\0hash a\n", 14);
	run = BP("run", "jobs");
	expect_exit(run, 2);
	expect_says(run, "jobs:1: has a NUL");
	make_file("new\nline", "hello");
	make_bytes("jobs", "hash a\0\0hash 'new\nline'\0", 24);
	expect_out(BP("run", "-0", "-k", "jobs"), HELLO_SHA256 "  a\n"
							       "\\" HELLO_SHA256 "  new\\nline\n");
}

/* Whatever its bytes, a name comes back in the list and in the record, and both are jobs. */
static void what_failed_is_a_manifest(struct test *t)
{
	static const char *const names[] = {"plain",	"new\nline",
					    "\xff\xfe", "it's \"quoted\" $*",
					    "-dash",	"back\\slash",
					    "tab\t\r",	"\xc3\xa4"};
	struct text jobs = {0};
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		text_printf(&jobs, "hash -a md5 --tag -- '");
		for (const char *c = names[i]; *c; c++)
			text_printf(&jobs, *c == '\'' ? "'\\''" : "%c", *c);
		text_add(&jobs, "'", 2);
	}
	make_bytes("jobs", jobs.data, jobs.len);
	run = BP("run", "-0", "--json", "--failed-to", "failed0", "jobs");
	expect_exit(run, 1);
	expect_records(run, COUNT_OF(names));
	make_bytes("records", run->out.data, run->out.len);

	/* All that is wrong with them is that they are not there. */
	run = BP("run", "-0", "--failed-to", "again0", "failed0");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "No such file"), COUNT_OF(names));
	expect_exit(SH("sort -z failed0 >x && sort -z again0 >y && cmp x y"), 0);

	for (size_t i = 0; i < COUNT_OF(names); i++)
		make_file(names[i], "hello");
	run = BP("run", "-0", "failed0");
	expect_exit(run, 0);
	expect_same(run, SH("md5sum --tag -- \"$@\"", names[0], names[1], names[2], names[3],
			    names[4], names[5], names[6], names[7]));
	/* Records do not say that the lines are to have tags. */
	run = BP("run", "records");
	expect_exit(run, 0);
	expect_same(run, SH("md5sum -- \"$@\"", names[0], names[1], names[2], names[3], names[4],
			    names[5], names[6], names[7]));
	text_free(&jobs);
}

static void options_come_back_as_they_were(struct test *t)
{
	fresh_dir(t);
	expect_exit(
		RUN(FROM("hash nosuch\nhash -z -amd5 -a sha1 nosuch\n"
			 "{\"op\":\"hash\",\"src\":\"nosuch\",\"algorithm\":\"md5\",\"tag\":true,"
			 "\"recursive\":false}\n"),
		    "run", "-k", "--failed-to", "failed"),
		1);
	expect(!strcmp(
		file_text("failed"),
		"{\"op\":\"hash\",\"src\":\"nosuch\"}\n"
		"{\"op\":\"hash\",\"src\":\"nosuch\",\"zero\":true,\"algorithm\":[\"md5\",\"sha1\"]}\n"
		"{\"op\":\"hash\",\"src\":\"nosuch\",\"algorithm\":\"md5\",\"tag\":true}\n"));
}

/* Where all places are taken, jobs go to the file at once: TryGo with a fallback. */
static void rejected_jobs_go_to_the_list(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_file("jobs", "hash -\nhash -a md5 a\nhash 'b c'\n");
	run = START(HOW(.feed = true), "run", "--json", "-j1", "--on-full", "reject", "--failed-to",
		    "failed", "jobs");
	run_feed(run, "hello", 5);
	until_printed(run, 1, "\"status\":\"rejected\"", 2);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 1);
	records = expect_records(run, 3);
	expect_eq(records->rejected, 2);
	expect(!strcmp(status_of(records, "-"), "ok"));
	run = BP("run", "-k", "failed");
	expect_exit(run, 0);
	expect_out(run,
		   HELLO_MD5 "  a\n486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"
			     "  b c\n");
}

static void what_a_halt_left_undone_goes_to_the_list(struct test *t)
{
	const unsigned long count = scaled(20000);
	const struct records *records;
	struct text jobs = {0};
	struct run *run;

	fresh_dir(t);
	make_ab();
	/* The first does not end by itself, however quickly the others are done. */
	text_printf(&jobs, "hash -\nhash nosuch\n");
	for (unsigned long i = 2; i < count; i++)
		text_printf(&jobs, "hash a\n");
	make_file("jobs", jobs.data);
	run = RUN(HOW(.feed = true), "run", "--json", "-e", "--failed-to", "failed", "jobs");
	expect_exit(run, 3);
	records = expect_records(run, count);
	expect_eq(records->failed, 1);
	expect_eq(text_count(&SH("cat failed")->out, "\n"), count - records->ok);
	text_free(&jobs);
}

/* The first job holds the only place while the manifest is changed behind what was read of it. */
static void a_change_after_the_check_is_named(struct test *t)
{
	static const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
	const unsigned long count = 20000;
	const struct records *records;
	struct text jobs = {0};
	struct run *run;
	int fd;

	fresh_dir(t);
	make_ab();
	text_printf(&jobs, "hash -\n");
	for (unsigned long i = 0; i < count; i++)
		text_printf(&jobs, "hash a\n");
	make_file("jobs", jobs.data);
	/* So that its time changes, however coarse the file system's clock is. */
	assert_int_equal(utimensat(AT_FDCWD, "jobs", long_ago, 0), 0);
	run = START(HOW(.feed = true), "run", "--json", "-j1", "jobs");
	run_feed(run, "hello", 5);
	until_drained(run);
	fd = open("jobs", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "hash *\nhash a", 13, (off_t)jobs.len - 14), 13);
	close(fd);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 1);
	records = expect_records(run, count + 1);
	expect_eq(records->failed, 1);
	expect(strstr(record_of(records, "hash *")->error, "changed since it was checked"));

	/* And where lines are gone, at the end of one that is still whole. */
	make_file("jobs", jobs.data);
	run = START(HOW(.feed = true), "run", "--json", "-j1", "--failed-to", "failed", "jobs");
	run_feed(run, "hello", 5);
	until_drained(run);
	assert_int_equal(truncate("jobs", 7), 0);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, "changed since it was checked, and is shorter"), 1);
	expect_exit(SH("! grep -q jobs failed"), 0);
	text_free(&jobs);
}

static void nothing_to_do_is_an_error_unless_allowed(struct test *t)
{
	fresh_dir(t);
	make_file("jobs", "# nothing\n\n");
	expect_exit(BP("run", "jobs"), 2);
	expect_exit(BP("run", "--allow-empty", "jobs"), 0);
	expect_exit(RUN(FROM(""), "run"), 2);
	expect_exit(BP("run", "nosuch"), 2);
	expect_exit(BP("run", "."), 2);
	expect_exit(BP("run", "--allow-empty", "nosuch"), 2);
}

static void the_list_of_what_failed_is_not_the_manifest(struct test *t)
{
	fresh_dir(t);
	make_file("jobs", "hash nosuch\n");
	expect_exit(BP("run", "--failed-to", "jobs", "jobs"), 2);
	expect(!strcmp(file_text("jobs"), "hash nosuch\n"));
}

/* Standard input is the manifest's or a job's, never both. */
static void standard_input_is_read_once(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = RUN(FROM("hash -\nhash a\n"), "run");
	expect_exit(run, 1);
	expect_out(run, HELLO_SHA256 "  a\n");
	make_file("jobs", "hash -\n");
	expect_out(RUN(FROM("hello"), "run", "jobs"), HELLO_SHA256 "  -\n");
}

static const struct test_case cases[] = {
	ONCE(jobs_in_either_form_are_done),
	ONCE(a_tree_is_walked_only_where_its_job_says_so),
	ONCE(verbs_are_mixed_in_one_run),
	ONCE(two_jobs_with_one_destination_are_never_mixed),
	ONCE(what_was_not_copied_is_given_back_with_its_place),
	ONCE(a_directory_that_failed_is_copied_to_its_place),
	ONCE(a_run_that_goes_on_finds_the_same_places),
	ONCE(a_file_is_checked_before_anything_starts),
	ONCE(ten_errors_are_shown_and_the_rest_is_counted),
	ONCE(in_a_stream_a_bad_line_fails_and_the_rest_goes_on),
	ONCE(lines_may_be_from_a_dos_machine),
	ONCE(a_line_may_have_any_length),
	ONCE(a_nul_in_a_line_is_an_error_but_may_separate_jobs),
	ONCE(what_failed_is_a_manifest),
	ONCE(options_come_back_as_they_were),
	ONCE(rejected_jobs_go_to_the_list),
	ONCE(what_a_halt_left_undone_goes_to_the_list),
	ONCE(a_change_after_the_check_is_named),
	ONCE(nothing_to_do_is_an_error_unless_allowed),
	ONCE(the_list_of_what_failed_is_not_the_manifest),
	ONCE(standard_input_is_read_once),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
