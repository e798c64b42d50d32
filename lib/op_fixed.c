/* SPDX-License-Identifier: MIT */
/*
 * Buffers and files that the rings know in advance, and the operations that use them.
 *
 * Each loop's ring has its own registration, made by the loop's own thread. Where a kernel refuses, for
 * locked memory or because there is no ring, the loop keeps the table itself and the operations are the
 * plain ones: on descriptors of the engine's own, since a registered file stays open when the program closes its
 * descriptor. So what a task sees is the same either way.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "op.h"

/* One for the buffers and one for the files of an engine; read-only once the loops have it. */
struct fixed_table {
	unsigned int count;
	struct iovec *buffers;
	int *files;
	bool dup; /* @files are the engine's own */
};

/* ---------------------------------------------------------------- on every loop */

struct enrolling {
	enum enroll what;
	struct fixed_table *table; /* NULL: to be given back */
	unsigned int refused; /* loops whose backend keeps nothing */
	int err;
};

struct loop_call {
	struct bp_message message;
	struct bp_engine *engine;
	void (*fn)(struct bp_loop *loop, void *arg);
	void *arg;
	bool done;
	pthread_cond_t cond;
};

static void called(struct bp_loop *loop, struct bp_message *message)
{
	struct loop_call *call = container_of(message, struct loop_call, message);

	call->fn(loop, call->arg);
	engine_lock(call->engine);
	call->done = true;
	pthread_cond_signal(&call->cond);
	engine_unlock(call->engine);
}

void op_on_each_loop(struct bp_engine *engine, void (*fn)(struct bp_loop *loop, void *arg),
		     void *arg)
{
	unsigned int i;

	for (i = 0; i < engine->nloops; i++) {
		struct loop_call call = {.message.handle = called,
					 .engine = engine,
					 .fn = fn,
					 .arg = arg,
					 .cond = PTHREAD_COND_INITIALIZER};

		if (!engine->threaded) {
			fn(engine->loops[i], arg);
			continue;
		}
		loop_post(engine->loops[i], &call.message);
		engine_lock(engine);
		while (!call.done)
			engine_cond_wait(engine, &call.cond, BP_NEVER);
		engine_unlock(engine);
		pthread_cond_destroy(&call.cond);
	}
}

static void enroll(struct bp_loop *loop, void *arg)
{
	struct enrolling *e = arg;
	const struct fixed_table *table = e->table;
	int err = -EOPNOTSUPP;

	if (!e->err && loop->backend->enroll)
		err = loop->backend->enroll(loop, e->what,
					    e->what == ENROLL_FILES ? (void *)table->files :
								      (void *)table->buffers,
					    table->count);
	loop->enrolled[e->what] = !err;
	if (!err)
		return;
	e->refused++;
	/* What is no memory, or no descriptor, is so on every backend. */
	if (err == -EFAULT || err == -EBADF)
		e->err = err;
}

static void publish(struct bp_loop *loop, void *arg)
{
	struct enrolling *e = arg;

	loop->fixed[e->what] = e->table;
}

static void withdraw(struct bp_loop *loop, void *arg)
{
	struct enrolling *e = arg;

	loop->fixed[e->what] = NULL;
	if (loop->enrolled[e->what])
		loop->backend->enroll(loop, e->what, NULL, 0);
	loop->enrolled[e->what] = false;
}

/* ---------------------------------------------------------------- tables */

static void table_free(struct fixed_table *table)
{
	unsigned int i;

	if (!table)
		return;
	for (i = 0; table->dup && i < table->count; i++)
		if (table->files[i] >= 0)
			close(table->files[i]);
	free(table->files);
	free(table->buffers);
	free(table);
}

static struct fixed_table *table_new(enum enroll what, const void *entries, unsigned int count)
{
	struct fixed_table *table = calloc(1, sizeof(*table));
	size_t size = what == ENROLL_FILES ? sizeof(int) : sizeof(struct iovec);
	void *copy = calloc(count, size);

	if (!table || !copy) {
		free(copy);
		free(table);
		return NULL;
	}
	memcpy(copy, entries, count * size);
	table->count = count;
	if (what == ENROLL_FILES)
		table->files = copy;
	else
		table->buffers = copy;
	return table;
}

/** Makes the descriptors the engine's own. Return: 0 or -errno. */
static int table_dup(struct fixed_table *table)
{
	int *own = calloc(table->count, sizeof(*own));
	unsigned int i;
	int err = 0;

	if (!own)
		return -ENOMEM;
	for (i = 0; i < table->count; i++) {
		own[i] = -1;
		if (err || table->files[i] == -1)
			continue;
		own[i] = fcntl(table->files[i], F_DUPFD_CLOEXEC, 0);
		if (own[i] < 0)
			err = -errno;
	}
	free(table->files);
	table->files = own;
	table->dup = true;
	return err;
}

void op_need_outside(const struct bp_engine *engine, const char *call)
{
	engine_check_thread(engine, call);
	if (bp_this_loop && bp_this_loop->engine == engine)
		bp_fatal("%s: called in a task or a callback", call);
}

/* Threads register one after the other. The loops, which are waited for meanwhile, never do. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int register_alone(struct bp_engine *engine, enum enroll what, const void *entries,
			  unsigned int count)
{
	struct enrolling e = {.what = what};

	if (engine->fixed[what])
		return -EBUSY;
	e.table = table_new(what, entries, count);
	if (!e.table)
		return -ENOMEM;
	op_on_each_loop(engine, enroll, &e);
	if (!e.err && e.refused && what == ENROLL_FILES && engine->backend->kernel_files)
		e.err = table_dup(e.table);
	if (e.err) {
		op_on_each_loop(engine, withdraw, &e);
		table_free(e.table);
	} else {
		engine->fixed[what] = e.table;
		op_on_each_loop(engine, publish, &e);
	}
	return e.err ? e.err : !e.refused;
}

static int do_register(struct bp_engine *engine, const char *call, enum enroll what,
		       const void *entries, unsigned int count)
{
	int saved = errno, err;

	bp_need(engine, call, "engine");
	op_need_outside(engine, call);
	if (!entries || !count)
		return -EINVAL;
	pthread_mutex_lock(&one_at_a_time);
	err = register_alone(engine, what, entries, count);
	pthread_mutex_unlock(&one_at_a_time);
	errno = saved;
	return err;
}

static void do_unregister(struct bp_engine *engine, const char *call, enum enroll what)
{
	struct enrolling e = {.what = what};
	int saved = errno;

	bp_need(engine, call, "engine");
	op_need_outside(engine, call);
	pthread_mutex_lock(&one_at_a_time);
	if (engine->fixed[what]) {
		op_on_each_loop(engine, withdraw, &e);
		table_free(engine->fixed[what]);
		engine->fixed[what] = NULL;
	}
	pthread_mutex_unlock(&one_at_a_time);
	errno = saved;
}

int bp_register_buffers(struct bp_engine *engine, const struct iovec *iov, unsigned int count)
{
	return do_register(engine, __func__, ENROLL_BUFFERS, iov, count);
}

void bp_unregister_buffers(struct bp_engine *engine)
{
	do_unregister(engine, __func__, ENROLL_BUFFERS);
}

int bp_register_files(struct bp_engine *engine, const int *fds, unsigned int count)
{
	return do_register(engine, __func__, ENROLL_FILES, fds, count);
}

void bp_unregister_files(struct bp_engine *engine)
{
	do_unregister(engine, __func__, ENROLL_FILES);
}

void op_fixed_exit(struct bp_engine *engine)
{
	table_free(engine->fixed[ENROLL_BUFFERS]);
	table_free(engine->fixed[ENROLL_FILES]);
}

/* ---------------------------------------------------------------- operations */

struct transfer {
	unsigned char plain, fixed; /* opcodes */
	unsigned int events;
	int file, buffer;
	const void *addr; /* bytes, or a vector */
	unsigned int len; /* of these, or entries */
	off_t offset;
	unsigned int flags;
};

/** Whether the bytes lie in the registered buffer. */
static bool lies_in(const struct iovec *buffer, const void *base, size_t len)
{
	uintptr_t start = (uintptr_t)buffer->iov_base, at = (uintptr_t)base;

	return at >= start && at - start <= buffer->iov_len &&
	       len <= buffer->iov_len - (at - start);
}

static int use_buffer(struct bp_task *task, const struct transfer *t)
{
	const struct bp_loop *loop = task->op.loop_;
	const struct fixed_table *table = loop->fixed[ENROLL_BUFFERS];
	bool vector = t->plain == IORING_OP_READV || t->plain == IORING_OP_WRITEV;
	const struct iovec *buffer, *iov = t->addr;
	unsigned int i;

	if (!table || t->buffer < 0 || (unsigned int)t->buffer >= table->count)
		return -EFAULT;
	buffer = &table->buffers[t->buffer];
	if (!vector && !lies_in(buffer, t->addr, t->len))
		return -EFAULT;
	if (vector && t->len > IOV_MAX)
		return -EINVAL;
	if (vector && t->len && !iov)
		return -EFAULT;
	for (i = 0; vector && i < t->len; i++)
		if (!lies_in(buffer, iov[i].iov_base, iov[i].iov_len))
			return -EFAULT;
	if (loop->enrolled[ENROLL_BUFFERS] && op_known(task, t->fixed)) {
		task->sqe.opcode = t->fixed;
		task->sqe.buf_index = (uint16_t)t->buffer;
	}
	return 0;
}

static int use_file(struct bp_task *task, const struct transfer *t)
{
	const struct bp_loop *loop = task->op.loop_;
	const struct fixed_table *table = loop->fixed[ENROLL_FILES];

	if (!table || t->file < 0 || (unsigned int)t->file >= table->count)
		return -EBADF;
	if (loop->enrolled[ENROLL_FILES])
		task->sqe.flags |= IOSQE_FIXED_FILE;
	else
		task->sqe.fd = table->files[t->file];
	return 0;
}

static ssize_t transfer(struct bp_task *task, const struct transfer *t)
{
	int err = 0;

	if (t->flags & ~BP_FIXED_FILE)
		return -EINVAL;
	io_uring_prep_rw(t->plain, &task->sqe, t->file, t->addr, t->len, (uint64_t)t->offset);
	if (t->flags & BP_FIXED_FILE)
		err = use_file(task, t);
	if (!err && t->buffer != BP_NO_BUFFER)
		err = use_buffer(task, t);
	return err ? err : op_call(task, t->events);
}

ssize_t bp_read_fixed(int file, void *buf, size_t len, off_t offset, int buffer, unsigned int flags)
{
	const struct transfer t = {IORING_OP_READ, IORING_OP_READ_FIXED,
				   POLLIN,	   file,
				   buffer,	   buf,
				   op_len(len),	   offset,
				   flags};

	return transfer(task_need(__func__), &t);
}

ssize_t bp_write_fixed(int file, const void *buf, size_t len, off_t offset, int buffer,
		       unsigned int flags)
{
	const struct transfer t = {IORING_OP_WRITE,
				   IORING_OP_WRITE_FIXED,
				   POLLOUT,
				   file,
				   buffer,
				   buf,
				   op_len(len),
				   offset,
				   flags};

	return transfer(task_need(__func__), &t);
}

ssize_t bp_readv_fixed(int file, const struct iovec *iov, int iovcnt, off_t offset, int buffer,
		       unsigned int flags)
{
	const struct transfer t = {IORING_OP_READV,
				   BP_IORING_OP_READV_FIXED,
				   POLLIN,
				   file,
				   buffer,
				   iov,
				   (unsigned int)iovcnt,
				   offset,
				   flags};

	return transfer(task_need(__func__), &t);
}

ssize_t bp_writev_fixed(int file, const struct iovec *iov, int iovcnt, off_t offset, int buffer,
			unsigned int flags)
{
	const struct transfer t = {IORING_OP_WRITEV,
				   BP_IORING_OP_WRITEV_FIXED,
				   POLLOUT,
				   file,
				   buffer,
				   iov,
				   (unsigned int)iovcnt,
				   offset,
				   flags};

	return transfer(task_need(__func__), &t);
}
