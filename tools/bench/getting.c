/* SPDX-License-Identifier: MIT */
/*
 * getting.c - see getting.h
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "getting.h"

static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *path;
static int dirfd_ = -1; /* -1: bodies are dropped */

size_t getting_from(char *const *args)
{
	server.sin_port = htons((uint16_t)atoi(args[0]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = args[1];
	return strtoul(args[2], NULL, 10);
}

int getting_to(const char *dir)
{
	if (!strcmp(dir, "none"))
		return 0;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0 ? -errno : 0;
}

int getting_connect(void)
{
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!connect(fd, (const struct sockaddr *)&server, sizeof(server)))
		return fd;
	close(fd);
	return -errno;
}

size_t getting_request(size_t number, char *to, size_t size)
{
	return (size_t)snprintf(to, size,
				"GET %s?%zu HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: peer\r\n"
				"Accept: */*\r\nAccept-Encoding: identity\r\n\r\n",
				path, number, ntohs(server.sin_port));
}

/* Return: 0 or -errno; nothing is left then. */
static int make_nameless(const char *name, const char *data, size_t len)
{
	int fd = openat(dirfd_, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666), err = 0;
	char link[40];

	if (fd < 0)
		return -errno;
	if (write(fd, data, len) != (ssize_t)len)
		err = -EIO;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!err && linkat(fd, "", dirfd_, name, AT_EMPTY_PATH) &&
	    (errno != ENOENT || linkat(AT_FDCWD, link, dirfd_, name, AT_SYMLINK_FOLLOW)))
		err = -errno;
	close(fd);
	return err;
}

int getting_make(size_t number, const char *data, size_t len)
{
	char name[32], temp[40];
	int fd, err = 0;

	if (dirfd_ < 0)
		return 0;
	snprintf(name, sizeof(name), "%zu", number);
	if (!make_nameless(name, data, len))
		return 0;
	snprintf(temp, sizeof(temp), ".%zu.part", number);
	fd = openat(dirfd_, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (write(fd, data, len) != (ssize_t)len)
		err = -EIO;
	close(fd);
	if (!err && renameat(dirfd_, temp, dirfd_, name))
		err = -errno;
	return err;
}
