/* SPDX-License-Identifier: MIT */
/*
 * Faults by seed, around any backend; see fault.h.
 *
 * A spec is a list of NAME=PERCENT, and seed=N:
 *
 *	short		a read, write, send or receive is asked to move fewer bytes
 *	eintr, eagain	the operation ends so, and nothing was done
 *	eio		likewise: what touches a file; a close is done, and says so
 *	enospc, edquot	likewise: what needs space
 *	econnreset	likewise: what touches a connection
 *	delay		a completion is held back for some turns of the loop
 *	reorder		the completions of a turn come in another order
 *	lose_cancel	a cancel does not reach its operation
 *
 * Names that begin with call_ are for the program's own calls, and passed over here.
 *
 * Injection is honest: what is said to have failed was not done (its SQE became a NOP), what is
 * said to be short was asked for short. Nothing is kept back without the loop being called again
 * for it.
 *
 * Each loop has its own part, touched by its thread alone.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/fault.h"
#include "loop.h"

const char *bp_faults;

enum fault_kind {
	FAULT_SHORT,
	FAULT_EINTR,
	FAULT_EAGAIN,
	FAULT_EIO,
	FAULT_ENOSPC,
	FAULT_EDQUOT,
	FAULT_ECONNRESET,
	FAULT_DELAY,
	FAULT_REORDER,
	FAULT_LOSE_CANCEL,
	FAULT_KINDS,
};

static const char *const names[FAULT_KINDS] = {
	"short",  "eintr",	"eagain", "eio",     "enospc",
	"edquot", "econnreset", "delay",  "reorder", "lose_cancel",
};

#define HELD_MAX 64
#define HELD_TURNS 8
/* How long a loop may wait while completions are held back. */
#define HELD_NS 100000ull
#define MARKS 256

/* The result that an operation in flight is going to have instead of its own. */
struct mark {
	struct mark *next;
	const struct bp_op *op;
	int res;
};

struct held {
	struct bp_completion c;
	unsigned int turns;
};

struct fault_loop {
	uint64_t random;
	unsigned long count;
	void (*prep)(struct bp_op *op, struct io_uring_sqe *sqe); /* of the one being submitted */
	struct mark *marks[MARKS], *free;
	struct held held[HELD_MAX];
	unsigned int nheld;
};

struct faults {
	struct bp_backend_ops ops;
	const struct bp_backend_ops *inner;
	unsigned int percent[FAULT_KINDS];
	uint64_t seed;
	unsigned int nloops;
	struct fault_loop loops[];
};

static inline struct faults *faults_of(const struct bp_loop *loop)
{
	return container_of(loop->backend, struct faults, ops);
}

static inline struct fault_loop *part_of(const struct bp_loop *loop)
{
	return &faults_of(loop)->loops[loop->index];
}

/* ---------------------------------------------------------------- chance */

static uint64_t roll(struct fault_loop *fl, uint64_t n)
{
	uint64_t x = fl->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return (x ^ (x >> 31)) % n;
}

static bool happens(const struct bp_loop *loop, enum fault_kind kind)
{
	const struct faults *f = faults_of(loop);
	struct fault_loop *fl = part_of(loop);

	if (!f->percent[kind] || roll(fl, 100) >= f->percent[kind])
		return false;
	fl->count++;
	return true;
}

/* ---------------------------------------------------------------- marks */

static struct mark **mark_slot(struct fault_loop *fl, const struct bp_op *op)
{
	struct mark **slot = &fl->marks[((uintptr_t)op >> 6) % MARKS];

	while (*slot && (*slot)->op != op)
		slot = &(*slot)->next;
	return slot;
}

static bool mark(struct fault_loop *fl, const struct bp_op *op, int res)
{
	struct mark *m = fl->free, **slot;

	if (m)
		fl->free = m->next;
	else
		m = malloc(sizeof(*m));
	if (!m)
		return false;
	slot = mark_slot(fl, op);
	*m = (struct mark){.op = op, .res = res};
	*slot = m;
	return true;
}

/** The marked result, and no mark any more; or @res. */
static int unmark(struct fault_loop *fl, const struct bp_op *op, int res)
{
	struct mark **slot = mark_slot(fl, op), *m = *slot;

	if (!m)
		return res;
	*slot = m->next;
	m->next = fl->free;
	fl->free = m;
	/*
	 * One that was cancelled, or that failed by itself, is not said to have failed otherwise.
	 */
	return res < 0 ? res : m->res;
}

/* ---------------------------------------------------------------- submitting */

enum touches {
	TOUCHES_NOTHING = 0,
	TOUCHES_FILE = 1,
	TOUCHES_SPACE = 2,
	TOUCHES_CONNECTION = 4,
	TOUCHES_BYTES = 8, /* len is a count of bytes */
	TOUCHES_VECTOR = 16, /* len is a count of pieces */
};

static const unsigned char touches[] = {
	[IORING_OP_READ] = TOUCHES_FILE | TOUCHES_BYTES,
	[IORING_OP_WRITE] = TOUCHES_FILE | TOUCHES_SPACE | TOUCHES_BYTES,
	[IORING_OP_READV] = TOUCHES_FILE | TOUCHES_VECTOR,
	[IORING_OP_WRITEV] = TOUCHES_FILE | TOUCHES_SPACE | TOUCHES_VECTOR,
	[IORING_OP_FSYNC] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_FALLOCATE] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_OPENAT] = TOUCHES_FILE,
	[IORING_OP_OPENAT2] = TOUCHES_FILE,
	[IORING_OP_CLOSE] = TOUCHES_FILE,
	[IORING_OP_STATX] = TOUCHES_FILE,
	[IORING_OP_SPLICE] = TOUCHES_FILE | TOUCHES_SPACE | TOUCHES_BYTES,
	[IORING_OP_UNLINKAT] = TOUCHES_FILE,
	[IORING_OP_RENAMEAT] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_LINKAT] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_SYMLINKAT] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_MKDIRAT] = TOUCHES_FILE | TOUCHES_SPACE,
	[IORING_OP_SEND] = TOUCHES_CONNECTION | TOUCHES_BYTES,
	[IORING_OP_SEND_ZC] = TOUCHES_CONNECTION | TOUCHES_BYTES,
	[IORING_OP_RECV] = TOUCHES_CONNECTION | TOUCHES_BYTES,
	[IORING_OP_SENDMSG] = TOUCHES_CONNECTION,
	[IORING_OP_RECVMSG] = TOUCHES_CONNECTION,
	[IORING_OP_CONNECT] = TOUCHES_CONNECTION,
	[IORING_OP_ACCEPT] = TOUCHES_CONNECTION,
};

/** An error that the operation shall end with, or 0. */
static int draw_error(const struct bp_loop *loop, unsigned int what)
{
	if (happens(loop, FAULT_EINTR))
		return -EINTR;
	if (happens(loop, FAULT_EAGAIN))
		return -EAGAIN;
	if ((what & TOUCHES_FILE) && happens(loop, FAULT_EIO))
		return -EIO;
	if ((what & TOUCHES_SPACE) && happens(loop, FAULT_ENOSPC))
		return -ENOSPC;
	if ((what & TOUCHES_SPACE) && happens(loop, FAULT_EDQUOT))
		return -EDQUOT;
	if ((what & TOUCHES_CONNECTION) && happens(loop, FAULT_ECONNRESET))
		return -ECONNRESET;
	return 0;
}

/** Whether a transfer may be of any length. */
static bool is_direct(const struct bp_loop *loop, int fd)
{
	int flags = faults_of(loop)->inner->kernel_files ? fcntl(fd, F_GETFL) : 0;

	return flags >= 0 && (flags & O_DIRECT);
}

/** Instead of the operation's own prep: fills its SQE, and spoils it. */
static void fault_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct bp_loop *loop = op->loop_;
	struct fault_loop *fl = part_of(loop);
	unsigned int what;
	int err;

	fl->prep(op, sqe);
	what = sqe->opcode < sizeof(touches) ? touches[sqe->opcode] : TOUCHES_NOTHING;
	if (!what)
		return;
	if (sqe->opcode == IORING_OP_CLOSE) {
		/* It closes, whatever it says; and one that fails is never tried again. */
		if (happens(loop, FAULT_EIO))
			mark(fl, op, -EIO);
		return;
	}
	err = draw_error(loop, what);
	if (err && mark(fl, op, err)) {
		io_uring_prep_nop(sqe);
		return;
	}
	if ((what & (TOUCHES_BYTES | TOUCHES_VECTOR)) && sqe->len > 1 &&
	    !is_direct(loop, sqe->fd) && happens(loop, FAULT_SHORT))
		sqe->len = 1 + (unsigned int)roll(fl, sqe->len - 1);
}

static int fault_submit(struct bp_loop *loop, struct bp_op *op)
{
	struct fault_loop *fl = part_of(loop);
	int opcode;

	/* The backend calls prep() once it has a place, before it returns. */
	fl->prep = op->prep;
	op->prep = fault_prep;
	opcode = faults_of(loop)->inner->submit(loop, op);
	op->prep = fl->prep;
	return opcode;
}

/* ---------------------------------------------------------------- completions */

static void hold(struct fault_loop *fl, const struct bp_completion *c)
{
	fl->held[fl->nheld++] =
		(struct held){.c = *c, .turns = 1 + (unsigned int)roll(fl, HELD_TURNS)};
}

static bool is_held(const struct fault_loop *fl, const struct bp_op *op)
{
	for (unsigned int i = 0; i < fl->nheld; i++)
		if (fl->held[i].c.op == op && !(fl->held[i].c.flags & BP_COMPLETION_CANCEL))
			return true;
	return false;
}

static int fault_cancel(struct bp_loop *loop, struct bp_op *op)
{
	struct fault_loop *fl = part_of(loop);
	struct bp_completion answer = {.op = op, .res = -ENOENT, .flags = BP_COMPLETION_CANCEL};
	bool over = is_held(fl, op);

	if (fl->nheld == HELD_MAX && over)
		return -EAGAIN;
	if (fl->nheld == HELD_MAX || (!over && !happens(loop, FAULT_LOSE_CANCEL)))
		return faults_of(loop)->inner->cancel(loop, op);
	if (!over && roll(fl, 2))
		answer.res = -EALREADY;
	hold(fl, &answer);
	return 0;
}

/** What has been held back long enough. Return: how many were copied to @out. */
static unsigned int release(struct fault_loop *fl, struct bp_completion *out, unsigned int max)
{
	unsigned int n = 0, left = 0;

	for (unsigned int i = 0; i < fl->nheld; i++) {
		if (--fl->held[i].turns || n == max) {
			fl->held[i].turns += !fl->held[i].turns;
			fl->held[left++] = fl->held[i];
		} else {
			out[n++] = fl->held[i].c;
		}
	}
	fl->nheld = left;
	return n;
}

static void shuffle(struct fault_loop *fl, struct bp_completion *c, unsigned int n)
{
	/* The completions of one operation keep their order. */
	for (unsigned int i = 0; i < n; i++)
		if (c[i].flags & BP_COMPLETION_MORE)
			return;
	for (; n > 1; n--) {
		unsigned int k = (unsigned int)roll(fl, n);
		struct bp_completion other = c[k];

		c[k] = c[n - 1];
		c[n - 1] = other;
	}
}

static unsigned int fault_reap(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
			       uint64_t until)
{
	const struct faults *f = faults_of(loop);
	struct fault_loop *fl = part_of(loop);
	unsigned int n = release(fl, out, max), end, got;

	if (n)
		until = 0;
	else if (fl->nheld && until > f->inner->now(loop->engine) + HELD_NS)
		until = f->inner->now(loop->engine) + HELD_NS;
	if (n == max)
		return n;
	got = f->inner->reap(loop, out + n, max - n, until);
	for (end = n + got, got = n; got < end; got++) {
		struct bp_completion c = out[got];
		bool last = !(c.flags & (BP_COMPLETION_CANCEL | BP_COMPLETION_MORE));

		if (last)
			c.res = unmark(fl, c.op, c.res);
		if (!(c.flags & BP_COMPLETION_MORE) && fl->nheld < HELD_MAX &&
		    happens(loop, FAULT_DELAY))
			hold(fl, &c);
		else
			out[n++] = c;
	}
	if (n > 1 && happens(loop, FAULT_REORDER))
		shuffle(fl, out, n);
	return n;
}

/* ---------------------------------------------------------------- putting it in place */

static int parse(struct faults *f, const char *spec)
{
	while (*spec) {
		size_t len = strcspn(spec, "=,");
		char *end;
		unsigned long long value;
		unsigned int kind = 0;

		if (spec[len] != '=')
			return -EINVAL;
		value = strtoull(spec + len + 1, &end, 10);
		if (end == spec + len + 1 || (*end && *end != ','))
			return -EINVAL;
		while (kind < FAULT_KINDS &&
		       (strlen(names[kind]) != len || strncmp(names[kind], spec, len)))
			kind++;
		if (kind < FAULT_KINDS && value <= 100)
			f->percent[kind] = (unsigned int)value;
		else if (len == 4 && !strncmp(spec, "seed", 4))
			f->seed = value;
		else if (strncmp(spec, "call_", 5))
			return -EINVAL;
		spec = *end ? end + 1 : end;
	}
	return 0;
}

static void fault_destroy(struct bp_engine *engine)
{
	struct faults *f = container_of(engine->backend, struct faults, ops);
	struct mark *m;

	for (unsigned int i = 0; i < f->nloops; i++) {
		while ((m = f->loops[i].free)) {
			f->loops[i].free = m->next;
			free(m);
		}
	}
	engine->backend = f->inner;
	free(f);
	if (engine->backend->destroy)
		engine->backend->destroy(engine);
}

int faults_wrap(struct bp_engine *engine, const char *spec)
{
	struct faults *f = calloc(1, sizeof(*f) + engine->nloops * sizeof(f->loops[0]));
	int err;

	if (!f)
		return -ENOMEM;
	err = parse(f, spec);
	if (err) {
		free(f);
		return err;
	}
	f->inner = engine->backend;
	f->ops = *engine->backend;
	/* Calls beside the backend would pass the faults by. */
	f->ops.kernel_files = false;
	/* What they hold back no descriptor tells of. */
	f->ops.fd = NULL;
	f->ops.destroy = fault_destroy;
	f->ops.submit = fault_submit;
	f->ops.cancel = fault_cancel;
	f->ops.reap = fault_reap;
	f->nloops = engine->nloops;
	for (unsigned int i = 0; i < f->nloops; i++)
		f->loops[i].random = f->seed * 0xd1342543de82ef95ull + i;
	engine->backend = &f->ops;
	return 0;
}

unsigned long faults_injected(const struct bp_engine *engine)
{
	const struct faults *f = container_of(engine->backend, struct faults, ops);
	unsigned long count = 0;

	if (engine->backend->destroy != fault_destroy)
		return 0;
	for (unsigned int i = 0; i < f->nloops; i++)
		count += f->loops[i].count;
	return count;
}
