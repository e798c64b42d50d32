/* SPDX-License-Identifier: MIT */
/*
 * mtree: the lines of mtree(5), as FreeBSD, NetBSD and libarchive write them; read and written. Pure
 * functions over a state.
 *
 *	/set type=file mode=0644		what holds for the entries that follow
 *	.	type=dir			a name without a slash is in the directory that is open
 *	    a\040b	size=5 sha256digest=...	names are encoded as vis(3) does; \ at the end goes on
 *	..					leaves the directory
 *	./d/c type=file				a name with a slash is a path from the top
 */
#ifndef BATCHPROC_MTREE_H
#define BATCHPROC_MTREE_H

#include "base/buf.h"
#include "digest/sumline.h"

struct mtree {
	struct buf line; /* an entry that goes on in the next line, as far as it was read */
	struct buf dir; /* that is open, with its slash; empty at the top */
	struct buf path; /* of the entry that was read last, */
	struct buf link; /* and what it points to */
	struct sumfacts set; /* by /set */
	bool set_sized;
	uint64_t set_size;
};

void mtree_free(struct mtree *mtree);

/* Whether a line can only be one of such a list, and be its first. */
bool mtree_begins(const char *text, size_t len);

/*
 * As sumline_parse(); SUMLINE_SKIPPED for what says nothing of a file by itself. The text is left as
 * it is; what the line points to is @mtree's, until the next call.
 */
enum sumline_kind mtree_take(struct mtree *mtree, struct sumline *line,
			     const struct digest_alg *forced, const char *text, size_t len);

/* Appends a name, as a path from the top, in the encoding that all readers know. */
void mtree_add_name(struct buf *buf, const char *name, size_t len);

/* Appends an entry, with the digests of @line and what is known of the file. */
void mtree_add(struct buf *buf, const struct sumline *line);

#endif
