/* SPDX-License-Identifier: MIT */
/*
 * test_nth - whichever call fails, it comes back as an error, and nothing is left of it
 *
 * The same short program is played again and again, and each time the next of all its calls for
 * memory, descriptors, threads and rings is refused, until none is left that was not. The linker puts the
 * functions below before those of the C library and of liburing (--wrap), for the library's calls too.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "support/harness.h"

#include "batchproc_sim.h"

/* ---------------------------------------------------------------- refusals */

static atomic_long left = -1; /* calls until one is refused; negative: none is */
static atomic_ulong refused;

static bool refuse(void)
{
	long n = atomic_load(&left);

	while (n >= 0)
		if (atomic_compare_exchange_weak(&left, &n, n - 1)) {
			atomic_fetch_add(&refused, n == 0);
			return n == 0;
		}
	return false;
}

/* ---------------------------------------------------------------- memory */

#define KNOWN (1u << 16)

/* What the library has and has not given back. Memory of the C library's own is not in it. */
static struct {
	pthread_mutex_t lock;
	void *at[KNOWN];
	long count, mapped;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool keeping;

static size_t place(const void *p)
{
	size_t i = ((uintptr_t)p >> 4) * 2654435761u % KNOWN;

	while (known.at[i] && known.at[i] != p)
		i = (i + 1) % KNOWN;
	return i;
}

static void *note(void *p)
{
	if (!p || !keeping)
		return p;
	pthread_mutex_lock(&known.lock);
	known.at[place(p)] = p;
	known.count++;
	pthread_mutex_unlock(&known.lock);
	return p;
}

static void forget(const void *p)
{
	size_t i, j;

	pthread_mutex_lock(&known.lock);
	i = place(p);
	if (p && known.at[i]) {
		known.at[i] = NULL;
		known.count--;
		/* Those behind it may have been put there because of it. */
		for (j = (i + 1) % KNOWN; known.at[j]; j = (j + 1) % KNOWN) {
			void *other = known.at[j];

			known.at[j] = NULL;
			known.at[place(other)] = other;
		}
	}
	pthread_mutex_unlock(&known.lock);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? no_memory() : note(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? no_memory() : note(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	void *new;

	if (refuse())
		return no_memory();
	forget(p);
	new = __real_realloc(p, size);
	return note(new ? new : p) == new ? new : NULL;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return refuse() ? no_memory() : note(__real_aligned_alloc(align, size));
}

void __wrap_free(void *p)
{
	forget(p);
	__real_free(p);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *map;

	if (refuse()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	map = __real_mmap(at, size, prot, flags, fd, offset);
	if (map != MAP_FAILED && keeping) {
		pthread_mutex_lock(&known.lock);
		known.mapped++;
		pthread_mutex_unlock(&known.lock);
	}
	return map;
}

int __wrap_munmap(void *at, size_t size)
{
	if (keeping) {
		pthread_mutex_lock(&known.lock);
		known.mapped--;
		pthread_mutex_unlock(&known.lock);
	}
	return __real_munmap(at, size);
}

/* ---------------------------------------------------------------- descriptors, threads, rings */

/* A function of the same name, arguments ARGS called with NAMES, refused with ERR as errno. */
#define REFUSABLE(name, ERR, ARGS, NAMES)                                                          \
	int __real_##name ARGS;                                                                    \
	int __wrap_##name ARGS;                                                                    \
	int __wrap_##name ARGS                                                                     \
	{                                                                                          \
		if (refuse()) {                                                                    \
			errno = (ERR);                                                             \
			return -1;                                                                 \
		}                                                                                  \
		return __real_##name NAMES;                                                        \
	}

REFUSABLE(eventfd, EMFILE, (unsigned int n, int flags), (n, flags))
REFUSABLE(pipe2, ENFILE, (int fd[2], int flags), (fd, flags))
REFUSABLE(epoll_create1, EMFILE, (int flags), (flags))
REFUSABLE(epoll_create, EMFILE, (int size), (size))
REFUSABLE(epoll_ctl, ENOMEM, (int epoll, int op, int fd, struct epoll_event *ev),
	  (epoll, op, fd, ev))

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return refuse() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

int __real_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params);

int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	return refuse() ? -ENOMEM : __real_io_uring_queue_init_params(entries, ring, params);
}

struct io_uring_probe *__real_io_uring_get_probe_ring(struct io_uring *ring);
struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *ring);

struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *ring)
{
	return refuse() ? no_memory() : __real_io_uring_get_probe_ring(ring);
}

#define REFUSABLE_RING(name, ARGS, NAMES)                                                          \
	int __real_##name ARGS;                                                                    \
	int __wrap_##name ARGS;                                                                    \
	int __wrap_##name ARGS                                                                     \
	{                                                                                          \
		return refuse() ? -ENOMEM : __real_##name NAMES;                                   \
	}

REFUSABLE_RING(io_uring_ring_dontfork, (struct io_uring * ring), (ring))
REFUSABLE_RING(io_uring_register_ring_fd, (struct io_uring * ring), (ring))
REFUSABLE_RING(io_uring_register_eventfd, (struct io_uring * ring, int fd), (ring, fd))

/* ---------------------------------------------------------------- the program */

struct play {
	struct bp_engine *engine;
	struct bp_group *group;
	const char *dir;
	int pair[2];
	atomic_ulong tasks, reports;
};

static int computes(void *unused)
{
	(void)unused;
	return 3;
}

static int uses_files(void *arg)
{
	struct play *p = arg;
	char path[200], byte;
	int fd, err;

	atomic_fetch_add(&p->tasks, 1);
	snprintf(path, sizeof(path), "%s/nth", p->dir);
	fd = bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	err = (int)bp_write(fd, "x", 1, 0);
	if (err > 0)
		err = (int)bp_read(fd, &byte, 1, 0);
	bp_close(fd);
	if (err < 0)
		return err;
	err = bp_offload(computes, NULL);
	if (err >= 0)
		err = bp_sleep(1000);
	return err;
}

static int uses_sockets(void *arg)
{
	struct play *p = arg;
	char byte;
	int err;

	atomic_fetch_add(&p->tasks, 1);
	err = (int)bp_send(p->pair[0], "x", 1, 0);
	if (err > 0)
		err = (int)bp_recv(p->pair[1], &byte, 1, 0);
	return err < 0 ? err : 0;
}

static int has_a_child(void *arg)
{
	struct play *p = arg;
	struct bp_group *child;
	int err;

	atomic_fetch_add(&p->tasks, 1);
	err = bp_group_create(&child, p->engine,
			      &BP_GROUP_OPTS(.parent = p->group, .stack_size = 32768));
	if (err)
		return err;
	err = bp_go(child, uses_sockets, p);
	if (!err)
		err = bp_go_copy(child, succeed, &err, sizeof(err));
	if (err)
		bp_cancel(child, err);
	err = bp_wait(child);
	bp_group_destroy(child);
	return err;
}

static void counts_reports(void *ctx, void *arg, enum bp_end end, int result)
{
	struct play *p = ctx;

	(void)arg, (void)end, (void)result;
	atomic_fetch_add(&p->reports, 1);
}

static void does_nothing(void *unused)
{
	(void)unused;
}

/** Return: 0, or what the first call that could not be done said. */
static int use(struct play *p)
{
	struct nop_op nop;
	struct bp_group_stats st;
	int sink, err, cause;

	err = bp_group_create(&p->group, p->engine,
			      &BP_GROUP_OPTS(.limit = 3, .report = counts_reports,
					     .report_arg = p));
	if (err)
		return err;
	nop_op_init(&nop, 0, NULL);
	err = bp_go(p->group, uses_files, p);
	if (!err)
		err = bp_go(p->group, uses_sockets, p);
	if (!err)
		err = bp_go(p->group, has_a_child, p);
	if (!err)
		err = bp_go_op(p->group, &nop.op);
	if (!err)
		err = bp_post(p->engine, does_nothing, NULL);
	cause = bp_wait(p->group);
	st = stats_of(p->group);
	expect_balanced(p->group);
	expect_eq(p->reports, st.accepted);
	bp_group_destroy(p->group);
	sink = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
	/* It is no place for so much text; what is asked for is that it ends. */
	bp_engine_dump(p->engine, sink);
	close(sink);
	/* Once one has failed no more are taken. */
	return cause ? cause : err;
}

static bool expected(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EAGAIN;
}

/** Plays it on an engine of its own. Return: what it said. */
static int play(struct test *t, enum bp_backend backend, unsigned int loops)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS(.backend = backend, .loops = loops, .depth = 8);
	struct play p = {.dir = t->dir};
	int err;

	opts.seed = t->seed;
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.pair), 0);
	keeping = true;
	err = bp_engine_create(&p.engine, &opts);
	if (!err) {
		if (!loops && backend != BP_BACKEND_SIM)
			err = bp_engine_fd(p.engine);
		err = err < 0 ? err : 0;
		if (!err)
			err = use(&p);
		bp_engine_destroy(p.engine);
	} else {
		expect(p.engine == NULL);
	}
	keeping = false;
	close(p.pair[0]);
	close(p.pair[1]);
	return err;
}

/* The misfortunes of the simulation come on top: what they bring about is no matter here. */
static bool as_it_must_be(enum bp_backend backend, int err)
{
	return err == 0 || expected(err) || backend == BP_BACKEND_SIM;
}

static void each_call_refused_once(struct test *t, enum bp_backend backend)
{
	unsigned long n, errors = 0;
	int fds;

	temp_dir(t);
	/* What libraries keep for ever they get here. */
	play(t, backend, t->row->loops);
	fds = open_fds();
	for (n = 0; n < 2000; n++) {
		unsigned long before = atomic_load(&refused);
		int err;

		known.count = known.mapped = 0;
		memset(known.at, 0, sizeof(known.at));
		atomic_store(&left, (long)n);
		err = play(t, backend, t->row->loops);
		atomic_store(&left, -1);
		if (!expect(as_it_must_be(backend, err)))
			record_failure("call %lu refused: %d", n, err);
		errors += err != 0;
		if (!expect_eq(known.count, 0) || !expect_eq(known.mapped, 0) ||
		    !expect_eq(open_fds(), fds)) {
			record_failure("after call %lu was refused, which said %d", n, err);
			break;
		}
		/* It ended before its n-th call: all of them were refused. */
		if (atomic_load(&refused) == before)
			break;
	}
	expect_between(n, 10, 1999);
	expect(errors > 3);
}

static void any_call_may_fail(struct test *t)
{
	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "the checkers have these functions for themselves");
	each_call_refused_once(t, t->row->backend);
}

/* ---------------------------------------------------------------- bp_sim_run() */

static int always_fails(struct bp_engine *engine, void *arg)
{
	struct bp_group *g;
	int err = bp_group_create(&g, engine, NULL);

	if (!err)
		err = bp_go(g, succeed, arg);
	if (!err)
		err = bp_wait(g);
	bp_group_destroy(g);
	return err ? err : -EPROTO;
}

/* Its children have these calls refused too, each the same one. */
static void a_search_that_is_refused_something_leaves_nothing(struct test *t)
{
	struct bp_sim_opts opts =
		BP_SIM_OPTS(.report_fd = -1, .seeds = 3, .jobs = 2, .size = 2, .shrink_runs = 20);
	unsigned int found = 0, errors = 0;
	int number = 0, fds;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "the checkers have these functions for themselves");
	fds = open_fds();
	for (long n = 0; n < 60; n++) {
		int status;

		known.count = known.mapped = 0;
		memset(known.at, 0, sizeof(known.at));
		keeping = true;
		atomic_store(&left, n);
		status = bp_sim_run(always_fails, &number, &opts, NULL);
		atomic_store(&left, -1);
		keeping = false;
		found += status == 1;
		errors += status != 1;
		if (!expect(status == 1 || expected(status)) || !expect_eq(known.count, 0) ||
		    !expect_eq(known.mapped, 0) || !expect_eq(open_fds(), fds))
			record_failure("after call %ld was refused, which said %d", n, status);
	}
	expect(found > 3 && errors > 3);
}

/* ---------------------------------------------------------------- limits of the process */

#define NOBODY 65534

struct limited {
	struct test *t;
	enum bp_backend backend;
	rlim_t memory; /* of address space, beyond what it has; 0: as it is */
};

static rlim_t address_space(void)
{
	char text[100] = "";
	unsigned long pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	expect(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	sscanf(text, "%lu", &pages);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int under_limits(void *arg)
{
	const struct limited *l = arg;
	struct rlimit none = {0, 0}, limit;
	int err;

	if (setrlimit(RLIMIT_MEMLOCK, &none))
		return 3;
	if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
		return 3;
	if (l->memory) {
		limit.rlim_cur = limit.rlim_max = address_space() + l->memory;
		if (setrlimit(RLIMIT_AS, &limit))
			return 3;
	}
	err = play(l->t, l->backend, l->t->row->loops);
	if (!as_it_must_be(l->backend, err))
		return 2;
	return failures_to(STDERR_FILENO) ? 4 : err != 0;
}

/** Return: the child's exit status: 0 all done, 1 it said an error. */
static int limited(struct test *t, enum bp_backend backend, rlim_t memory)
{
	struct limited l = {.t = t, .backend = backend, .memory = memory};
	struct child_result child = in_child(under_limits, &l);

	if (!WIFEXITED(child.status) || WEXITSTATUS(child.status) > 1)
		record_failure("with %lu bytes: 0x%x: %s", (unsigned long)memory, child.status,
			       child.err);
	return WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1;
}

/*
 * An ordinary user without locked memory, in address spaces that are too small, and large enough in the end. Rings
 * may count as locked memory: who asks for them gets an error then, and who does not gets threads.
 */
static void little_memory_is_an_error_or_enough(struct test *t)
{
	rlim_t memory;
	int status = 1;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "the checkers need address space of their own");
	temp_dir(t);
	expect_eq(chmod(t->dir, 0777), 0);
	for (memory = 64 << 10; status == 1 && memory < (rlim_t)1 << 30; memory += memory / 2)
		status = limited(t, t->row->backend, memory);
	expect(status == 0 || t->row->backend == BP_BACKEND_URING);
	status = 1;
	for (memory = 64 << 10; status == 1 && memory < (rlim_t)1 << 30; memory += memory / 2)
		status = limited(t, BP_BACKEND_AUTO, memory);
	expect_eq(status, 0);
	expect_eq(limited(t, BP_BACKEND_AUTO, 0), 0);
}

static const struct test_case cases[] = {
	EACH_ROW(any_call_may_fail),
	ONCE(a_search_that_is_refused_something_leaves_nothing),
	EACH_REAL_ROW(little_memory_is_an_error_or_enough),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
