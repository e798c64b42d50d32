/* SPDX-License-Identifier: MIT */
/*
 * httpd - a server on loopback that answers as a test wants it to
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "support/httpd.h"

struct served {
	struct httpd *httpd;
	size_t slot;
	unsigned int number;
};

const char *asked_header(const struct asked *asked, const char *name)
{
	static _Thread_local char value[1024];
	size_t len = strlen(name);

	for (const char *line = strstr(asked->head, "\r\n"); line;
	     line = strstr(line + 2, "\r\n")) {
		const char *at = line + 2;

		if (strncasecmp(at, name, len) || at[len] != ':')
			continue;
		at += len + 1;
		at += strspn(at, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
		return value;
	}
	return NULL;
}

void say_bytes(struct asked *asked, const void *data, size_t len)
{
	const char *at = data;

	while (len && !asked->over) {
		ssize_t n = send(asked->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			asked->over = true;
			return;
		}
		at += n;
		len -= (size_t)n;
	}
}

void say(struct asked *asked, const char *format, ...)
{
	char text[4096];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(text))
		abort();
	say_bytes(asked, text, (size_t)len);
}

void say_ok(struct asked *asked, const char *headers, const void *body, size_t len)
{
	say(asked, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", headers, len);
	say_bytes(asked, body, len);
}

void say_end(struct asked *asked)
{
	asked->over = true;
}

void say_reset(struct asked *asked)
{
	const struct linger now = {.l_onoff = 1};

	setsockopt(asked->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	asked->over = true;
}

void say_nothing_more(struct asked *asked)
{
	char ignored[4096];

	while (!asked->over && recv(asked->fd, ignored, sizeof(ignored), 0) > 0)
		;
	asked->over = true;
}

/* Reads one request. False: the client has ended the connection. */
static bool read_request(struct asked *asked)
{
	const char *length;
	size_t have = 0;
	char *end;

	/* Byte by byte: what follows the head is the body's, or the next request's. */
	for (;;) {
		if (have + 1 >= sizeof(asked->head) ||
		    recv(asked->fd, asked->head + have, 1, 0) != 1)
			return false;
		asked->head[++have] = '\0';
		end = have >= 4 ? asked->head + have - 4 : NULL;
		if (end && !strcmp(end, "\r\n\r\n"))
			break;
	}
	if (sscanf(asked->head, "%15s %1023s", asked->method, asked->path) != 2)
		return false;
	free(asked->body);
	asked->body = NULL;
	length = asked_header(asked, "Content-Length");
	asked->body_len = length ? strtoul(length, NULL, 10) : 0;
	if (!asked->body_len || asked_header(asked, "Expect"))
		return true;
	asked->body = calloc(1, asked->body_len + 1);
	return asked->body && recv(asked->fd, asked->body, asked->body_len, MSG_WAITALL) ==
				      (ssize_t)asked->body_len;
}

static void count_up(struct httpd *httpd)
{
	unsigned int now = atomic_fetch_add(&httpd->at_once, 1) + 1;
	unsigned int most = atomic_load(&httpd->most_at_once);

	while (now > most && !atomic_compare_exchange_weak(&httpd->most_at_once, &most, now))
		;
}

static void *serve(void *arg)
{
	struct served *served = arg;
	struct httpd *httpd = served->httpd;
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked)
		abort();
	asked->httpd = httpd;
	asked->fd = httpd->open[served->slot];
	asked->connection = served->number;
	count_up(httpd);
	while (!asked->over && !atomic_load(&httpd->stop) && read_request(asked)) {
		asked->nth++;
		atomic_fetch_add(&httpd->requests, 1);
		/* Called through its name alone, gcc 12 would read it plainly. */
		atomic_load (&httpd->answer)(asked, httpd->ctx);
	}
	atomic_fetch_sub(&httpd->at_once, 1);
	pthread_mutex_lock(&httpd->lock);
	close(asked->fd);
	httpd->open[served->slot] = -1;
	pthread_mutex_unlock(&httpd->lock);
	free(asked->body);
	free(asked);
	free(served);
	return NULL;
}

static void take_connection(struct httpd *httpd, int fd)
{
	struct served *served = calloc(1, sizeof(*served));
	size_t slot = atomic_fetch_add(&httpd->connections, 1);

	if (!served || slot >= COUNT_OF(httpd->open))
		abort();
	*served = (struct served){httpd, slot, (unsigned int)slot + 1};
	pthread_mutex_lock(&httpd->lock);
	httpd->open[slot] = fd;
	pthread_mutex_unlock(&httpd->lock);
	if (pthread_create(&httpd->threads[slot], NULL, serve, served))
		abort();
}

static void *accept_all(void *arg)
{
	struct httpd *httpd = arg;

	while (!atomic_load(&httpd->stop)) {
		int fd = accept4(httpd->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			take_connection(httpd, fd);
	}
	return NULL;
}

void httpd_start(struct httpd *httpd, answer_fn answer, void *ctx)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	memset(httpd, 0, sizeof(*httpd));
	httpd->answer = answer;
	httpd->ctx = ctx;
	pthread_mutex_init(&httpd->lock, NULL);
	memset(httpd->open, -1, sizeof(httpd->open));
	httpd->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (httpd->fd < 0 || bind(httpd->fd, (struct sockaddr *)&addr, len) ||
	    listen(httpd->fd, 4096) || getsockname(httpd->fd, (struct sockaddr *)&addr, &len))
		abort();
	httpd->port = ntohs(addr.sin_port);
	snprintf(httpd->url, sizeof(httpd->url), "http://127.0.0.1:%u", httpd->port);
	if (pthread_create(&httpd->thread, NULL, accept_all, httpd))
		abort();
}

void httpd_stop(struct httpd *httpd)
{
	unsigned int count;

	atomic_store(&httpd->stop, true);
	shutdown(httpd->fd, SHUT_RDWR);
	pthread_join(httpd->thread, NULL);
	pthread_mutex_lock(&httpd->lock);
	count = atomic_load(&httpd->connections);
	for (unsigned int i = 0; i < count; i++)
		if (httpd->open[i] >= 0)
			shutdown(httpd->open[i], SHUT_RDWR);
	pthread_mutex_unlock(&httpd->lock);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(httpd->threads[i], NULL);
	close(httpd->fd);
	pthread_mutex_destroy(&httpd->lock);
}
