/* SPDX-License-Identifier: MIT */
/*
 * test_same - every operation of the header gives the same result on every backend
 *
 * Each row of the table is an operation with some input, good or bad. It is carried out on io_uring
 * and on threads, and with io_uring as if the kernel knew none of the opcodes that are newer than 5.6, and
 * the results are held against each other. What may differ is said in the row,
 * and in docs/backends.md. The simulation is held against its model by test_sim.
 */
#include <dirent.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "op.h"
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
	int epoll; /* watches the pipe */
	char path[200]; /* of "f" */
	char *page; /* 4096 bytes of memory, at a page's start */
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
	snprintf(s->path, sizeof(s->path), "%s/f", dir);
	make_pipes(s);
	make_sockets(s);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	expect_eq(epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->pipe[0],
			    &(struct epoll_event){.events = EPOLLIN, .data.u32 = 7}),
		  0);
	s->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void end_scene(struct scene *s)
{
	const int fds[] = {s->dir,	 s->file,    s->rdonly,	 s->pipe[0], s->pipe[1],
			   s->pair[0],	 s->pair[1], s->half[0], s->tcp,     s->listener,
			   s->connected, s->peer,    s->epoll};

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
	munmap(s->page, 4096);
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

/* Both ends work. */
static long piped(struct scene *s, int flags)
{
	int fds[2] = {-1, -1}, n = bp_pipe(fds, flags);

	if (n)
		return n;
	n = (int)write(fds[1], "ab", 2) * 100 + (int)read(fds[0], s->buf, 9);
	n += fcntl(fds[0], F_GETFD) * 1000 + (fcntl(fds[1], F_GETFL) & O_NONBLOCK) * 10000;
	close(fds[0]);
	close(fds[1]);
	return n;
}

static long option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	int err = bp_getsockopt(fd, level, name, &value, &len);

	return err ? err : (long)len * 1000 + value;
}

static long set_option(int fd, int level, int name)
{
	int value = 1, err = bp_setsockopt(fd, level, name, &value, sizeof(value));

	return err ? err : option(fd, level, name);
}

static long bound(struct scene *s, int fd)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = s->addr.sin_addr};

	return bp_bind(fd, (struct sockaddr *)&any, sizeof(any));
}

/* A child that exits with 3, or stops itself. */
static long child(idtype_t idtype, int options, bool stops)
{
	siginfo_t info = {.si_pid = 0};
	pid_t pid = fork();
	long res;

	if (pid == 0) {
		if (stops)
			raise(SIGSTOP);
		_exit(3);
	}
	res = bp_waitid(idtype, (id_t)pid, &info, options);
	if (!res)
		res = (info.si_pid == pid) * 10000 + info.si_code * 1000 + info.si_status;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return res;
}

static uint32_t word = 5;

#define COPY(in, at, out, to, len) bp_copy_file_range(in, at, out, to, len, 0)
#define ZC(fd) bp_send_zc(fd, "abc", 3, 0, NULL)

#define FURTHER(X)                                                                                 \
	X(ftruncate, bp_ftruncate(s->file, 2) + bp_read(s->file, s->buf, 9, 0), 0)                 \
	X(ftruncate_longer, bp_ftruncate(s->file, 20) + bp_read(s->file, s->buf, 60, 0), 0)        \
	X(ftruncate_negative, bp_ftruncate(s->file, -1), 0)                                        \
	X(ftruncate_rdonly, bp_ftruncate(s->rdonly, 1), 0)                                         \
	X(ftruncate_dir, bp_ftruncate(s->dir, 1), 0)                                               \
	X(ftruncate_pipe, bp_ftruncate(s->pipe[1], 1), 0)                                          \
	X(ftruncate_bad, bp_ftruncate(-1, 1), 0)                                                   \
	X(fadvise, bp_fadvise(s->file, 0, 0, POSIX_FADV_WILLNEED), 0)                              \
	X(fadvise_long, bp_fadvise(s->file, 0, 1ll << 40, POSIX_FADV_SEQUENTIAL), 0)               \
	X(fadvise_negative, bp_fadvise(s->file, 0, -1, POSIX_FADV_NORMAL), 0)                      \
	X(fadvise_what, bp_fadvise(s->file, 0, 0, 99), 0)                                          \
	X(fadvise_pipe, bp_fadvise(s->pipe[0], 0, 0, POSIX_FADV_NORMAL), 0)                        \
	X(fadvise_bad, bp_fadvise(-1, 0, 0, POSIX_FADV_NORMAL), 0)                                 \
	X(madvise, bp_madvise(s->page, 4096, MADV_DONTNEED) + s->page[0], 0)                       \
	X(madvise_nothing, bp_madvise(s->page, 0, MADV_DONTNEED), 0)                               \
	X(madvise_odd, bp_madvise(s->page + 1, 100, MADV_NORMAL), 0)                               \
	X(madvise_what, bp_madvise(s->page, 4096, 9999), 0)                                        \
	X(madvise_long, bp_madvise(s->page, SIZE_MAX / 4096 * 4096, MADV_NORMAL), 0)               \
	X(xattr,                                                                                   \
	  bp_fsetxattr(s->file, "user.a", "xyz", 3, 0) * 100 +                                     \
		  bp_getxattr(s->path, "user.a", s->buf, 9) + s->buf[0],                           \
	  0)                                                                                       \
	X(xattr_path,                                                                              \
	  bp_setxattr(s->path, "user.a", "xy", 2, 0) * 100 +                                       \
		  bp_fgetxattr(s->file, "user.a", s->buf, 9) + s->buf[0],                          \
	  0)                                                                                       \
	X(xattr_size,                                                                              \
	  bp_setxattr(s->path, "user.a", "xy", 2, 0) * 100 +                                       \
		  bp_fgetxattr(s->file, "user.a", NULL, 0),                                        \
	  0)                                                                                       \
	X(xattr_range,                                                                             \
	  bp_setxattr(s->path, "user.a", "xy", 2, 0) * 100 +                                       \
		  bp_fgetxattr(s->file, "user.a", s->buf, 1),                                      \
	  0)                                                                                       \
	X(xattr_empty,                                                                             \
	  bp_setxattr(s->path, "user.a", NULL, 0, 0) * 100 +                                       \
		  bp_getxattr(s->path, "user.a", s->buf, 9),                                       \
	  0)                                                                                       \
	X(getxattr_none, bp_getxattr(s->path, "user.b", s->buf, 9), 0)                             \
	X(getxattr_missing, bp_getxattr("/nosuch/file", "user.b", s->buf, 9), 0)                   \
	X(getxattr_null, bp_getxattr(NULL, "user.b", s->buf, 9), 0)                                \
	X(getxattr_no_name, bp_fgetxattr(s->file, NULL, s->buf, 9), 0)                             \
	X(fgetxattr_bad, bp_fgetxattr(-1, "user.a", s->buf, 9), 0)                                 \
	X(fgetxattr_pipe, bp_fgetxattr(s->pipe[0], "user.a", s->buf, 9), 0)                        \
	X(setxattr_replace, bp_setxattr(s->path, "user.b", "x", 1, XATTR_REPLACE), 0)              \
	X(setxattr_flags, bp_fsetxattr(s->file, "user.b", "x", 1, 77), 0)                          \
	X(setxattr_name, bp_setxattr(s->path, "nonsense", "x", 1, 0), 0)                           \
	X(setxattr_large, bp_setxattr(s->path, "user.b", "x", SIZE_MAX, 0), 0)                     \
	X(listxattr,                                                                               \
	  bp_fsetxattr(s->file, "user.a", "x", 1, 0) * 100 +                                       \
		  bp_listxattr(s->path, s->buf, sizeof(s->buf)),                                   \
	  0)                                                                                       \
	X(flistxattr_none, bp_flistxattr(s->file, s->buf, sizeof(s->buf)), 0)                      \
	X(listxattr_missing, bp_listxattr("/nosuch/file", s->buf, 9), 0)                           \
	X(removexattr,                                                                             \
	  bp_fsetxattr(s->file, "user.a", "x", 1, 0) * 100 +                                       \
		  bp_removexattr(s->path, "user.a") * 10000 + bp_fremovexattr(s->file, "user.a"),  \
	  0)                                                                                       \
	X(copy, COPY(s->rdonly, 1, s->file, 100, 3) + bp_read(s->file, s->buf, 60, 100), 0)        \
	X(copy_position,                                                                           \
	  COPY(s->rdonly, -1, s->file, 9, 2) * 10 + COPY(s->rdonly, -1, s->file, 20, 1) +          \
		  lseek(s->rdonly, 0, SEEK_CUR),                                                   \
	  0)                                                                                       \
	X(copy_end, COPY(s->rdonly, 5, s->file, 50, 3), 0)                                         \
	X(copy_into_itself, COPY(s->rdonly, 0, s->file, 1, 4), 0)                                  \
	X(copy_to_rdonly, COPY(s->file, 0, s->rdonly, 100, 3), 0)                                  \
	X(copy_pipe, COPY(s->pipe[0], -1, s->file, 0, 3), 0)                                       \
	X(copy_flags, bp_copy_file_range(s->rdonly, 0, s->file, 100, 3, 9), 0)                     \
	X(copy_bad, COPY(-1, 0, s->file, 0, 3), 0)                                                 \
	X(copy_negative, COPY(s->rdonly, -2, s->file, 100, 3), 0)                                  \
	X(getdents, bp_getdents(s->dir, s->page, 4096) * 10 + bp_getdents(s->dir, s->page, 4096),  \
	  0)                                                                                       \
	X(getdents_small, bp_getdents(s->dir, s->page, 8), 0)                                      \
	X(getdents_file, bp_getdents(s->file, s->page, 4096), 0)                                   \
	X(getdents_null, bp_getdents(s->dir, NULL, 4096), 0)                                       \
	X(getdents_bad, bp_getdents(-1, s->page, 4096), 0)                                         \
	X(pipe, piped(s, O_CLOEXEC), 0)                                                            \
	X(pipe_nonblock, piped(s, O_NONBLOCK), 0)                                                  \
	X(pipe_flags, piped(s, 1), 0)                                                              \
	X(pipe_null, bp_pipe(NULL, 0), 0)                                                          \
	X(bind, bound(s, s->tcp), 0)                                                               \
	X(bind_twice, bound(s, s->tcp) + bound(s, s->tcp), 0)                                      \
	X(bind_taken, bp_bind(s->tcp, ADDR(s), sizeof(s->addr)), 0)                                \
	X(bind_short, bp_bind(s->tcp, ADDR(s), 3), 0)                                              \
	X(bind_long, bp_bind(s->tcp, ADDR(s), 100000), 0)                                          \
	X(bind_null, bp_bind(s->tcp, NULL, sizeof(s->addr)), 0)                                    \
	X(bind_file, bound(s, s->file), 0)                                                         \
	X(bind_bad, bound(s, -1), 0)                                                               \
	X(listen, bp_listen(s->tcp, 5) * 1000 + option(s->tcp, SOL_SOCKET, SO_ACCEPTCONN), 0)      \
	X(listen_again, bp_listen(s->listener, 50), 0)                                             \
	X(listen_negative, bp_listen(s->tcp, -1), 0)                                               \
	X(listen_connected, bp_listen(s->connected, 5), 0)                                         \
	X(listen_file, bp_listen(s->file, 5), 0)                                                   \
	X(listen_bad, bp_listen(-1, 5), 0)                                                         \
	X(getsockopt, option(s->tcp, SOL_SOCKET, SO_TYPE), 0)                                      \
	X(getsockopt_tcp, option(s->tcp, IPPROTO_TCP, TCP_NODELAY), 0)                             \
	X(getsockopt_what, option(s->tcp, SOL_SOCKET, 9999), 0)                                    \
	X(getsockopt_file, option(s->file, SOL_SOCKET, SO_TYPE), 0)                                \
	X(getsockopt_bad, option(-1, SOL_SOCKET, SO_TYPE), 0)                                      \
	X(getsockopt_no_len, bp_getsockopt(s->tcp, SOL_SOCKET, SO_TYPE, s->buf, NULL), 0)          \
	X(getsockopt_null, bp_getsockopt(s->tcp, SOL_SOCKET, SO_TYPE, NULL, &(socklen_t){4}), 0)   \
	X(setsockopt, set_option(s->tcp, SOL_SOCKET, SO_KEEPALIVE), 0)                             \
	X(setsockopt_tcp, set_option(s->tcp, IPPROTO_TCP, TCP_NODELAY), 0)                         \
	X(setsockopt_what, set_option(s->tcp, SOL_SOCKET, 9999), 0)                                \
	X(setsockopt_file, set_option(s->file, SOL_SOCKET, SO_KEEPALIVE), 0)                       \
	X(setsockopt_epoll, set_option(s->epoll, SOL_SOCKET, SO_KEEPALIVE), 0)                     \
	X(setsockopt_short, bp_setsockopt(s->tcp, SOL_SOCKET, SO_KEEPALIVE, s->buf, 1), 0)         \
	X(setsockopt_null, bp_setsockopt(s->tcp, SOL_SOCKET, SO_KEEPALIVE, NULL, 4), 0)            \
	X(send_zc, ZC(s->connected) + recv(s->peer, s->buf, 9, 0), 0)                              \
	X(send_zc_local, ZC(s->pair[0]), 0)                                                        \
	X(send_zc_to_nobody, ZC(s->half[0]), 0)                                                    \
	X(send_zc_unconnected, ZC(s->tcp), 0)                                                      \
	X(send_zc_file, ZC(s->file), 0)                                                            \
	X(send_zc_bad, ZC(-1), 0)                                                                  \
	X(send_zc_null, bp_send_zc(s->connected, NULL, 3, 0, NULL), 0)                             \
	X(waitid, child(P_PID, WEXITED, false), 0)                                                 \
	X(waitid_any, child(P_ALL, WEXITED, false), 0)                                             \
	X(waitid_stopped, child(P_PID, WSTOPPED, true), 0)                                         \
	X(waitid_options, child(P_PID, 0, false), 0)                                               \
	X(waitid_type, child((idtype_t)77, WEXITED, false), 0)                                     \
	X(waitid_nobody, bp_waitid(P_ALL, 0, NULL, WEXITED), 0)                                    \
	X(waitid_stranger, bp_waitid(P_PID, 1, NULL, WEXITED), 0)                                  \
	X(futex_wait_changed, bp_futex_wait(&word, 4, 0), 0)                                       \
	X(futex_wait_odd, bp_futex_wait((uint32_t *)(void *)((char *)&word + 1), 4, 0), 0)         \
	X(futex_wait_null, bp_futex_wait(NULL, 4, 0), 0)                                           \
	X(futex_wait_flags, bp_futex_wait(&word, 4, 8), 0)                                         \
	X(futex_wake_nobody, bp_futex_wake(&word, 1, 0), 0)                                        \
	X(futex_wake_odd, bp_futex_wake((uint32_t *)(void *)((char *)&word + 1), 1, 0), 0)         \
	X(epoll_wait, bp_epoll_wait(s->epoll, (struct epoll_event *)(void *)s->page, 5), 0)        \
	X(epoll_wait_none, bp_epoll_wait(s->epoll, (struct epoll_event *)(void *)s->page, 0), 0)   \
	X(epoll_wait_null, bp_epoll_wait(s->epoll, NULL, 5), 0)                                    \
	X(epoll_wait_file, bp_epoll_wait(s->file, (struct epoll_event *)(void *)s->page, 5), 0)    \
	X(epoll_wait_bad, bp_epoll_wait(-1, (struct epoll_event *)(void *)s->page, 5), 0)

#define ROW_FN(name, call, differs)                                                                \
	static long do_##name(struct scene *s)                                                     \
	{                                                                                          \
		struct statx stx = {0};                                                            \
                                                                                                   \
		(void)s, (void)stx;                                                                \
		return (long)(call);                                                               \
	}
OPERATIONS(ROW_FN)
FURTHER(ROW_FN)

#define ROW(name, call, differs) {#name, do_##name, differs},
static const struct operation {
	const char *name;
	long (*run)(struct scene *s);
	const char *differs;
} operations[] = {OPERATIONS(ROW) FURTHER(ROW)};

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

/* The opcodes that not every kernel since 5.6 has. */
#define NEWER (UINT64_MAX << IORING_OP_SPLICE)

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
		long res[3];

		for (int k = 0; k < 3; k++) {
			snprintf(dir, sizeof(dir), "%s/%zu-%d", t->dir, i, k);
			op_missing = k == 2 ? NEWER : 0;
			res[k] = result_on(engine[k % 2], &operations[i], dir);
		}
		op_missing = 0;
		if ((res[0] != res[1] || res[0] != res[2]) && !operations[i].differs)
			record_failure(
				"%s: %ld with io_uring, %ld with threads, %ld without the opcode\n",
				operations[i].name, res[0], res[1], res[2]);
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
