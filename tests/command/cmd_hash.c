/* SPDX-License-Identifier: MIT */
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

/* Where there is no plain command, plain lines of the tool would mean another algorithm. */
static const struct {
	const char *alg, *tool, *plain, *tag;
} algorithms[] = {
	{"sha256", "sha256sum", "sha256sum", "sha256sum --tag"},
	{"sha1", "sha1sum", "sha1sum", "sha1sum --tag"},
	{"md5", "md5sum", "md5sum", "md5sum --tag"},
	{"sha512", "sha512sum", "sha512sum", "sha512sum --tag"},
	{"sha224", "sha224sum", "sha224sum", "sha224sum --tag"},
	{"sha384", "sha384sum", "sha384sum", "sha384sum --tag"},
	{"sm3", "cksum", "cksum -a sm3 --untagged", "cksum -a sm3"},
	{"blake2b", "b2sum", "b2sum", "b2sum --tag"},
	{"blake2b-8", "b2sum", "b2sum -l 8", "b2sum --tag -l 8"},
	{"blake2b-64", "b2sum", "b2sum -l 64", "b2sum --tag -l 64"},
	{"blake2b-256", "b2sum", "b2sum -l 256", "b2sum --tag -l 256"},
	{"blake2b-384", "b2sum", "b2sum -l 384", "b2sum --tag -l 384"},
	{"blake2b-504", "b2sum", "b2sum -l 504", "b2sum --tag -l 504"},
	{"sha512-224", "shasum", "shasum -a 512224", "shasum --tag -a 512224"},
	{"sha512-256", "shasum", "shasum -a 512256", "shasum --tag -a 512256"},
	{"sha3-224", "rhash", "rhash --sha3-224", "rhash --bsd --sha3-224"},
	{"sha3-256", "rhash", "rhash --sha3-256", "rhash --bsd --sha3-256"},
	{"sha3-384", "rhash", "rhash --sha3-384", "rhash --bsd --sha3-384"},
	{"sha3-512", "rhash", "rhash --sha3-512", "rhash --bsd --sha3-512"},
	{"ripemd160", "rhash", "rhash --ripemd160", "rhash --bsd --ripemd160"},
	{"blake2s", "rhash", "rhash --blake2s", "rhash --bsd --blake2s"},
	{"crc32", "rhash", NULL, "rhash --bsd --crc32"},
	{"xxh32", "xxhsum", "xxhsum -H0", "xxhsum --tag -H0"},
	{"xxh32-le", "xxhsum", NULL, "xxhsum --tag --little-endian -H0"},
	{"xxh64", "xxhsum", "xxhsum -H1", "xxhsum --tag -H1"},
	{"xxh64-le", "xxhsum", NULL, "xxhsum --tag --little-endian -H1"},
	{"xxh128", "xxhsum", "xxhsum -H2", "xxhsum --tag -H2"},
	{"xxh128-le", "xxhsum", NULL, "xxhsum --tag --little-endian -H2"},
	{"xxh3", "xxhsum", NULL, "xxhsum --tag -H3"},
	{"xxh3-le", "xxhsum", NULL, "xxhsum --tag --little-endian -H3"},
};

static void every_algorithm_is_its_tools(struct test *t)
{
	fresh_dir(t);
	make_sizes();
	expect_out(BP("hash", "size-0"), EMPTY_SHA256 "  size-0\n");
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		const char *alg = algorithms[i].alg;
		struct run *plain, *tag;

		if (!have_program(algorithms[i].tool)) {
			print_message("%s is not compared: no %s here\n", alg, algorithms[i].tool);
			continue;
		}
		tag = SH("exec \"$BATCHPROC\" hash -a \"$1\" --tag -- *", alg);
		expect_exit(tag, 0);
		expect_same(tag, SH("exec $1 -- * 2>/dev/null", algorithms[i].tag));
		plain = SH("exec \"$BATCHPROC\" hash -a \"$1\" -- *", alg);
		expect_exit(plain, 0);
		if (algorithms[i].plain)
			expect_same(plain, SH("exec $1 -- * 2>/dev/null", algorithms[i].plain));
		else
			expect_same(plain, tag);
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

static void as_sha256sum_has_it(struct test *t)
{
	static const char *const lines[] = {
		"-b f g",
		"-t f g",
		"-tb f g",
		"-bt f",
		"-c list",
		"--check list",
		"-cw list",
		"-c --quiet list",
		"-c --status list",
		"-c -w --strict list",
		"-zb f",
		"-b -- -c",
		"-c bad",
		"--tag -b f",
		"-c --ignore-missing list bad",
	};
	struct run *run;

	fresh_dir(t);
	expect_exit(SH("echo f >f && echo g >g && echo c >-c && sha256sum f g >list && "
		       "sed 's/^./0/' list >bad && echo x >>bad"),
		    0);
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		run = SH(
			"a=$(sha256sum $1 2>/dev/null | tr '\\0' '@'; echo ${PIPESTATUS-}) "
			"b=$($BATCHPROC hash -k $1 2>/dev/null | tr '\\0' '@'; echo ${PIPESTATUS-}); "
			"[ \"$a\" = \"$b\" ] || { echo \"$a\"; echo \"$b\"; }; "
			"sha256sum $1 >/dev/null 2>&1; x=$?; $BATCHPROC hash $1 >/dev/null 2>&1; "
			"[ $x = $? ] || echo status $x",
			lines[i]);
		if (run->out.len)
			record_failure("hash %s: %s", lines[i], run->out.data);
	}
	run = BP("hash", "-a", "md5", "-c", "list");
	expect_exit(run, 1);
	run = SH("echo 'hash -c list' | $BATCHPROC run -");
	expect_says(run, "-c is the command verify");
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
		ONCE(as_sha256sum_has_it),
	};

	return RUN_CASES(argc, argv, cases);
}
