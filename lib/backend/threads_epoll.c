/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that a loop of the threads backend waits for; see threads.h.
 *
 * Every wait is armed for one event (EPOLLONESHOT), and several requests may wait for one
 * descriptor. Nothing that is remembered of a descriptor has to be true: the program may have
 * closed it meanwhile and have another one under its number. A memory that is wrong costs a system
 * call.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/threads.h"
#include "compat.h"

/*
 * Events in a row that helped nobody who waited before a descriptor is left alone for a while: it
 * says that it is ready, and its operations say that it is not.
 */
#define FUTILE_MAX 32
#define FUTILE_PAUSE_NS 1000000u

/** An epoll instance, with the older of the two calls where the newer is refused. */
static int epoll_make(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC), err = errno;

	if (fd >= 0 || err == EMFILE || err == ENFILE || err == ENOMEM)
		return fd < 0 ? -err : fd;
	fd = epoll_create(1);
	if (fd < 0)
		return -err;
	if (!fcntl(fd, F_SETFD, FD_CLOEXEC))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/** Waits as epoll_wait() does, by the call that is allowed here. */
static int epoll_wait_ms(struct threads *t, int ms)
{
	if (unlikely(t->no_wait))
		return epoll_pwait(t->epoll_fd, t->events, THREADS_EVENTS, ms, NULL);
	return epoll_wait(t->epoll_fd, t->events, THREADS_EVENTS, ms);
}

int threads_epoll_init(struct bp_engine *engine, struct threads *t)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = THREADS_WAKE_DATA};
	const char *call = "epoll_create1()";
	int err = 0;

	t->epoll_fd = epoll_make();
	if (t->epoll_fd < 0) {
		err = t->epoll_fd;
		goto out;
	}
	call = "epoll_ctl()";
	if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake.in, &ev))
		goto out_close;
	call = "epoll_wait()";
	if (epoll_wait_ms(t, 0) >= 0)
		return 0;
	t->no_wait = true;
	if (epoll_wait_ms(t, 0) >= 0)
		return 0;
out_close:
	err = -errno;
	close(t->epoll_fd);
out:
	return say_why(engine->reason, sizeof(engine->reason), err, "%s is refused here: %s", call,
		       strerror(-err));
}

/** What is known of @fd, or NULL when nothing is and there is no memory to change that. */
struct watched *threads_watched(struct threads *t, int fd)
{
	unsigned int chunk = (unsigned int)fd / THREADS_CHUNK, i;
	struct watched **chunks = t->chunks;

	if (unlikely(fd < 0))
		return NULL;
	if (unlikely(chunk >= t->nchunks)) {
		unsigned int n = chunk + 1 > 2 * t->nchunks ? chunk + 1 : 2 * t->nchunks;

		chunks = realloc(chunks, n * sizeof(*chunks));
		if (!chunks)
			return NULL;
		memset(chunks + t->nchunks, 0, (n - t->nchunks) * sizeof(*chunks));
		t->chunks = chunks;
		t->nchunks = n;
	}
	if (unlikely(!chunks[chunk])) {
		struct watched *w = calloc(THREADS_CHUNK, sizeof(*w));

		if (!w)
			return NULL;
		for (i = 0; i < THREADS_CHUNK; i++)
			list_init(&w[i].waiters);
		chunks[chunk] = w;
	}
	return &chunks[chunk][fd % THREADS_CHUNK];
}

static inline int watched_fd(const struct watched *w)
{
	const struct request *r = container_of(w->waiters.next, struct request, link);

	return r->x.wait_fd;
}

static void count_waits(struct threads *t, int fd, unsigned int n)
{
	_Atomic unsigned int *waits = &t->waits[(unsigned int)fd % THREADS_WAITS];

	t->waiting += n;
	atomic_store_explicit(waits, atomic_load_explicit(waits, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void threads_stop_waiting(struct threads *t, struct request *r)
{
	list_del(&r->link);
	count_waits(t, r->x.wait_fd, -1u);
}

void threads_wait(struct threads *t, struct request *r)
{
	struct watched *w = threads_watched(t, r->x.wait_fd);

	if (unlikely(!w)) {
		threads_finish(t, r, exec_ended(&r->x, r->x.wait_fd < 0 ? -EBADF : -ENOMEM));
		return;
	}
	r->state = REQ_WAITING;
	r->armed = false;
	count_waits(t, r->x.wait_fd, 1);
	list_add_tail(&w->waiters, &r->link);
	if (!list_linked(&w->dirty))
		list_add_tail(&t->dirty, &w->dirty);
}

/** Ends those who wait for a descriptor: all, or those whom epoll has forgotten. */
static void end_waiters(struct threads *t, struct watched *w, bool forgotten, int err)
{
	struct bp_link_ *link, *next;

	for (link = w->waiters.next; link != &w->waiters; link = next) {
		struct request *r = container_of(link, struct request, link);

		next = link->next;
		if (forgotten && !r->armed)
			continue;
		threads_stop_waiting(t, r);
		threads_finish(t, r, exec_ended(&r->x, err));
	}
}

/** epoll cannot watch the descriptor, because it is always ready. */
static void not_pollable(struct bp_loop *loop, struct watched *w)
{
	struct threads *t = loop->backend_data;
	struct bp_link_ *link, *next;

	for (link = w->waiters.next; link != &w->waiters; link = next) {
		struct request *r = container_of(link, struct request, link);

		next = link->next;
		/* A poll for what a file never is, or the like, waits until it is cancelled. */
		if (!exec_can_block(&r->x))
			continue;
		threads_stop_waiting(t, r);
		r->x.unpollable = true;
		threads_settle(loop, r, EXEC_LONG);
	}
}

static int epoll_set(struct threads *t, struct watched *w, int fd, unsigned int events)
{
	struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.u64 = (uint64_t)fd};
	int op = w->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (!epoll_ctl(t->epoll_fd, op, fd, &ev))
		return 0;
	if (op == EPOLL_CTL_MOD && errno == ENOENT) {
		/* It was closed, and the number is another descriptor's now. */
		end_waiters(t, w, true, -EBADF);
		op = EPOLL_CTL_ADD;
	} else if (op == EPOLL_CTL_ADD && errno == EEXIST) {
		op = EPOLL_CTL_MOD;
	} else {
		return -errno;
	}
	return epoll_ctl(t->epoll_fd, op, fd, &ev) ? -errno : 0;
}

/** Lets epoll watch for what a descriptor's new waiters wait for; they stand at the list's end. */
static void arm(struct bp_loop *loop, struct watched *w)
{
	struct threads *t = loop->backend_data;
	unsigned int events = w->armed;
	struct bp_link_ *link;
	int err;

	for (link = w->waiters.prev; link != &w->waiters; link = link->prev) {
		const struct request *r = container_of(link, struct request, link);

		if (r->armed)
			break;
		events |= r->x.wait_events;
	}
	if (list_empty(&w->waiters))
		return;
	err = epoll_set(t, w, watched_fd(w), events);
	w->registered = !err;
	w->armed = err ? 0 : events;
	if (unlikely(err == -EPERM)) {
		not_pollable(loop, w);
		return;
	}
	if (unlikely(err))
		end_waiters(t, w, false, err);
	for (link = w->waiters.prev; link != &w->waiters; link = link->prev) {
		struct request *r = container_of(link, struct request, link);

		if (r->armed)
			break;
		r->armed = true;
	}
}

void threads_arm(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;
	struct bp_link_ *link;

	while ((link = list_pop(&t->dirty)))
		arm(loop, container_of(link, struct watched, dirty));
}

void threads_before_close(struct threads *t, int fd)
{
	struct watched *w = threads_peek(t, fd);

	if (!w)
		return;
	/* Nothing would ever tell them: epoll forgets a descriptor that is closed. */
	if (unlikely(!list_empty(&w->waiters)))
		end_waiters(t, w, false, -EBADF);
	w->armed = 0;
	w->registered = w->plain = false;
}

/* ---------------------------------------------------------------- events */

/** Whether what one of these could not have, the others cannot have either. */
static bool takes_input(const struct request *r)
{
	switch (r->x.sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_ACCEPT:
		return r->x.wait_events == POLLIN;
	default:
		return false;
	}
}

/** A descriptor is ready: lets those try again who wait for that, in their order. */
static void fd_event(struct bp_loop *loop, int fd, unsigned int events)
{
	struct threads *t = loop->backend_data;
	struct watched *w = threads_peek(t, fd);
	bool dry = false, futile = true;
	struct bp_link_ old, *link;

	if (!w)
		return;
	w->armed = 0;
	list_init(&old);
	list_splice_tail(&old, &w->waiters);
	while ((link = list_pop(&old))) {
		struct request *r = container_of(link, struct request, link);
		enum exec_verdict verdict = EXEC_WAIT;

		count_waits(t, fd, -1u);
		if ((events & (r->x.wait_events | EPOLLERR | EPOLLHUP)) &&
		    !(dry && takes_input(r))) {
			r->x.ready = true;
			verdict = exec_try(&r->x);
			dry = dry || (verdict == EXEC_WAIT && takes_input(r));
		}
		futile = futile && verdict == EXEC_WAIT;
		if (verdict == EXEC_WAIT && w->futile >= FUTILE_MAX)
			threads_sleep(loop, r, time_now() + FUTILE_PAUSE_NS);
		else
			threads_settle(loop, r, verdict);
	}
	w->futile = futile ? w->futile + (w->futile < FUTILE_MAX) : 0;
}

static int epoll_sleep(struct bp_loop *loop, uint64_t until)
{
	struct threads *t = loop->backend_data;
	uint64_t now, left;
	struct timespec ts;
	int n, ms;

	if (until == 0)
		return epoll_wait_ms(t, 0);
	if (until == BP_NEVER)
		return epoll_wait_ms(t, -1);
	now = time_now();
	left = until > now ? until - now : 0;
	if (!t->no_pwait2) {
		ts.tv_sec = (time_t)(left / NSEC_PER_SEC);
		ts.tv_nsec = (long)(left % NSEC_PER_SEC);
		n = epoll_pwait2(t->epoll_fd, t->events, THREADS_EVENTS, &ts, NULL);
		if (n >= 0 || errno == EINTR || errno == EBADF || errno == EINVAL)
			return n;
		t->no_pwait2 = true;
	}
	/* Rounded up: waking too early would be a busy loop until the time has come. */
	ms = left < 3600 * NSEC_PER_SEC ? (int)((left + 999999) / 1000000) : 3600000;
	return epoll_wait_ms(t, ms);
}

void threads_run_events(struct bp_loop *loop, uint64_t until)
{
	struct threads *t = loop->backend_data;
	int n = epoll_sleep(loop, until), i;

	if (unlikely(n < 0 && errno != EINTR))
		bp_fatal("epoll_wait: %s (was the engine's descriptor closed?)", strerror(errno));
	for (i = 0; i < n; i++) {
		if (t->events[i].data.u64 == THREADS_WAKE_DATA) {
			/* Edge-triggered: an eventfd need not be read. A pipe would fill up. */
			if (t->wake.in != t->wake.out)
				wake_drain(&t->wake);
			continue;
		}
		fd_event(loop, (int)t->events[i].data.u64, t->events[i].events);
	}
}
