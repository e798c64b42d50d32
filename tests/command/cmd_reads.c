/* SPDX-License-Identifier: MIT */
/*
 * cmd_reads - hash, verify and rm where a read is not what it is elsewhere: sizes that are wrong or
 * unknown, files that cannot seek, servers that never say ready, are slow, or gone
 */
#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"

static const char *const backends[] = {"auto", "threads"};

/* m/f, and the same ordinary file as b/f: each of the ways in which a file can be read. */
static void hashes_as_sha256sum(const char *name)
{
	const struct run *right = SH("sha256sum <\"$1\" | cut -d' ' -f1", name);

	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		const char *backend = backends[i];
		const struct run *runs[] = {
			BP("hash", "--backend", backend, name),
			BP("hash", "--backend", backend, "-a", "sha256", "-r", name),
			BP("hash", "--backend", backend, "--bwlimit", "100M", name),
			SH("\"$BATCHPROC\" hash --backend \"$1\" <\"$2\" -", backend, name),
		};

		for (size_t n = 0; n < COUNT_OF(runs); n++) {
			expect_exit(runs[n], 0);
			if (strncmp(runs[n]->out.data, right->out.data, 64))
				print_error("%s: way %zu of %s\n", name, n, backend);
			expect_eq(strncmp(runs[n]->out.data, right->out.data, 64), 0);
		}
	}
}

static void verifies(const char *name)
{
	SH("sha256sum \"$1\" >list", name);
	for (size_t i = 0; i < COUNT_OF(backends); i++)
		expect_exit(BP("verify", "--quiet", "--backend", backends[i], "list"), 0);
}

static struct badmount *mounted(struct test *t, size_t size, const char *line)
{
	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_pattern("b/f", size);
	return BADMOUNT(t, "b", "m", line);
}

static void the_end_is_what_a_read_says(struct test *t)
{
	static const char *const lies[] = {"size unknown", "size half", "size rounded", "size zero",
					   "size real"};
	struct badmount *bad = mounted(t, 400000, "direct on");

	make_pattern("b/large", 3000001);
	make_pattern("b/small", 18);
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		badmount_say(bad, "%s", lies[i]);
		hashes_as_sha256sum("m/f");
		hashes_as_sha256sum("m/large");
		hashes_as_sha256sum("m/small");
		verifies("m/large");
		for (size_t n = 0; n < COUNT_OF(backends); n++)
			expect_same(BP("hash", "--backend", backends[n], "-r", "m"),
				    SH("sha256sum m/*"));
	}
	badmount_end(bad);
}

static void what_cannot_seek_is_read_in_order(struct test *t)
{
	struct badmount *bad = mounted(t, 5000000, "nonseekable on");

	for (int round = 0; round < 3; round++)
		hashes_as_sha256sum("m/f");
	badmount_say(bad, "direct on");
	badmount_say(bad, "size unknown");
	hashes_as_sha256sum("m/f");
	verifies("m/f");
	badmount_end(bad);
}

static void a_regular_file_is_not_waited_for(struct test *t)
{
	struct badmount *bad = mounted(t, 2000000, "poll never");

	hashes_as_sha256sum("m/f");
	verifies("m/f");
	badmount_end(bad);
}

static void what_the_kernel_makes_up(struct test *t)
{
	static const char *const names[] = {"/proc/version", "/proc/filesystems", "/proc/kallsyms",
					    "/sys/kernel/profiling", "/sys/kernel/notes"};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!SH("cat \"$1\" >/dev/null", names[i])->status) {
			hashes_as_sha256sum(names[i]);
			verifies(names[i]);
		}
	}
}

/* As in a container whose image is on such a file system. */
static void the_end_below_an_overlay(struct test *t)
{
	static const char *const lies[] = {"size half", "size rounded", "size zero", "size real"};
	struct badmount *bad;

	fresh_dir(t);
	mount_at(t, "x", "mount -t tmpfs none x && mkdir x/up x/work");
	run_sh("mkdir b m ov");
	make_pattern("b/f", 400000);
	make_pattern("b/small", 18);
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		bad = BADMOUNT(t, "b", "m", "direct on", lies[i]);
		if (SH("mount -t overlay overlay -o lowerdir=m,upperdir=x/up,workdir=x/work ov")
			    ->status)
			skip_because(t, "no overlay can be mounted here");
		hashes_as_sha256sum("ov/f");
		hashes_as_sha256sum("ov/small");
		run_sh("rm -rf out");
		expect_exit(BP("copy", "-r", "ov", "out"), 0);
		expect_exit(SH("diff -r b out"), 0);
		run_sh("umount ov");
		badmount_end(bad);
	}
	unmount("x");
}

static void standard_input_is_read_on_from_where_it_stands(struct test *t)
{
	fresh_dir(t);
	make_pattern("f", 3000000);
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		expect_exit(SH("right=$(tail -c +1001 f | sha256sum | cut -d' ' -f1); "
			       "{ head -c 1000 >skipped; \"$BATCHPROC\" hash --backend \"$1\" -; "
			       "wc -c; } <f >out; echo \"$right  -\n0\" | cmp - out",
			       backends[i]),
			    0);
	}
}

/* One loop, so that whoever waits on it is seen to hold up the others. */
static void a_slow_server_holds_up_nobody_else(struct test *t)
{
	static const char *const calls[] = {"open", "read", "release", "opendir", "readdir"};
	struct badmount *bad = mounted(t, 100000, "cache 100");

	make_dir("l");
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "l/file-%03d", i);
		make_file(name, "x");
	}
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		for (size_t n = 0; n < COUNT_OF(backends); n++) {
			struct run *run;

			SH("stat m/f; ls m");
			badmount_say(bad, "hang %s", calls[i]);
			run = START(HOW(.feed = false), "hash", "-r", "--loops", "1", "--backend",
				    backends[n], "m", "l");
			if (strcmp(calls[i], "release"))
				badmount_say(bad, "await %s 1", calls[i]);
			if (!until_printed(run, 1, "  l/file-", 300))
				print_error("%s, %s\n", calls[i], backends[n]);
			badmount_say(bad, "release %s", calls[i]);
			expect_exit(run_end(run), 0);
			expect_eq(text_count(&run->out, "  m/f"), 1);
		}
	}
	badmount_end(bad);
}

static void copying_from_there_holds_up_nobody_either(struct test *t)
{
	static const char *const calls[] = {"open", "read", "flush"};
	struct badmount *bad = mounted(t, 100000, "cache 100");

	run_sh("mkdir l; for i in $(seq 100 399); do echo $i >l/file-$i; done");
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		for (size_t n = 0; n < COUNT_OF(backends); n++) {
			struct run *run;

			run_sh("rm -rf out; mkdir out; stat m/f >stat; ls m >stat");
			badmount_say(bad, "hang %s", calls[i]);
			run = START(HOW(.feed = false), "copy", "-r", "--json", "--loops", "1",
				    "--backend", backends[n], "m", "l", "out");
			badmount_say(bad, "await %s 1", calls[i]);
			until_printed(run, 1, "\"src\":\"l/file-", 300);
			badmount_say(bad, "release %s", calls[i]);
			expect_exit(run_end(run), 0);
			expect_exit(SH("diff -r b out/m && diff -r l out/l"), 0);
		}
	}
	badmount_end(bad);
}

static void removing_there_holds_up_nobody_either(struct test *t)
{
	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	for (size_t n = 0; n < COUNT_OF(backends); n++) {
		struct badmount *bad;
		struct run *run;

		SH("mkdir -p l b/d; echo x >b/d/f; for i in $(seq 100 399); do : >l/file-$i; done");
		bad = BADMOUNT(t, "b", "m", "cache 100");
		badmount_say(bad, "hang unlink");
		run = START(HOW(.feed = false), "rm", "-rv", "--loops", "1", "--backend",
			    backends[n], "m/d", "l");
		badmount_say(bad, "await unlink 1");
		until_printed(run, 1, "removed 'l/file-", 300);
		badmount_say(bad, "release unlink");
		expect_exit(run_end(run), 0);
		expect_gone("b/d");
		badmount_end(bad);
	}
}

static void what_is_gone_is_no_directory(struct test *t)
{
	struct badmount *bad = mounted(t, 10, "size real");

	badmount_die(bad);
	expect_says(BP("hash", "m"), "Transport endpoint is not connected");
	expect_says(BP("hash", "-r", "m"), "Transport endpoint is not connected");
	expect_says(BP("rm", "m"), "Transport endpoint is not connected");
	expect_says(BP("rm", "-r", "m"), "Transport endpoint is not connected");
	badmount_end(bad);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_end_is_what_a_read_says),
		ONCE(what_cannot_seek_is_read_in_order),
		ONCE(a_regular_file_is_not_waited_for),
		ONCE(what_the_kernel_makes_up),
		ONCE(a_slow_server_holds_up_nobody_else),
		ONCE(copying_from_there_holds_up_nobody_either),
		ONCE(removing_there_holds_up_nobody_either),
		ONCE(what_is_gone_is_no_directory),
		ONCE(the_end_below_an_overlay),
		ONCE(standard_input_is_read_on_from_where_it_stands),
	};

	return RUN_CASES(argc, argv, cases);
}
