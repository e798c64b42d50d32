/* SPDX-License-Identifier: MIT */
/*
 * targets.c - see targets.h
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pool.h"
#include "targets.h"

struct target *targets;
size_t target_count;

const char target_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const size_t target_request_len = sizeof(target_request) - 1;

int target_judge(const char *answer, size_t len)
{
	return len > 12 && !memcmp(answer + 8, " 200", 4) ? 0 : EPROTO;
}

static bool add(char *line)
{
	struct target *t;
	char *colon;

	line[strcspn(line, "\n")] = '\0';
	targets = must(realloc(targets, (target_count + 1) * sizeof(*targets)));
	t = &targets[target_count++];
	memset(t, 0, sizeof(*t));
	snprintf(t->text, sizeof(t->text), "%s", line);
	colon = strrchr(line, ':');
	if (!colon)
		return false;
	*colon = '\0';
	t->addr.sin_family = AF_INET;
	t->addr.sin_port = htons((uint16_t)atoi(colon + 1));
	return inet_pton(AF_INET, line, &t->addr.sin_addr) == 1;
}

int targets_read(const char *name)
{
	FILE *f = fopen(name, "r");
	struct rlimit files;
	char line[64];
	int err = 0;

	if (!f)
		return -errno;
	while (!err && fgets(line, sizeof(line), f))
		err = add(line) ? 0 : -EINVAL;
	fclose(f);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return err;
}

void targets_print(void)
{
	for (size_t i = 0; i < target_count; i++)
		printf("%s %s\n", targets[i].err ? "failed" : "ok", targets[i].text);
	free(targets);
}
