/* SPDX-License-Identifier: MIT */
/*
 * sockets - listeners and clients on this machine. For the main thread.
 */
#ifndef BATCHPROC_TESTS_SOCKETS_H
#define BATCHPROC_TESTS_SOCKETS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/harness.h"

/* A listening socket; port 0: a new one, which is put there. */
static inline int listen_at(const char *ip, uint16_t *port, int backlog)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(*port)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &addr.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

/* A client that is connected, or about to be. */
static inline int client_of(const char *ip, uint16_t port, int flags)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	inet_pton(AF_INET, ip, &addr.sin_addr);
	(void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	return fd;
}

#endif
