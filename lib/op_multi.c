/* SPDX-License-Identifier: MIT */
/*
 * Rings of buffers, one for each loop, and receives that take their buffers from there.
 *
 * A bp_recv_multi is an operation beside that of its task: it stays in flight while the task does others. What
 * it has received stands in a queue, linked through the numbers of the buffers, until the task asks for it. Where
 * no ring of the kernel's could be had, bp_recv_multi_next() waits for readiness and receives by itself.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bufs.h"
#include "compat.h"
#include "op.h"

#define COUNT_MAX 32768u /* of the kernel */
#define SIZE_MAX_ ((size_t)1 << 30)

/* How long an operation item waits that found no free buffer. */
#define PAUSE_NS 1000000

struct bp_buf_ring {
	struct bp_link_ link; /* of the engine */
	struct bp_engine *engine;
	unsigned short group;
	unsigned int count;
	size_t size;
	int err;
	struct bufs loops[];
};

/* What struct bp_recv_multi is to the library. */
struct multi {
	struct bp_op op;
	struct bp_link_ wait; /* for a free buffer */
	struct bufs *bufs;
	struct bp_task *task;
	int fd, flags;
	int res; /* how it ended */
	uint16_t head, tail; /* of what has come */
	uint16_t held; /* what the task looks at */
	bool armed; /* in flight */
	bool over; /* at the end of what comes */
	bool waiting; /* the task is suspended here */
};

_Static_assert(sizeof(struct multi) <= sizeof(struct bp_recv_multi), "struct bp_recv_multi");

static struct multi *multi_of(struct bp_recv_multi *m)
{
	return (struct multi *)m;
}

static struct multi *multi_of_op(struct bp_op *op)
{
	return container_of(op, struct multi, op);
}

/* ---------------------------------------------------------------- rings */

static void ring_make(struct bp_loop *loop, void *arg)
{
	struct bp_buf_ring *ring = arg;
	struct bufs *bufs = &ring->loops[loop->index];

	if (ring->err)
		return;
	ring->err = bufs_init(bufs, ring->group, ring->count, ring->size);
	if (ring->err)
		return;
	/* Receives that take many buffers came with this opcode, in 6.0. */
	if (loop->backend->buf_ring && loop->backend->knows(loop, IORING_OP_SEND_ZC) &&
	    !(op_missing >> IORING_OP_SEND_ZC & 1))
		loop->backend->buf_ring(loop, bufs, true);
	bufs->next = loop->bufs;
	loop->bufs = bufs;
}

static void ring_unmake(struct bp_loop *loop, void *arg)
{
	struct bp_buf_ring *ring = arg;
	struct bufs *bufs = &ring->loops[loop->index], **at = &loop->bufs;

	if (!bufs->memory)
		return;
	while (*at != bufs)
		at = &(*at)->next;
	*at = bufs->next;
	if (bufs->kernel)
		loop->backend->buf_ring(loop, bufs, false);
	bufs_exit(bufs);
}

static void ring_forget(struct bp_buf_ring *ring)
{
	struct bp_engine *engine = ring->engine;

	engine_lock(engine);
	list_del(&ring->link);
	engine_unlock(engine);
	free(ring);
}

static bool group_taken(const struct bp_engine *engine, unsigned short group)
{
	const struct bp_link_ *link;

	engine_assert_locked(engine);
	for (link = engine->buf_rings.next; link != &engine->buf_rings; link = link->next)
		if (container_of(link, struct bp_buf_ring, link)->group == group)
			return true;
	return false;
}

int bp_buf_ring_create(struct bp_buf_ring **out, struct bp_engine *engine, unsigned int count,
		       size_t size)
{
	struct bp_buf_ring *ring;
	int saved = errno, err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	bp_need(engine, __func__, "engine");
	op_need_outside(engine, __func__);
	if (!count || count > COUNT_MAX || !size || size > SIZE_MAX_)
		return -EINVAL;
	ring = calloc(1, sizeof(*ring) + engine->nloops * sizeof(ring->loops[0]));
	if (!ring)
		return -ENOMEM;
	ring->engine = engine;
	ring->count = count;
	ring->size = size;
	engine_lock(engine);
	while (group_taken(engine, ring->group))
		ring->group++;
	list_add_tail(&engine->buf_rings, &ring->link);
	engine_unlock(engine);
	op_on_each_loop(engine, ring_make, ring);
	err = ring->err;
	if (err) {
		op_on_each_loop(engine, ring_unmake, ring);
		ring_forget(ring);
	} else {
		*out = ring;
	}
	errno = saved;
	return err;
}

void bp_buf_ring_destroy(struct bp_buf_ring *ring)
{
	int saved = errno;
	unsigned int i;

	if (!ring)
		return;
	op_need_outside(ring->engine, __func__);
	for (i = 0; i < ring->engine->nloops; i++)
		if (ring->loops[i].out)
			bp_fatal("%s: %u of its buffers were not given back", __func__,
				 ring->loops[i].out);
	op_on_each_loop(ring->engine, ring_unmake, ring);
	ring_forget(ring);
	errno = saved;
}

/** The buffers of the calling loop. */
static struct bufs *bufs_here(struct bp_buf_ring *ring, const char *call)
{
	const struct bp_loop *loop = bp_this_loop;

	bp_need(ring, call, "ring");
	if (!loop || loop->engine != ring->engine)
		bp_fatal("%s: called outside of the engine's tasks and callbacks", call);
	return &ring->loops[loop->index];
}

static void wake_task(struct multi *m)
{
	if (!m->waiting)
		return;
	m->waiting = false;
	m->task->op.res_ = 0;
	loop_make_runnable(m->op.loop_, &m->task->op);
}

/**
 * A buffer is free again. All who wait are told: who has something to receive takes it, and one whose peer is
 * silent never would.
 */
static void give_back(struct bufs *bufs, uint16_t number)
{
	struct bp_link_ *link;

	bufs->out--;
	bufs_return(bufs, number);
	while ((link = list_pop(&bufs->waiters)))
		wake_task(container_of(link, struct multi, wait));
}

/* ---------------------------------------------------------------- operation items */

/*
 * Before Linux 6.0 the kernel receives, and knows no ring of ours. The operation is a poll then, and after
 * that a receive that does not wait, into a buffer taken for it; which of the two is in op->end_, which is
 * used only where there are several completions: one of these, or one more than the buffer's number.
 */
#define END_POLL (1 << 20)
#define END_READY (2 << 20)

static bool without_ring(const struct bp_loop *loop, const struct bufs *bufs)
{
	return loop->backend->buf_ring && !bufs->kernel;
}

static void prep_without_ring(struct bufs *bufs, struct bp_op *op, struct io_uring_sqe *sqe, int fd,
			      int flags)
{
	uint16_t number;

	if (op->end_ != END_READY) {
		op->end_ = END_POLL;
		io_uring_prep_poll_add(sqe, fd, POLLIN);
		return;
	}
	number = bufs_pop(bufs);
	op->end_ = number + 1;
	io_uring_prep_recv(sqe, fd, bufs_at(bufs, number), bufs->size, flags | MSG_DONTWAIT);
}

void bp_buf_ring_recv(struct bp_buf_ring *ring, struct bp_op *op, struct io_uring_sqe *sqe, int fd,
		      int flags)
{
	static struct __kernel_timespec pause = {.tv_nsec = PAUSE_NS};
	struct bufs *bufs = bufs_here(ring, __func__);

	bp_need(op, __func__, "operation");
	if (bufs_empty(bufs)) {
		io_uring_prep_timeout(sqe, &pause, 0, 0);
		return;
	}
	if (unlikely(without_ring(bp_this_loop, bufs))) {
		prep_without_ring(bufs, op, sqe, fd, flags);
		return;
	}
	io_uring_prep_recv(sqe, fd, NULL, 0, flags);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = bufs->group;
	sqe->ioprio |= IORING_RECV_MULTISHOT;
}

/** The buffer of a result that is of no ring, or BUFS_NONE. */
static uint16_t take_without_ring(struct bp_op *op, int res)
{
	int was = op->end_;

	if (was == END_READY || res == -ETIME) /* there was none to be had */
		return BUFS_NONE;
	op->end_ = was == END_POLL && res > 0 ? END_READY : 0;
	return was > 0 && was <= BUFS_NONE ? (uint16_t)(was - 1) : BUFS_NONE;
}

void *bp_buf_ring_take(struct bp_buf_ring *ring, struct bp_op *op, int res)
{
	struct bufs *bufs = bufs_here(ring, __func__);
	uint16_t number = BUFS_NONE;

	bp_need(op, __func__, "operation");
	if (op->cqe_flags & IORING_CQE_F_BUFFER)
		number = (uint16_t)(op->cqe_flags >> IORING_CQE_BUFFER_SHIFT);
	else if (without_ring(bp_this_loop, bufs))
		number = take_without_ring(op, res);
	if (number == BUFS_NONE)
		return NULL;
	bufs->out++;
	bufs->notes[number].lent = res > 0;
	if (res > 0)
		return bufs_at(bufs, number);
	give_back(bufs, number);
	return NULL;
}

void bp_buf_ring_put(struct bp_buf_ring *ring, void *buf)
{
	struct bufs *bufs = bufs_here(ring, __func__);
	size_t at = (size_t)((char *)buf - bufs->memory) / bufs->size;

	if ((uintptr_t)buf < (uintptr_t)bufs->memory || at >= bufs->count)
		bp_fatal("%s: no buffer of this loop", __func__);
	/* Else one buffer would be filled twice at once. */
	if (!bufs->notes[at].lent)
		bp_fatal("%s: not what bp_buf_ring_take() gave, or given back already", __func__);
	bufs->notes[at].lent = false;
	give_back(bufs, (uint16_t)at);
}

/* ---------------------------------------------------------------- tasks */

/** Notes a piece that has come. */
static void queue(struct multi *m, uint16_t number, uint32_t len)
{
	struct bufs *bufs = m->bufs;

	bufs->out++;
	bufs->notes[number] = (struct bufs_note){.len = len, .next = BUFS_NONE};
	if (m->head == BUFS_NONE)
		m->head = number;
	else
		bufs->notes[m->tail].next = number;
	m->tail = number;
}

static int multi_done(struct bp_op *op, int res)
{
	struct multi *m = multi_of_op(op);

	if (op->cqe_flags & IORING_CQE_F_BUFFER) {
		uint16_t number = (uint16_t)(op->cqe_flags >> IORING_CQE_BUFFER_SHIFT);

		if (res > 0) {
			queue(m, number, (uint32_t)res);
		} else { /* nothing is in it */
			m->bufs->out++;
			give_back(m->bufs, number);
		}
	}
	if (!(op->cqe_flags & IORING_CQE_F_MORE)) {
		m->armed = false;
		m->res = res;
		m->over = res == 0 || (res < 0 && res != -ENOBUFS && res != -EAGAIN &&
				       res != -EINTR && res != -ECANCELED);
	}
	wake_task(m);
	return 0;
}

static void multi_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	const struct multi *m = multi_of_op(op);

	io_uring_prep_recv(sqe, m->fd, NULL, 0, m->flags);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = m->bufs->group;
	sqe->ioprio |= IORING_RECV_MULTISHOT;
}

static void multi_interrupted(struct bp_task *task)
{
	struct multi *m = task->multi;

	if (list_linked(&m->wait))
		list_del(&m->wait);
	wake_task(m);
}

static void never_interrupted(struct bp_task *task)
{
	(void)task;
}

/** Suspends the task until something has happened. */
static void multi_wait(struct multi *m, void (*interrupt)(struct bp_task *task))
{
	m->waiting = true;
	m->task->multi = m;
	m->task->interrupt = interrupt;
	op_set_state(&m->task->op, OP_WAITING);
	task_suspend(m->task);
}

int bp_recv_multi_begin(struct bp_recv_multi *multi, int fd, struct bp_buf_ring *ring, int flags)
{
	struct bp_task *task = task_need(__func__);
	struct multi *m = multi_of(multi);

	bp_need(multi, __func__, "receive");
	if (flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE))
		return -EINVAL;
	memset(m, 0, sizeof(*m));
	m->bufs = bufs_here(ring, __func__);
	m->task = task;
	m->fd = fd;
	m->flags = flags;
	m->head = m->held = BUFS_NONE;
	m->op.prep = multi_prep;
	m->op.done = multi_done;
	m->op.kind_ = OP_KIND_INNER;
	m->op.state_ = OP_RUNNABLE;
	m->op.group_ = task->op.group_;
	m->op.loop_ = task->op.loop_;
	return 0;
}

/** The task's own receive, where no operation can take its buffer from a ring. Return: 0 or -errno. */
static int receive(struct multi *m)
{
	struct bp_task *task = m->task;
	uint16_t number;
	int res;

	res = op_wait_ready(task, m->fd, POLLIN);
	if (res)
		return res;
	number = bufs_pop(m->bufs);
	if (number == BUFS_NONE)
		return 0; /* somebody was faster */
	io_uring_prep_recv(&task->sqe, m->fd, bufs_at(m->bufs, number), m->bufs->size,
			   m->flags | MSG_DONTWAIT);
	res = op_call_unless(task, POLLIN, true);
	if (res > 0) {
		queue(m, number, (uint32_t)res);
		return 0;
	}
	m->bufs->out++;
	give_back(m->bufs, number);
	if (res == -EAGAIN)
		return 0;
	/* The task's time or its group ended it, not the connection. */
	if (res && res == task_reason(m->task))
		return res;
	m->res = res;
	m->over = true;
	return 0;
}

/** Gets something to come. Return: 0 or what the task was ended by. */
static int receive_more(struct multi *m)
{
	int err;

	if (!m->armed && bufs_empty(m->bufs)) {
		list_add_tail(&m->bufs->waiters, &m->wait);
		multi_wait(m, multi_interrupted);
		return task_reason(m->task);
	}
	if (!m->bufs->kernel)
		return receive(m);
	if (!m->armed) {
		/* A descriptor in non-blocking mode is not waited for by the kernel. */
		err = m->res == -EAGAIN ? op_wait_ready(m->task, m->fd, POLLIN) : 0;
		if (err)
			return err;
		m->armed = true;
		m->res = 0;
		loop_submit(m->op.loop_, &m->op, 0);
	}
	multi_wait(m, multi_interrupted);
	return task_reason(m->task);
}

static void let_go(struct multi *m)
{
	if (m->held == BUFS_NONE)
		return;
	give_back(m->bufs, m->held);
	m->held = BUFS_NONE;
}

ssize_t bp_recv_multi_next(struct bp_recv_multi *multi, void **data)
{
	struct multi *m = multi_of(multi);
	int err;

	bp_need(multi, __func__, "receive");
	if (task_need(__func__) != m->task)
		bp_fatal("%s: another task began it", __func__);
	if (!data)
		return -EINVAL;
	*data = NULL;
	let_go(m);
	err = task_reason(m->task);
	while (!err && m->head == BUFS_NONE) {
		if (m->over)
			return m->res;
		err = receive_more(m);
	}
	if (err)
		return err;
	m->held = m->head;
	m->head = m->bufs->notes[m->held].next;
	*data = bufs_at(m->bufs, m->held);
	return (ssize_t)m->bufs->notes[m->held].len;
}

void bp_recv_multi_end(struct bp_recv_multi *multi)
{
	struct multi *m = multi_of(multi);

	bp_need(multi, __func__, "receive");
	if (task_need(__func__) != m->task)
		bp_fatal("%s: another task began it", __func__);
	if (m->armed)
		loop_cancel(m->op.loop_, &m->op);
	while (m->armed)
		multi_wait(m, never_interrupted);
	let_go(m);
	while (m->head != BUFS_NONE) {
		m->held = m->head;
		m->head = m->bufs->notes[m->held].next;
		let_go(m);
	}
	m->over = true;
}
