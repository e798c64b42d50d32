/* SPDX-License-Identifier: MIT */
/*
 * park: see park.h. An eventfd for each wait is two system calls more than a wait on one loop would
 * need, and the only thing that a task of another loop, a cancel and a timeout can all end.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "batchproc.h"
#include "net/park.h"

static void append(struct line *line, struct waiter *waiter)
{
	waiter->prev = line->last;
	if (line->last)
		line->last->next = waiter;
	else
		line->first = waiter;
	line->last = waiter;
	line->length++;
}

static void take_out(struct line *line, struct waiter *waiter)
{
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		line->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		line->last = waiter->prev;
	line->length--;
}

int line_wait(struct line *line, pthread_mutex_t *lock)
{
	struct waiter self = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	int res;

	if (self.fd < 0)
		return -errno;
	append(line, &self);
	pthread_mutex_unlock(lock);
	res = bp_poll(self.fd, POLLIN);
	pthread_mutex_lock(lock);
	if (self.called)
		res = 0;
	else
		take_out(line, &self);
	close(self.fd);
	/* Nothing but line_call() makes it readable. */
	return res > 0 ? -EIO : res;
}

bool line_call(struct line *line)
{
	static const uint64_t one = 1;
	struct waiter *waiter = line->first;

	if (!waiter)
		return false;
	take_out(line, waiter);
	waiter->called = true;
	/* Cannot fail: the counter is 0. The descriptor stays open as long as the lock is held. */
	return write(waiter->fd, &one, sizeof(one)) == sizeof(one);
}

void line_call_all(struct line *line)
{
	while (line_call(line))
		;
}
