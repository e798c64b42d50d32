/* SPDX-License-Identifier: MIT */
/*
 * test_words - a line of words is taken apart as sh does it, and what sh would expand is refused
 */
#include "support/harness.h"
#include "cli/words.h"

/* The words of a line, each in brackets; or what is wrong with it. */
static char *split(const char *line, size_t len)
{
	static struct words words;
	static struct buf shown;
	struct buf error = {0};
	enum words_found found;

	shown.len = 0;
	words_begin(&words, line, len);
	while ((found = words_next(&words, &error)) == WORDS_WORD)
		buf_printf(&shown, "[%s]", words.word.data);
	if (found == WORDS_BAD) {
		shown.len = 0;
		buf_add(&shown, error.data, error.len);
	}
	buf_char(&shown, '\0');
	buf_free(&error);
	return shown.data;
}

static void expect_split_(const char *line, size_t len, const char *expected, int at)
{
	const char *got = split(line, len);

	if (strcmp(got, expected))
		record_failure("line %d: %s became %s instead of %s\n", at, line, got, expected);
}

#define EXPECT_SPLIT(line, expected) expect_split_(line, strlen(line), expected, __LINE__)

/* What is wrong is said, and where: the text has @word in it. */
static void expect_refused_(const char *line, size_t len, const char *word, int at)
{
	const char *got = split(line, len);

	if (!strstr(got, word))
		record_failure("line %d: %s became %s, not %s\n", at, line, got, word);
}

#define EXPECT_REFUSED(line, word) expect_refused_(line, strlen(line), word, __LINE__)

static void blanks_separate_words(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("copy a b", "[copy][a][b]");
	EXPECT_SPLIT(" \t copy\ta   b \t", "[copy][a][b]");
	EXPECT_SPLIT("", "");
	EXPECT_SPLIT(" \t ", "");
	EXPECT_SPLIT("a", "[a]");
	EXPECT_SPLIT("-a=b %c@d:e,f+g^h!i]j}", "[-a=b][%c@d:e,f+g^h!i]j}]");
	EXPECT_SPLIT("\xff\xfe\r\x01", "[\xff\xfe\r\x01]");
}

static void quotes_keep_what_is_in_them(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("'a b' \"c d\" e\\ f", "[a b][c d][e f]");
	EXPECT_SPLIT("a'b'\"c\"\\d", "[abcd]");
	EXPECT_SPLIT("'' \"\" a''", "[][][a]");
	EXPECT_SPLIT("'*?[{$`~|&;<>()#\\' ", "[*?[{$`~|&;<>()#\\]");
	EXPECT_SPLIT("\"*?[{~|&;<>()#'\"", "[*?[{~|&;<>()#']");
	EXPECT_SPLIT("\\*\\?\\[\\{\\$\\`\\~\\|\\&\\;\\<\\>\\(\\)\\#\\\\\\'\\\"",
		     "[*?[{$`~|&;<>()#\\'\"]");
	EXPECT_SPLIT("'it'\\''s'", "[it's]");
}

static void in_double_quotes_a_backslash_quotes_only_what_is_special(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("\"\\$\\`\\\"\\\\\"", "[$`\"\\]");
	EXPECT_SPLIT("\"\\a\\n\\'\"", "[\\a\\n\\']");
	EXPECT_REFUSED("\"$HOME\"", "unquoted $");
	EXPECT_REFUSED("\"`date`\"", "unquoted `");
	EXPECT_REFUSED("\"a\\", "not closed");
}

/* As printf %q of bash writes odd names. */
static void dollar_quotes_name_characters(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("$'a\\nb' c", "[a\nb][c]");
	EXPECT_SPLIT("$'\\a\\b\\e\\f\\n\\r\\t\\v\\\\\\'\\\"\\?'", "[\a\b\033\f\n\r\t\v\\'\"?]");
	EXPECT_SPLIT("$'\\E[m'", "[\033[m]");
	EXPECT_SPLIT("$'\\377\\1019\\x41g\\xe4'", "[\377A9Ag\xe4]");
	EXPECT_SPLIT("x$'y'z", "[xyz]");
	EXPECT_REFUSED("$'\\q'", "not known");
	EXPECT_REFUSED("$'\\xg'", "without a number");
	EXPECT_REFUSED("$'\\400'", "above 377");
	EXPECT_REFUSED("$'\\0'", "NUL");
	EXPECT_REFUSED("$'\\x00'", "NUL");
	EXPECT_REFUSED("$'a", "not closed");
	EXPECT_REFUSED("$'a\\", "not closed");
	EXPECT_REFUSED("$\"a\"", "unquoted $");
}

static void a_comment_begins_where_a_word_could(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("# copy a b", "");
	EXPECT_REFUSED("a # b\ncopy", "a newline in a comment (column 6)");
	EXPECT_SPLIT("copy a b # why, and it's *", "[copy][a][b]");
	EXPECT_SPLIT("copy a#b '#c' \\#d", "[copy][a#b][#c][#d]");
}

static void what_a_shell_would_expand_is_refused(struct test *t)
{
	static const char special[] = "*?[{$`|&;<>()";
	char line[] = "copy a? b", named[] = "unquoted ?";

	(void)t;
	for (const char *c = special; *c; c++) {
		line[6] = *c;
		named[9] = *c;
		EXPECT_REFUSED(line, named);
		EXPECT_REFUSED(line, "column 7");
	}
	EXPECT_REFUSED("rm ~/x", "unquoted ~");
	EXPECT_SPLIT("rm a~ b/~c", "[rm][a~][b/~c]");
}

static void what_is_not_complete_is_refused(struct test *t)
{
	(void)t;
	EXPECT_REFUSED("copy 'a b", "single quote that is not closed (column 6)");
	EXPECT_REFUSED("copy \"a b", "double quote that is not closed (column 6)");
	EXPECT_REFUSED("copy a \\", "backslash at the end");
	expect_refused_("copy a\0b", 8, "NUL", __LINE__);
	expect_refused_("copy 'a\0b'", 10, "NUL", __LINE__);
	expect_refused_("copy \\\0", 7, "NUL", __LINE__);
}

/* Where jobs are separated by NULs. */
static void a_newline_has_to_be_quoted(struct test *t)
{
	(void)t;
	EXPECT_SPLIT("copy 'a\nb' \"c\nd\"", "[copy][a\nb][c\nd]");
	EXPECT_SPLIT("copy a\\\nb \"c\\\nd\"", "[copy][ab][cd]");
	EXPECT_REFUSED("copy a\nb", "unquoted \\n");
}

static void a_word_may_have_any_length(struct test *t)
{
	const size_t size = 5000000;
	char *line = malloc(size + 1);
	struct words words = {0};
	struct buf error = {0};
	size_t count = 0;

	(void)t;
	assert_non_null(line);
	memset(line, 'x', size);
	memcpy(line, "a ", 2);
	line[size] = '\0';
	words_begin(&words, line, size);
	expect_eq(words_next(&words, &error), WORDS_WORD);
	expect_eq(words_next(&words, &error), WORDS_WORD);
	expect_eq(strlen(words.word.data), size - 2);
	expect_eq(words_next(&words, &error), WORDS_END);
	for (size_t i = 1; i < size; i += 2)
		line[i] = ' ';
	words_begin(&words, line, size);
	while (words_next(&words, &error) == WORDS_WORD)
		count++;
	expect_eq(count, size / 2);
	/* What the long one took is not kept. */
	expect_between(words.word.cap, 1, 100000);
	words_free(&words);
	buf_free(&error);
	free(line);
}

/* The shell itself is asked. */
static void sh_takes_the_same_words(struct test *t)
{
	static const char *const lines[] = {
		"a b  c",     "'a b'\"c d\"", "a\\ b \\\\ \\'", "\"a\\b\\\\c\\\"d\\$e\\`f\"",
		"'' \"\"",    "a#b c #d",     "\\#a '#'",	"x'y'\"z\"w",
		"\"'\" '\"'", "a~",
	};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		char command[256], answer[256];
		size_t len;
		FILE *sh;

		snprintf(command, sizeof(command), "printf '[%%s]' %s", lines[i]);
		sh = popen(command, "r");
		assert_non_null(sh);
		len = fread(answer, 1, sizeof(answer) - 1, sh);
		answer[len] = '\0';
		expect_eq(pclose(sh), 0);
		EXPECT_SPLIT(lines[i], answer);
	}
}

static const struct test_case cases[] = {
	ONCE(blanks_separate_words),
	ONCE(quotes_keep_what_is_in_them),
	ONCE(in_double_quotes_a_backslash_quotes_only_what_is_special),
	ONCE(dollar_quotes_name_characters),
	ONCE(a_comment_begins_where_a_word_could),
	ONCE(what_a_shell_would_expand_is_refused),
	ONCE(what_is_not_complete_is_refused),
	ONCE(a_newline_has_to_be_quoted),
	ONCE(a_word_may_have_any_length),
	ONCE(sh_takes_the_same_words),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
