/* SPDX-License-Identifier: MIT */
/*
 * soak_net - fetch and probe under faults, from a server that knows of none
 *
 * A file is whole or as it was, whatever happened to the sockets and to the disk; a probe has a
 * record. Without faults a second run gets all.
 */
#include <sys/stat.h>

#include "command/soak.h"
#include "support/httpd.h"

#define BODY_MOST 400000

static struct httpd httpd;

/* The file of the path's name; every other one in chunks. */
static void answer(struct asked *asked, void *ctx)
{
	const struct soak *s = ctx;
	char *body = malloc(BODY_MOST);
	ssize_t len = -1;
	unsigned int i = 0;

	while (i < FILES && strcmp(s->name[i], asked->path + 1))
		i++;
	if (i < FILES)
		len = content(s->path[i], body, BODY_MOST);
	if (len < 0) {
		say(asked, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	} else if (i % 2) {
		say(asked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (ssize_t at = 0; at < len; at += 10000) {
			size_t part = (size_t)(len - at < 10000 ? len - at : 10000);

			say(asked, "%zx\r\n", part);
			say_bytes(asked, body + at, part);
			say(asked, "\r\n");
		}
		say(asked, "0\r\n\r\n");
	} else {
		say_ok(asked, "ETag: \"fixed\"\r\n", body, (size_t)len);
	}
	free(body);
}

static void add_urls(struct soak *s, const char *op)
{
	static char urls[FILES][64];

	things_clear(s);
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(urls[i], sizeof(urls[i]), "%s/%s", httpd.url, s->name[i]);
		thing_add(s, op, urls[i], NULL);
		soak_arg(s, urls[i]);
	}
}

static void soak_fetch(struct soak *s)
{
	char dst[PATH_ROOM];

	snprintf(dst, sizeof(dst), "%s", in_dir(s, "copies"));
	copies_make(s, dst);
	soak_args(s, "fetch");
	soak_arg(s, "-P");
	soak_arg(s, dst);
	add_urls(s, "fetch");
	soak_run(s, true);
	soak_check(s, "fetch", ALL);
	copies_check(s, dst, false);
	soak_run(s, false);
	soak_check(s, "fetch without faults", ALL);
	copies_check(s, dst, true);
	copies_remove(s, dst);
}

static void soak_probe(struct soak *s)
{
	static char port[64];

	soak_args(s, "probe");
	if (s->seed % 3 == 1) {
		soak_arg(s, "--repeat=3");
		soak_arg(s, "--interval=1ms");
	} else if (s->seed % 3 == 2) {
		soak_arg(s, "--expect-body=^");
	}
	add_urls(s, "probe");
	snprintf(port, sizeof(port), "tcp://127.0.0.1:%u", httpd.port);
	thing_add(s, "probe", port, NULL);
	soak_arg(s, port);
	soak_run(s, true);
	soak_check(s, "probe", ALL);
	soak_run(s, false);
	soak_check(s, "probe without faults", ALL);
}

void soak_net(struct soak *s)
{
	httpd_start(&httpd, answer, s);
	soak_fetch(s);
	soak_probe(s);
	httpd_stop(&httpd);
}
