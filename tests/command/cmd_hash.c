// SPDX-License-Identifier: MIT
/*
 * cmd_hash - lines of digests: against coreutils and xxhsum, for every size and every name
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "support/cmd.h"
#include "support/records.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

/* Around the sizes at which files are read differently. */
static void make_sizes(void)
{
	static const size_t sizes[] = {0,      1,      55,     64,     4095,   8192,	131071,
				       131072, 131073, 262143, 262144, 262145, 1048576, 2500003};
	char name[32];

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		snprintf(name, sizeof(name), "size-%zu", sizes[i]);
		make_pattern(name, sizes[i]);
	}
}

static const struct {
	const char *alg, *tool, *tag_option, *empty;
} algorithms[] = {
	{"sha256", "sha256sum", "--tag", EMPTY_SHA256},
	{"sha1", "sha1sum", "--tag", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
	{"md5", "md5sum", "--tag", "d41d8cd98f00b204e9800998ecf8427e"},
	{"sha512", "sha512sum", "--tag",
	 "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
	 "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
	{"blake2b", "b2sum", "--tag",
	 "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
	 "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"},
	{"xxh128", "xxh128sum", "--tag", "99aa06d3014798d86001c324468d497f"},
	{"xxh3", "xxhsum", NULL, "2d06800538d394c2"},
};

static void every_algorithm_is_its_tools(struct test *t)
{
	char expected[200];

	fresh_dir(t);
	make_sizes();
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		const char *alg = algorithms[i].alg, *tool = algorithms[i].tool;
		struct run *plain, *tag;

		snprintf(expected, sizeof(expected), "%s  size-0\n", algorithms[i].empty);
		expect_out(BP("hash", "-a", alg, "size-0"), expected);
		if (!have_program(tool)) {
			print_message("%s is not compared: no %s here\n", alg, tool);
			continue;
		}
		tag = BP("hash", "-r", "-a", alg, "--tag", ".");
		expect_exit(tag, 0);
		if (!algorithms[i].tag_option) {
			expect_same(tag, SH("xxhsum -H3 --tag ./*"));
			continue;
		}
		expect_same(tag, SH("\"$1\" --tag ./*", tool));
		plain = BP("hash", "-r", "-a", alg, ".");
		expect_exit(plain, 0);
		expect_same(plain, SH("\"$1\" ./*", tool));
	}
}

static const char *const awkward[] = {
	"new\nline",  "back\\slash", "tab\tbed",     "return\r",     "-dash",
	"--help",     " leading",    "trailing ",    "*star",	     "a) = b (c",
	"\xff\xfe",   "half\xc3",    "\xed\xa0\x80", "\x01\x1b[31m", "\xe2\x98\x83",
	"\"quote'`$", "both\n\\\r",  "\\",	     "\n",	     "#hash",
};

static void make_awkward(const char *dir)
{
	char path[PATH_MAX], longest[256];

	make_dir(dir);
	for (size_t i = 0; i < COUNT_OF(awkward); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, awkward[i]);
		make_file(path, awkward[i]);
	}
	memset(longest, 'L', 255);
	longest[255] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, longest);
	make_file(path, "");
}

static void awkward_names_are_written_as_sha256sum_does(struct test *t)
{
	struct run *ours, *theirs, *check;

	fresh_dir(t);
	make_awkward("names");
	ours = BP("hash", "-r", "names");
	expect_exit(ours, 0);
	expect_same(ours, SH("sha256sum names/*"));
	expect_same(BP("hash", "-r", "--tag", "names"), SH("sha256sum --tag names/*"));
	expect_same_z(BP("hash", "-r", "-z", "names"), SH("sha256sum -z names/*"));
	expect_same_z(BP("hash", "-rz", "--tag", "names"), SH("sha256sum -z --tag names/*"));

	make_bytes("list", ours->out.data, ours->out.len);
	theirs = SH("sha256sum -c --strict --quiet list");
	expect_exit(theirs, 0);
	expect_eq(theirs->err.len, 0);
	check = BP("verify", "--strict", "--quiet", "list");
	expect_exit(check, 0);
	expect_eq(check->out.len + check->err.len, 0);
}

static void awkward_names_are_arguments_too(struct test *t)
{
	struct run *ours;

	fresh_dir(t);
	make_awkward("names");
	assert_int_equal(chdir("names"), 0);
	ours = SH("\"$BATCHPROC\" hash -- *");
	expect_exit(ours, 0);
	expect_same(ours, SH("sha256sum -- *"));
	ours = SH("printf '%s\\0' * | \"$BATCHPROC\" hash -0 -T -");
	expect_exit(ours, 0);
	expect_same(ours, SH("sha256sum -- *"));
}

/* A message must not steer the terminal that shows it. */
static void messages_show_names_without_control_characters(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = BP("hash", "\x1b]0;title\x07", "a\nb",
		 "\xc2\x9b"
		 "31m",
		 "\xff");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "\n"), 4);
	expect_eq(text_count(&run->err, "\x1b") + text_count(&run->err, "\x07"), 0);
	expect_eq(text_count(&run->err, "\xc2\x9b") + text_count(&run->err, "\xff"), 0);
	expect_says(run, "a\\nb: No such file");
}

static void names_stand_in_records_as_they_are(struct test *t)
{
	const struct records *records;
	char path[300];

	fresh_dir(t);
	make_awkward("names");
	records = expect_records(BP("hash", "-r", "--json", "names"), COUNT_OF(awkward) + 1);
	for (size_t i = 0; i < COUNT_OF(awkward); i++) {
		const struct record *r;

		snprintf(path, sizeof(path), "names/%s", awkward[i]);
		r = record_of(records, path);
		if (!r)
			continue;
		expect_eq(r->base64, i >= 10 && i <= 12);
		expect_eq(r->bytes, strlen(awkward[i]));
		expect_eq(r->attempts, 1);
	}
}

static void links_are_followed_only_where_they_are_named(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_file("d/f", "hello");
	assert_int_equal(symlink("f", "d/link") | symlink("d", "dirlink") | symlink("d/f", "link"),
			 0);
	assert_int_equal(symlink("nowhere", "dangling") | symlink("loop", "loop"), 0);

	expect_out(BP("hash", "-r", "d"), HELLO_SHA256 "  d/f\n");
	expect_out(BP("hash", "-r", "dirlink"), HELLO_SHA256 "  dirlink/f\n");
	expect_out(BP("hash", "link"), HELLO_SHA256 "  link\n");
	expect_out(BP("hash", "-r", "link"), HELLO_SHA256 "  link\n");
	run = BP("hash", "dangling", "loop", "d/f/", "dirlink");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
	expect_says(run, "dangling: No such file");
	expect_says(run, "loop: Too many levels");
	expect_says(run, "d/f/: Not a directory");
	expect_says(run, "dirlink: is a directory (-r");
}

/* A FIFO without a writer would hold up whoever opens it. */
static void what_is_no_file_is_skipped_and_never_opened(struct test *t)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "d/socket"};
	const struct records *records;
	struct run *run;
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned int odd = 2;

	fresh_dir(t);
	make_dir("d");
	make_file("d/f", "hello");
	assert_int_equal(mkfifo("d/fifo", 0644), 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(sock);
	if (!mknod("d/null", S_IFCHR | 0666, makedev(1, 3)))
		odd++;

	run = BP("hash", "-r", "d");
	expect_exit(run, 0);
	expect_out(run, HELLO_SHA256 "  d/f\n");
	expect_eq(run->err.len, 0);
	records = expect_records(BP("hash", "-r", "--json", "d"), odd + 1);
	expect_eq(records->skipped, odd);
	expect_eq(records->ok, 1);
	expect_(!strcmp(status_of(records, "d/fifo"), "skipped"), "skipped", __FILE__, __LINE__);

	/* Whoever names one gets no digest of it, and is told so. */
	run = BP("hash", "d/fifo", "d/socket", "/dev/null", "d/f");
	expect_exit(run, 1);
	expect_out(run, HELLO_SHA256 "  d/f\n");
	expect_eq(text_count(&run->err, "skipped: is a "), 3);
	expect_exit(BP("hash", "-r", "d/fifo"), 1);
}

static void standard_input_is_an_item_once(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	expect_out(RUN(HOW(.input = "hello"), "hash", "-"), HELLO_SHA256 "  -\n");
	expect_out(RUN(HOW(.input = "hello"), "hash", "-r", "-"), HELLO_SHA256 "  -\n");

	/* Two that read it at once would each get a part. */
	run = RUN(HOW(.input = "hello"), "hash", "--json", "-", "-");
	records = expect_records(run, 2);
	expect_exit(run, 1);
	expect_eq(records->ok, 1);
	expect_eq(records->failed, 1);
	for (size_t i = 0; i < records->count; i++)
		if (!strcmp(records->all[i].status, "ok"))
			expect_eq(strcmp(records->all[i].digest, HELLO_SHA256), 0);

	run = RUN(HOW(.input = "-\n"), "hash", "-T", "-");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
	run = RUN(HOW(.input = "a\n"), "hash", "-T", "-", "-T", "-");
	expect_exit(run, 2);
}

/* Files whose size says nothing, and files that have more than one could ever read. */
static void sizes_that_mislead(struct test *t)
{
	struct run *ours;

	fresh_dir(t);
	ours = BP("hash", "/proc/version", "/proc/self/../version", "/proc/cmdline");
	expect_exit(ours, 0);
	expect_same(ours, SH("sha256sum /proc/version /proc/self/../version /proc/cmdline"));

	make_sparse("sparse", 5000001);
	expect_same(BP("hash", "sparse"), SH("sha256sum sparse"));
}

static void ten_gibibytes_of_nothing(struct test *t)
{
	const bool all = scaled(100) == 100;
	const uint64_t size = 10737418240u / (all ? 1 : 100);
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	/* A busy machine takes its time for that much, even of holes. */
	alarm(280);
	make_sparse("huge", (off_t)size);
	run = BP("hash", "-a", "xxh128", "--json", "huge");
	records = expect_records(run, 1);
	expect_exit(run, 0);
	expect_eq(records->bytes, size);
	/* And it is not read into memory: a hundredth of it would show. */
	if (all) {
		expect_eq(strcmp(records->all[0].digest, "f50e1be7dfc4d19a9eaacea1efd9ecc2"), 0);
		expect_between(run->usage.ru_maxrss, 0, 100000);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(every_algorithm_is_its_tools),
		ONCE(awkward_names_are_written_as_sha256sum_does),
		ONCE(awkward_names_are_arguments_too),
		ONCE(messages_show_names_without_control_characters),
		ONCE(names_stand_in_records_as_they_are),
		ONCE(links_are_followed_only_where_they_are_named),
		ONCE(what_is_no_file_is_skipped_and_never_opened),
		ONCE(standard_input_is_an_item_once),
		ONCE(sizes_that_mislead),
		ONCE(ten_gibibytes_of_nothing),
	};

	return RUN_CASES(argc, argv, cases);
}
