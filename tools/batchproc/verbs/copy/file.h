/* SPDX-License-Identifier: MIT */
/*
 * file: one regular file that is being copied: what file.c and data.c share. On whatever
 * thread its calls are made, one at a time.
 */
#ifndef BATCHPROC_COPYFILE_H
#define BATCHPROC_COPYFILE_H

#include "verbs/copy/copy.h"
#include "verbs/copy/hardlinks.h"
#include "verbs/copy/replace.h"
#include "digest/hasher.h"

#define SMALL_BYTES HASHER_BYTES /* one read, one write */

struct copying {
	struct item *item;
	const struct copy_settings *set;
	struct hasher *hasher;
	struct at_name from, to;
	struct dest *dest;
	enum device_kind kind; /* of the slower one of both their devices */
	int src, dst;
	struct stat st; /* of the source when it was opened */
	bool looked; /* @st is that */
	struct stat old; /* of what is replaced */
	int old_fd; /* with O_PATH; -1: nothing is replaced */
	bool made; /* there is something to remove */
	bool over; /* --inplace: it is written into what was there */
	bool anew; /* nothing of what is replaced stays */
	bool into_stream; /* which is no file: a FIFO, a device */
	bool from_stream; /* --copy-contents: the source is a FIFO or a device */
	bool in_order; /* it cannot seek: each byte comes behind the one before */
	bool first_link; /* other names of the source wait for this copy */
	bool attributes; /* it has some, or an ACL, that are kept */
	bool is_there; /* it was there before, as what it would be */
	bool digests;
	bool paced; /* --bwlimit: nothing is read that has not been paid for */
	bool sparse;
	bool no_range; /* copy_file_range() does not work here */
	bool to_end; /* its size may be wrong: it is read to its end, one read after the other */
	bool ended; /* which is reached */
	bool beaten; /* another run has taken the place of what was made */
	mode_t mark; /* of what is made: see marks.h */
	char temp[NAME_MAX + 1]; /* "": it is made in place */
	uint64_t pos; /* so much is copied */
	uint64_t step; /* of it at a time */
	uint64_t data_end; /* where the next hole begins */
	uint64_t written; /* where the copy ends */
	unsigned char digest[DIGEST_SIZE_MAX];
};

/* What a part of the work gives, or -errno. */
enum copy_step {
	COPY_DONE = 0, /* nothing is left to do, also because the copy is needless */
	COPY_MORE = 1, /* blocks are left to copy */
	COPY_LINKED = 2, /* it is one of many names of its file: see hardlinks.h */
};

/* ---- what it is written into (make.c) */

/* Makes or opens it, unless the copy is needless. Returns 0 or -errno. */
int copy_make(struct copying *c, bool *needless);
/* Removes what was made. Returns 0. */
int copy_abandon(void *copying);
/* No descriptor was left in the middle of it: as if it had not begun, but for the source. */
void copy_start_over(struct copying *c);
/* Closes a descriptor, if it is one. */
void copy_close(int *fd);
/* In a directory with an ACL to inherit a new file gets its mode when it is made, and keeps it. */
bool copy_inherits_mode(const struct copying *c);
/* What is there is another item's: see names.h. */
bool copy_meets_other(struct copying *c, const struct stat *st);
/* What is there could not be replaced: names the option that does not try, where it would help. */
void copy_tell_of_inplace(struct copying *c, int err);

/* ---- its bytes (data.c) */

/* Writes zeros from where the copy ends, where it cannot be made longer otherwise. */
int copy_fill(struct copying *c, uint64_t end);
/* Gives an item its reason; returns @err. */
int copy_fail(struct copying *c, int err, const char *why);
int copy_changed(struct copying *c);

/* What is digested for the reader, or to be compared with what is read back. */
const struct digest_alg *copy_algorithm(const struct copy_settings *set);

/*
 * Lets the copy share the source's blocks. Return: 0: all of it is there; 1: it has to be copied.
 */
int copy_clone(struct copying *c);
/* All of a file that fits into the buffer. */
int copy_small(struct copying *c);
/*
 * The same of one that is read to its end. Return: COPY_MORE where there is more, COPY_DONE, or
 * -errno.
 */
int copy_first(struct copying *c);
/* A part of a file, of c->step bytes. Return: COPY_MORE, COPY_DONE, or -errno. */
int copy_block(void *copying);
/* Reads the copy for a digest of it. */
int copy_read_back(struct copying *c, const struct digest_alg *alg, unsigned char *digest);

#endif
