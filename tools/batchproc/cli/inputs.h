/* SPDX-License-Identifier: MIT */
/*
 * inputs: the arguments and the lists of -T, one after the other, in constant memory. Main thread
 * only, but for stdin_claim().
 *
 * After a stop the rest is still read, since every input has a record: a list in a file to its
 * end; a pipe only as long as its writer keeps it moving, since it may never end.
 */
#ifndef BATCHPROC_INPUTS_H
#define BATCHPROC_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct options;

/* The run for which lists are read. Times are of the monotonic clock. */
struct lines_watch {
	int stop_fd; /* readable once the run stops */
	uint64_t start_ns;
	uint64_t deadline_ns; /* 0: none */
	bool (*stopping)(void *ctx); /* whether it has stopped, or the deadline has come */
	void (*failed)(void *ctx, const char *name, int err); /* a list cannot be read */
	void *ctx;
	bool cut; /* set: after a stop a list was not read to its end */
};

/* Text that ends with a separator, from a descriptor that may be slow. */
struct lines {
	int fd;
	const char *name; /* for messages */
	char separator;
	bool regular;
	off_t start; /* of a regular file: where reading begins */
	struct buf buf;
	size_t at; /* what has been taken of buf */
	bool ended;
	int err; /* why it could not be read to its end, or 0 */
	uint64_t heard_ns; /* when there was something to read last; 0: never */
	uint64_t cut_ns; /* when to give up after a stop; 0: not stopped yet */
};

/*
 * Whether the caller is the one that reads standard input: it is given to the first who asks, since
 * of two that read it each would get a part. Any thread.
 */
bool stdin_claim(void);

/*
 * Opens @name, - for standard input. Returns 0 or -errno, -EBUSY where that is being read. Does not
 * wait for the writer of a FIFO: what is no regular file may have nothing to read yet.
 */
int lines_open(struct lines *lines, const char *name, char separator);
void lines_close(struct lines *lines);

/* Back to the first line of a regular file, where one may have been read. */
void lines_rewind(struct lines *lines);

/* Waits until a read will not block, however long that takes: not while a run goes on. */
void lines_wait(const struct lines *lines);

/*
 * The next one, without its separator, with a NUL; until the next call. False at the end. @watch
 * may be NULL before the run begins: what is slow is waited for then.
 */
bool lines_next(struct lines *lines, struct lines_watch *watch, char **line, size_t *len);

struct inputs {
	const struct options *opt;
	size_t next_arg;
	size_t next_list;
	struct lines *lists; /* opened before the run starts */
};

/*
 * Opens all lists of inputs->opt, all else of which is zero. False: *@status is the exit status,
 * and all is said. To be closed in either case.
 */
bool inputs_open(struct inputs *inputs, int *status);
void inputs_close(struct inputs *inputs);
/* The next one, until the next call. False at the end. */
bool inputs_next(struct inputs *inputs, struct lines_watch *watch, const char **name, size_t *len);

/*
 * How many there are in all, without taking any: 0 where that cannot be said, or not soon. Any
 * thread while the lists are open.
 */
uint64_t inputs_count(const struct inputs *inputs);

/*
 * The largest of what @judge says of them, without taking any; @most, which it never exceeds, where
 * a list can be read only once. Before the first is taken.
 */
unsigned int inputs_most(struct inputs *inputs, struct lines_watch *watch, unsigned int most,
			 unsigned int (*judge)(const char *name, bool from_list));

#endif
