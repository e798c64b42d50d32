/* SPDX-License-Identifier: MIT */
/*
 * cmd_lists - lists of digests between the command and the tools that have such lists, both ways
 *
 * For every tool and every kind of name: verify takes the list that the tool writes, and the tool
 * takes what hash writes. What comes of it is the table of docs/digest-lists.md, a row for each;
 * where the tool is of another version than the row says, the row is not compared. With WRITE_TABLE
 * set in the environment the table is printed instead.
 */
#include <sys/stat.h>

#include "support/cmd.h"

static const struct {
	const char *says, *name;
} kinds[] = {
	{"plain", "plain"},	      {"newline", "new\nline"},	    {"backslash", "back\\slash"},
	{"blank in front", " front"}, {"blank at the end", "end "}, {"star", "*star"},
	{"tab", "tab\tbed"},	      {"percent", "per%41cent"},    {"comma", "com,ma"},
	{"bracket", "p) = q("},
};

static const struct {
	const char *tool;
	const char *version; /* prints it */
	const char *write; /* a list of the file $1, or NULL */
	const char *check; /* "$2", a list of ours, or NULL */
	const char *hash; /* options of ours */
	const char *verify;
} rows[] = {
#define COREUTILS(tool, options, ours, theirs)                                                     \
	{                                                                                          \
		tool options, tool " --version", tool options " -- \"$1\"",                        \
			tool " -c --status \"$2\"", ours, theirs                                   \
	}
	COREUTILS("sha256sum", "", "", ""),
	COREUTILS("sha256sum", " -b", "", ""),
	COREUTILS("sha256sum", " --tag", "--tag", ""),
	COREUTILS("md5sum", "", "-a md5", ""),
	COREUTILS("sha1sum", " --tag", "-a sha1 --tag", ""),
	COREUTILS("sha224sum", "", "-a sha224", ""),
	COREUTILS("sha384sum", "", "-a sha384", ""),
	COREUTILS("sha512sum", "", "-a sha512", ""),
	COREUTILS("b2sum", "", "-a blake2b", "-a blake2b"),
	COREUTILS("b2sum", " --tag", "-a blake2b --tag", ""),
	{"b2sum -l 256", "b2sum --version", "b2sum -l 256 -- \"$1\"", "b2sum -c --status \"$2\"",
	 "-a blake2b-256", "-a blake2b-256"},
	{"cksum -a blake2b -l 128", "cksum --version", "cksum -a blake2b -l 128 -- \"$1\"",
	 "cksum -c --status \"$2\"", "-a blake2b-128 --tag", ""},
	{"cksum -a sm3", "cksum --version", "cksum -a sm3 -- \"$1\"", "cksum -c --status \"$2\"",
	 "-a sm3 --tag", ""},
	{"shasum -a 512256", "shasum --version", "shasum -a 512256 -- \"$1\"",
	 "shasum -c --status \"$2\"", "-a sha512-256 --tag", "-a sha512-256"},
	{"shasum --tag -a 512224", "shasum --version", "shasum --tag -a 512224 -- \"$1\"",
	 "shasum -c --status \"$2\"", "-a sha512-224 --tag", ""},
#define OPENSSL(name)                                                                              \
	{                                                                                          \
		"openssl dgst -" name, "openssl version", "openssl dgst -" name " \"$1\"", NULL,   \
			NULL, ""                                                                   \
	}
	OPENSSL("sha256"),
	OPENSSL("sha512-256"),
	OPENSSL("sha3-384"),
	OPENSSL("blake2b512"),
	OPENSSL("sha1 -c"),
	OPENSSL("md5 -r"),
#define XXHSUM(options, ours, theirs)                                                              \
	{                                                                                          \
		"xxhsum" options, "xxhsum --version 2>&1", "xxhsum" options " -- \"$1\"",          \
			"xxhsum -c --status \"$2\"", ours, theirs                                  \
	}
	XXHSUM(" -H0", "-a xxh32", ""),
	XXHSUM(" -H1", "-a xxh64", ""),
	XXHSUM(" -H2", "-a xxh128", "-a xxh128"),
	XXHSUM(" -H3", "-a xxh3", ""),
	XXHSUM(" -H1 --tag", "-a xxh64 --tag", ""),
	XXHSUM(" -H2 --tag --little-endian", "-a xxh128-le", ""),
#define RHASH(options, ours)                                                                       \
	{                                                                                          \
		"rhash" options, "rhash --version", "rhash" options " -- \"$1\"",                  \
			"rhash --skip-ok -c \"$2\" >out && ! grep -q ERR out", ours, ""            \
	}
	RHASH(" --bsd --md5", "-a md5 --tag"),
	RHASH(" --bsd --sha3-256", "-a sha3-256 --tag"),
	RHASH(" --bsd --blake2s", "-a blake2s --tag"),
	RHASH(" --sfv", "--format sfv"),
	{"hashdeep -l", "hashdeep -V", "hashdeep -l -- \"$1\"",
	 "hashdeep -l -a -k \"$2\" -- \"$1\"", "--format hashdeep", ""},
	{"hashdeep -l -c md5,sha1", "hashdeep -V", "hashdeep -l -c md5,sha1 -- \"$1\"",
	 "hashdeep -l -a -k \"$2\" -- \"$1\"", "--format hashdeep -a sha1", ""},
	{"mtree -c -k sha256", "dpkg-query -W mtree-netbsd | tr - .",
	 "mtree -c -k type,size,mode,link,sha256 -p .", "mtree -f \"$2\" -p .", "--format mtree",
	 ""},
	{"mtree -c -k rmd160", "dpkg-query -W mtree-netbsd | tr - .",
	 "mtree -c -k type,rmd160 -p .", "mtree -f \"$2\" -p .", "--format mtree -a ripemd160", ""},
	{"bsdtar --format=mtree", "bsdtar --version",
	 "bsdtar --format=mtree --options=mtree:sha256,mtree:md5 -cf - -- \"$1\"", NULL, NULL, ""},
	{"bsdtar --format=mtree ..use-set", "bsdtar --version",
	 "bsdtar --format=mtree --options=mtree:sha512,mtree:use-set,mtree:indent -cf - -- \"$1\"",
	 NULL, NULL, ""},
	{"9base's sha1sum", "dpkg-query -W 9base | tr : .", "/usr/lib/plan9/bin/sha1sum \"$1\"",
	 NULL, NULL, ""},
	{"b3sum", "b3sum --version", "b3sum -- \"$1\"", NULL, NULL, ""},
};

/* The first number with a dot in what the tool says of itself. */
static const char *version_of(size_t row, char *version, size_t size)
{
	struct run *run = SH("set +e; eval \"$1\" | grep -Eo '[0-9]+(\\.[0-9]+)+' | head -n 1",
			     rows[row].version);
	size_t len = strcspn(run->out.data, "\n");

	snprintf(version, size, "%.*s", (int)len, run->out.data);
	return version;
}

static bool theirs_to_us(size_t row, const char *name)
{
	return !SH("eval \"$3\" >\"$2\" && exec \"$BATCHPROC\" verify --loops 1 --strict --status $4 \"$2\"",
		   name, "../theirs", rows[row].write, rows[row].verify)
			->status;
}

static bool ours_to_them(size_t row, const char *name)
{
	return !SH("\"$BATCHPROC\" hash --loops 1 $3 -- \"$1\" >\"$2\" && eval \"$4\" >/dev/null 2>&1",
		   name, "../ours", rows[row].hash, rows[row].check)
			->status;
}

/* What does not go; and whether a file that has changed is seen, without which nothing is shown. */
static void add_cell(struct text *line, size_t row, bool (*goes)(size_t row, const char *name))
{
	size_t failed = 0;

	text_printf(line, " |");
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		make_file(kinds[i].name, "hello");
		if (!goes(row, kinds[i].name))
			text_printf(line, failed++ ? ", %s" : " all but %s", kinds[i].says);
		assert_int_equal(unlink(kinds[i].name), 0);
	}
	if (!failed)
		text_printf(line, " all");
	if (failed == COUNT_OF(kinds)) {
		line->len -= strlen(strstr(line->data, " all but "));
		text_printf(line, " none");
	}
}

static void add_row(struct text *line, size_t row, const char *version)
{
	text_printf(line, "| `%s` %s | %s%s%s", rows[row].tool, version, rows[row].hash ? "`" : "",
		    !rows[row].hash ? "-" :
		    *rows[row].hash ? rows[row].hash :
				      "hash",
		    rows[row].hash ? "`" : "");
	add_cell(line, row, theirs_to_us);
	if (rows[row].check)
		add_cell(line, row, ours_to_them);
	else
		text_printf(line, " | reads none");
	text_printf(line, " |");
}

/* Read before a test changes the working directory. */
static char *page;

static void read_page(void)
{
	FILE *file = fopen("docs/digest-lists.md", "r");
	struct text text = {0};
	char block[4096];
	size_t n;

	while (file && (n = fread(block, 1, sizeof(block), file)) > 0)
		text_add(&text, block, n);
	if (file)
		fclose(file);
	page = text.data;
}

#define SHARES 5 /* each a test of its own */

/* Every SHARES'th row, from one on. */
static void rows_hold(struct test *t, size_t share)
{
	const bool writes = getenv("WRITE_TABLE") != NULL;
	struct text line = {0}, mark = {0};

	assert_non_null(page);
	fresh_dir(t);
	make_dir("files");
	assert_int_equal(chdir("files"), 0);
	for (size_t i = share; i < COUNT_OF(rows); i += SHARES) {
		char version[40];

		line.len = 0;
		mark.len = 0;
		version_of(i, version, sizeof(version));
		text_printf(&mark, "| `%s` %s |", rows[i].tool, version);
		if (!*version || (!writes && !strstr(page, mark.data))) {
			print_message("%s '%s' is not the one of the table\n", rows[i].tool,
				      version);
			continue;
		}
		add_row(&line, i, version);
		if (writes)
			print_message("%s\n", line.data);
		else if (!strstr(page, line.data))
			record_failure("not in docs/digest-lists.md: %s", line.data);
	}
	text_free(&line);
	text_free(&mark);
}

#define SHARE(number)                                                                              \
	static void lists_go_both_ways_as_the_table_says_##number(struct test *t)                  \
	{                                                                                          \
		rows_hold(t, number);                                                              \
	}
SHARE(0)
SHARE(1)
SHARE(2)
SHARE(3)
SHARE(4)

/* Else no row of the table would show anything. */
static void a_change_is_seen_in_every_list(struct test *t)
{
	fresh_dir(t);
	make_dir("files");
	assert_int_equal(chdir("files"), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char version[40];
		struct run *run;

		if (!*version_of(i, version, sizeof(version)))
			continue;
		make_file("a", "hello");
		expect_exit(SH("eval \"$2\" >../theirs", "a", rows[i].write), 0);
		if (rows[i].hash)
			expect_exit(SH("exec \"$BATCHPROC\" hash $1 a >../ours", rows[i].hash), 0);
		make_file("a", "hallo");
		run = SH("exec \"$BATCHPROC\" verify --status $1 ../theirs", rows[i].verify);
		expect_exit(run, 1);
		if (!rows[i].hash)
			continue;
		expect_exit(SH("exec \"$BATCHPROC\" verify --status $1 ../ours", rows[i].verify),
			    1);
		expect(SH("eval \"$3\" >/dev/null 2>&1", "a", "../ours", rows[i].check)->status !=
		       0);
	}
}

/* It has the form of an entry: by its digits as a plain line, or it cannot be checked. */
static void brackets_without_a_tag_are_an_entry(struct test *t)
{
	static const struct {
		const char *line;
		const char *out;
	} lines[] = {
		{"(a) = 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		 "a: OK\n"},
		{"(a)= 5d41402abc4b2a76b9719d911017c592", "a: OK\n"},
		{"(a) = 5d41402abc4b2a76b9719d911017c593", "a: FAILED\n"},
		{"(a) = 5d41402abc4b2a76b9719d911017c59", ""},
		{"(a) = 5d41402abc4b2a76b9719d911017c592ab", "a: FAILED not checked\n"},
		{"(see) = deadbeef", ""},
	};

	fresh_dir(t);
	make_file("a", "hello");
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct run *run =
			SH("printf 'MD5 (a) = 5d41402abc4b2a76b9719d911017c592\\n%s\\n' \"$1\" | "
			   "$BATCHPROC verify",
			   lines[i].line);
		expect_exit(run, strstr(lines[i].out, "FAILED") != NULL);
		/* What cannot be checked need not wait for what can. */
		assert_int_equal(run->out.len, strlen("a: OK\n") + strlen(lines[i].out));
		expect(strstr(run->out.data, "a: OK\n") && strstr(run->out.data, lines[i].out));
	}
}

/* Its library is not everywhere. */
static void blake3_is_as_b3sum_s_or_refused(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	run = BP("hash", "-a", "blake3", "a");
	if (run->status) {
		expect_exit(run, 2);
		expect_says(run, "was built without libblake3, which BLAKE3 needs");
		make_file("list",
			  "BLAKE3 (a) = ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908"
			  "c5624a67200f\n");
		run = BP("verify", "list");
		expect_exit(run, 1);
		expect_out(run, "a: FAILED not checked\n");
		expect_says(run, "built without libblake3");
		/* Wherever else such a digest is asked for. */
		run = SH("printf 'http://127.0.0.1:1/x\\tx\\tblake3:%s\\n' \"$(cut -c14- list)\" | "
			 "exec \"$BATCHPROC\" fetch -T -");
		expect_exit(run, 1);
		expect_says(run, "built without libblake3");
		expect_exit(SH("mkdir -p b/data && echo BagIt-Version: 1.0 >b/bagit.txt && "
			       "echo Tag-File-Character-Encoding: UTF-8 >>b/bagit.txt && "
			       ">b/manifest-blake3.txt"),
			    0);
		run = BP("verify", "--bag", "b");
		expect_out(run, "b/manifest-blake3.txt: FAILED not checked\n");
		expect_says(run, "built without libblake3");
		return;
	}
	expect_out(run, "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f  a\n");
	expect_exit(SH("\"$BATCHPROC\" hash -a blake3 a | exec \"$BATCHPROC\" verify -a blake3"),
		    0);
	if (have_program("b3sum"))
		expect_exit(SH("\"$BATCHPROC\" hash -a blake3 a | exec b3sum --check"), 0);
	run = SH("\"$BATCHPROC\" hash -a blake3 a | exec \"$BATCHPROC\" verify");
	expect_says(run, "it matches as blake3: use -a blake3");
}

static void a_name_that_a_form_cannot_hold_is_refused(struct test *t)
{
	static const char *const forms[] = {"sfv", "hashdeep"};

	fresh_dir(t);
	make_file("new\nline", "");
	make_file("a", "");
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		struct run *run = BP("hash", "-r", "--format", forms[i], ".");

		expect_exit(run, 1);
		expect_says(run, "new\\nline: has a line's end in its name");
		expect(strstr(run->out.data, "./a") != NULL);
		expect_exit(BP("hash", "-z", "--format", forms[i], "a"), 2);
		expect_exit(BP("hash", "-a", "sha512", "--format", forms[i], "a"), 2);
	}
	expect_exit(BP("hash", "--format", "other", "a"), 2);
	expect_says(RUN(HOW(.input = "hash --format hashdeep a\n"), "run", "-"),
		    "cannot write --format hashdeep here");
}

/* A run that goes on knows the sizes of what it does not read again. */
static void a_resumed_run_writes_the_same_list(struct test *t)
{
	struct run *first;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "other, longer");
	first = BP("hash", "-k", "--format", "hashdeep", "--journal", "j", "a", "b");
	expect_exit(first, 0);
	expect_out(BP("hash", "-k", "--format", "hashdeep", "--journal", "j", "--resume", "a", "b"),
		   first->out.data);
}

/* Several algorithms: in each form, for each reader, and from a journal. */
static void digests_of_several_algorithms(struct test *t)
{
	static const char *const forms[] = {"--tag", "-z", "--base64", "--format=mtree",
					    "--format=hashdeep"};
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b,c", "two");
	run = BP("hash", "-k", "-a", "sha1", "-a", "md5", "-a", "sha1", "a", "b,c");
	expect_exit(run, 0);
	expect_same(run, SH("sha1sum --tag a 'b,c'; md5sum --tag a 'b,c'"));
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		const char *zero = i == 1 ? "-z" : "-q";

		expect_exit(SH("\"$BATCHPROC\" hash -a md5 -a sha256 $1 a b,c >list && "
			       "exec \"$BATCHPROC\" verify --strict $2 list",
			       forms[i], zero),
			    0);
		/* Each of them counts. */
		expect_exit(SH("printf x >>a; \"$BATCHPROC\" verify --status $1 list; s=$?; "
			       "printf hello >a; exit $s",
			       zero),
			    1);
	}
	if (have_program("hashdeep"))
		expect_exit(SH("hashdeep -l -a -k list a b,c"), 0);
	run = SH("\"$BATCHPROC\" hash -a md5 -a sha1 --json a | \"$BATCHPROC\" run -");
	expect_same(run, SH("md5sum --tag a; sha1sum --tag a"));
	run = BP("hash", "-k", "-a", "md5", "-a", "sha1", "--journal", "j", "a", "b,c");
	expect_same(run, BP("hash", "-k", "-a", "md5", "-a", "sha1", "--journal", "j", "--resume",
			    "a", "b,c"));
	expect_exit(BP("hash", "-a", "sha1", "--journal", "j", "--resume", "a"), 2);
	expect_exit(BP("hash", "-a", "md5", "-a", "crc32", "--format", "sfv", "a"), 2);
	expect_exit(BP("hash", "-a", "md5", "-a", "sha1", "--bag", "."), 2);
	expect_exit(SH("exec \"$BATCHPROC\" hash $(seq -f '-a blake2b-%.0f' 8 8 72) a"), 2);
}

/* Size and further digests are compared as well. */
static void all_that_hashdeep_tells_is_compared(struct test *t)
{
	static const char head[] = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## comment\n";
	static const char *const md5[] = {"5d41402abc4b2a76b9719d911017c592",
					  "5d41402abc4b2a76b9719d911017c593"};
	struct text list = {0};

	fresh_dir(t);
	make_file("a,b", "hello");
	for (int i = 0; i < 4; i++) {
		list.len = 0;
		text_printf(
			&list,
			"%s%d,%s,2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824,a,b\n",
			head, i & 1 ? 6 : 5, md5[i >> 1]);
		make_file("list", list.data);
		expect_exit(BP("verify", "--strict", "list"), i != 0);
	}
	/* The one that does not match is told, and all are checked again. */
	expect_exit(SH("sed -i s/^6,/5,/ list"), 0);
	expect(strstr(BP("verify", "--json", "list")->out.data,
		      "\"verdict\":\"changed\",\"alg\":\"md5\",\"expected\":"
		      "\"5d41402abc4b2a76b9719d911017c593\",\"digest\":"
		      "\"5d41402abc4b2a76b9719d911017c592\""));
	expect_exit(BP("verify", "--failed-to", "again", "list"), 1);
	expect_out(BP("verify", "-k", "again"), "./a,b: FAILED\n");
	/* From standard input as well. */
	expect_exit(SH("sed s/a,b/-/ list >dash; exec \"$BATCHPROC\" verify dash <a,b"), 1);
	/* With other digests it is another entry. */
	expect_exit(SH("sed s/c593/c592/ list >right; \"$BATCHPROC\" verify --journal j right; "
		       "exec \"$BATCHPROC\" verify --journal j --resume list"),
		    1);
	/* What is said again of one that has another size says so, and it is another entry. */
	expect_exit(
		SH("printf '%%%%%%%% HASHDEEP-1.0\\n%%%%%%%% size,md5,filename\\n"
		   "5,5d41402abc4b2a76b9719d911017c592,a,b\\n' >list; sed s/^5,/6,/ list >longer"),
		0);
	expect_exit(BP("verify", "--failed-to", "again", "longer"), 1);
	expect_exit(BP("verify", "again"), 1);
	expect_exit(BP("verify", "--journal", "sizes", "list"), 0);
	expect_exit(BP("verify", "--journal", "sizes", "--resume", "longer"), 1);
	/* No column that is known. */
	make_file("list", "%%%% HASHDEEP-1.0\n%%%% size,tiger,filename\n"
			  "5,2cfd7f6f336288a7f2741b9bf874388a54026639cadb7bf2,a,b\n");
	expect_out(BP("verify", "list"), "a,b: FAILED not checked\n");
	text_free(&list);
}

static void what_pgp_has_signed_is_taken(struct test *t)
{
	struct run *run;

	if (!have_program("gpg"))
		skip_because(t, "no gpg here");
	fresh_dir(t);
	make_file("a", "hello");
	make_file("-dash", "hello");
	run = SH("export GNUPGHOME=\"$PWD/keys\"; mkdir -m 700 keys; sha256sum -- a >plain; "
		 "sha256sum --tag -- -dash >>plain; sed 's/^/- /' plain >dashed; "
		 "gpg --batch -q --passphrase '' --quick-gen-key someone@example.org; "
		 "gpg --batch -q --clearsign plain; status=$?; gpgconf --kill all; exit $status");
	expect_exit(run, 0);
	run = BP("verify", "-k", "--strict", "plain.asc");
	expect_exit(run, 0);
	expect_out(run, "a: OK\n-dash: OK\n");
	expect_says(run, "plain.asc: is signed by PGP; the signature is not checked");
	/* No entry hides in what is passed over. */
	expect_exit(
		SH("sed 's/^Hash:.*/SNEFRU-128 (a) = 00112233445566778899aabbccddeeff/' plain.asc >x; "
		   "exec \"$BATCHPROC\" verify --status x"),
		1);
	expect_exit(SH("sed 's/^-----END/SNEFRU-128 (a) = 00112233445566778899aabbccddeeff\\n&/' "
		       "plain.asc >x; exec \"$BATCHPROC\" verify --status x"),
		    1);
}

/* A comment, the name of the list or the option: lines of SFV look like ends of sentences. */
static void something_says_that_it_is_sfv(struct test *t)
{
	fresh_dir(t);
	make_file("a", "hello");
	make_file("b c", "hello");
	make_file("list.SFV", "a 3610A686\r\nb c 3610a686\r\n");
	make_file("list", "a 3610A686\nb c 3610a686\n");
	make_file("semi", "; comment\na 3610A686\nb c 3610a686\n");
	expect_out(BP("verify", "-k", "--strict", "list.SFV"), "a: OK\nb c: OK\n");
	expect_out(BP("verify", "-k", "--strict", "semi"), "a: OK\nb c: OK\n");
	expect_out(BP("verify", "-k", "--strict", "-a", "crc32", "list"), "a: OK\nb c: OK\n");
	expect_exit(BP("verify", "list"), 1);
	expect_exit(BP("verify", "-a", "md5", "semi"), 1);
}

/* As packages of Debian have them: names from the top directory on. */
static void lists_of_debian_are_judged_as_md5sum_does(struct test *t)
{
	static const char list[] = "/var/lib/dpkg/info/coreutils.md5sums";
	struct run *theirs;

	if (access(list, R_OK))
		skip_because(t, "no such lists here");
	theirs = SH("cd / && exec md5sum -c --strict \"$1\" 2>/dev/null", list);
	expect_same(SH("cd / && exec \"$BATCHPROC\" verify --strict \"$1\"", list), theirs);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(lists_go_both_ways_as_the_table_says_0),
		ONCE(lists_go_both_ways_as_the_table_says_1),
		ONCE(lists_go_both_ways_as_the_table_says_2),
		ONCE(lists_go_both_ways_as_the_table_says_3),
		ONCE(lists_go_both_ways_as_the_table_says_4),
		ONCE(a_change_is_seen_in_every_list),
		ONCE(blake3_is_as_b3sum_s_or_refused),
		ONCE(brackets_without_a_tag_are_an_entry),
		ONCE(a_name_that_a_form_cannot_hold_is_refused),
		ONCE(a_resumed_run_writes_the_same_list),
		ONCE(digests_of_several_algorithms),
		ONCE(all_that_hashdeep_tells_is_compared),
		ONCE(what_pgp_has_signed_is_taken),
		ONCE(something_says_that_it_is_sfv),
		ONCE(lists_of_debian_are_judged_as_md5sum_does),
	};

	int status;

	read_page();
	status = RUN_CASES(argc, argv, cases);
	free(page);
	return status;
}
