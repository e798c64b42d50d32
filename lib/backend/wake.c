/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups between threads, by an eventfd or a pipe; see wake.h.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/wake.h"

int wake_init(struct wake *wake, bool nonblock)
{
	int fd[2];

	wake->in = wake->out = eventfd(0, EFD_CLOEXEC | (nonblock ? EFD_NONBLOCK : 0));
	if (wake->in >= 0)
		return 0;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	wake->in = fd[0];
	wake->out = fd[1];
	/* Who finds it full need not write: it is readable. */
	if (fcntl(wake->out, F_SETFL, O_NONBLOCK) ||
	    (nonblock && fcntl(wake->in, F_SETFL, O_NONBLOCK))) {
		int err = -errno;

		wake_exit(wake);
		return err;
	}
	return 0;
}

void wake_exit(struct wake *wake)
{
	if (wake->out != wake->in)
		close(wake->out);
	close(wake->in);
}

/* Where a filter refuses the one call there is the other. */
static ssize_t put(int fd, uint64_t *one)
{
	ssize_t n = write(fd, one, sizeof(*one));

	if (n < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))
		n = writev(fd, &(struct iovec){one, sizeof(*one)}, 1);
	return n;
}

void wake_up(const struct wake *wake)
{
	uint64_t one = 1;
	int saved = errno;

	if (put(wake->out, &one) < 0 && errno != EAGAIN)
		bp_fatal("a loop's wake-up: %s (was its descriptor closed?)", strerror(errno));
	errno = saved;
}

void wake_drain(const struct wake *wake)
{
	uint64_t some[64];

	while (read(wake->in, some, sizeof(some)) == sizeof(some))
		;
}
