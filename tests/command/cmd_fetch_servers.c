/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_servers - fetch and the servers that are out there: nginx, apache, lighttpd, python3's,
 * haproxy
 *
 * What they do is in no specification: they end connections when they are reloaded, or when nobody
 * used them for a moment; each has ranges, redirections and conditions of its own. One that is not
 * installed is left out by name.
 */
#include <sys/stat.h>
#include <time.h>

#include "support/cmd.h"
#include "support/records.h"
#include "support/servers.h"

static const char *const kinds[] = {"nginx", "apache2", "lighttpd", "python3"};

#define BIG 1500000

/* www/ with small.txt, text.txt (which is worth compressing), big, and dir/. */
static void begin(struct test *t)
{
	char *text = malloc(60001);

	/* The lowest users of servers may look into it. */
	fresh_dir(t);
	expect_exit(SH("rm -rf -- * .[!.]*"), 0);
	expect_eq(chmod(".", 0755), 0);
	make_dir("www");
	make_dir("www/dir");
	make_file("www/small.txt", "hello");
	make_file("www/dir/a b.txt", "blank");
	make_file("www/dir/index.html", "index");
	make_pattern("www/big", BIG);
	for (int i = 0; i < 60000; i++)
		text[i] = (char)('a' + i / 1000 % 20);
	make_bytes("www/text.txt", text, 60000);
	free(text);
}

static bool start(struct server *server, const char *kind)
{
	if (server_start(server, kind))
		return true;
	print_message("%s is left out: it is not here\n", kind);
	return false;
}

/* A list of so many different URLs of one file. */
static void make_list(const struct server *server, const char *path, unsigned int count)
{
	char *text = malloc(count * 96ul + 1), *end = text;

	for (unsigned int i = 0; i < count; i++)
		end += sprintf(end, "%s?%u\n", server_url(server, "http", path), i);
	make_file("list", text);
	free(text);
}

/* Every one is there by its first attempt. */
static void expect_all_first(const struct run *run, size_t count)
{
	const struct records *records = expect_records(run, count);
	size_t good = 0;

	expect_exit(run, 0);
	for (size_t i = 0; i < records->count; i++)
		good += !strcmp(records->all[i].status, "ok") && records->all[i].attempts == 1;
	expect_eq(good, count);
}

static const struct server *reloaded;

static void reload(unsigned long round)
{
	(void)round;
	server_reload(reloaded);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

/* A kept connection that is lost before the first byte of a response costs no attempt. */
static void a_server_that_is_reloaded_loses_no_request(struct test *t)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int count = (unsigned int)scaled(6000);
		struct server server;
		struct unrest unrest;
		struct run *run;

		begin(t);
		if (!start(&server, kinds[i]))
			continue;
		make_list(&server, "/small.txt", count);
		reloaded = &server;
		unrest_begin(&unrest, reload);
		run = BP("fetch", "-j8", "-o", "none", "--json", "--rate", "4000/s", "-T", "list");
		unrest_end(&unrest);
		expect_all_first(run, count);
		server_stop(&server);
	}
}

/* haproxy ends what nobody uses, with a 408 where nothing was ever asked. */
static void idle_connections_that_are_ended_are_not_used(struct test *t)
{
	struct server server, proxy;

	begin(t);
	if (!start(&server, "nginx"))
		return;
	if (server_start_proxy(&proxy, server.port)) {
		make_list(&proxy, "/small.txt", 20);
		expect_all_first(BP("fetch", "-j2", "-o", "none", "--json", "--rate", "20/s", "-T",
				    "list"),
				 20);
		server_stop(&proxy);
	} else {
		print_message("haproxy is left out: it is not here\n");
	}
	server_stop(&server);
}

static void what_has_not_changed_is_not_sent_again(struct test *t)
{
	for (unsigned int i = 0; i < COUNT_OF(kinds); i++) {
		struct server server;
		struct run *run;

		begin(t);
		if (!start(&server, kinds[i]))
			continue;
		expect_exit(BP("fetch", "-u", server_url(&server, "http", "/small.txt")), 0);
		expect_exit(SH("cmp small.txt www/small.txt"), 0);
		run = BP("fetch", "-u", "--json", server_url(&server, "http", "/small.txt"));
		expect_exit(run, 0);
		expect(text_count(&run->out, "\"status\":\"skipped\"") == 1);
		/* Newer, and of another size. */
		expect_exit(SH("echo more >>www/small.txt; touch -d '+1 minute' www/small.txt"), 0);
		run = BP("fetch", "-u", "--json", server_url(&server, "http", "/small.txt"));
		expect_exit(run, 0);
		expect(text_count(&run->out, "\"status\":\"ok\"") == 1);
		expect_exit(SH("cmp small.txt www/small.txt"), 0);
		server_stop(&server);
	}
}

static void redirections_of_each_server_are_followed(struct test *t)
{
	for (unsigned int i = 0; i < COUNT_OF(kinds); i++) {
		struct server server;

		begin(t);
		if (!start(&server, kinds[i]))
			continue;
		expect_exit(BP("fetch", "-o", "got", server_url(&server, "http", "/dir")), 0);
		expect_exit(SH("cmp got www/dir/index.html"), 0);
		if (!strcmp(kinds[i], "nginx")) {
			/* With a blank in it, as it stands in the configuration. */
			expect_exit(BP("fetch", "-o", "got", server_url(&server, "http", "/blank")),
				    0);
			expect_exit(SH("cmp got 'www/dir/a b.txt'"), 0);
		}
		server_stop(&server);
	}
}

static void what_is_compressed_is_what_it_was(struct test *t)
{
	struct server server;
	struct run *run;

	begin(t);
	if (!start(&server, "nginx"))
		return;
	run = BP("fetch", "--json", "--compressed", "-o", "got",
		 server_url(&server, "http", "/text.txt"));
	expect_exit(run, 0);
	expect_exit(SH("cmp got www/text.txt"), 0);
	expect_exit(BP("fetch", "-o", "plain", server_url(&server, "http", "/text.txt")), 0);
	expect_exit(SH("cmp plain www/text.txt"), 0);
	/* A look at the body is one at what it holds. */
	expect_exit(BP("probe", "--compressed", "--expect-body", "^a{200}",
		       server_url(&server, "http", "/text.txt")),
		    0);
	server_stop(&server);
}

/* Whether any file here is a part of a body. */
static bool has_part(void)
{
	struct run *run = SH("find . -maxdepth 1 -name '.*' -type f -size +100k | grep -c .");

	return atoi(run->out.data) > 0;
}

static void a_killed_fetch_is_gone_on_with(struct test *t)
{
	for (unsigned int i = 0; i < COUNT_OF(kinds); i++) {
		struct server server;
		struct run *run;
		bool ranges = strcmp(kinds[i], "python3");

		begin(t);
		if (!start(&server, kinds[i]))
			continue;
		/* A validator is strong only when the file is older than a second. */
		expect_exit(SH("touch -d '1 hour ago' www/big"), 0);
		run = START(HOW(.feed = false), "fetch", "--journal", "journal", "--bwlimit",
			    "400K", server_url(&server, "http", "/big"));
		while (!has_part())
			sched_yield();
		kill(run->pid, SIGKILL);
		run_end(run);
		expect_gone("big");
		run = BP("fetch", "--json", "--journal", "journal", "--resume",
			 server_url(&server, "http", "/big"));
		expect_exit(run, 0);
		expect_exit(SH("cmp big www/big"), 0);
		expect_exit(SH("! find . -maxdepth 1 -name '.*' -type f | grep ."), 0);
		/* Logs are whole when their servers have ended. */
		server_stop(&server);
		if (ranges)
			expect_exit(SH("grep -q '/big 206' \"$1.log\"", kinds[i]), 0);
	}
}

/* Files 0 to count - 1 in www/, each with a content of its own, and the list of their URLs. */
static void make_many(const struct server *server, unsigned int count)
{
	char *text = malloc(count * 96ul + 1), *end = text;
	char name[64], content[64];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "/%u.txt", i);
		end += sprintf(end, "%s\n", server_url(server, "http", name));
		snprintf(name, sizeof(name), "www/%u.txt", i);
		snprintf(content, sizeof(content), "content of file %u\n", i);
		make_file(name, content);
	}
	make_file("list", text);
	free(text);
}

/*
 * A thousand files, killed again and again in the middle: in the end all are right, and nothing
 * else is there.
 */
static void nothing_is_lost_by_kill_9(struct test *t)
{
	const unsigned int count = (unsigned int)scaled(1000), kills = (unsigned int)scaled(50);
	struct server server;
	struct run *run;
	char most[32];

	begin(t);
	if (!start(&server, "nginx"))
		return;
	make_many(&server, count);
	for (unsigned int i = 0; i < kills; i++) {
		/* Slow enough that there is something left for the last one. */
		run = START(HOW(.feed = false), "fetch", "--json", "--journal", "journal",
			    "--resume", "-j8", "--rate", "100/s", "-P", "got", "-T", "list");
		until_printed(run, 1, "\"status\":\"ok\"", 1 + i * 7 % 11);
		kill(run->pid, SIGKILL);
		run_end(run);
	}
	run = BP("fetch", "--json", "--journal", "journal", "--resume", "-P", "got", "-T", "list");
	expect_exit(run, 0);
	expect_records(run, count);
	expect_exit(SH("cd got && for f in *; do cmp \"$f\" ../www/\"$f\" || exit 1; done"), 0);
	snprintf(most, sizeof(most), "%u\n", count);
	expect_out(SH("find got -type f | wc -l"), most);
	server_stop(&server);
	/* What was in flight, or not noted yet, may come twice; all of it does not. */
	snprintf(most, sizeof(most), "%u", count + kills * 64);
	expect_exit(SH("test $(grep -c ' 200$' nginx.log) -le \"$1\"", most), 0);
}

static const struct test_case cases[] = {
	ONCE(a_server_that_is_reloaded_loses_no_request),
	ONCE(idle_connections_that_are_ended_are_not_used),
	ONCE(what_has_not_changed_is_not_sent_again),
	ONCE(redirections_of_each_server_are_followed),
	ONCE(what_is_compressed_is_what_it_was),
	ONCE(a_killed_fetch_is_gone_on_with),
	ONCE(nothing_is_lost_by_kill_9),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
