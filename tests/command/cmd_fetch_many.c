/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_many - many URLs, and many at once, in little memory and no more at once than is wanted
 */
#include "support/cmd.h"
#include "support/records.h"
#include "support/servers.h"

static void need_own_size(struct test *t)
{
	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "its size would be that of the sanitizer");
}

/* All of a list that is read as a stream, from one server that keeps its connections. */
static void a_long_list_is_got_in_little_memory(struct test *t)
{
	const unsigned int count = (unsigned int)scaled(30000);
	struct server nginx;
	char number[16];
	struct run *run;

	need_own_size(t);
	fresh_dir(t);
	expect_exit(SH("rm -rf -- * .[!.]*; chmod 755 .; mkdir www; echo hello >www/f"), 0);
	if (!server_start(&nginx, "nginx"))
		skip_because(t, "nginx is not installed");
	snprintf(number, sizeof(number), "%u", count);
	run = SH("seq $1 | sed \"s,^,$2?,\" | \"$BATCHPROC\" fetch --json -o none -T - >records",
		 number, server_url(&nginx, "http", "/f"));
	expect_exit(run, 0);
	expect_between(run->usage.ru_maxrss, 1, 64 * 1024);
	/* Each has its record, and only one. */
	expect_exit(SH("test $(grep -c '\"status\":\"ok\"' records) = $1", number), 0);
	expect_exit(SH("test $(grep -o '\"seq\":[0-9]*' records | sort -u | wc -l) = $1", number),
		    0);
	server_stop(&nginx);
}

/* The benchmark's server, beside the command, which answers after so many milliseconds. */
static struct run *start_slow(struct test *t, const char *ms, unsigned int *port)
{
	static char path[PATH_MAX];
	struct run *run;

	snprintf(path, sizeof(path), "%s", getenv("BATCHPROC"));
	strcpy(strrchr(path, '/'), "/slow-server");
	if (access(path, X_OK))
		skip_because(t, "no slow-server beside the command");
	run = START(HOW(.program = path, .feed = true), ms);
	until_printed(run, 1, "\n", 1);
	*port = (unsigned int)atoi(run->out.data);
	return run;
}

/* The most requests that it had at once. */
static unsigned long end_slow(struct run *server, unsigned long expected)
{
	unsigned long requests = 0, most = 0;

	run_feed_end(server);
	run_end(server);
	expect_eq(sscanf(strchr(server->out.data, '\n'), "%lu requests, %lu", &requests, &most), 2);
	expect_eq(requests, expected);
	return most;
}

static void make_list(unsigned int port, unsigned int count)
{
	struct text list = {0};

	for (unsigned int i = 0; i < count; i++)
		text_printf(&list, "http://127.0.0.1:%u/%u\n", port, i);
	make_file("list", list.data);
	text_free(&list);
}

static long size_of(const char *jobs, unsigned int count)
{
	struct run *run =
		BP("fetch", "--json", "--loops", "1", "-j", jobs, "-o", "none", "-T", "list");

	expect_exit(run, 0);
	expect_records(run, count);
	return run->usage.ru_maxrss;
}

static void a_request_in_flight_needs_little_memory(struct test *t)
{
	const unsigned int count = 500;
	struct run *server;
	unsigned int port;
	long one, all;

	need_own_size(t);
	fresh_dir(t);
	/* Long enough for all to be there at once, or nearly. */
	server = start_slow(t, "1000", &port);
	make_list(port, 1);
	one = size_of("500", 1);
	make_list(port, count);
	all = size_of("500", count);
	expect_between(all - one, 0, 25 * (long)count);
	expect_between(end_slow(server, count + 1), 2, count);
}

static void no_more_are_in_flight_than_is_wanted(struct test *t)
{
	struct run *server, *run;
	unsigned int port;

	fresh_dir(t);
	server = start_slow(t, "100", &port);
	make_list(port, 200);
	run = BP("fetch", "--json", "-j", "20", "-o", "none", "-T", "list");
	expect_exit(run, 0);
	expect_records(run, 200);
	/* Ten rounds. */
	expect(run->seconds >= 1.0);
	expect_between(end_slow(server, 200), 1, 20);
}

static const struct test_case cases[] = {
	ONCE(a_long_list_is_got_in_little_memory),
	ONCE(a_request_in_flight_needs_little_memory),
	ONCE(no_more_are_in_flight_than_is_wanted),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
