/* SPDX-License-Identifier: MIT */
/*
 * cmd_verify - lists of digests are judged as sha256sum -c judges them
 *
 * Each list is given to both, with the same options: standard output and exit status must be the
 * same, but where it says otherwise.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"

static void make_files(void)
{
	static const char *const names[] = {"a",       "b",	"new\nline", "back\\slash",
					    "cr\rcr",  " lead", "trail ",    "*star",
					    "p) = q(", "-dash", "\xff\xfe",  "tab\tbed"};

	make_dir("files");
	assert_int_equal(chdir("files"), 0);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		make_file(names[i], i ? names[i] : "hello");
	assert_int_equal(chdir(".."), 0);
}

/* A program in the directory of the files. */
static struct run *there(const char *program, const char *const *args)
{
	const char *line[20] = {"-c", "cd files && exec \"$@\"", "sh", program};

	for (size_t i = 0; args[i] && i + 5 < COUNT_OF(line); i++)
		line[i + 4] = args[i];
	return run_end(run_start(HOW(.program = "sh"), line));
}

#define THERE(program, ...) there(program, ARGS(__VA_ARGS__))

static void judged_alike(const char *list, const char *option)
{
	struct run *theirs = option ? THERE("sha256sum", "-c", option, list) :
				      THERE("sha256sum", "-c", list);
	struct run *ours = option ? THERE(getenv("BATCHPROC"), "verify", "-k", option, list) :
				    THERE(getenv("BATCHPROC"), "verify", "-k", list);

	expect_exit(ours, theirs->status);
	expect_out(ours, theirs->out.data);
}

static void judged_alike_with_every_option(const char *list)
{
	static const char *const options[] = {"--ignore-missing", "--strict", NULL,
					      "--quiet",	  "--status", "--warn"};

	/* With a sanitizer a run takes long to begin; the last ones only print less or more. */
	for (size_t i = 0; i < (UNDER_TSAN || UNDER_ASAN ? 2 : COUNT_OF(options)); i++)
		judged_alike(list, options[i]);
}

static void keep_as(const char *name, const struct run *run)
{
	make_bytes(name, run->out.data, run->out.len);
}

static void lists_of_sha256sum_are_taken(struct test *t)
{
	fresh_dir(t);
	make_files();
	keep_as("plain", SH("cd files && sha256sum -- *"));
	keep_as("binary", SH("cd files && sha256sum -b -- *"));
	keep_as("tagged", SH("cd files && sha256sum --tag -- *"));
	judged_alike_with_every_option("../plain");
	judged_alike_with_every_option("../binary");
	judged_alike_with_every_option("../tagged");

	keep_as("zero", SH("cd files && sha256sum -z -- *"));
	expect_exit(THERE(getenv("BATCHPROC"), "verify", "-z", "--strict", "../zero"), 0);
}

static void odd_lists_are_judged_alike(struct test *t)
{
	static const char *const lists[] = {
		/* comments, rubbish, empty lines, DOS line ends, no last line end */
		"# comment\nrubbish\n" HELLO_SHA256 "  a\n\n\ndead  a\n",
		"\n\n# comment\n" HELLO_SHA256 "  a\n",
		HELLO_SHA256 "  a\r\n" HELLO_SHA256 "  b\r\n",
		"SHA256 (a) = " HELLO_SHA256 "\r\n",
		HELLO_SHA256 "  a",
		/* blanks, capitals, one blank, tabs */
		"   " HELLO_SHA256 "  a\n",
		"2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824 *a\n",
		HELLO_SHA256 " a\n",
		HELLO_SHA256 "\ta\n",
		"SHA256(a)= " HELLO_SHA256 "\n",
		/* too short, too long, nothing, comments alone */
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982  a\n",
		HELLO_SHA256 "4  a\n",
		"",
		"# nothing\n",
		HELLO_SHA256,
		HELLO_SHA256 " ",
		/* escapes: good, bad, at the end */
		"\\" HELLO_SHA256 "  new\\nline\n",
		HELLO_SHA256 "  back\\slash\n",
		/* another digest, a directory, no such file */
		HELLO_SHA256 "  b\n",
		HELLO_SHA256 "  .\n",
		HELLO_SHA256 "  missing\n" HELLO_SHA256 "  a\n",
		HELLO_SHA256 "  missing\n",
		HELLO_SHA256 "  missing\nrubbish\n" HELLO_SHA256 "  b\n",
		/* the first gap between digest and name is that of the list */
		HELLO_SHA256 " a\n" HELLO_SHA256 " *star\n" HELLO_SHA256 "  lead\n",
		HELLO_SHA256 "\ta\n" HELLO_SHA256 "\t*star\n" HELLO_SHA256 "\t lead\n",
		HELLO_SHA256 "  a\n" HELLO_SHA256 " a\n" HELLO_SHA256 " *a\n",
		/* prose that ends, or begins, with what might be a CRC */
		"Sums of 20261130\n" HELLO_SHA256 "  a\n",
		"20261130 sums\n" HELLO_SHA256 "  a\n",
		HELLO_SHA256 " *a\n" HELLO_SHA256 "   lead\n" HELLO_SHA256 "\ta\n",
	};

	fresh_dir(t);
	make_files();
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		make_file("list", lists[i]);
		judged_alike_with_every_option("../list");
	}
}

static void tampering_is_found(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_files();
	keep_as("list", THERE(getenv("BATCHPROC"), "hash", "-r", "."));
	make_file("files/b", "c");
	assert_int_equal(unlink("files/a") | mkdir("files/a", 0755), 0);
	judged_alike_with_every_option("../list");
	run = THERE(getenv("BATCHPROC"), "verify", "--quiet", "../list");
	expect_exit(run, 1);
	expect_says(run, "WARNING: 1 computed checksum did NOT match");
	expect_says(run, "WARNING: 1 listed file could not be read");
	expect_same(run, SH("printf './a: FAILED open or read\\n./b: FAILED\\n'"));
	run = THERE(getenv("BATCHPROC"), "verify", "--status", "../list");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
}

static void warnings_count_and_name_the_lines(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", HELLO_SHA256 "  a\nrubbish\n# fine\n\n12  a\n");
	run = BP("verify", "list");
	expect_exit(run, 0);
	expect_says(run, "WARNING: 2 lines are improperly formatted");
	run = BP("verify", "-w", "-a", "sha256", "list");
	expect_says(run, "list: 2: improperly formatted SHA256 checksum line\n");
	expect_says(run, "list: 5: improperly formatted SHA256 checksum line\n");
	expect_exit(BP("verify", "--strict", "list"), 1);
	run = BP("verify", "--status", "list");
	expect_exit(run, 0);
	expect_eq(run->out.len + run->err.len, 0);

	make_file("list", "rubbish\n");
	run = BP("verify", "list");
	expect_exit(run, 1);
	expect_says(run, "list: no properly formatted checksum lines found");
	/* As sha256sum: that says it all. */
	expect(!strstr(run->err.data, "WARNING"));
	make_file("list", HELLO_SHA256 "  missing\n");
	run = BP("verify", "--ignore-missing", "list");
	expect_exit(run, 1);
	expect_says(run, "list: no file was verified");
}

static void a_nul_within_a_line_is_no_name(struct test *t)
{
	static const char list[] = HELLO_SHA256 "  a\0b\n";
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_bytes("list", list, sizeof(list) - 1);
	run = BP("verify", "list");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
}

/* The entry has its record, its line and its share in the exit status, whatever else is well. */
static void what_cannot_be_checked_is_a_failure(struct test *t)
{
	static const char *const lines[] = {
		"SNEFRU-128 (b) = bdee67c258643765ac85389eccf8641f",
		"BLAKE3 (b) = ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f",
		"TTH   (b) = hghpjwcdkpf6b6bruzcbr4ybfjkbsskhe4mg53i",
		"SHA256 (b) = " HELLO_SHA256 " ",
		"SHA256 (b) = 2cf2",
		"SHA256 (b) = ",
		"SHA1(b)=",
		"BLAKE2b-25 (b) = 001122",
		"Some other digest (b) = " HELLO_SHA256,
		HELLO_SHA256 "00  b",
		"\\" HELLO_SHA256 "  b\\x",
	};
	struct text list = {0};
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "changed");
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		list.len = 0;
		text_printf(&list, HELLO_SHA256 "  a\n%s\n", lines[i]);
		make_file("list", list.data);
		run = BP("verify", "--failed-to", "again", "list");
		expect_exit(run, 1);
		expect(strstr(run->out.data, "FAILED not checked\n") != NULL);
		expect_says(run, "not checked: ");
		expect_says(run, "WARNING: 1 listed file could not be checked");
		run = BP("verify", "--status", "-q", "list");
		expect_exit(run, 1);
		expect_eq(run->out.len, 0);
		/* The line itself, for the next time. */
		expect_same(SH("cat again"), SH("printf '%s\\n' \"$1\"", lines[i]));
		/* Whoever wants one algorithm alone wants no other. */
		if (lines[i][0] == 'B' || lines[i][0] == 'T')
			expect_exit(BP("verify", "-a", "sha256", "list"), 0);
	}
	expect_says(BP("verify", "--json", "-v", "list"), "not checked: ");
	text_free(&list);
}

static void records_tell_verdicts_apart(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "other");
	make_dir("d");
	make_file("list", HELLO_SHA256 "  a\n" HELLO_SHA256 "  b\n" HELLO_SHA256
				       "  c\n" HELLO_SHA256 "  d\nTIGER (a) = " HELLO_MD5 "\n");
	run = BP("verify", "--json", "list");
	expect_exit(run, 1);
	for (size_t i = 0; i < 5; i++) {
		static const char *const verdicts[] = {"unchanged", "changed", "missing",
						       "unreadable", "unchecked"};
		char word[40];

		snprintf(word, sizeof(word), "\"verdict\":\"%s\"", verdicts[i]);
		expect_eq(text_count(&run->out, word), 1);
	}
}

/* A digest alone does not say which of the algorithms of its length it is of. */
static void another_algorithm_is_guessed(struct test *t)
{
	static const char *const others[] = {"blake2b",	 "xxh128", "blake2b-256", "sha3-224",
					     "sha3-384", "sm3",	   "sha512-256"};

	fresh_dir(t);
	make_file("a", "hello");
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		char hint[80];
		struct run *run;

		snprintf(hint, sizeof(hint),
			 "a: the digest does not match; it matches as %s: use -a %s\n", others[i],
			 others[i]);
		keep_as("list", BP("hash", "-a", others[i], "a"));
		run = BP("verify", "list");
		expect_exit(run, 1);
		expect_out(run, "a: FAILED\n");
		expect_says(run, hint);
		expect_exit(BP("verify", "-a", others[i], "list"), 0);
		run = BP("verify", "--status", "list");
		expect_eq(run->out.len + run->err.len, 0);
	}
	/* Nothing matches, nothing is said. */
	make_file("list", HELLO_SHA256 "  a\n");
	make_file("a", "hallo");
	expect(!strstr(BP("verify", "list")->err.data, "matches as"));
}

static void every_algorithm_is_known_by_tag_and_length(struct test *t)
{
	static const struct {
		const char *name;
		bool plain; /* it is what its length stands for, or its lines have a tag */
	} algs[] = {
		{"sha256", true},	{"sha1", true},	       {"md5", true},
		{"sha512", true},	{"sha224", true},      {"sha384", true},
		{"sha512-224", false},	{"sha512/256", false}, {"sha3-224", false},
		{"sha3-256", false},	{"SHA3-384", false},   {"sha3_512", false},
		{"sm3", false},		{"ripemd160", false},  {"blake2s", false},
		{"blake2b", false},	{"blake2b-8", true},   {"blake2b-256", false},
		{"blake2b-504", false}, {"xxh32", true},       {"xxh32-le", true},
		{"xxh64", true},	{"xxh64_le", true},    {"xxh3", true},
		{"xxh3-le", true},	{"xxh128", false},     {"xxh128-le", true},
		{"crc32", true},
	};

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "");
	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		const char *name = algs[i].name;

		keep_as("list", BP("hash", "-k", "-a", name, "a", "b"));
		expect_out(BP("verify", "-k", "-a", name, "list"), "a: OK\nb: OK\n");
		/* Two digits are no digest unless one says so, and 126 are none of any other. */
		if (strcmp(name, "blake2b-8"))
			expect_exit(BP("verify", "list"), !algs[i].plain);
		keep_as("tagged", BP("hash", "-k", "--tag", "-a", name, "a", "b"));
		expect_out(BP("verify", "-k", "tagged"), "a: OK\nb: OK\n");
		expect_exit(BP("verify", "-a", algs[(i + 1) % COUNT_OF(algs)].name, "tagged"), 1);
		keep_as("base64", BP("hash", "-k", "--tag", "--base64", "-a", name, "a", "b"));
		expect_out(BP("verify", "-k", "base64"), "a: OK\nb: OK\n");
		keep_as("base64", BP("hash", "-k", "--base64", "-a", name, "a", "b"));
		expect_out(BP("verify", "-k", "-a", name, "base64"), "a: OK\nb: OK\n");
	}
	/* All in one list. */
	make_file("mixed", HELLO_SHA256 "  a\n" HELLO_MD5 "  a\n"
					"MD5 (a) = " HELLO_MD5 "\n");
	expect_out(BP("verify", "-k", "mixed"), "a: OK\na: OK\na: OK\n");
	expect_exit(BP("hash", "-a", "sha2", "a"), 2);
	expect_exit(BP("hash", "-a", "blake3", "a"), 2);
	expect_exit(BP("hash", "-a", "blake2b-9", "a"), 2);
}

static void marks_and_nuls(struct test *t)
{
	static const char zero[] = HELLO_SHA256 "  a\0" HELLO_SHA256 "  a\0";
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", "\xef\xbb\xbf" HELLO_SHA256 "  a\r\n");
	expect_out(BP("verify", "--strict", "list"), "a: OK\n");
	make_bytes("list", zero, sizeof(zero) - 1);
	run = BP("verify", "list");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
	expect_says(run, "list: has NULs in its lines (-z reads lists whose lines end with NUL)");
	expect_out(BP("verify", "-z", "list"), "a: OK\na: OK\n");
}

static void status_is_all_that_tells(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", HELLO_SHA256 "  a\nrubbish\n");
	run = BP("verify", "--status", "-w", "list");
	expect_exit(run, 0);
	expect_eq(run->out.len + run->err.len, 0);
}

static void names_in_messages_differ_where_names_do(struct test *t)
{
	fresh_dir(t);
	expect_says(BP("hash", "tab\there"), "tab\\there: No such file");
	expect_says(BP("hash", "tab\\there"), "tab\\\\there: No such file");
}

static void several_lists_and_standard_input(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("one", HELLO_SHA256 "  a\n");
	make_file("two", HELLO_MD5 "  a\n");
	expect_out(BP("verify", "one", "two"), "a: OK\na: OK\n");
	expect_out(RUN(HOW(.input = HELLO_MD5 "  a\n"), "verify", "-"), "a: OK\n");
	expect_out(RUN(HOW(.input = "one\ntwo\n"), "verify", "-T", "-"), "a: OK\na: OK\n");
	expect_out(RUN(HOW(.input = "hello"), "verify", "two", "one"), "a: OK\na: OK\n");
	make_file("stdin", HELLO_SHA256 "  -\n");
	expect_out(RUN(HOW(.input = "hello"), "verify", "stdin"), "-: OK\n");

	run = BP("verify", "nosuch", "one");
	expect_exit(run, 1);
	expect_out(run, "a: OK\n");
	expect_says(run, "nosuch: No such file");
	run = BP("verify", ".");
	expect_exit(run, 1);
	expect_says(run, ".: Is a directory");
	run = RUN(HOW(.input = ""), "verify", "-", "-");
	expect_exit(run, 1);
}

static void records_tell_what_was_expected(struct test *t)
{
	const struct records *records;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "other");
	make_file("list", HELLO_SHA256 "  a\n" HELLO_SHA256 "  b\n" HELLO_SHA256 "  c\n");
	records = expect_records(BP("verify", "--json", "list"), 3);
	expect_eq(records->ok, 1);
	expect_eq(records->failed, 2);
	if (record_of(records, "b"))
		expect_eq(strcmp(record_of(records, "b")->error_name, "EBADMSG"), 0);
	records = expect_records(BP("verify", "--json", "--ignore-missing", "list"), 3);
	expect_eq(records->skipped, 1);
	expect_records(BP("verify", "--json", "nosuch", "list", "."), 5);
}

/* The lines of what is not as it should be, as a list for the next time. */
static void failed_lines_come_back_as_a_list(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("new\nline", "other");
	make_file("list", HELLO_SHA256 "  a\n\\" HELLO_SHA256 "  new\\nline\n" HELLO_MD5 "  c\n");
	expect_exit(BP("verify", "--failed-to", "failed", "list"), 1);
	expect_same(SH("cat failed"),
		    SH("printf '%s\\n' \"$1\" \"$2\"", "\\SHA256 (new\\nline) = " HELLO_SHA256,
		       "MD5 (c) = " HELLO_MD5));
	make_file("new\nline", "hello");
	make_file("c", "hello");
	run = BP("verify", "--strict", "failed");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, ": OK\n"), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(lists_of_sha256sum_are_taken),
		ONCE(odd_lists_are_judged_alike),
		ONCE(tampering_is_found),
		ONCE(warnings_count_and_name_the_lines),
		ONCE(a_nul_within_a_line_is_no_name),
		ONCE(what_cannot_be_checked_is_a_failure),
		ONCE(records_tell_verdicts_apart),
		ONCE(another_algorithm_is_guessed),
		ONCE(marks_and_nuls),
		ONCE(status_is_all_that_tells),
		ONCE(names_in_messages_differ_where_names_do),
		ONCE(every_algorithm_is_known_by_tag_and_length),
		ONCE(several_lists_and_standard_input),
		ONCE(records_tell_what_was_expected),
		ONCE(failed_lines_come_back_as_a_list),
	};

	return RUN_CASES(argc, argv, cases);
}
