/* SPDX-License-Identifier: MIT */
/*
 * cmd_options - what a command line may be, what goes in and comes out, and exit status
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WORLD_SHA256 "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"

static void make_ab(void)
{
	make_file("a", "hello");
	make_file("b", "world");
}

static const char *const wrong_lines[] = {
	"",
	"nosuch",
	"--nosuch",
	"hash",
	"hash -x a",
	"hash --nosuch a",
	"hash --re a",
	"hash --json=1 a",
	"hash -j",
	"hash a -T",
	"hash -j 0 a",
	"hash -j -1 a",
	"hash -j +1 a",
	"hash -j 1e3 a",
	"hash -j 99999999999999999999 a",
	"hash --jobs= a",
	"hash --loops 0 a",
	"hash --loops 257 a",
	"hash --loops -1 a",
	"hash --backend sim a",
	"hash --backend nosuch a",
	"hash -a sha3 a",
	"hash -a SHA257 a",
	"hash --on-full drop a",
	"hash --progress loud a",
	"hash --timeout 0 a",
	"hash --timeout -1 a",
	"hash --timeout 1x a",
	"hash --timeout 0x10 a",
	"hash --timeout nan a",
	"hash --timeout inf a",
	"hash --timeout 1e400 a",
	"hash --timeout . a",
	"hash --deadline 200y a",
	"hash --deadline 100000d a",
	"hash --retries -1 a",
	"hash --retries many a",
	"hash --rate 0 a",
	"hash --rate -1 a",
	"hash --rate 5/ a",
	"hash --rate 5/x a",
	"hash --rate /s a",
	"hash --rate 1e10 a",
	"hash --rate nan a",
	"hash --bwlimit 0 a",
	"hash --bwlimit -1 a",
	"hash --bwlimit 1Q a",
	"hash --bwlimit M a",
	"hash --bwlimit 10Mx a",
	"hash --shard 0/3 a",
	"hash --shard 4/3 a",
	"hash --shard 1/0 a",
	"hash --shard 3 a",
	"hash --shard 1/ a",
	"hash --shard /3 a",
	"hash --shard 1/2/3 a",
	"hash --shard -1/3 a",
	"hash --shard some a",
	"hash --halt now a",
	"hash --halt now,fail a",
	"hash --halt now,fail=0 a",
	"hash --halt now,fail=-1 a",
	"hash --halt now,fail=101% a",
	"hash --halt later,fail=1 a",
	"hash --halt now,fail=1,success=1 a",
	"hash --halt soon,fail=99999999999999999999999 a",
	"hash --quorum 0 a",
	"hash --quorum x a",
	"hash -e --race a",
	"hash --quorum 1 --halt now,fail=1 a",
	"hash -T nosuch",
	"hash -T .",
	"hash -T a --failed-to a",
	"hash b a --failed-to ./a",
	"hash --failed-to a - <a",
	"verify a --failed-to a",
	"verify --failed-to a <a",
	"hash --failed-to nosuch/x a",
	"hash --failed-to . a",
	"verify -r a",
	"verify --tag a",
	"info a",
	"info -j 3",
	"info --loops 0",
};

static void usage_errors_start_nothing(struct test *t)
{
	fresh_dir(t);
	make_ab();
	for (size_t i = 0; i < COUNT_OF(wrong_lines); i++) {
		struct run *run = SH("eval \"exec \\\"\\$BATCHPROC\\\" $1\"", wrong_lines[i]);

		if (!expect_exit(run, 2))
			print_error("of: %s\n", wrong_lines[i]);
		expect_eq(run->out.len, 0);
		expect_eq(strncmp(run->err.data, "batchproc: ", 11), 0);
		expect_between(text_count(&run->err, "\n"), 1, 2);
	}
	/* Nor is an input emptied by a list that would be written over it. */
	expect_exit(SH("test -s a"), 0);
}

static const char *const lines_on_own_files[] = {
	/* the destination: there or not, by other names, in a directory */
	"copy a there %s there",
	"copy a new %s new",
	"copy a new %s ./d/../new",
	"copy a new %s newlink",
	"copy a newlink %s new",
	"copy a there %s hard",
	"copy a there %s soft",
	"copy a d %s d/a",
	"copy -t d a %s d//a",
	"copy b a d %s dlink/a",
	"copy -r e new/ %s new",
	"copy a --no-target-directory d/new %s dlink/new",
	/* sources and arguments */
	"copy a new %s a",
	"copy a b d %s bhard",
	"copy a b d %s bsoft",
	"copy nosuch d %s nosuch",
	"hash a %s ./a",
	"hash nosuch %s nosuch",
	"hash - %s a <a",
	"verify a %s a",
	"verify %s a <a",
	"rm a %s a",
	"rm a %s ./d/../a",
	"rm -r e %s e/x",
	"rm -r e/ %s e/x",
	"rm -r a e %s e/f/../new",
	"rm -r d %s dlink/x",
	/* lists */
	"hash -T a %s a",
	"copy -T a d %s ./a",
	"rm -T bhard %s bsoft",
	"run a %s a",
	"run -T b %s bsoft a",
	"run %s a <a",
	"hash a --journal x %s ./x --failed-to x",
};

/*
 * What a run writes besides its output is none of its inputs, and nothing that it makes or removes.
 */
static void a_run_does_not_touch_its_own_files(struct test *t)
{
	static const char *const options[] = {"--failed-to", "--journal", "--resume --journal"};
	struct text before = {0};

	fresh_dir(t);
	make_ab();
	make_file("there", "there");
	make_dir("d");
	make_file("d/a", "d/a");
	make_dir("e");
	make_dir("e/f");
	assert_int_equal(link("there", "hard") | symlink("there", "soft") | symlink("d", "dlink") |
				 symlink("new", "newlink") | link("b", "bhard") |
				 symlink("b", "bsoft"),
			 0);
	for (size_t i = 0; i < COUNT_OF(options) * COUNT_OF(lines_on_own_files);
	     /* Under sanitizers each line with one of the options. */
	     i += UNDER_TSAN || UNDER_ASAN ? COUNT_OF(options) + 1 : 1) {
		const char *line = lines_on_own_files[i / COUNT_OF(options)];
		const char *option = options[i % COUNT_OF(options)];
		struct run *run;

		run = SH("ls -lR --time-style=full-iso; cat a b there d/a");
		text_free(&before);
		text_add(&before, run->out.data, run->out.len);
		run = SH("eval \"exec \\\"\\$BATCHPROC\\\" $(printf \"$1\" \"$2\")\"", line,
			 option);
		if (!expect_exit(run, 2))
			print_error("of: %s, %s\n", line, option);
		expect_eq(run->out.len, 0);
		expect_eq(text_count(&run->err, "\n"), 1);
		run = SH("ls -lR --time-style=full-iso; cat a b there d/a");
		if (!expect_out(run, before.data))
			print_error("of: %s, %s\n", line, option);
	}
	text_free(&before);
	/* A terminal, a pipe or nothing at all may be all of it at once. */
	expect_exit(BP("copy", "/dev/null", "d", "--failed-to", "/dev/null"), 1);
	expect_exit(RUN(HOW(.input = "nosuch\n"), "hash", "-T", "-", "--failed-to", "/dev/stdin"),
		    2);
	/* One for each is as it should be. */
	expect_exit(BP("copy", "a", "d", "--failed-to", "d/f", "--journal", "d/j"), 0);
}

/* Two that write into one file, each at a place of its own, would destroy each other's text. */
static void standard_output_and_error_are_written_by_nobody_else(struct test *t)
{
	static const char *const lines[] = {
		"hash a nosuch --failed-to log >>log",
		"hash a nosuch --failed-to ./d/../log >log",
		"hash a nosuch --failed-to log 2>>log",
		"hash a nosuch --failed-to hardlink >>log",
		"hash a nosuch --failed-to symlink 2>>log",
		"hash a nosuch --journal log >>log",
		"hash a nosuch --journal log 2>>log",
		"hash a nosuch --journal /dev/stdout >>log",
		"hash a nosuch --resume --journal /dev/fd/2 2>>log",
	};

	fresh_dir(t);
	make_ab();
	make_dir("d");
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct run *run = SH("echo before >log; ln -f log hardlink; ln -sf log symlink; "
				     "eval \"\\\"\\$BATCHPROC\\\" $1\"; "
				     "code=$?; tail -c 200 log >&2; exit $code",
				     lines[i]);

		if (!expect_exit(run, 2))
			print_error("of: %s\n", lines[i]);
		expect_says(run, " is written to\n");
	}

	/* By the name of the descriptor it goes behind what is there, as the output does. */
	expect_exit(
		SH("echo before >log; $BATCHPROC hash -q a nosuch --failed-to /dev/stdout >>log; "
		   "sort log"),
		0);
	expect_out(SH("sort log"), HELLO_SHA256 "  a\nbefore\nnosuch\n");
	expect_exit(
		SH("echo before >log; $BATCHPROC hash -q a nosuch --failed-to /dev/stderr 2>log"),
		1);
	expect_out(SH("cat log"), "nosuch\n");
	/* Where it is no file nothing is lost. */
	expect_out(SH("$BATCHPROC hash -q nosuch --failed-to /dev/stdout | cat"), "nosuch\n");
}

/* Nor does it where a list, a manifest or a walk comes upon them. */
static void a_run_passes_over_its_own_files(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	make_file("d/f", "not to be lost");
	make_dir("src");
	make_file("src/f", "src/f");
	make_file("src/j", "src/j");

	run = BP("hash", "-r", ".", "--failed-to", "f", "--journal", "./j");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "./f\n") + text_count(&run->out, "./j\n"), 0);
	expect_eq(text_count(&run->out, "./d/f\n"), 1);
	/* Who names them is told. */
	run = RUN(HOW(.input = "./f\nj\na\n"), "hash", "-T", "-", "--failed-to", "f", "--journal",
		  "j", "--resume");
	expect_exit(run, 1);
	expect_says(run, "./f: skipped: is what --failed-to is written to\n");
	expect_says(run, "j: skipped: is the journal of this run\n");
	expect_exit(RUN(HOW(.input = HELLO_SHA256 "  f\n"), "verify", "--failed-to", "f"), 1);

	run = BP("copy", "-r", "src/.", ".", "--failed-to", "f", "--journal", "j",
		 "--force-resume");
	expect_exit(run, 1);
	expect_says(run, "src/./f: the destination is what --failed-to is written to\n");
	expect_says(run, "src/./j: the destination is the journal of this run\n");
	expect_out(SH("sort f"), "src/././f\nsrc/././j\n");
	run = RUN(HOW(.input = "copy a f\ncopy f d\nrm ./f\nrm -r d e\n"), "run", "--failed-to",
		  "d/f");
	expect_exit(run, 1);
	expect_says(run, "d: what --failed-to is written to is in it\n");
	run = RUN(HOW(.input = "copy src/f .\nrm ./f\n"), "run", "--failed-to", "f");
	expect_exit(run, 1);
	expect_says(run, "./f: is what --failed-to is written to\n");
	expect_says(run, "src/f: the destination is what --failed-to is written to\n");
	run = RUN(HOW(.input = "d\nsrc\n"), "rm", "-r", "-T", "-", "--failed-to", "d/f",
		  "--journal", "src/new");
	expect_exit(run, 1);
	expect_says(run, "src: the journal of this run is in it\n");
	expect_out(SH("ls d src; cat d/f"), "d:\nf\n\nsrc:\nf\nj\nnew\nd\nsrc\n");
}

static void values_at_the_edge_are_taken(struct test *t)
{
	static const char *const lines[] = {
		"hash -j 1 a",
		"hash -j 1000000000 a",
		"hash -j auto a",
		"hash -j1 -j2 a",
		"hash --loops 64 a",
		"hash --timeout .5s a",
		"hash --timeout 1e3 a",
		"hash --timeout 1h --deadline 36500d a",
		"hash --retries 0 a",
		"hash --retries 1000000 --retry-delay 1ns a",
		"hash --rate 1000000000 a",
		"hash --rate .5/s a",
		"hash --rate 1/d a",
		"hash --bwlimit 1T a",
		"hash --bwlimit 1.5GiB a",
		"hash --bwlimit 64kB a",
		"hash --shard 1/1 a",
		"hash --halt never a",
		"hash --halt soon,fail=1% a",
		"hash --halt now,fail=18446744073709551615 a",
		"hash -e -e a",
		"hash --jobs=3 --keep-order a",
		"hash a -k",
		"hash -k -- a",
		"hash -qv a 2>&-",
		"hash --allow-empty a",
		"hash --quorum 1 a",
		"hash --progress none a",
	};

	fresh_dir(t);
	make_ab();
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct run *run = SH("eval \"exec \\\"\\$BATCHPROC\\\" $1\"", lines[i]);

		expect_exit(run, 0);
		if (!expect_out(run, HELLO_SHA256 "  a\n"))
			print_error("of: %s\n", lines[i]);
	}
}

static void help_and_version(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = BP("--help");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "  hash "), 1);
	expect_exit(BP("hash", "--help"), 0);
	expect_exit(BP("verify", "--help", "nosuch"), 0);
	expect_out(BP("--version"), "batchproc " BP_VERSION_STRING "\n");
}

static void a_missing_file_is_one_line_and_1(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = BP("hash", "nosuch");
	expect_exit(run, 1);
	expect_out(run, "");
	expect_err(run, "batchproc: hash: nosuch: No such file or directory\n");
	run = BP("hash", "a", "nosuch");
	expect_exit(run, 1);
	expect_out(run, HELLO_SHA256 "  a\n");
	run = BP("hash", "-q", "nosuch");
	expect_exit(run, 1);
	expect_err(run, "");
	run = BP("hash", ".");
	expect_exit(run, 1);
	expect_says(run, ".: is a directory (-r hashes what is in it)");
}

static void empty_input_is_an_error_unless_allowed(struct test *t)
{
	fresh_dir(t);
	expect_exit(BP("hash", "-T", "-"), 2);
	expect_exit(RUN(HOW(.input = "\n\n"), "hash", "-T", "-"), 2);
	expect_exit(BP("hash", "--json", "-T", "/dev/null"), 2);
	expect_out(BP("hash", "--json", "-T", "/dev/null"), "");
	expect_exit(BP("hash", "--allow-empty"), 0);
	expect_exit(BP("hash", "--allow-empty", "-T", "-"), 0);
	expect_records(BP("hash", "--allow-empty", "--json", "-T", "-"), 0);
	/* A list without lines is not an empty list of lists. */
	expect_exit(BP("verify", "-T", "-"), 2);
}

static void lists_of_items(struct test *t)
{
	static const char zeros[] = "a\0b\0\0new\nline";
	static const char nul[] = "a\0b\nb";
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_file("new\nline", "hello");
	make_file("list", "a\n\n\nb");
	expect_out(BP("hash", "-k", "-T", "list"), HELLO_SHA256 "  a\n" WORLD_SHA256 "  b\n");
	expect_out(BP("hash", "-k", "-T", "list", "-T", "list", "b"),
		   WORLD_SHA256 "  b\n" HELLO_SHA256 "  a\n" WORLD_SHA256 "  b\n" HELLO_SHA256
				"  a\n" WORLD_SHA256 "  b\n");
	run = RUN(HOW(.input = zeros, .input_len = sizeof(zeros) - 1), "hash", "-k", "-0", "-T",
		  "-");
	expect_out(run, HELLO_SHA256 "  a\n" WORLD_SHA256 "  b\n\\" HELLO_SHA256 "  new\\nline\n");

	/* The kernel would take "a" for the name. */
	run = RUN(HOW(.input = nul, .input_len = sizeof(nul) - 1), "hash", "-T", "-");
	expect_exit(run, 1);
	expect_out(run, WORLD_SHA256 "  b\n");
	expect_says(run, "a\\000b: has a NUL");
	expect_records(RUN(HOW(.input = nul, .input_len = sizeof(nul) - 1), "hash", "--json", "-T",
			   "-"),
		       2);
}

static void lines_of_any_length(struct test *t)
{
	const size_t len = 1 << 20;
	char *line = malloc(len + 3);
	struct run *run;

	fresh_dir(t);
	make_ab();
	assert_non_null(line);
	memset(line, 'x', len);
	memcpy(line + len, "\na", 3);
	run = RUN(HOW(.input = line), "hash", "-T", "-");
	expect_exit(run, 1);
	expect_out(run, HELLO_SHA256 "  a\n");
	expect_says(run, ": File name too long");
	expect_records(RUN(HOW(.input = line), "hash", "--json", "-T", "-"), 2);
	/* A path that is long but legal. */
	for (size_t i = 0; i < 10000; i += 2)
		memcpy(line + i, "./", 2);
	memcpy(line + 10000, "a", 2);
	run = RUN(HOW(.input = line), "hash", "-T", "-");
	expect_exit(run, 0);
	free(line);
}

static void duplicates_are_items_of_their_own(struct test *t)
{
	fresh_dir(t);
	make_ab();
	expect_out(BP("hash", "a", "a", "a"),
		   HELLO_SHA256 "  a\n" HELLO_SHA256 "  a\n" HELLO_SHA256 "  a\n");
	expect_records(BP("hash", "--json", "a", "a", "nosuch", "nosuch"), 4);
}

static void keep_order_is_the_order_of_the_input(struct test *t)
{
	const unsigned long count = scaled(5000);
	struct text list = {0}, expected = {0};
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_pattern("big", 3000000);
	for (unsigned long i = 0; i < count; i++) {
		text_printf(&list, "%s\n", i % 500 == 3 ? "big" : i % 3 ? "a" : "b");
		text_printf(&expected, "%s\n", i % 500 == 3 ? "big" : i % 3 ? "a" : "b");
	}
	make_bytes("list", list.data, list.len);
	make_bytes("expected", expected.data, expected.len);
	run = SH("\"$BATCHPROC\" hash -a md5 -k -T list | cut -c 35- | cmp - expected");
	expect_exit(run, 0);
	run = SH(
		"\"$BATCHPROC\" hash -a md5 -k -j 3 --loops 4 -T list | cut -c 35- | cmp - expected");
	expect_exit(run, 0);
	text_free(&list);
	text_free(&expected);
}

static void failed_items_fed_back_fail_again(struct test *t)
{
	static const char items[] = "a\0b\0nosuch\0d\0new\nnosuch\0\xff nosuch";
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_dir("d");
	run = RUN(HOW(.input = items, .input_len = sizeof(items) - 1), "hash", "-0", "-T", "-",
		  "--failed-to", "failed");
	expect_exit(run, 1);
	expect_same_z(SH("cat failed"), SH("printf 'nosuch\\0d\\0new\\nnosuch\\0\\377 nosuch\\0'"));
	run = BP("hash", "-0", "-T", "failed", "--failed-to", "again", "--json");
	expect_eq(expect_records(run, 4)->failed, 4);
	expect_same_z(SH("cat failed"), SH("cat again"));

	/* Such a name cannot stand in a list of lines; that is said. */
	run = BP("hash", "new\nnosuch", "nosuch", "--failed-to", "failed");
	expect_says(run, "not written to --failed-to");
	expect_out(SH("cat failed"), "nosuch\n");
	/* What was skipped, although it was asked for by name, was not done either. */
	assert_int_equal(mkfifo("fifo", 0644), 0);
	expect_exit(BP("hash", "-q", "fifo", "a", "--failed-to", "failed"), 1);
	expect_out(SH("cat failed"), "fifo\n");
	expect_exit(BP("hash", "-q", "-r", ".", "--failed-to", "failed"), 0);
	expect_out(SH("cat failed"), "");
	/* Nothing failed: an empty list. */
	expect_exit(BP("hash", "a", "--failed-to", "failed"), 0);
	expect_out(SH("cat failed"), "");
	expect_exit(BP("hash", "nosuch", "--failed-to", "/dev/full"), 125);
}

static void dry_run_lists_and_reads_nothing(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_file("d/a", "hello");
	make_file("d/b", "world");
	run = BP("hash", "-n", "-r", "d", "nosuch");
	expect_exit(run, 0);
	expect_same(run, SH("printf 'hash d/a\\nhash d/b\\nhash nosuch\\n'"));
	records = expect_records(BP("hash", "-n", "--json", "-r", "d"), 2);
	expect_eq(records->skipped, 2);
	expect_eq(records->bytes, 0);
}

static void verbose_says_what_quiet_does_not(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	assert_int_equal(mkfifo("fifo", 0644), 0);
	run = BP("hash", "-v", "-j", "7", "a", "nosuch");
	expect_says(run, "batchproc: hash: 1 ok, 1 failed; 5B in ");
	expect_says(run, ", limit 7)\n");
	run = BP("hash", "-r", "-v", ".");
	expect_says(run, "./fifo: skipped: is a FIFO");
	run = BP("hash", "-r", ".");
	expect_err(run, "");
	/* Records tell of failures; standard error need not. */
	run = BP("hash", "--json", "nosuch");
	expect_err(run, "");
	expect_says(BP("hash", "--json", "-v", "nosuch"), "nosuch: No such file");
}

static void info_tells_what_runs(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = BP("info");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "version             " BP_VERSION_STRING "\n"), 1);
	expect_eq(text_count(&run->out, "\nbackend  "), 1);
	expect_eq(text_count(&run->out, "\nreason  "), 1);
	expect_eq(text_count(&run->out, "\nopen files  "), 1);
	run = BP("info", "--json", "--loops", "3");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\n"), 1);
	expect_(is_json(run->out.data, run->out.len), "info --json is JSON", __FILE__, __LINE__);
	expect_eq(text_count(&run->out, "\"loops\":3,"), 1);
	expect_eq(text_count(&run->out, "{\"v\":1,\"version\":\"" BP_VERSION_STRING "\","), 1);
	run = RUN(HOW(.nofile = 4321), "info", "--json");
	expect_eq(text_count(&run->out, "\"open_files\":{\"soft\":4321,\"hard\":4321}"), 1);
	run = RUN(HOW(.no_uring = true), "info", "--json", "--backend", "uring");
	expect_exit(run, 1);
	expect_(is_json(run->out.data, run->out.len), "without a backend too", __FILE__, __LINE__);
	expect_eq(text_count(&run->out, "\"backend\":\"none\",\"reason\":"), 1);
	run = BP("info", "--backend", "threads");
	expect_eq(text_count(&run->out, "backend             threads\n"), 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(usage_errors_start_nothing),
		ONCE(a_run_does_not_touch_its_own_files),
		ONCE(standard_output_and_error_are_written_by_nobody_else),
		ONCE(a_run_passes_over_its_own_files),
		ONCE(values_at_the_edge_are_taken),
		ONCE(help_and_version),
		ONCE(a_missing_file_is_one_line_and_1),
		ONCE(empty_input_is_an_error_unless_allowed),
		ONCE(lists_of_items),
		ONCE(lines_of_any_length),
		ONCE(duplicates_are_items_of_their_own),
		ONCE(keep_order_is_the_order_of_the_input),
		ONCE(failed_items_fed_back_fail_again),
		ONCE(dry_run_lists_and_reads_nothing),
		ONCE(verbose_says_what_quiet_does_not),
		ONCE(info_tells_what_runs),
	};

	return RUN_CASES(argc, argv, cases);
}
