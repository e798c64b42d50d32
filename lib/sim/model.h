/* SPDX-License-Identifier: MIT */
/*
 * What the operations of the simulated backend act upon: a tree of files, streams, and descriptors.
 *
 * Good enough that a program reads back what it wrote, sees what it renamed and removed, and meets
 * the errors that it would meet on Linux. Descriptors are numbers that no process has open, so that
 * one which escapes to the kernel is EBADF there, and each is counted.
 */
#ifndef BP_SIM_MODEL_H
#define BP_SIM_MODEL_H

#include "base.h"

struct sim;
struct sim_req;

#define SIM_FD_BASE (1 << 20)

/* Instead of a result: the operation has to wait until its file changes. */
#define SIM_WAIT INT32_MIN

enum sim_file_type {
	SIM_REG,
	SIM_DIR,
	SIM_LINK,
	SIM_SOCKET, /* not connected */
	SIM_STREAM, /* one end of a connection or of a pipe */
	SIM_LISTENER,
};

struct sim_file {
	struct bp_link_ all;
	enum sim_file_type type;
	unsigned int refs; /* by descriptors, directory entries, and a backlog */
	unsigned int nlink;
	uint64_t ino;
	mode_t mode;
	char *data; /* contents; target of a link; bytes that wait to be read; address */
	size_t len, room;
	uint64_t mtime;
	struct bp_link_ entries; /* of a directory */
	struct sim_file *parent;
	struct bp_link_ armed; /* requests that wait for a change */
	struct sim_file *peer; /* of a stream; NULL once that end was closed */
	bool shut_in, shut_out;
	bool pipe; /* a stream that is no socket */
	struct bp_link_ backlog; /* of a listener: ends that were not accepted */
	struct bp_link_ pending; /* in a backlog */
	unsigned int backlog_len, backlog_max;
};

struct sim_entry {
	struct bp_link_ link;
	struct sim_file *file;
	char name[];
};

/* An open file description: shared by its descriptor and by the requests that act on it. */
struct sim_desc {
	unsigned int refs;
	struct sim_file *file;
	uint64_t pos;
	int flags;
};

struct sim_model {
	struct bp_link_ files; /* all of them */
	struct sim_file *root;
	struct sim_desc **table;
	unsigned int size; /* of the table */
	unsigned int open; /* descriptors */
	uint64_t inos;
	size_t stream_room; /* bytes that a stream holds */
	uint64_t sent, received; /* bytes that went into streams, and came out of them */
};

int sim_model_init(struct sim *sim);
void sim_model_exit(struct sim *sim);

/**
 * The open file that the request's descriptor means, with a reference; NULL where it needs none.
 */
int sim_model_target(struct sim *sim, struct sim_req *req);

/** Carries a request out, moving @most bytes at most. Return: its result, or SIM_WAIT. */
int sim_model_run(struct sim *sim, struct sim_req *req, size_t most);

void sim_desc_put(struct sim *sim, struct sim_desc *desc);
struct sim_desc *sim_desc_get(struct sim *sim, int fd);

/** A descriptor for @file, whose reference it takes over. Return: it or -errno. */
int sim_fd_open(struct sim *sim, struct sim_file *file, int flags);

struct sim_file *sim_file_new(struct sim *sim, enum sim_file_type type, mode_t mode);
void sim_file_put(struct sim *sim, struct sim_file *file);

/** Makes room for @len bytes. Return: 0 or -ENOMEM. */
int sim_file_grow(struct sim_file *file, size_t len);

/* files.c: what goes by a path. */
int sim_open(struct sim *sim, int dirfd, const char *path, int flags, mode_t mode);
int sim_statx(struct sim *sim, int dirfd, const char *path, int flags, struct statx *stx);
int sim_unlink(struct sim *sim, int dirfd, const char *path, int flags);
int sim_rename(struct sim *sim, int olddir, const char *old, int newdir, const char *new,
	       unsigned int flags);
int sim_link(struct sim *sim, int olddir, const char *old, int newdir, const char *new);
int sim_symlink(struct sim *sim, const char *target, int dirfd, const char *path);
int sim_mkdir(struct sim *sim, int dirfd, const char *path, mode_t mode);

/** close(2). */
int sim_fd_close(struct sim *sim, int fd);

/* streams.c; what has to wait says SIM_WAIT. */
ssize_t sim_stream_recv(struct sim *sim, struct sim_file *file, char *to, size_t len, int flags);
ssize_t sim_stream_send(struct sim *sim, struct sim_file *file, const char *from, size_t len);
int sim_stream_poll(struct sim *sim, const struct sim_file *file);
int sim_connect(struct sim *sim, struct sim_desc *desc, const void *addr, size_t len);
int sim_accept(struct sim *sim, struct sim_file *file, void *addr, socklen_t *len, int flags);
int sim_pipe(struct sim *sim, int *fds, int flags);
int sim_bind(struct sim *sim, struct sim_file *file, const void *addr, size_t len);
int sim_file_listen(struct sim_file *file, int backlog);
int sim_sockopt(const struct sim_file *file, const struct io_uring_sqe *sqe);
int sim_shutdown(struct sim *sim, struct sim_file *file, int how);

/* For tests: what no operation of io_uring (6.1) makes. */

/** Connected streams of bytes, in both directions. Return: 0 or -errno. */
int sim_socketpair(struct bp_engine *engine, int fds[2]);
/** Something that accepts connections to an address. Return: its descriptor or -errno. */
int sim_listen(struct bp_engine *engine, const void *addr, socklen_t len, unsigned int backlog);
/** write(2) to a stream, without a loop. */
ssize_t sim_write(struct bp_engine *engine, int fd, const void *buf, size_t len);
/** close(2), without a loop. */
int sim_close(struct bp_engine *engine, int fd);
/** Descriptors that are open. */
unsigned int sim_open_fds(struct bp_engine *engine);

#endif /* BP_SIM_MODEL_H */
