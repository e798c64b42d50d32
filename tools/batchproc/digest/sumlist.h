/* SPDX-License-Identifier: MIT */
/*
 * sumlist: a list of digests, line by line, in whichever form it is. Pure functions over a state.
 *
 *	the lines of sumline.h, # before a comment
 *	SFV: NAME CRC32, ; before a comment. Its lines look like the ends of sentences, so that a comment,
 *	the list's name or the algorithm that is asked for has to say that it is SFV
 *	mtree: the lines of mtree.h, behind #mtree, /set, or an entry with keywords
 *	hashdeep: "%%%% HASHDEEP-1.0", a line that names the columns, then size,digest,...,name
 *
 * A byte order mark is passed over. The text that PGP has signed is taken, the signature is not
 * looked at. Carriage returns at the ends of lines are not part of them.
 */
#ifndef BATCHPROC_SUMLIST_H
#define BATCHPROC_SUMLIST_H

#include "digest/mtree.h"
#include "digest/sumline.h"

#define SUMLIST_COLUMNS 8

struct sumlist {
	struct sumrules rules; /* forced and zero are set by the caller */
	bool begun; /* its first line was seen */
	bool may_be_sfv; /* set by the caller, or lines that only SFV takes for comments were seen */
	bool is_signed;
	bool has_nul; /* in a line, although lines do not end with it */
	enum {
		SUMFORM_OPEN, /* no entry was seen yet */
		SUMFORM_LINES,
		SUMFORM_SFV,
		SUMFORM_HASHDEEP,
		SUMFORM_MTREE,
	} form;
	enum {
		SUMPGP_NONE,
		SUMPGP_HEAD,
		SUMPGP_TEXT,
		SUMPGP_SIGNATURE,
	} pgp;
	size_t columns; /* of hashdeep, between the size and the name */
	const struct digest_alg *column[SUMLIST_COLUMNS]; /* NULL: one that is not known */
	struct mtree mtree;
};

void sumlist_free(struct sumlist *list);

/* As sumline_parse(); what the line points to is good until the next call. */
enum sumline_kind sumlist_take(struct sumlist *list, struct sumline *line, char *text, size_t len);

/* The forms that a list is written in. */
enum sumformat {
	SUMFORMAT_LINES,
	SUMFORMAT_SFV, /* crc32 alone */
	SUMFORMAT_HASHDEEP, /* md5, sha1 or sha256 */
	SUMFORMAT_MTREE,
};

/* NULL, or why the format cannot be had with that algorithm or style. */
const char *sumformat_refuses(enum sumformat format, const struct digest_alg *alg,
			      struct sumstyle style);

/* NULL, or why a list in that form cannot name such a file. */
const char *sumformat_lacks(enum sumformat format, const char *name, size_t len);

/* What stands before the first entry; and an entry. */
void sumformat_begin(struct buf *buf, enum sumformat format, const struct digest_alg *const *algs,
		     size_t count);
void sumformat_add(struct buf *buf, enum sumformat format, const struct sumline *line);

#endif
