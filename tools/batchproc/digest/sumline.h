/* SPDX-License-Identifier: MIT */
/*
 * sumline: the lines of sha256sum and its relatives, written and read. Pure functions.
 *
 *	DIGEST  NAME			SHA256 (NAME) = DIGEST
 *
 * A name with a backslash, newline or carriage return is escaped, and the line then starts with
 * a backslash; with -z it is not, and the line ends with NUL.
 */
#ifndef BATCHPROC_SUMLINE_H
#define BATCHPROC_SUMLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest/digest.h"

struct buf;

struct sumstyle {
	bool tag; /* as BSD has it */
	bool zero; /* ends with NUL, and no escapes */
	bool base64;
	bool star; /* an asterisk before the name, which says that it was read as binary */
};

/* Appends one line with its end. An algorithm whose plain lines mean another has its tag always. */
void sumline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len, struct sumstyle style);

/*
 * The same for who adds the name by itself: between the two, which are told where the line and the
 * name begin.
 */
void sumline_begin(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		   struct sumstyle style);
void sumline_end(struct buf *buf, size_t line, size_t name, const struct digest_alg *alg,
		 const unsigned char *digest, struct sumstyle style);

/* How the lines of one list are read; what is not set by the caller is learned from its lines. */
struct sumrules {
	const struct digest_alg *forced; /* the only algorithm to accept, or NULL */
	bool zero;
	/*
	 * Between digest and name: as coreutils has it, the first plain line's holds for the list.
	 */
	enum {
		SUMGAP_OPEN,
		SUMGAP_TWO, /* a blank, then a blank or an asterisk */
		SUMGAP_ONE, /* one blank or tab; what follows is the name */
	} gap;
};

enum sumline_kind {
	SUMLINE_NONE, /* it is no such line */
	SUMLINE_SKIPPED, /* it says nothing of a file: a comment or a heading */
	SUMLINE_ENTRY,
	SUMLINE_UNCHECKED, /* it names a file, which cannot be checked: see why; alg is NULL */
};

/* Lists of some tools have several digests for one name. */
#define SUMLINE_MORE 7

struct sumdigest {
	const struct digest_alg *alg;
	unsigned char bytes[DIGEST_SIZE_MAX];
};

/* What a list may say of a file beside its size and its digests. */
struct sumfacts {
	bool given; /* the list is one that says such things */
	char type; /* f, d, l, b, c, p (FIFO) or s (socket); 0: not said */
	bool has_mode, has_time;
	bool optional; /* it need not be there */
	bool nochange; /* nothing but its type is compared */
	unsigned int mode; /* its permissions */
	uint32_t nsec; /* modification time */
	int64_t sec;
	const char *link; /* what a symbolic link points to, or NULL */
	size_t link_len;
};

struct sumline {
	const struct digest_alg *alg; /* of an entry: NULL where facts alone are to be compared */
	unsigned char digest[DIGEST_SIZE_MAX];
	char *name; /* within the text that was parsed */
	size_t len;
	const char *why;
	const char *tag; /* of an algorithm that is not known, or NULL */
	size_t tag_len;
	bool tagged; /* the line itself says what its algorithm is */
	bool sized; /* and how long the file is */
	uint64_t size;
	size_t more_count;
	struct sumdigest more[SUMLINE_MORE]; /* beside digest, which is the strongest */
	struct sumfacts facts;
};

/* COUNT pairs of hexadecimal digits as bytes; false where they are not that. */
bool sumline_unhex(unsigned char *bytes, const char *hex, size_t count);

/* Adds a digest in hexadecimal to a line that has several; false where it is not that. */
bool sumline_digest(struct sumline *line, const struct digest_alg *alg, const char *hex,
		    size_t len);

/* A whole number in digits alone; false where it is none, or too large. */
bool sumline_number(uint64_t *value, const char *text, size_t len);

/* Makes it one that cannot be checked, for that reason. */
enum sumline_kind sumline_unchecked(struct sumline *line, const char *why);

/*
 * Takes a line apart, which is never SUMLINE_SKIPPED. The text of an entry is changed, that of any
 * other line is not.
 */
enum sumline_kind sumline_parse(struct sumline *line, struct sumrules *rules, char *text,
				size_t len);

/* A digest as a part of something else: NAME:DIGEST. The parser refuses any other algorithm's. */
void sumfield_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest);
bool sumfield_parse(unsigned char *digest, const struct digest_alg *alg, const char *text,
		    size_t len);

#endif
