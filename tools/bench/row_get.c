/* SPDX-License-Identifier: MIT */
/*
 * row_get.c - `batchproc fetch` of many small URLs from one nginx worker, 64 in flight
 *
 * get: to files, against curl --parallel, wget2, the best pool of blocking sockets with the same
 * parser, and a bare ring client without one; and to nowhere, against wrk, and these two again:
 * most of the CPU time for a small file is the file system's, whoever makes it. get-tls: the same
 * over TLS, against curl and wrk.
 *
 * Every side gets the same body as many times, under other names, into a directory of a fresh ext4
 * (see image.c) where one can be had, and what came is compared to the byte after each run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define BODY 1024
#define IN_FLIGHT 64
#define IMAGE_SIZE (1ull << 30)
#define SMOKE_IMAGE_SIZE (64ull << 20)

enum side {
	OURS,
	CURL,
	WGET2,
	POOL,
	RING,
	OURS_DROPPING,
	POOL_DROPPING,
	RING_DROPPING,
	WRK,
	SIDES,
};

static struct getting {
	const struct bench *b;
	const char *row, *scheme;
	unsigned int port, count;
	char root[4096];
	bool fresh; /* files are made on a fresh file system */
	pid_t nginx;
	struct choice choice;
} job;

static struct one {
	enum side side;
	struct process process;
} ones[SIDES];

static struct contestant sides[SIDES];

/* ---------------------------------------------------------------- the server */

/* Runs a script in the row's directory. */
static int script(const char *text)
{
	static char command[4 * 4096];

	snprintf(command, sizeof(command), "cd '%s' && {\n%s\n}", job.root, text);
	return system(command) ? -EIO : 0;
}

static unsigned int free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&addr, len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		addr.sin_port = 0;
	close(fd);
	return ntohs(addr.sin_port);
}

static bool answers(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)job.port),
				   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected = !connect(fd, (struct sockaddr *)&addr, sizeof(addr));

	close(fd);
	return connected;
}

static int server_start(bool tls)
{
	static const char conf[] =
		"head -c %d /dev/urandom >www/f; chmod 755 . www\n"
		"cat >nginx.conf <<END\n"
		"daemon off; master_process off; pid pid; error_log err;\n"
		"events { worker_connections 2048; }\n"
		"http { access_log off; client_body_temp_path t1; proxy_temp_path t2;\n"
		"fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n"
		"open_file_cache max=16; sendfile on; tcp_nopush on; keepalive_requests 100000;\n"
		"server { listen 127.0.0.1:%u backlog=4096 %s; root www; } }\n"
		"END\n";
	static const char certificate[] =
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key "
		"-out cert -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -days 2 "
		"2>/dev/null";
	static char text[2048];
	int err = tls ? script(certificate) : 0;

	job.port = free_port();
	snprintf(text, sizeof(text), conf, BODY, job.port,
		 tls ? "ssl; ssl_certificate cert; ssl_certificate_key key" : "");
	if (!err)
		err = script(text);
	if (err)
		return err;
	job.nginx = fork();
	if (!job.nginx) {
		execlp("nginx", "nginx", "-p", job.root, "-c", "nginx.conf", "-e", "err", NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !answers(); i++)
		usleep(10000);
	return answers() ? 0 : -ECONNREFUSED;
}

static void server_stop(void)
{
	if (job.nginx > 0) {
		kill(job.nginx, SIGTERM);
		waitpid(job.nginx, NULL, 0);
	}
	job.nginx = 0;
}

/* ---------------------------------------------------------------- contestants */

static bool makes_files(enum side side)
{
	return side < OURS_DROPPING;
}

/* The beginning of a file; false: it cannot be read. */
static bool read_file(int dirfd, const char *name, char body[BODY + 1], size_t *len)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, body, BODY + 1);

	if (fd >= 0)
		close(fd);
	*len = n > 0 ? (size_t)n : 0;
	return n >= 0;
}

/* As many files as there are URLs, each the same as what the server has. */
static bool all_came(void)
{
	char wanted[BODY + 1], got[BODY + 1];
	unsigned int good = 0, bad = 0;
	const struct dirent *entry;
	size_t len;
	int root = open(job.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(root, "got", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool ok = dir && read_file(root, "www/f", wanted, &len) && len == BODY;

	while (ok && (entry = readdir(dir))) {
		if (entry->d_type == DT_DIR)
			continue;
		if (read_file(fd, entry->d_name, got, &len) && len == BODY &&
		    !memcmp(got, wanted, BODY))
			good++;
		else
			bad++;
	}
	if (dir)
		closedir(dir);
	close(root);
	return ok && good == job.count && !bad;
}

/* It runs for a time, not for a number of requests. */
static int read_wrk(const char *name, struct measure *out)
{
	FILE *f = fopen(name, "r");
	bool failed = !f;
	double rate = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Requests/sec: %lf", &rate);
		failed |= strstr(line, "Socket errors") || strstr(line, "Non-2xx");
	}
	if (f)
		fclose(f);
	out->wall = rate > 0 ? job.count / rate : 0;
	out->cpu = 0;
	return rate > 0 && !failed ? 0 : -EBADMSG;
}

static int run_there(const struct one *one, struct measure *out)
{
	int err = process_run(&one->process, out);

	if (err || one->side == WRK)
		return err ? err : read_wrk(one->process.out, out);
	if (!makes_files(one->side) || all_came())
		return 0;
	fprintf(stderr, "bench: %s has not made %u files that are right\n", sides[one->side].name,
		job.count);
	return -EBADMSG;
}

/* Into an empty directory. */
static int run_one(void *arg, struct measure *out)
{
	const struct one *one = arg;
	static char text[sizeof(struct image) + 64];
	struct image image = {0};
	const char *why = NULL;
	int err;

	if (!makes_files(one->side))
		return run_there(one, out);
	if (job.fresh)
		why = image_create(&image, job.b, job.b->smoke ? SMOKE_IMAGE_SIZE : IMAGE_SIZE);
	if (why) {
		fprintf(stderr, "bench: a fresh ext4: %s\n", why);
		return -EIO;
	}
	snprintf(text, sizeof(text), "rm -rf got; mkdir '%s/got' && ln -sfT '%s/got' got",
		 image.mnt, image.mnt);
	err = script(job.fresh ? text : "rm -rf got && mkdir got");
	if (!err)
		err = run_there(one, out);
	image_remove(&image);
	return err;
}

static int write_lists(void)
{
	char name[4096 + 32];
	FILE *tabs, *conf, *urls;

	snprintf(name, sizeof(name), "%s/tabs", job.root);
	tabs = fopen(name, "w");
	snprintf(name, sizeof(name), "%s/conf", job.root);
	conf = fopen(name, "w");
	snprintf(name, sizeof(name), "%s/urls", job.root);
	urls = fopen(name, "w");
	if (!tabs || !conf || !urls)
		return -errno;
	for (unsigned int i = 0; i < job.count; i++) {
		char url[128];

		snprintf(url, sizeof(url), "%s://127.0.0.1:%u/f?%u", job.scheme, job.port, i);
		fprintf(tabs, "%s\t%u\n", url, i);
		fprintf(conf, "url = \"%s\"\noutput = \"got/%u\"\n", url, i);
		fprintf(urls, "%s\n", url);
	}
	return fclose(tabs) | fclose(conf) | fclose(urls) ? -EIO : 0;
}

static void set_command(enum side side, const char *name, const char *command)
{
	struct one *one = &ones[side];

	one->side = side;
	snprintf(one->process.command, sizeof(one->process.command), "cd '%s' && exec %s", job.root,
		 command);
	snprintf(one->process.out, sizeof(one->process.out), "%s/out", job.root);
	sides[side].name = name;
	sides[side].run = run_one;
	sides[side].arg = one;
}

static void set_threads(enum side side, const struct bench *b, unsigned int threads)
{
	static char names[SIDES][48], command[8000];
	bool files = makes_files(side);

	snprintf(names[side], sizeof(names[side]), "pool of %u thread%s", threads,
		 threads == 1 ? "" : "s");
	snprintf(command, sizeof(command), "'%s/pool-get' -t %u %u /f %u %s", b->bindir, threads,
		 job.port, job.count, files ? "got" : "none");
	set_command(side, names[side], command);
}

static void set_pool(const struct bench *b, unsigned int threads)
{
	set_threads(POOL, b, threads);
}

static void set_dropping_pool(const struct bench *b, unsigned int threads)
{
	set_threads(POOL_DROPPING, b, threads);
}

static void set_ring(enum side side, const struct bench *b)
{
	static char command[8000];

	snprintf(command, sizeof(command), "'%s/ring-get' %d %u /f %u %d %s", b->bindir, IN_FLIGHT,
		 job.port, job.count, BODY, makes_files(side) ? "got" : "none");
	set_command(side, "bare ring, no parser", command);
}

static void set_commands(const struct bench *b, bool tls)
{
	static char command[8000];
	const char *trust = tls ? "--cacert cert" : "";

	snprintf(command, sizeof(command), "'%s' fetch -q --progress none -j %d %s -P got -T tabs",
		 b->batchproc, IN_FLIGHT, trust);
	set_command(OURS, "batchproc", command);
	snprintf(command, sizeof(command), "'%s' fetch -q --progress none -j %d %s -o none -T urls",
		 b->batchproc, IN_FLIGHT, trust);
	set_command(OURS_DROPPING, "batchproc, bodies dropped", command);
	snprintf(command, sizeof(command),
		 "curl -s --no-progress-meter -Z --parallel-max %d %s -K conf", IN_FLIGHT, trust);
	set_command(CURL, "curl --parallel", command);
	/* It leaves files of locks where temporary ones go. */
	snprintf(command, sizeof(command), "env TMPDIR=. wget2 -q --max-threads=%d -P got -i urls",
		 IN_FLIGHT);
	set_command(WGET2, "wget2", command);
	set_ring(RING, b);
	set_ring(RING_DROPPING, b);
	snprintf(command, sizeof(command), "wrk -t1 -c%d -d%ds %s://127.0.0.1:%u/f", IN_FLIGHT,
		 b->smoke ? 1 : 3, job.scheme, job.port);
	set_command(WRK, "wrk", command);
}

/* ---------------------------------------------------------------- the rows */

static void report_against(enum side us, enum side them, double goal)
{
	const struct bench *b = job.b;
	char note[96];
	struct result r = {
		.row = job.row,
		.what = us == OURS ? "to files" : "to nowhere",
		.unit = "us each",
		.scale = 1e6 / job.count,
		.speed_up = true,
		.goal = goal,
		.backend = job.choice.backend,
		.loops = job.choice.loops,
		.limit = job.choice.limit,
		.items = 1,
		.note = note,
	};

	snprintf(note, sizeof(note), "%u GETs of %d bytes, one nginx worker%s", job.count, BODY,
		 us != OURS ? "" :
		 job.fresh  ? "; fresh ext4 in a file" :
			      "; no fresh file system");
	report_pair(b, &r, &sides[us], &sides[them]);
}

struct peer {
	enum side us, them;
	double goal;
	const char *program; /* NULL: one of the bench's own */
};

static bool is_here(const struct peer *peer)
{
	return !peer->program || has_program(peer->program);
}

static int run_peers(const struct peer *peers, unsigned int n)
{
	struct contestant *all[SIDES];
	unsigned int count = 0;
	bool taken[SIDES] = {false};
	int err = 0;

	for (unsigned int i = 0; i < n; i++) {
		const enum side both[] = {peers[i].us, peers[i].them};

		if (!is_here(&peers[i]))
			continue;
		for (unsigned int k = 0; k < 2; k++) {
			if (taken[both[k]])
				continue;
			taken[both[k]] = true;
			all[count++] = &sides[both[k]];
		}
	}
	if (count)
		err = interleave(all, count, job.b->runs);
	for (unsigned int i = 0; i < n && !err; i++) {
		if (is_here(&peers[i]))
			report_against(peers[i].us, peers[i].them, peers[i].goal);
		else
			report_skip(job.b, job.row, sides[peers[i].them].name, "not installed");
	}
	return err;
}

static int ask_choice(bool tls)
{
	static struct process ask;

	snprintf(ask.command, sizeof(ask.command),
		 "cd '%s' && exec '%s' fetch --json -j %d -o none %s -T urls", job.root,
		 job.b->batchproc, IN_FLIGHT, tls ? "--cacert cert" : "");
	snprintf(ask.out, sizeof(ask.out), "%s/out", job.root);
	return process_choice(&ask, &job.choice);
}

static bool can_be_fresh(const struct bench *b)
{
	struct image image;
	bool can = !image_create(&image, b, SMOKE_IMAGE_SIZE);

	image_remove(&image);
	return can;
}

static int run_row(const struct bench *b, bool tls, const struct peer *peers, unsigned int n)
{
	int err;

	job.b = b;
	job.row = tls ? "get-tls" : "get";
	job.scheme = tls ? "https" : "http";
	job.count = b->smoke ? 20 : 20000;
	job.fresh = can_be_fresh(b);
	if (!has_program("nginx") || (tls && !has_program("openssl"))) {
		report_skip(b, job.row, "all", tls ? "no nginx and openssl here" : "no nginx here");
		return 0;
	}
	snprintf(job.root, sizeof(job.root), "%s/batchproc-bench.XXXXXX", b->dir ? b->dir : "/tmp");
	if (!mkdtemp(job.root))
		return -errno;
	err = script("mkdir www");
	if (!err)
		err = server_start(tls);
	set_commands(b, tls);
	if (!err)
		err = write_lists();
	if (!err)
		err = ask_choice(tls);
	if (!err && !tls)
		err = best_threads(b, &sides[POOL], 1, set_pool);
	if (!err && !tls)
		err = best_threads(b, &sides[POOL_DROPPING], 1, set_dropping_pool);
	if (!err)
		err = run_peers(peers, n);
	server_stop();
	script("rm -rf -- www got t1 t2 t3 t4 t5; rm -f -- *");
	rmdir(job.root);
	return err;
}

int row_get(const struct bench *b)
{
	static const struct peer peers[] = {
		{OURS, CURL, 2.5, "curl"},
		{OURS, WGET2, 6, "wget2"},
		{OURS, POOL, 1.0, NULL},
		{OURS, RING, 0, NULL},
		{OURS_DROPPING, WRK, 0.85, "wrk"},
		{OURS_DROPPING, POOL_DROPPING, 1.0, NULL},
		{OURS_DROPPING, RING_DROPPING, 0, NULL},
	};

	return run_row(b, false, peers, sizeof(peers) / sizeof(peers[0]));
}

int row_get_tls(const struct bench *b)
{
	static const struct peer peers[] = {
		{OURS, CURL, 1.4, "curl"},
		{OURS_DROPPING, WRK, 0.7, "wrk"},
	};

	return run_row(b, true, peers, sizeof(peers) / sizeof(peers[0]));
}
