/* SPDX-License-Identifier: MIT */
/*
 * probes - see probes.h
 */
#include "support/probes.h"

const char *target(const char *scheme, uint16_t port, const char *rest)
{
	static char text[8][128];
	static unsigned int next;
	char *to = text[next++ % COUNT_OF(text)];

	snprintf(to, sizeof(text[0]), "%s127.0.0.1:%u%s", scheme, port, rest);
	return to;
}

const char *line_of(const struct run *run, const char *name)
{
	static char line[8192];
	char key[300];

	snprintf(key, sizeof(key), "\"endpoint\":\"%s\"", name);
	for (const char *at = run->out.data; at && *at; at = strchr(at, '\n') + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (strstr(line, key))
			return line;
		if (!strchr(at, '\n'))
			break;
	}
	record_failure("%s has no record", name);
	return "";
}

long long number_in(const char *line, const char *key)
{
	char pattern[64];
	const char *at;

	snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	at = strstr(line, pattern);
	return at ? atoll(at + strlen(pattern)) : -1;
}

static void *play(void *arg)
{
	struct player *player = arg;
	int kept[64];
	unsigned int count = 0;

	for (;;) {
		int fd = accept4(player->listener, NULL, NULL, SOCK_CLOEXEC);
		char request[4096];
		size_t got = 0;
		ssize_t n = 1;

		if (fd < 0)
			break;
		while (n > 0 && got < sizeof(request) - 1) {
			request[got] = '\0';
			if (strstr(request, "\r\n\r\n"))
				break;
			n = recv(fd, request + got, sizeof(request) - 1 - got, 0);
			got += n > 0 ? (size_t)n : 0;
		}
		atomic_fetch_add(&player->requests, 1);
		if (player->answer) {
			(void)!send(fd, player->answer, strlen(player->answer), MSG_NOSIGNAL);
			if (player->resets)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
					   sizeof(struct linger));
			close(fd);
		} else if (count < COUNT_OF(kept)) {
			kept[count++] = fd;
		} else {
			close(fd);
		}
	}
	while (count)
		close(kept[--count]);
	return NULL;
}

void player_start(struct player *player, const char *answer)
{
	memset(player, 0, sizeof(*player));
	player->answer = answer;
	player->listener = listen_at("127.0.0.1", &player->port, 64);
	assert_int_equal(pthread_create(&player->thread, NULL, play, player), 0);
}

void player_stop(struct player *player)
{
	shutdown(player->listener, SHUT_RDWR);
	pthread_join(player->thread, NULL);
	close(player->listener);
}
