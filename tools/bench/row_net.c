/* SPDX-License-Identifier: MIT */
/*
 * row_net.c - endpoints: `batchproc probe` against what one would use without it
 *
 * probe: ten thousand ports of which half are open, against xargs with nc and a pool of blocking
 * sockets. in-flight: ten thousand requests at once to a server that takes a second, against a
 * thread for each, Go's errgroup with net/http, and a bare ring, which shows what the kernel and the
 * server take for so many connections; then a thousand of them a hundred at a time, where the server
 * itself counts how many it has at once.
 *
 * The server is slow-server beside this program, and everything stays on the loopback. How many have
 * answered is seen after each run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "server.h"

/* ---------------------------------------------------------------- contestants */

struct asking {
	struct process process;
	unsigned long open; /* how many must have answered */
};

static struct asking ours, xargs, pool, ring, go;
static char root[4096], list[4096 + 32], plain[4096 + 32];

static int run_asking(void *arg, struct measure *out)
{
	const struct asking *a = arg;

	return process_run(&a->process, out);
}

static int check(void *arg)
{
	const struct asking *a = arg;
	unsigned long answered = process_lines_with(&a->process, "ok ");

	if (answered == a->open)
		return 0;
	fprintf(stderr, "bench: %lu answered, not %lu: %s\n", answered, a->open,
		a->process.command);
	return -EBADMSG;
}

static void expect(unsigned long open)
{
	ours.open = xargs.open = pool.open = ring.open = go.open = open;
}

static struct contestant ours_side = {.name = "batchproc",
				      .run = run_asking,
				      .check = check,
				      .arg = &ours};
static struct contestant xargs_side = {.name = "xargs -P64 nc -z",
				       .run = run_asking,
				       .check = check,
				       .arg = &xargs};
static struct contestant pool_side = {.run = run_asking, .check = check, .arg = &pool};
static struct contestant ring_side = {.name = "bare ring, no parser",
				      .run = run_asking,
				      .check = check,
				      .arg = &ring};
static struct contestant go_side = {.name = "Go errgroup, net/http",
				    .run = run_asking,
				    .check = check,
				    .arg = &go};

static int make_place(const struct bench *b)
{
	const char *dir = b->dir ? b->dir : "/tmp";

	snprintf(root, sizeof(root), "%s/batchproc-bench.XXXXXX", dir);
	if (!mkdtemp(root))
		return -errno;
	snprintf(list, sizeof(list), "%s/list", root);
	snprintf(plain, sizeof(plain), "%s/plain", root);
	snprintf(ours.process.out, sizeof(ours.process.out), "%s/ours", root);
	snprintf(xargs.process.out, sizeof(xargs.process.out), "%s/xargs", root);
	snprintf(pool.process.out, sizeof(pool.process.out), "%s/pool", root);
	snprintf(ring.process.out, sizeof(ring.process.out), "%s/ring", root);
	snprintf(go.process.out, sizeof(go.process.out), "%s/go", root);
	return 0;
}

static void remove_place(void)
{
	unlink(list);
	unlink(plain);
	unlink(ours.process.out);
	unlink(xargs.process.out);
	unlink(pool.process.out);
	unlink(ring.process.out);
	unlink(go.process.out);
	rmdir(root);
}

static struct choice choice;

static int ask_choice(const struct bench *b, const char *options, unsigned int port)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' probe --json %s tcp://127.0.0.1:%u",
		 b->batchproc, options, port);
	snprintf(ask.out, sizeof(ask.out), "%s", ours.process.out);
	return process_choice(&ask, &choice);
}

static void report_against(const struct bench *b, struct result *r, const char *note,
			   const struct contestant *theirs)
{
	r->unit = "s";
	r->speed_up = true;
	r->backend = choice.backend;
	r->loops = choice.loops;
	r->limit = choice.limit;
	r->note = note;
	report_pair(b, r, &ours_side, theirs);
}

/* ---------------------------------------------------------------- probe */

/* Ports of addresses in 127.0.0.0/8: every second one has a server. */
static int write_ports(unsigned int port, unsigned int count)
{
	FILE *f = fopen(list, "w"), *g = fopen(plain, "w");

	for (unsigned int i = 0; f && g && i < count; i++) {
		char address[32] = "127.0.0.1";

		if (i % 2)
			snprintf(address, sizeof(address), "127.%u.%u.%u", 1 + i / 62500,
				 i / 250 % 250, 2 + i % 250);
		fprintf(f, "tcp://%s:%u\n", address, port);
		fprintf(g, "%s:%u\n", address, port);
	}
	if (!f || !g || fclose(f) || fclose(g))
		return -errno;
	return 0;
}

static void set_ports(const struct bench *b, unsigned int threads)
{
	static char name[32];

	snprintf(name, sizeof(name), "pool of %u threads", threads);
	pool_side.name = name;
	snprintf(pool.process.command, sizeof(pool.process.command),
		 "exec '%s/pool-net' -t %u tcp '%s'", b->bindir, threads, plain);
}

static int run_probe(const struct bench *b, unsigned int port)
{
	struct contestant *all[] = {&ours_side, &pool_side, &xargs_side};
	unsigned int count = b->smoke ? 20 : 10000, peers = has_program("nc") ? 3 : 2;
	struct result r = {.row = "probe", .what = "ports", .items = count};
	char note[64];
	int err = write_ports(port, count);

	/* Closed ports make it exit with 1. */
	snprintf(ours.process.command, sizeof(ours.process.command),
		 "'%s' probe -q --progress none -T '%s' || [ $? = 1 ]", b->batchproc, list);
	snprintf(
		xargs.process.command, sizeof(xargs.process.command),
		"tr : ' ' <'%s' | xargs -P64 -n2 sh -c 'nc -z $0 $1 && echo ok $0' || [ $? = 123 ]",
		plain);
	if (!err)
		err = ask_choice(b, "", port);
	expect(count / 2);
	if (!err)
		err = best_threads(b, &pool_side, 3, set_ports);
	if (!err)
		err = interleave(all, peers, b->runs);
	if (err)
		return err;
	snprintf(note, sizeof(note), "%u ports of 127.0.0.0/8, half of them open", count);
	r.goal = 10;
	if (peers == 3)
		report_against(b, &r, note, &xargs_side);
	else
		report_skip(b, "probe", xargs_side.name, "no nc here");
	r.goal = 1.3;
	report_against(b, &r, note, &pool_side);
	return 0;
}

int row_probe(const struct bench *b)
{
	struct server server;
	int err = make_place(b);

	if (err)
		return err;
	err = server_start(b, &server, "1000");
	if (!err)
		err = run_probe(b, server.port);
	server_stop(&server);
	remove_place();
	return err;
}

/* ---------------------------------------------------------------- in-flight */

static int write_requests(unsigned int port, unsigned int count)
{
	FILE *f = fopen(list, "w"), *g = fopen(plain, "w");

	for (unsigned int i = 0; f && g && i < count; i++) {
		fprintf(f, "http://127.0.0.1:%u/%u\n", port, i);
		fprintf(g, "127.0.0.1:%u\n", port);
	}
	if (!f || !g || fclose(f) || fclose(g))
		return -errno;
	return 0;
}

static void set_requests(const struct bench *b, const char *options, unsigned int threads)
{
	static char name[48];

	snprintf(ours.process.command, sizeof(ours.process.command),
		 "exec '%s' probe -q --progress none %s -T '%s'", b->batchproc, options, list);
	snprintf(name, sizeof(name), "%u threads", threads);
	pool_side.name = name;
	snprintf(pool.process.command, sizeof(pool.process.command),
		 "exec '%s/pool-net' -t %u get '%s'", b->bindir, threads, plain);
	snprintf(ring.process.command, sizeof(ring.process.command), "exec '%s/ring-net' %u '%s'",
		 b->bindir, threads, plain);
	snprintf(go.process.command, sizeof(go.process.command), "exec '%s/errgroup-get' %u '%s'",
		 b->bindir, threads, plain);
}

static bool has_go(const struct bench *b)
{
	char path[4096 + 32];

	snprintf(path, sizeof(path), "%s/errgroup-get", b->bindir);
	return !access(path, X_OK);
}

/* The largest resident size of a command, in KiB. */
static long size_of(const struct process *p)
{
	struct rusage ru = {0};
	int fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), status;
	pid_t pid = fork();

	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
		_exit(127);
	}
	close(fd);
	return pid > 0 && wait4(pid, &status, 0, &ru) == pid ? ru.ru_maxrss : 0;
}

/* Bytes of a side for each request in flight, over a run with one of them. */
static double size_for_each(const struct asking *a, long all, unsigned int limit)
{
	return (double)(all - size_of(&a->process)) * 1024 / limit;
}

struct sizes {
	double ours, pool, go;
};

static int sizes_for_each(const struct bench *b, const char *options, unsigned int port,
			  unsigned int limit, unsigned int count, struct sizes *sizes)
{
	long ours_all = size_of(&ours.process), pool_all = size_of(&pool.process);
	long go_all = has_go(b) ? size_of(&go.process) : 0;
	int err = write_requests(port, 1);

	if (err)
		return err;
	set_requests(b, options, 1);
	sizes->ours = size_for_each(&ours, ours_all, limit);
	sizes->pool = size_for_each(&pool, pool_all, limit);
	sizes->go = go_all ? size_for_each(&go, go_all, limit) : 0;
	set_requests(b, options, limit);
	return write_requests(port, count);
}

static int run_case(const struct bench *b, const struct server *server, const char *what,
		    unsigned int count, unsigned int limit, double goal)
{
	struct contestant *all[] = {&ours_side, &pool_side, &ring_side, &go_side};
	struct result r = {.row = "in-flight", .what = what, .goal = goal, .items = count};
	struct sizes sizes;
	char options[64], note[128];
	int err = write_requests(server->port, count);

	snprintf(options, sizeof(options), "--loops 1 -j %u", limit);
	set_requests(b, options, limit);
	if (!err)
		err = ask_choice(b, options, server->port);
	expect(count);
	if (!err)
		err = interleave(all, has_go(b) ? 4 : 3, b->runs);
	if (!err)
		err = sizes_for_each(b, options, server->port, limit, count, &sizes);
	if (err)
		return err;
	snprintf(note, sizeof(note), "%u requests; for each in flight %.1f KiB, theirs %.1f KiB",
		 count, sizes.ours / 1024, sizes.pool / 1024);
	r.ours_memory = sizes.ours;
	r.theirs_memory = sizes.pool;
	report_against(b, &r, note, &pool_side);
	snprintf(note, sizeof(note), "%u requests; for each in flight %.1f KiB, theirs %.1f KiB",
		 count, sizes.ours / 1024, sizes.go / 1024);
	r.theirs_memory = sizes.go;
	if (has_go(b))
		report_against(b, &r, note, &go_side);
	else
		report_skip(b, "in-flight", go_side.name, "no Go and x/sync/errgroup here");
	snprintf(note, sizeof(note), "%u requests", count);
	r.goal = r.ours_memory = r.theirs_memory = 0;
	report_against(b, &r, note, &ring_side);
	return 0;
}

int row_in_flight(const struct bench *b)
{
	unsigned int all = b->smoke ? 20 : 10000, some = b->smoke ? 20 : 1000;
	unsigned int limit = b->smoke ? 5 : 100;
	struct server server;
	unsigned long most = 0;
	int err = make_place(b);

	if (err)
		return err;
	err = server_start(b, &server, b->smoke ? "10" : "1000");
	if (!err)
		err = run_case(b, &server, "all at once", all, all, 1);
	server_stop(&server);
	if (!err)
		err = server_start(b, &server, b->smoke ? "10" : "1000");
	if (!err) {
		err = run_case(b, &server, "with a limit", some, limit, 0.95);
		most = server_stop(&server);
	}
	if (!err && most > limit) {
		fprintf(stderr, "bench: the server had %lu requests at once, not %u\n", most,
			limit);
		err = -EBADMSG;
	}
	remove_place();
	return err;
}
