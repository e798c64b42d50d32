/* SPDX-License-Identifier: MIT */
/*
 * test_same - every operation of the header gives the same result on every backend
 *
 * Each row of the table is an operation with some input, good or bad. It is carried out on io_uring
 * and on threads, and the results are held against each other. What may differ is said in the row,
 * and in docs/backends.md. The simulation is held against its model by test_sim.
 */
#include <linux/openat2.h>
#include <netinet/in.h>

#include "support/harness.h"

/* What the operations work on, made anew for each row on each backend. */
struct scene {
	int dir; /* has a file "f" of five bytes, a directory "d" with a file in it, a link "l" to nowhere */
	int file; /* "f", read and write */
	int rdonly; /* the same */
	int pipe[2]; /* holds three bytes */
	int pair[2]; /* stream sockets, with three bytes to be read from the first */
	int half[2]; /* the same, whose second end is closed */
	int tcp, listener; /* a fresh socket, and one with an address */
	int connected, peer;
	struct sockaddr_in addr;
	char buf[64];
};

static void make_pipes(struct scene *s)
{
	expect_eq(pipe2(s->pipe, O_CLOEXEC), 0);
	expect_eq(write(s->pipe[1], "abc", 3), 3);
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pair), 0);
	expect_eq(write(s->pair[1], "abc", 3), 3);
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->half), 0);
	close(s->half[1]);
}

static void make_sockets(struct scene *s)
{
	socklen_t len = sizeof(s->addr);

	s->addr = (struct sockaddr_in){.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_eq(bind(s->listener, (struct sockaddr *)&s->addr, sizeof(s->addr)), 0);
	expect_eq(listen(s->listener, 8), 0);
	expect_eq(getsockname(s->listener, (struct sockaddr *)&s->addr, &len), 0);
	expect_eq(connect(s->connected, (struct sockaddr *)&s->addr, len), 0);
	s->peer = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void make_scene(struct scene *s, const char *dir)
{
	char path[200];
	int fd;

	memset(s, 0, sizeof(*s));
	expect_eq(mkdir(dir, 0700), 0);
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->file = openat(s->dir, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect_eq(write(s->file, "hello", 5), 5);
	s->rdonly = openat(s->dir, "f", O_RDONLY | O_CLOEXEC);
	expect_eq(mkdirat(s->dir, "d", 0700), 0);
	snprintf(path, sizeof(path), "%s/d/in", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	expect_eq(symlinkat("nowhere", s->dir, "l"), 0);
	make_pipes(s);
	make_sockets(s);
}

static void end_scene(struct scene *s)
{
	const int fds[] = {s->dir,     s->file,	   s->rdonly, s->pipe[0],  s->pipe[1],	 s->pair[0],
			   s->pair[1], s->half[0], s->tcp,    s->listener, s->connected, s->peer};

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

/* A descriptor is as good as any other: its number is not compared. */
static long opened(int fd)
{
	return fd < 0 ? fd : bp_close(fd);
}

#define ADDR(s) ((const struct sockaddr *)&(s)->addr)
#define OPEN(path, flags) opened(bp_openat(s->dir, path, flags, 0600))
#define HOW_OF(...) (&(struct open_how){__VA_ARGS__})
#define IOV(p, n) (&(struct iovec){.iov_base = (p), .iov_len = (n)})
#define MSG(p, n) (&(struct msghdr){.msg_iov = IOV(p, n), .msg_iovlen = 1})
#define TEXT ((void *)(uintptr_t) "abc")

/* X(name, what it does, what may differ or NULL) */
#define OPERATIONS(X)                                                                              \
	X(open, OPEN("f", O_RDONLY), 0)                                                            \
	X(open_missing, OPEN("nosuch", O_RDONLY), 0)                                               \
	X(open_dir_for_writing, OPEN("d", O_WRONLY), 0)                                            \
	X(open_through_file, OPEN("f/x", O_RDONLY), 0)                                             \
	X(open_excl, OPEN("f", O_RDWR | O_CREAT | O_EXCL), 0)                                      \
	X(open_link_nofollow, OPEN("l", O_RDONLY | O_NOFOLLOW), 0)                                 \
	X(open_not_dir, OPEN("f", O_RDONLY | O_DIRECTORY), 0)                                      \
	X(open_empty, OPEN("", O_RDONLY), 0)                                                       \
	X(open_null, OPEN(NULL, O_RDONLY), 0)                                                      \
	X(open_bad_dir, opened(bp_openat(-1, "f", O_RDONLY, 0)), 0)                                \
	X(open_create, OPEN("new", O_RDWR | O_CREAT), 0)                                           \
	X(open_tmpfile, OPEN(".", O_RDWR | O_TMPFILE), 0)                                          \
	X(openat2, opened(bp_openat2(s->dir, "f", HOW_OF(.flags = O_RDONLY))), 0)                  \
	X(openat2_beneath, opened(bp_openat2(s->dir, "../x", HOW_OF(.resolve = RESOLVE_BENEATH))), \
	  0)                                                                                       \
	X(openat2_unknown, opened(bp_openat2(s->dir, "f", HOW_OF(.resolve = 1 << 30))), 0)         \
	X(openat2_mode, opened(bp_openat2(s->dir, "f", HOW_OF(.mode = 0600))), 0)                  \
	X(read, bp_read(s->file, s->buf, 5, 0), 0)                                                 \
	X(read_offset, bp_read(s->file, s->buf, 10, 3), 0)                                         \
	X(read_end, bp_read(s->file, s->buf, 5, 5), 0)                                             \
	X(read_nothing, bp_read(s->file, s->buf, 0, 0), 0)                                         \
	X(read_position, bp_read(s->rdonly, s->buf, 3, -1) + bp_read(s->rdonly, s->buf, 9, -1), 0) \
	X(read_bad, bp_read(-1, s->buf, 5, 0), 0)                                                  \
	X(read_closed, bp_read(1 << 19, s->buf, 5, 0), 0)                                          \
	X(read_dir, bp_read(s->dir, s->buf, 5, 0), 0)                                              \
	X(read_null, bp_read(s->file, NULL, 5, 0), 0)                                              \
	X(read_negative, bp_read(s->file, s->buf, 5, -2), 0)                                       \
	X(read_pipe, bp_read(s->pipe[0], s->buf, 9, 0), 0)                                         \
	X(read_pipe_position, bp_read(s->pipe[0], s->buf, 9, -1), 0)                               \
	X(read_pipe_offset, bp_read(s->pipe[0], s->buf, 9, 7), 0)                                  \
	X(read_wrong_end, bp_read(s->pipe[1], s->buf, 9, 0), 0)                                    \
	X(read_socket, bp_read(s->pair[0], s->buf, 9, 0), 0)                                       \
	X(read_end_of_socket, bp_read(s->half[0], s->buf, 9, 0), 0)                                \
	X(readv, bp_readv(s->file, IOV(s->buf, 4), 1, 0), 0)                                       \
	X(readv_none, bp_readv(s->file, NULL, 0, 0), 0)                                            \
	X(readv_pipe, bp_readv(s->pipe[0], IOV(s->buf, 2), 1, 0), 0)                               \
	X(write, bp_write(s->file, "abc", 3, 2), 0)                                                \
	X(write_position, bp_write(s->file, "abc", 3, -1), 0)                                      \
	X(write_rdonly, bp_write(s->rdonly, "abc", 3, 0), 0)                                       \
	X(write_bad, bp_write(-1, "abc", 3, 0), 0)                                                 \
	X(write_null, bp_write(s->file, NULL, 3, 0), 0)                                            \
	X(write_nothing, bp_write(s->file, "abc", 0, 0), 0)                                        \
	X(write_pipe, bp_write(s->pipe[1], "abc", 3, 0), 0)                                        \
	X(write_socket, bp_write(s->pair[0], "abc", 3, 0), 0)                                      \
	X(writev, bp_writev(s->file, IOV(TEXT, 3), 1, 1), 0)                                       \
	X(close_bad, bp_close(-1), 0)                                                              \
	X(close_closed, bp_close(1 << 19), 0)                                                      \
	X(statx, bp_statx(s->dir, "f", 0, STATX_SIZE, &stx) + (long)stx.stx_size, 0)               \
	X(statx_fd, bp_statx(s->file, "", AT_EMPTY_PATH, STATX_SIZE, &stx), 0)                     \
	X(statx_missing, bp_statx(s->dir, "nosuch", 0, STATX_SIZE, &stx), 0)                       \
	X(statx_flags, bp_statx(s->dir, "f", 0x40000000, STATX_SIZE, &stx), 0)                     \
	X(statx_link, bp_statx(s->dir, "l", 0, STATX_SIZE, &stx), 0)                               \
	X(statx_nofollow, bp_statx(s->dir, "l", AT_SYMLINK_NOFOLLOW, STATX_SIZE, &stx), 0)         \
	X(fsync, bp_fsync(s->file, 0), 0)                                                          \
	X(fdatasync, bp_fsync(s->file, IORING_FSYNC_DATASYNC), 0)                                  \
	X(fsync_flags, bp_fsync(s->file, 8), 0)                                                    \
	X(fsync_pipe, bp_fsync(s->pipe[0], 0), 0)                                                  \
	X(fsync_bad, bp_fsync(-1, 0), 0)                                                           \
	X(fallocate, bp_fallocate(s->file, 0, 0, 100), 0)                                          \
	X(fallocate_nothing, bp_fallocate(s->file, 0, 0, 0), 0)                                    \
	X(fallocate_negative, bp_fallocate(s->file, 0, -1, 100), 0)                                \
	X(fallocate_rdonly, bp_fallocate(s->rdonly, 0, 0, 100), 0)                                 \
	X(fallocate_pipe, bp_fallocate(s->pipe[1], 0, 0, 100), 0)                                  \
	X(unlink, bp_unlinkat(s->dir, "f", 0), 0)                                                  \
	X(unlink_missing, bp_unlinkat(s->dir, "nosuch", 0), 0)                                     \
	X(unlink_dir, bp_unlinkat(s->dir, "d", 0), 0)                                              \
	X(rmdir_full, bp_unlinkat(s->dir, "d", AT_REMOVEDIR), 0)                                   \
	X(rmdir_file, bp_unlinkat(s->dir, "f", AT_REMOVEDIR), 0)                                   \
	X(unlink_flags, bp_unlinkat(s->dir, "f", 1), 0)                                            \
	X(unlink_null, bp_unlinkat(s->dir, NULL, 0), 0)                                            \
	X(rename, bp_renameat(s->dir, "f", s->dir, "g", 0), 0)                                     \
	X(rename_missing, bp_renameat(s->dir, "nosuch", s->dir, "g", 0), 0)                        \
	X(rename_onto_dir, bp_renameat(s->dir, "f", s->dir, "d", 0), 0)                            \
	X(rename_noreplace, bp_renameat(s->dir, "f", s->dir, "l", 1), 0)                           \
	X(rename_into_itself, bp_renameat(s->dir, "d", s->dir, "d/x", 0), 0)                       \
	X(rename_flags, bp_renameat(s->dir, "f", s->dir, "g", 3), 0)                               \
	X(link, bp_linkat(s->dir, "f", s->dir, "g", 0), 0)                                         \
	X(link_existing, bp_linkat(s->dir, "f", s->dir, "l", 0), 0)                                \
	X(link_dir, bp_linkat(s->dir, "d", s->dir, "g", 0), 0)                                     \
	X(link_flags, bp_linkat(s->dir, "f", s->dir, "g", 0x40), 0)                                \
	X(symlink, bp_symlinkat("x", s->dir, "s"), 0)                                              \
	X(symlink_existing, bp_symlinkat("x", s->dir, "f"), 0)                                     \
	X(symlink_empty, bp_symlinkat("", s->dir, "s"), 0)                                         \
	X(mkdir, bp_mkdirat(s->dir, "n", 0700), 0)                                                 \
	X(mkdir_existing, bp_mkdirat(s->dir, "d", 0700), 0)                                        \
	X(mkdir_nowhere, bp_mkdirat(s->dir, "nosuch/n", 0700), 0)                                  \
	X(splice, bp_splice(s->file, 0, s->pipe[1], -1, 5, 0), 0)                                  \
	X(splice_out, bp_splice(s->pipe[0], -1, s->file, 1, 3, 0), 0)                              \
	X(splice_no_pipe, bp_splice(s->file, 0, s->rdonly, 0, 5, 0), 0)                            \
	X(splice_bad, bp_splice(-1, 0, s->pipe[1], -1, 5, 0), 0)                                   \
	X(splice_nothing, bp_splice(s->file, 0, s->pipe[1], -1, 0, 0), 0)                          \
	X(socket, opened(bp_socket(AF_INET, SOCK_STREAM, 0)), 0)                                   \
	X(socket_family, bp_socket(9999, SOCK_STREAM, 0), 0)                                       \
	X(socket_type, bp_socket(AF_INET, 77, 0), 0)                                               \
	X(connect, bp_connect(s->tcp, ADDR(s), sizeof(s->addr)), 0)                                \
	X(connect_twice,                                                                           \
	  bp_connect(s->tcp, ADDR(s), sizeof(s->addr)) * 1000 +                                    \
		  bp_connect(s->tcp, ADDR(s), sizeof(s->addr)),                                    \
	  0)                                                                                       \
	X(connect_connected, bp_connect(s->connected, ADDR(s), sizeof(s->addr)), 0)                \
	X(connect_listener, bp_connect(s->listener, ADDR(s), sizeof(s->addr)), 0)                  \
	X(connect_pipe, bp_connect(s->pipe[0], ADDR(s), sizeof(s->addr)), 0)                       \
	X(connect_short, bp_connect(s->tcp, ADDR(s), 3), 0)                                        \
	X(connect_refused, (s->addr.sin_port = 0, bp_connect(s->tcp, ADDR(s), sizeof(s->addr))),   \
	  0)                                                                                       \
	X(accept_no_listener, bp_accept(s->connected, NULL, NULL, 0), 0)                           \
	X(accept_file, bp_accept(s->file, NULL, NULL, 0), 0)                                       \
	X(accept_flags, bp_accept(s->listener, NULL, NULL, 1), 0)                                  \
	X(send, bp_send(s->pair[0], "abc", 3, 0), 0)                                               \
	X(send_to_nobody, bp_send(s->half[0], "abc", 3, 0), 0)                                     \
	X(send_unconnected, bp_send(s->tcp, "abc", 3, 0), 0)                                       \
	X(send_file, bp_send(s->file, "abc", 3, 0), 0)                                             \
	X(send_bad, bp_send(-1, "abc", 3, 0), 0)                                                   \
	X(recv, bp_recv(s->pair[0], s->buf, 9, 0), 0)                                              \
	X(recv_peek, bp_recv(s->pair[0], s->buf, 9, MSG_PEEK), 0)                                  \
	X(recv_none, bp_recv(s->connected, s->buf, 9, MSG_DONTWAIT), 0)                            \
	X(recv_end, bp_recv(s->half[0], s->buf, 9, 0), 0)                                          \
	X(recv_unconnected, bp_recv(s->tcp, s->buf, 9, 0), 0)                                      \
	X(recv_file, bp_recv(s->file, s->buf, 9, 0), 0)                                            \
	X(sendmsg, bp_sendmsg(s->pair[0], MSG(TEXT, 3), 0), 0)                                     \
	X(sendmsg_to_nobody, bp_sendmsg(s->half[0], MSG(TEXT, 3), 0), 0)                           \
	X(sendmsg_null, bp_sendmsg(s->pair[0], NULL, 0), 0)                                        \
	X(recvmsg, bp_recvmsg(s->pair[0], MSG(s->buf, 9), 0), 0)                                   \
	X(recvmsg_end, bp_recvmsg(s->half[0], MSG(s->buf, 9), 0), 0)                               \
	X(shutdown, bp_shutdown(s->pair[0], SHUT_RDWR), 0)                                         \
	X(shutdown_how, bp_shutdown(s->pair[0], 9), 0)                                             \
	X(shutdown_unconnected, bp_shutdown(s->tcp, SHUT_WR), 0)                                   \
	X(shutdown_file, bp_shutdown(s->file, SHUT_WR), 0)                                         \
	X(poll_pipe, bp_poll(s->pipe[0], POLLIN | POLLOUT), 0)                                     \
	X(poll_socket, bp_poll(s->pair[0], POLLIN | POLLOUT), 0)                                   \
	X(poll_half, bp_poll(s->half[0], POLLIN), 0)                                               \
	X(poll_file, bp_poll(s->file, POLLIN), 0)                                                  \
	X(poll_bad, bp_poll(-1, POLLIN), 0)

#define ROW_FN(name, call, differs)                                                                \
	static long do_##name(struct scene *s)                                                     \
	{                                                                                          \
		struct statx stx = {0};                                                            \
                                                                                                   \
		(void)s, (void)stx;                                                                \
		return (long)(call);                                                               \
	}
OPERATIONS(ROW_FN)

#define ROW(name, call, differs) {#name, do_##name, differs},
static const struct operation {
	const char *name;
	long (*run)(struct scene *s);
	const char *differs;
} operations[] = {OPERATIONS(ROW)};

struct attempt {
	const struct operation *operation;
	struct scene scene;
	long res;
};

static int attempt(void *arg)
{
	struct attempt *a = arg;

	a->res = a->operation->run(&a->scene);
	return 0;
}

static long result_on(struct bp_engine *engine, const struct operation *operation, const char *dir)
{
	struct attempt a = {.operation = operation};
	struct bp_group *g;

	make_scene(&a.scene, dir);
	expect_eq(bp_group_create(&g, engine, NULL), 0);
	expect_eq(bp_go(g, attempt, &a), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	end_scene(&a.scene);
	return a.res;
}

static void every_operation_says_the_same(struct test *t)
{
	struct bp_engine *engine[2];
	char dir[160];

	if (bp_engine_create(&engine[0], &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING))) {
		skip_because(t, "there is no io_uring to compare with");
		return;
	}
	expect_eq(bp_engine_create(&engine[1], &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)), 0);
	temp_dir(t);
	for (size_t i = 0; i < COUNT_OF(operations); i++) {
		long res[2];

		for (int k = 0; k < 2; k++) {
			snprintf(dir, sizeof(dir), "%s/%zu-%d", t->dir, i, k);
			res[k] = result_on(engine[k], &operations[i], dir);
		}
		if (res[0] != res[1] && !operations[i].differs)
			record_failure("%s: %ld with io_uring, %ld with threads\n",
				       operations[i].name, res[0], res[1]);
	}
	bp_engine_destroy(engine[0]);
	bp_engine_destroy(engine[1]);
}

static const struct test_case cases[] = {
	ONCE(every_operation_says_the_same),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
