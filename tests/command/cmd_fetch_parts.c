/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_parts - what came of a body stays where a later run goes on with it, and goes where it
 * would be in the way
 */
#include <stdatomic.h>

#include "support/bodies.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/httpd.h"
#include "support/records.h"

static struct httpd httpd;

static const char *at(const char *path)
{
	static char urls[8][256];
	static unsigned int next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof(urls[0]), "%s%s", httpd.url, path);
	return url;
}

static void begin(struct test *t, answer_fn answer)
{
	bodies_begin(t, &httpd, answer, NULL);
}

/* A little at a time, from where it is asked for, and then nothing more. */
static void answer_in_drops(struct asked *a, void *ctx)
{
	const char *range = asked_header(a, "Range");
	const size_t step = BODY_BYTES / 3;
	size_t from = 0;

	(void)ctx;
	if (range && sscanf(range, "bytes=%zu-", &from) == 1 && from < sizeof(body))
		say(a,
		    "HTTP/1.1 206 Partial\r\nETag: \"v\"\r\n"
		    "Content-Range: bytes %zu-%u/%u\r\nContent-Length: %zu\r\n\r\n",
		    from, BODY_BYTES - 1, BODY_BYTES, sizeof(body) - from);
	else
		say(a, "HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: %u\r\n\r\n", BODY_BYTES);
	say_bytes(a, body + from, sizeof(body) - from < step ? sizeof(body) - from : step);
	if (from + step < sizeof(body))
		say_nothing_more(a);
}

static off_t size_of_part(void)
{
	struct run *run = SH("stat -c %s .batchproc-* 2>/dev/null");

	return (off_t)strtoul(run->out.data, NULL, 10);
}

static void expect_a_part_after(const char *const *ends, int line)
{
	run_sh("rm -rf f j .batchproc-*");
	for (int i = 1; i < 3; i++) {
		struct run *run =
			BP("fetch", "--journal", "j", "--resume", ends[0], ends[1], at("/f"));

		if (!run->status || size_of_part() != i * (off_t)(BODY_BYTES / 3))
			record_failure("line %d: exit %d, %jd bytes: %s\n", line, run->status,
				       (intmax_t)size_of_part(), run->err.data);
	}
	expect_exit(BP("fetch", "--journal", "j", "--resume", "--timeout", "30s", at("/f")), 0);
	expect(is_body("f"));
	expect_eq(files_here(), 1);
}

/* Each run gets further than the one before it, whatever ended that. */
static void what_came_in_time_stays_for_resume(struct test *t)
{
	struct run *run;

	need_attributes(t);
	begin(t, answer_in_drops);
	expect_a_part_after((const char *const[]){"--timeout", "2s"}, __LINE__);
	expect_a_part_after((const char *const[]){"--deadline", "2s"}, __LINE__);
	run_sh("rm -rf f j .batchproc-*");
	run = START(HOW(.feed = true), "fetch", "--journal", "j", at("/f"));
	while (size_of_part() < (off_t)(BODY_BYTES / 3))
		usleep(10000);
	/* The first one lets it come to its end. */
	run_signal(run, SIGINT);
	run_kill(run, SIGINT);
	run_end(run);
	expect_eq(size_of_part(), BODY_BYTES / 3);
	/* Without a journal nobody goes on with it. */
	expect_exit(BP("fetch", "--timeout", "1s", at("/g")), 1);
	expect_out(SH("ls -A | grep -c batchproc"), "1\n");
	httpd_stop(&httpd);
}

/* What is there of a machine that may come back is not written into. */
static void what_another_machine_has_left(struct test *t)
{
	need_attributes(t);
	begin(t, answer_in_drops);
	expect_exit(BP("fetch", "--journal", "j", "--timeout", "2s", at("/f")), 1);
	expect_eq(size_of_part(), BODY_BYTES / 3);
	/* As older versions called it. */
	run_sh("old=$(ls .batchproc-*); mv $old ${old%-*}; "
	       "cp --preserve=xattr ${old%-*} ${old%-*}-00000000");
	expect_exit(BP("fetch", "--journal", "j", "--resume", "--timeout", "2s", at("/f")), 1);
	expect_out(SH("stat -c %s .batchproc-* | sort -n"), "100000\n200000\n");
	expect_exit(BP("fetch", "--journal", "j", "--resume", at("/f")), 0);
	expect(is_body("f"));
	expect_out(SH("ls .batchproc-* | sed 's/.*-//'"), "00000000\n");
	httpd_stop(&httpd);
}

static void answer_at_once(struct asked *a, void *ctx)
{
	(void)ctx;
	say_ok(a, "ETag: \"v\"\r\n", body, sizeof(body));
}

/* What came of it would hold what all others need. */
static void a_full_disk_keeps_no_part(struct test *t)
{
	struct run *run;

	begin(t, answer_at_once);
	mount_at(t, "fs", "mount -t tmpfs -o size=128k none fs");
	if (SH("cd fs && : >x && setfattr -n user.x -v y x && rm x")->status)
		skip_because(t, "no user attributes on tmpfs");
	run = BP("fetch", "-P", "fs", "--journal", "j", at("/f"));
	expect_exit(run, 1);
	expect_says(run, "No space left on device");
	expect_out(SH("ls -A fs"), "");
	httpd_stop(&httpd);
	unmount("fs");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(what_came_in_time_stays_for_resume),
		ONCE(what_another_machine_has_left),
		ONCE(a_full_disk_keeps_no_part),
	};

	return RUN_CASES(argc, argv, cases);
}
