/* SPDX-License-Identifier: MIT */
/*
 * chunked: a body in chunks. Strict, since one byte that is read in two ways shifts all behind it:
 * each line ends with CR LF, a size is hexadecimal digits alone, and what stands between two pieces
 * of content is bounded.
 */
#ifndef BATCHPROC_CHUNKED_H
#define BATCHPROC_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

/* Sizes, extensions and trailers in a row; more is refused. */
#define CHUNK_FRAMING_MAX 65536u

struct chunked {
	enum {
		CHUNKED_SIZE, /* before the first digit; as all zero */
		CHUNKED_DIGITS,
		CHUNKED_EXTENSION,
		CHUNKED_QUOTED, /* in a string of an extension */
		CHUNKED_ESCAPED,
		CHUNKED_SIZE_LF,
		CHUNKED_DATA,
		CHUNKED_DATA_CR,
		CHUNKED_DATA_LF,
		CHUNKED_TRAILER, /* at the start of a line */
		CHUNKED_TRAILER_LINE,
		CHUNKED_TRAILER_LF,
		CHUNKED_LAST_LF,
		CHUNKED_DONE,
	} state;
	uint64_t left; /* of the chunk */
	uint32_t framing; /* bytes since the last content */
};

enum chunk_found {
	CHUNK_MORE, /* all was taken, and more is needed */
	CHUNK_DATA, /* content */
	CHUNK_END, /* the end of the body: what is left is none of it */
	CHUNK_BAD,
};

/*
 * Takes from @data what comes next, and moves *@data behind it. For CHUNK_DATA *@piece bytes of
 * content stand in front of where it is then.
 */
enum chunk_found chunked_next(struct chunked *chunked, const char **data, const char *end,
			      size_t *piece);

#endif
