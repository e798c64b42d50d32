/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend: one ring for each loop, made, entered and torn down by the loop's thread.
 *
 * user_data is the address of the struct bp_op; its low bits say whose CQE it is: the operation's,
 * its cancel's, or the wake-up read's. The ring holds loop->depth operations and a reserve for the
 * answers to cancels and for the wake-up, so operations with one CQE each cannot overflow the
 * completion queue. Those with several (multishot, zero-copy sends) can; the kernel keeps what does
 * not fit, and hands it over at the next entry, which reap() makes with GETEVENTS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend/wake.h"
#include "bufs.h"
#include "compat.h"
#include "loop.h"

#define TAG_OP 0u
#define TAG_CANCEL 1u
#define TAG_WAKE 2u
#define TAG_MASK 3u

/* 64 answers to cancels, the wake-up, and liburing's own timeout on kernels without EXT_ARG. */
#define CQ_RESERVE 66u
#define SQ_MAX 256u

struct uring {
	struct io_uring ring;
	struct wake wake;
	bool wake_armed;
	int event; /* tells an outer loop that there is something to reap; -1: nobody asked for it */
	uint64_t wake_value;
	struct io_uring_params params; /* as the kernel filled them in */
	unsigned int opcodes; /* the highest that it knows */
	uint64_t known; /* a bit for each that it carries out */
};

static unsigned int pow2(unsigned int n)
{
	unsigned int p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static uint64_t uring_now(const struct bp_engine *engine)
{
	(void)engine;
	return time_now();
}

/*
 * The flags that help, most demanding first. Where the kernel says EINVAL the first one left is
 * dropped and the rest tried again: DEFER_TASKRUN 6.1 (needs SINGLE_ISSUER), SINGLE_ISSUER 6.0,
 * COOP_TASKRUN 5.19, SUBMIT_ALL 5.18.
 */
static const unsigned int step_down[] = {
	IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_SINGLE_ISSUER,
	IORING_SETUP_COOP_TASKRUN,
	IORING_SETUP_SUBMIT_ALL,
};

static int ring_setup(struct io_uring *ring, unsigned int depth, struct io_uring_params *params)
{
	unsigned int flags = IORING_SETUP_CQSIZE, i = 0;
	unsigned int sq = pow2(depth < SQ_MAX ? depth : SQ_MAX);
	int err;

	for (i = 0; i < sizeof(step_down) / sizeof(step_down[0]); i++)
		flags |= step_down[i];
	for (i = 0;; i++) {
		memset(params, 0, sizeof(*params));
		params->flags = flags;
		params->cq_entries = pow2(depth + CQ_RESERVE);
		err = io_uring_queue_init_params(sq, ring, params);
		if (err != -EINVAL || i == sizeof(step_down) / sizeof(step_down[0]))
			return err;
		flags &= ~step_down[i];
	}
}

static void probe_opcodes(struct uring *u)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
	unsigned int i;

	if (!probe) {
		u->known = UINT64_MAX; /* it says so itself, with EINVAL */
		return;
	}
	u->opcodes = probe->last_op;
	for (i = 0; i < probe->ops_len && i < 64; i++)
		if (probe->ops[i].flags & IO_URING_OP_SUPPORTED)
			u->known |= 1ull << probe->ops[i].op;
	io_uring_free_probe(probe);
}

static bool uring_knows(const struct bp_loop *loop, unsigned int opcode)
{
	const struct uring *u = loop->backend_data;

	return opcode < 64 && (u->known >> opcode & 1);
}

/** Before Linux 5.12 and again in 6.18 rings are locked memory of their user, unless that is root. */
static bool counts_as_locked(void)
{
	struct rlimit limit;

	return geteuid() && !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

/** Says why there is no ring. Return: @err. */
static int refused(struct bp_engine *engine, int err)
{
	const char *why;

	switch (err) {
	case -EPERM:
		why = "io_uring is forbidden here (EPERM): kernel.io_uring_disabled is set, or a "
		      "seccomp filter, such as a container's default profile, denies it";
		break;
	case -ENOSYS:
		why = "io_uring is missing here (ENOSYS): the kernel was built without it, or a "
		      "seccomp filter hides it";
		break;
	case -ENOMEM:
		why = counts_as_locked() ?
			      "io_uring got no memory (ENOMEM): RLIMIT_MEMLOCK may bound it here, for "
			      "which many kernels count rings, or there is none" :
			      "io_uring got no memory (ENOMEM): there is none, or the control "
			      "group may have no more";
		break;
	case -EMFILE:
	case -ENFILE:
		why = "io_uring got no file descriptor (EMFILE or ENFILE)";
		break;
	case -EACCES:
		why = "io_uring is forbidden here (EACCES): a security module denies it";
		break;
	default:
		return say_why(engine->reason, sizeof(engine->reason), err,
			       "io_uring_setup() failed: %s", strerror(-err));
	}
	return say_why(engine->reason, sizeof(engine->reason), err, "%s", why);
}

/** Whether the ring can be entered too, which a filter may deny by itself. Return: 0 or -errno. */
static int try_ring(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int err;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	do {
		err = io_uring_submit_and_wait(ring, 1);
	} while (err == -EINTR || err == -EAGAIN);
	if (err < 0)
		return err;
	err = io_uring_peek_cqe(ring, &cqe);
	if (!err)
		io_uring_cqe_seen(ring, cqe);
	return err;
}

static int uring_init(struct bp_loop *loop)
{
	struct bp_engine *engine = loop->engine;
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	err = wake_init(&u->wake, false);
	if (err) {
		say_why(engine->reason, sizeof(engine->reason), err,
			"neither eventfd() nor pipe2() gives a descriptor here: %s",
			strerror(-err));
		goto out_free;
	}
	err = ring_setup(&u->ring, loop->depth, &u->params);
	if (err) {
		refused(engine, err);
		goto out_close;
	}
	err = try_ring(&u->ring);
	if (err) {
		say_why(engine->reason, sizeof(engine->reason), err,
			"io_uring_enter() is refused here, though not io_uring_setup(): %s",
			strerror(-err));
		goto out_ring;
	}
	/* A forked child that execs or exits leaves the ring alone. Refused: nothing is lost. */
	io_uring_ring_dontfork(&u->ring);
	io_uring_register_ring_fd(&u->ring);
	probe_opcodes(u);
	u->event = -1;
	loop->backend_data = u;
	return 0;

out_ring:
	io_uring_queue_exit(&u->ring);
out_close:
	wake_exit(&u->wake);
out_free:
	free(u);
	return err;
}

static void uring_describe(const struct bp_loop *loop, struct bp_engine_info *info)
{
	const struct uring *u = loop->backend_data;

	info->setup_flags = u->params.flags;
	info->features = u->params.features;
	info->sq_entries = u->params.sq_entries;
	info->cq_entries = u->params.cq_entries;
	info->opcodes = u->opcodes;
}

static void uring_exit(struct bp_loop *loop)
{
	struct uring *u = loop->backend_data;

	io_uring_queue_exit(&u->ring);
	wake_exit(&u->wake);
	if (u->event >= 0)
		close(u->event);
	free(u);
	loop->backend_data = NULL;
}

/**
 * An empty SQE; when the queue is full it is handed to the kernel first. As io_uring_get_sqe() of
 * liburing 2.3, but without the looks for SQPOLL and SQE128, which no ring here has.
 */
static inline struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	if (likely(sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_RELAXED) <
		   sq->ring_entries)) {
		struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail++ & sq->ring_mask];

		if (!sqe)
			__builtin_unreachable();
		return sqe;
	}
	/* EAGAIN and EBUSY: the kernel wants completions to be reaped first. */
	io_uring_submit(&u->ring);
	return io_uring_get_sqe(&u->ring);
}

static int uring_enroll(struct bp_loop *loop, enum enroll what, const void *table,
			unsigned int count)
{
	struct uring *u = loop->backend_data;

	if (what == ENROLL_FILES)
		return count ? io_uring_register_files(&u->ring, table, count) :
			       io_uring_unregister_files(&u->ring);
	return count ? io_uring_register_buffers(&u->ring, table, count) :
		       io_uring_unregister_buffers(&u->ring);
}

static int uring_buf_ring(struct bp_loop *loop, struct bufs *bufs, bool add)
{
	struct uring *u = loop->backend_data;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)bufs->ring,
		.ring_entries = bufs->mask + 1,
		.bgid = bufs->group,
	};
	int err;

	if (!add)
		return io_uring_unregister_buf_ring(&u->ring, bufs->group);
	err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (!err)
		bufs_fill_ring(bufs);
	return err;
}

static int uring_submit(struct bp_loop *loop, struct bp_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(loop->backend_data);
	int opcode;

	if (unlikely(!sqe))
		return -EAGAIN;
	opcode = op_fill(op, sqe);
	/* Every operation has its own CQE, and none depends on what happens to follow it. */
	sqe->flags &= (uint8_t) ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS);
	sqe->user_data = (uintptr_t)op | TAG_OP;
	return opcode;
}

static bool uring_hand_over(struct bp_loop *loop, unsigned int n)
{
	struct uring *u = loop->backend_data;
	unsigned int before = io_uring_cq_ready(&u->ring);

	/* Where the kernel wants completions to be reaped first, reap() hands it over. */
	io_uring_submit(&u->ring);
	return io_uring_cq_ready(&u->ring) - before > n / 2;
}

static int uring_cancel(struct bp_loop *loop, struct bp_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(loop->backend_data);

	if (unlikely(!sqe))
		return -EAGAIN;
	io_uring_prep_cancel64(sqe, (uintptr_t)op | TAG_OP, 0);
	sqe->user_data = (uintptr_t)op | TAG_CANCEL;
	return 0;
}

static void arm_wake(struct uring *u)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (!sqe)
		return; /* the next turn tries again */
	io_uring_prep_read(sqe, u->wake.in, &u->wake_value, sizeof(u->wake_value), 0);
	sqe->user_data = TAG_WAKE;
	u->wake_armed = true;
}

/** Takes what is the backend's own out of a batch. Return: how many are left. */
static unsigned int sort_out(struct uring *u, struct bp_completion *out, unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++) {
		uintptr_t data = (uintptr_t)out[i].op;

		if (data == TAG_WAKE) {
			u->wake_armed = false;
			continue;
		}
		if (data == (uintptr_t)LIBURING_UDATA_TIMEOUT)
			continue;
		if ((data & TAG_MASK) == TAG_CANCEL)
			out[i].flags = BP_COMPLETION_CANCEL;
		out[i].op = (struct bp_op *)(data & ~(uintptr_t)TAG_MASK);
		out[kept++] = out[i];
	}
	return kept;
}

/* Whether a completion looks as the CQE that it is made of does: then one move copies it. */
#define SAME_AS_CQE                                                                                \
	(sizeof(struct bp_completion) == sizeof(struct io_uring_cqe) &&                            \
	 sizeof(struct bp_op *) == sizeof(((struct io_uring_cqe *)0)->user_data) &&                \
	 offsetof(struct bp_completion, res) == offsetof(struct io_uring_cqe, res) &&              \
	 offsetof(struct bp_completion, flags) == offsetof(struct io_uring_cqe, flags))

/** Copies @n CQEs that lie in a row. Return: their tags, or'ed. */
static inline uintptr_t copy_row(struct bp_completion *out, const struct io_uring_cqe *cqe,
				 unsigned int n)
{
	uintptr_t tags = 0;
	unsigned int i;

	if (SAME_AS_CQE)
		memcpy(out, cqe, n * sizeof(*out));
	for (i = 0; i < n; i++) {
		tags |= (uintptr_t)cqe[i].user_data;
		if (SAME_AS_CQE)
			continue;
		out[i].op = (struct bp_op *)(uintptr_t)cqe[i].user_data;
		out[i].res = cqe[i].res;
		out[i].flags = cqe[i].flags;
	}
	return tags;
}

/** Copies CQEs out, with as little work for each as can be: most are plain operations'. */
static unsigned int copy_out(struct uring *u, struct bp_completion *out, unsigned int max)
{
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned int head = *cq->khead, first = head & *cq->kring_mask;
	unsigned int n = io_uring_smp_load_acquire(cq->ktail) - head,
		     row = cq->ring_entries - first;
	uintptr_t tags;

	if (n > max)
		n = max;
	if (row > n)
		row = n;
	tags = copy_row(out, &cq->cqes[first], row);
	if (unlikely(row < n))
		tags |= copy_row(out + row, cq->cqes, n - row);
	io_uring_smp_store_release(cq->khead, head + n);
	return unlikely(tags & TAG_MASK) ? sort_out(u, out, n) : n;
}

static void enter(struct uring *u, uint64_t until)
{
	struct __kernel_timespec ts, *tsp = NULL;
	struct io_uring_cqe *cqe;
	int err;

	if (until == 0) {
		err = io_uring_submit_and_get_events(&u->ring);
	} else if (until == BP_NEVER) {
		err = io_uring_submit_and_wait(&u->ring, 1);
	} else {
		uint64_t now = time_now(), left = until > now ? until - now : 0;

		ts.tv_sec = (int64_t)(left / NSEC_PER_SEC);
		ts.tv_nsec = (long long)(left % NSEC_PER_SEC);
		tsp = &ts;
		err = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, tsp, NULL);
	}
	/* ETIME: the wait is over. EINTR, EAGAIN, EBUSY: reap, and the next turn enters again. */
	if (unlikely(err < 0) && err != -ETIME && err != -EINTR && err != -EAGAIN && err != -EBUSY)
		bp_fatal("io_uring_enter: %s (was the ring's descriptor closed?)", strerror(-err));
}

/** Before the ring is entered: what comes after that says so again. */
static void drain_event(const struct uring *u)
{
	uint64_t count;

	while (read(u->event, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static unsigned int uring_reap(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
			       uint64_t until)
{
	struct uring *u = loop->backend_data;

	if (unlikely(!u->wake_armed) && (until || u->event >= 0))
		arm_wake(u);
	if (io_uring_cq_ready(&u->ring) || !u->wake_armed)
		until = 0;
	if (unlikely(u->event >= 0))
		drain_event(u);
	if (until || io_uring_sq_ready(&u->ring) || loop_in_flight(loop) || loop_patient(loop) ||
	    loop->cancels_out || u->event >= 0)
		enter(u, until);
	return copy_out(u, out, max);
}

static int uring_fd(struct bp_loop *loop)
{
	struct uring *u = loop->backend_data;

	int fd, err;

	if (u->event >= 0)
		return u->event;
	/*
	 * Not the ring's own descriptor: who polls that is not told of work that waits, because of
	 * DEFER_TASKRUN, for the next entry.
	 */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = io_uring_register_eventfd(&u->ring, fd);
	if (err) {
		close(fd);
		return err;
	}
	u->event = fd;
	if (!u->wake_armed)
		arm_wake(u);
	enter(u, 0);
	return fd;
}

static bool uring_pending(const struct bp_loop *loop)
{
	const struct uring *u = loop->backend_data;

	return io_uring_sq_ready(&u->ring) || io_uring_cq_ready(&u->ring);
}

static void uring_wake(struct bp_loop *loop)
{
	const struct uring *u = loop->backend_data;

	wake_up(&u->wake);
	/* The read that would tell of it may have to be armed again. */
	if (u->event >= 0)
		wake_up(&(struct wake){.in = u->event, .out = u->event});
}

const struct bp_backend_ops bp_uring_backend = {
	.name = "uring",
	.kernel_files = true,
	.init = uring_init,
	.describe = uring_describe,
	.exit = uring_exit,
	.knows = uring_knows,
	.enroll = uring_enroll,
	.buf_ring = uring_buf_ring,
	.submit = uring_submit,
	.hand_over = uring_hand_over,
	.cancel = uring_cancel,
	.reap = uring_reap,
	.wake = uring_wake,
	.fd = uring_fd,
	.pending = uring_pending,
	.now = uring_now,
};
