/* SPDX-License-Identifier: MIT */
/*
 * cmd_probe_run - how often a target is probed, and what a run of probes is to the machinery that
 * all verbs share
 */
#include <sched.h>
#include <sys/syscall.h>

#include "support/probes.h"
#include "support/records.h"

static void all_samples_count(struct test *t)
{
	struct player player;
	struct run *run;
	const char *line, *name;
	long long p50, p90, p99, max;

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	name = target("http://", player.port, "/");
	run = BP("probe", "--json", "--repeat", "200", "--interval", "0", name);
	expect_exit(run, 0);
	line = line_of(run, name);
	expect_eq(number_in(line, "samples"), 200);
	expect_eq(number_in(line, "failed_samples"), 0);
	p50 = number_in(line, "p50_us");
	p90 = number_in(line, "p90_us");
	p99 = number_in(line, "p99_us");
	max = number_in(line, "max_us");
	expect(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max);
	line = strstr(run->out.data, "{\"v\":1,\"summary\":true");
	expect_eq(number_in(line, "samples_answered"), 200);
	expect_eq(number_in(line, "p50_us"), p50);
	expect_eq(number_in(line, "max_us"), max);
	expect_eq(player.requests, 200);
	expect_says(run, "200 samples answered: p50 ");
	player_stop(&player);

	/* One that fails is enough. */
	run = BP("probe", "--json", "--repeat", "3", "--interval", "1ms", name);
	expect_exit(run, 1);
	line = line_of(run, name);
	expect_eq(number_in(line, "failed_samples"), 3);
	expect_lacks(line, "p50_us");
	run = BP("probe", "--repeat", "3", "--interval", "1ms", name);
	expect(text_count(&run->out, "SAMPLES") == 1);
}

static void it_waits_until_a_port_is_open(struct test *t)
{
	uint16_t port = 0;
	int fd;
	char path[PATH_MAX];
	struct run *run;

	fresh_dir(t);
	need_watch(t);
	fd = listen_at("127.0.0.1", &port, -1);
	run = START(HOW(.watched = __NR_connect), "probe", "--json", "--backend", "threads",
		    "--loops", "1", "--until-up", "--interval", "1ms", target("tcp://", port, ""));
	for (int i = 0; i < 3; i++) {
		expect(until_called(run, path));
		let_call(run);
	}
	expect(until_called(run, path));
	assert_int_equal(listen(fd, 8), 0);
	do {
		let_call(run);
	} while (until_called(run, path));
	run_end(run);
	expect_exit(run, 0);
	expect(number_in(run->out.data, "failed_samples") > 0);
	expect_eq(number_in(run->out.data, "samples"),
		  number_in(run->out.data, "failed_samples") + 1);
	close(fd);

	/* And not for ever. */
	fd = listen_at("127.0.0.1", &port, -1);
	run = BP("probe", "--until-up=600ms", "--interval", "100ms", target("tcp://", port, ""));
	expect_exit(run, 1);
	expect_says(run, "Connection refused");
	close(fd);
}

static void a_signal_ends_the_waiting(struct test *t)
{
	struct player player;
	struct run *run;
	const char *name;

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 503 Not yet\r\nContent-Length: 0\r\n\r\n");
	name = target("http://", player.port, "/");
	run = START(HOW(.feed = false), "probe", "--json", "--until-up", "--interval", "1h", name);
	while (!player.requests)
		sched_yield();
	run_signal(run, SIGINT);
	run_end(run);
	expect_exit(run, 130);
	expect_records(run, 1);
	player_stop(&player);
}

static void a_signal_between_samples_is_no_failure(struct test *t)
{
	struct player player;
	struct run *run;

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 204 N\r\n\r\n");
	run = START(HOW(.feed = false), "probe", "--json", "--repeat", "2", "--interval", "1h",
		    target("http://", player.port, "/"));
	while (!player.requests)
		sched_yield();
	run_signal(run, SIGINT);
	run_end(run);
	expect_exit(run, 130);
	expect_eq(expect_records(run, 1)->cancelled, 1);
	player_stop(&player);
}

static void jobs_of_a_manifest_in_either_form(struct test *t)
{
	struct player player;
	struct run *run;
	char jobs[1024];

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	snprintf(
		jobs, sizeof(jobs),
		"probe --expect-status 200 --until-up http://127.0.0.1:%u/\n"
		"probe --until-up=5s tcp://127.0.0.1:%u\n"
		"{\"op\":\"probe\",\"endpoint\":\"http://127.0.0.1:%u/x\",\"expect-body\":\"^ok$\",\"until-up\":true}\n"
		"{\"op\":\"probe\",\"endpoint\":\"http://127.0.0.1:%u/y\",\"header\":[\"A: b\",\"C: d\"],\"repeat\":2,"
		"\"interval\":\"1ms\"}\n"
		"probe --expect-status 201 http://127.0.0.1:%u/bad\n",
		player.port, player.port, player.port, player.port, player.port);
	make_file("jobs", jobs);
	run = BP("run", "--json", "--failed-to", "failed", "jobs");
	expect_exit(run, 1);
	expect_records(run, 5);
	expect_eq(number_in(line_of(run, target("http://", player.port, "/y")), "samples"), 2);
	run = SH("cat failed");
	expect_has(run->out.data, "/bad");
	expect_has(run->out.data, "\"expect-status\":\"201\"");
	expect_exit(BP("run", "failed"), 1);
	/* A record is a job again. */
	run = SH("\"$BATCHPROC\" run --json jobs | grep '/x\"' >again; grep -c . again");
	expect_out(run, "1\n");
	expect_exit(BP("run", "again"), 0);
	player_stop(&player);
}

static void what_was_done_is_not_probed_again(struct test *t)
{
	struct player player;
	struct run *run;
	char list[1024] = "";
	unsigned int done = 0;

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	for (int i = 0; i < 10; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
			 "http://127.0.0.1:%u/%d\n", player.port, i);
	make_file("list", list);
	/* Two shards are the whole. */
	run = BP("probe", "--json", "--shard", "1/2", "--allow-empty", "-T", "list");
	done += (unsigned int)text_count(&run->out, "\"status\":\"ok\"");
	run = BP("probe", "--json", "--shard", "2/2", "--allow-empty", "-T", "list");
	done += (unsigned int)text_count(&run->out, "\"status\":\"ok\"");
	expect_eq(done, 10);
	expect_eq(player.requests, 10);
	expect_exit(BP("probe", "--journal", "journal", "-T", "list"), 0);
	expect_eq(player.requests, 20);
	run = BP("probe", "--json", "--journal", "journal", "--resume", "-T", "list");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\"status\":\"skipped\""), 10);
	expect_eq(player.requests, 20);
	/* Something else is asked for: that is another journal's business. */
	expect_exit(BP("probe", "--expect-status", "204", "--journal", "journal", "--resume", "-T",
		       "list"),
		    2);
	/* Headers may be secrets. */
	expect_exit(BP("probe", "-H", "Authorization: secret", "--journal", "other", "-T", "list"),
		    0);
	expect_exit(SH("! grep -q secret other"), 0);
	player_stop(&player);
}

static void a_proxy_of_the_environment_is_asked(struct test *t)
{
	static char variable[64], exempt[] = "no_proxy=a.test";
	struct player player;
	struct run *run;

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	snprintf(variable, sizeof(variable), "http_proxy=http://127.0.0.1:%u", player.port);
	run = RUN(HOW(.env = (const char *const[]){variable, "no_proxy", "NO_PROXY", NULL}),
		  "probe", "http://a.test/");
	expect_exit(run, 0);
	expect_eq(player.requests, 1);
	run = RUN(HOW(.env = (const char *const[]){variable, exempt, NULL}), "probe", "--timeout",
		  "5s", "http://a.test/");
	expect_exit(run, 1);
	expect_eq(player.requests, 1);
	run = RUN(HOW(.env = (const char *const[]){"http_proxy=socks5://x", NULL}), "probe",
		  "http://a.test/");
	expect_exit(run, 2);
	player_stop(&player);
}

static void a_password_is_shown_to_nobody_but_the_server(struct test *t)
{
	struct player player;
	struct run *run;
	char url[96];

	fresh_dir(t);
	player_start(&player, "HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\r\n");
	snprintf(url, sizeof(url), "http://user:secret@127.0.0.1:%u/", player.port);
	run = BP("probe", "--json", "--journal", "journal", "--failed-to", "failed", url);
	expect_exit(run, 1);
	expect_has(line_of(run, target("http://", player.port, "/")), "\"code\":401");
	expect_lacks(run->out.data, "secret");
	expect_lacks(run->err.data, "secret");
	expect_exit(SH("! grep -q secret journal"), 0);
	/* What did not succeed is to be tried again, with all of it. */
	expect_exit(SH("grep -q secret failed"), 0);
	run = BP("probe", "tcp://user:secret@a.test:1", "http://user:secret@bad host/");
	expect_exit(run, 1);
	expect_lacks(run->out.data, "secret");
	expect_lacks(run->err.data, "secret");
	player_stop(&player);
}

/* The benchmark's slow server, beside the command, counts how many requests wait at once. */
/* A server of so many places, and the most requests that it had at once while @options were used. */
static unsigned long most_at_server(const char *delay, const char *places, const char *options,
				    int requests, struct records **records)
{
	char path[PATH_MAX], *list;
	unsigned long seen = 0, most = 0;
	struct run *server, *run;
	unsigned int port;
	size_t size;
	FILE *f = open_memstream(&list, &size);

	snprintf(path, sizeof(path), "%s", getenv("BATCHPROC"));
	strcpy(strrchr(path, '/'), "/slow-server");
	server = START(HOW(.program = path, .feed = true), delay, places);
	until_printed(server, 1, "\n", 1);
	port = (unsigned int)atoi(server->out.data);
	for (int i = 0; i < requests; i++)
		fprintf(f, "http://127.0.0.1:%u/%d\n", port, i);
	fclose(f);
	make_file("list", list);
	free(list);
	run = BP("probe", options, "--json", "-T", "list");
	expect_exit(run, 0);
	*records = expect_records(run, (size_t)requests);
	run_feed_end(server);
	run_end(server);
	expect_eq(sscanf(strchr(server->out.data, '\n'), "%lu requests, %lu", &seen, &most), 2);
	expect_eq(seen, requests);
	return most;
}

static bool has_slow_server(struct test *t)
{
	char path[PATH_MAX];

	fresh_dir(t);
	snprintf(path, sizeof(path), "%s", getenv("BATCHPROC"));
	strcpy(strrchr(path, '/'), "/slow-server");
	if (!access(path, X_OK))
		return true;
	skip_because(t, "no slow-server beside the command");
	return false;
}

static void the_server_sees_no_more_than_the_limit(struct test *t)
{
	struct records *records;

	if (!has_slow_server(t))
		return;
	expect_between(most_at_server("10", "1000", "-j20", 200, &records), 1, 20);
	expect_eq(records->limit, 20);
	expect(!records->limit_reason[0]);
}

/* Without -j it finds out that the server does 32 at once, about; a busy machine is another server. */
static void without_a_limit_one_is_found(struct test *t)
{
	struct records *records;
	unsigned long most;

	if (!has_slow_server(t))
		return;
	most = most_at_server("10", "32", "-jauto", 4000, &records);
	expect_between(most, 17, 128);
	expect_between(records->limit, 1, 128);
	expect(records->limit_reason[0] && strcmp(records->limit_reason, "starting"));

	/* What waits for this machine's disks has a fixed one. */
	make_file("file", "x");
	records = expect_records(BP("hash", "--json", "file"), 1);
	expect(records->limit % 64 == 0);
	expect(!records->limit_reason[0]);
}

static const struct test_case cases[] = {
	ONCE(all_samples_count),
	ONCE(it_waits_until_a_port_is_open),
	ONCE(a_signal_ends_the_waiting),
	ONCE(a_signal_between_samples_is_no_failure),
	ONCE(jobs_of_a_manifest_in_either_form),
	ONCE(what_was_done_is_not_probed_again),
	ONCE(a_proxy_of_the_environment_is_asked),
	ONCE(a_password_is_shown_to_nobody_but_the_server),
	ONCE(the_server_sees_no_more_than_the_limit),
	ONCE(without_a_limit_one_is_found),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
