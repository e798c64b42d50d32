/* SPDX-License-Identifier: MIT */
/*
 * test_manifest - lines of a manifest become jobs, or say what is wrong with them
 *
 * The verbs are those of fuzz/verbs.c.
 */
#include "support/harness.h"
#include "cli/manifest.h"
#include "verb.h"

static struct manifest_job job;

/* A job in one form, whichever it came in; "nothing"; or what is wrong. */
static const char *parsed(const char *line, size_t len)
{
	static struct buf shown;
	const char *operand;

	shown.len = 0;
	switch (manifest_parse(&job, line, len)) {
	case MANIFEST_NOTHING:
		buf_str(&shown, "nothing");
		break;
	case MANIFEST_BAD:
		buf_str(&shown, job.error.data);
		break;
	case MANIFEST_JOB:
		buf_str(&shown, job.verb->name);
		while ((operand = manifest_next(&job)))
			buf_printf(&shown, " %s", operand);
		manifest_add_options(&job, &shown);
		break;
	}
	buf_char(&shown, '\0');
	return shown.data;
}

static void expect_job_(const char *line, size_t len, const char *expected, int at)
{
	const char *got = parsed(line, len);

	if (strcmp(got, expected))
		record_failure("line %d: %s became %s instead of %s\n", at, line, got, expected);
}

#define EXPECT_JOB(line, expected) expect_job_(line, strlen(line), expected, __LINE__)

static void expect_bad_(const char *line, size_t len, const char *word, int at)
{
	enum manifest_line kind = manifest_parse(&job, line, len);

	if (kind != MANIFEST_BAD || !strstr(job.error.data, word))
		record_failure("line %d: %s: error is '%s', not '%s'\n", at, line,
			       kind == MANIFEST_BAD ? job.error.data : "none", word);
}

#define EXPECT_BAD(line, word) expect_bad_(line, strlen(line), word, __LINE__)

static void empty_lines_and_comments_are_no_jobs(struct test *t)
{
	(void)t;
	EXPECT_JOB("", "nothing");
	EXPECT_JOB(" \t", "nothing");
	EXPECT_JOB("# copy * {\"", "nothing");
	EXPECT_JOB("  #", "nothing");
}

static void words_are_a_verb_its_options_and_operands(struct test *t)
{
	(void)t;
	EXPECT_JOB("copy a b", "copy a b");
	EXPECT_JOB("hash a b c", "hash a b c");
	EXPECT_JOB("copy -r 'a b' c # comment", "copy a b c,\"recursive\":true");
	EXPECT_JOB("\"copy\" a b", "copy a b");
	EXPECT_JOB("hash -", "hash -");
	EXPECT_JOB("hash", "hash");
}

static void options_are_taken_as_getopt_takes_them(struct test *t)
{
	(void)t;
	EXPECT_JOB("hash -a md5 x", "hash x,\"algorithm\":\"md5\"");
	EXPECT_JOB("hash -amd5 x", "hash x,\"algorithm\":\"md5\"");
	EXPECT_JOB("hash x --algorithm md5", "hash x,\"algorithm\":\"md5\"");
	EXPECT_JOB("hash x --algorithm=md5 y", "hash x y,\"algorithm\":\"md5\"");
	EXPECT_JOB("hash --alg=md5 x", "hash x,\"algorithm\":\"md5\"");
	EXPECT_JOB("hash -ramd5 --tag x",
		   "hash x,\"recursive\":true,\"algorithm\":\"md5\",\"tag\":true");
	EXPECT_JOB("hash --header= --header a=b -a -- x",
		   "hash x,\"header\":[\"\",\"a=b\"],\"algorithm\":\"--\"");
	EXPECT_JOB("hash -r -r x", "hash x,\"recursive\":true");
	EXPECT_JOB("copy -rR -R --rec a b", "copy a b,\"recursive\":true");
	EXPECT_JOB("copy -ra -- -a -- --x", "copy -a -- --x,\"recursive\":true,\"archive\":true");
}

static void a_wrong_option_is_named(struct test *t)
{
	(void)t;
	EXPECT_BAD("copy --tag a b", "'--tag' is not an option of copy");
	EXPECT_BAD("copy -x a b", "'-x' is not an option of copy");
	EXPECT_BAD("copy -rx a b", "'-x' is not an option of copy");
	EXPECT_BAD("hash -j 4 a", "'-j' is an option for the whole run");
	EXPECT_BAD("hash --halt=never a", "'--halt' is an option for the whole run");
	EXPECT_BAD("hash --json a", "'--json' is an option for the whole run");
	EXPECT_BAD("hash --help", "'--help' is an option for the whole run");
	EXPECT_BAD("copy --re a b", "'--re' is short for more than one option of copy");
	EXPECT_BAD("hash a -a", "'-a' needs an argument");
	EXPECT_BAD("hash a --algorithm", "'--algorithm' needs an argument");
	EXPECT_BAD("copy a b --recursive=yes", "'--recursive' takes no argument");
	EXPECT_BAD("hash -\xff", "'-\\377' is not an option of hash");
	EXPECT_BAD("copy --=x a", "'--' is short for");
}

static void an_operation_has_to_be_one(struct test *t)
{
	(void)t;
	EXPECT_BAD("cpy a b", "'cpy' is not an operation; there are hash, copy");
	EXPECT_BAD("info", "'info' is not an operation");
	EXPECT_BAD("'' a", "'' is not an operation");
	EXPECT_BAD("-r copy a b", "'-r' is not an operation");
	EXPECT_BAD("{\"op\":\"info\",\"src\":\"a\"}", "'info' is not an operation");
	EXPECT_BAD("{\"src\":\"a\"}", "no \"op\"");
	EXPECT_BAD("{\"op\":1}", "no \"op\"");
	EXPECT_BAD("{}", "no \"op\"");
}

static void a_name_is_not_empty(struct test *t)
{
	(void)t;
	EXPECT_BAD("hash ''", "an empty name");
	EXPECT_BAD("copy a \"\"", "an empty name");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"\"}", "an empty name");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"\"}}", "an empty name");
}

static void json_has_source_and_destination(struct test *t)
{
	(void)t;
	EXPECT_JOB("{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"b\"}", "copy a b");
	EXPECT_JOB("{\"op\":\"fetch\",\"url\":\"http://a/\",\"dst\":\"b\"}", "fetch http://a/ b");
	EXPECT_JOB(" \t{ \"dst\" : \"b\", \"src\" : \"a\", \"op\" : \"copy\" } \r", "copy a b");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"*$(x)\\u00e4\\n\"}", "hash *$(x)\u00e4\n");
	EXPECT_JOB("{\"op\":\"copy\",\"src\":\"a\"}", "copy a");
	EXPECT_BAD("{\"op\":\"copy\",\"dst\":\"a\"}", "'src' is missing");
	EXPECT_BAD("{\"op\":\"fetch\",\"src\":\"http://a/\"}", "'url' is missing");
	EXPECT_BAD("{\"op\":\"copy\",\"url\":\"a\"}", "'src' is missing");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"a\",\"dst\":\"b\"}",
		   "'dst' is not an option of hash");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":[\"a\"]}", "'src' is neither text nor");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":7}", "'src' is neither text nor");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":null}", "'src' is neither text nor");
}

/* A job may name a directory to copy into; a record has the name that the copy got in it. */
static void the_destination_of_a_record_is_exact(struct test *t)
{
	(void)t;
	EXPECT_JOB("copy a b", "copy a b");
	expect(!job.exact);
	EXPECT_JOB("{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"b\"}", "copy a b");
	expect(!job.exact);
	EXPECT_JOB("{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"b\",\"status\":\"failed\"}",
		   "copy a b");
	expect(job.exact);
}

static void json_has_long_options_as_keys(struct test *t)
{
	(void)t;
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"algorithm\":\"md5\",\"recursive\":true}",
		   "hash x,\"algorithm\":\"md5\",\"recursive\":true");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"recursive\":false}", "hash x");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"header\":[\"a\",\"b\",3]}",
		   "hash x,\"header\":[\"a\",\"b\",\"3\"]");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"header\":[]}", "hash x");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"header\":-12}", "hash x,\"header\":\"-12\"");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":\"x\",\"header\":{\"base64\":\"/w==\"}}",
		   "hash x,\"header\":{\"base64\":\"/w==\"}");
	EXPECT_BAD("{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"b\",\"recursiv3\":true}",
		   "'recursiv3' is not an option of copy");
	EXPECT_BAD("{\"op\":\"copy\",\"src\":\"a\",\"dst\":\"b\",\"status\":\"x\",\"-r\":true}x",
		   "not JSON");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"a\":\"md5\"}", "'a' is not an option of hash");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"algo\":\"md5\"}",
		   "'algo' is not an option of hash");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"jobs\":4}",
		   "'jobs' is an option for the whole");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"recursive\":1}",
		   "'recursive' is neither true");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"algorithm\":true}", "'algorithm' is neither");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"algorithm\":1.5}", "'algorithm' is neither");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"x\",\"algorithm\":[[]]}", "'algorithm' is neither");
}

static void what_is_not_json_is_refused(struct test *t)
{
	static const char deep[] = "{\"op\":{\"op\":{\"op\":";
	struct buf line = {0};

	(void)t;
	EXPECT_BAD("{", "not JSON");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"a\"} x", "not JSON");
	EXPECT_BAD("{'op':'hash'}", "not JSON");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"a\",\"src\":\"b\"}", "duplicate");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"\xff\"}", "not JSON");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"a\\u0000b\"}", "not JSON");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":\"a\",\"algorithm\":99999999999999999999}",
		   "not JSON");
	for (int i = 0; i < 50000; i++)
		buf_str(&line, deep);
	expect_bad_(line.data, line.len, "not JSON", __LINE__);
	buf_free(&line);
}

static void names_of_any_bytes_stand_in_base64(struct test *t)
{
	(void)t;
	EXPECT_JOB("{\"op\":\"copy\",\"src\":{\"base64\":\"Yf9i\"},\"dst\":{\"base64\":\"YQ==\"}}",
		   "copy a\xff"
		   "b a");
	EXPECT_JOB("{\"op\":\"hash\",\"src\":{\"base64\":\"YWI=\"}}", "hash ab");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"YWI\"}}", "'src' is not in base64");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"Y===\"}}", "'src' is not in base64");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"YQ=a\"}}", "'src' is not in base64");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"Y Q=\"}}", "'src' is not in base64");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"YQBi\"}}", "'src' has a NUL");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":1}}", "'src' is neither");
	EXPECT_BAD("{\"op\":\"hash\",\"src\":{\"base64\":\"YQ==\",\"x\":1}}", "'src' is neither");
}

static void a_record_is_a_job(struct test *t)
{
	(void)t;
	EXPECT_JOB("{\"v\":1,\"seq\":17,\"op\":\"copy\",\"src\":\"a\",\"status\":\"failed\","
		   "\"errno\":\"ENOENT\",\"error\":\"No such file or directory\",\"dst\":\"b\","
		   "\"bytes\":0,\"attempts\":1,\"start\":\"2026-01-02T03:04:05.678Z\","
		   "\"dur_us\":412,\"new\":{\"field\":[]}}",
		   "copy a b");
	/* A field that is named as an option can be shortened says how it was done. */
	EXPECT_JOB("{\"v\":1,\"seq\":1,\"op\":\"hash\",\"src\":\"a\",\"status\":\"failed\","
		   "\"alg\":\"md5\",\"digest\":\"00\"}",
		   "hash a,\"algorithm\":\"md5\"");
	EXPECT_JOB("{\"v\":1,\"summary\":true,\"op\":\"run\",\"items\":3}", "nothing");
	EXPECT_BAD("{\"v\":1,\"op\":\"hash\",\"src\":\"a\"}", "'v' is not an option of hash");
}

static void a_nul_is_never_part_of_a_line(struct test *t)
{
	(void)t;
	expect_bad_("hash a\0b", 8, "has a NUL", __LINE__);
	expect_bad_("# \0", 3, "has a NUL", __LINE__);
	expect_bad_("{\"op\":\"hash\",\"src\":\"a\"}\0", 24, "has a NUL", __LINE__);
}

/* A message is for a terminal, and of bearable length, whatever stands in the line. */
static void messages_show_what_is_visible(struct test *t)
{
	struct buf line = {0};

	(void)t;
	EXPECT_BAD("'\033[2J' a", "\\033[2J");
	EXPECT_BAD("{\"op\":\"\\u001b\"}", "\\033");
	EXPECT_BAD("{\"op\":\033}", "not JSON");
	expect(!strchr(job.error.data, '\033'));
	for (int i = 0; i < 100000; i++)
		buf_char(&line, 'x');
	expect_bad_(line.data, line.len, "...' is not an operation", __LINE__);
	expect(job.error.len < 200);
	buf_free(&line);
}

/* Operands are taken from the line once more: options between them do not come again. */
static void operands_are_read_a_second_time(struct test *t)
{
	static const char line[] = "copy -r 'a b' --hash md5 c$'\\n'd -- -x";
	struct buf options[2] = {{0}};

	(void)t;
	expect_eq(manifest_parse(&job, line, strlen(line)), MANIFEST_JOB);
	expect_eq(job.count, 3);
	expect_eq(strcmp(job.last.data, "-x"), 0);
	manifest_add_options(&job, &options[0]);
	expect_eq(strcmp(manifest_next(&job), "a b"), 0);
	expect_eq(strcmp(manifest_next(&job), "c\nd"), 0);
	expect_eq(strcmp(manifest_next(&job), "-x"), 0);
	expect(!manifest_next(&job));
	manifest_add_options(&job, &options[1]);
	expect_eq(options[0].len, options[1].len);
	expect_eq(memcmp(options[0].data, options[1].data, options[0].len), 0);
	buf_free(&options[0]);
	buf_free(&options[1]);
}

/* What no job needs is refused before it costs memory. */
static void options_have_a_bound(struct test *t)
{
	struct buf line = {0};

	(void)t;
	buf_str(&line, "copy a b");
	for (int i = 0; i < 256; i++)
		buf_str(&line, " -r");
	expect_eq(manifest_parse(&job, line.data, line.len), MANIFEST_JOB);
	buf_str(&line, " -r");
	expect_bad_(line.data, line.len, "more options than any job needs", __LINE__);
	buf_free(&line);
}

static void json_may_be_as_long_as_one_likes(struct test *t)
{
	struct buf line = {0};

	(void)t;
	buf_str(&line, "{\"op\":\"hash\",\"src\":\"");
	while (line.len < 8u << 20)
		buf_char(&line, 'x');
	buf_str(&line, "\"}");
	expect_eq(manifest_parse(&job, line.data, line.len), MANIFEST_JOB);
	buf_free(&line);
}

static void free_the_job(struct test *t)
{
	(void)t;
	manifest_free(&job);
	expect(!job.words.word.data && !job.text.data && !job.last.data && !job.json);
}

static const struct test_case cases[] = {
	ONCE(empty_lines_and_comments_are_no_jobs),
	ONCE(words_are_a_verb_its_options_and_operands),
	ONCE(options_are_taken_as_getopt_takes_them),
	ONCE(a_wrong_option_is_named),
	ONCE(an_operation_has_to_be_one),
	ONCE(a_name_is_not_empty),
	ONCE(json_has_source_and_destination),
	ONCE(the_destination_of_a_record_is_exact),
	ONCE(json_has_long_options_as_keys),
	ONCE(what_is_not_json_is_refused),
	ONCE(names_of_any_bytes_stand_in_base64),
	ONCE(a_record_is_a_job),
	ONCE(a_nul_is_never_part_of_a_line),
	ONCE(messages_show_what_is_visible),
	ONCE(operands_are_read_a_second_time),
	ONCE(options_have_a_bound),
	ONCE(json_may_be_as_long_as_one_likes),
	ONCE(free_the_job),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
