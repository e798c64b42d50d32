/* SPDX-License-Identifier: MIT */
/*
 * get: one attempt to get a file; what get.c and parts.c share. All of it is for tasks.
 */
#ifndef BATCHPROC_FETCH_GET_H
#define BATCHPROC_FETCH_GET_H

#include "base/device.h"
#include "net/fields.h"
#include "verbs/fetch/fetch.h"

struct getting {
	struct item *item;
	const struct fetch_settings *set;
	struct fetch_item *own;
	struct url first; /* that gives it its name */
	enum device_kind kind; /* of where it is to be */
	bool has_place;
	bool anew; /* without the partial file */
	bool keep; /* what has come, for another attempt */
	bool began; /* what was asked for has begun to come */
	struct asking *ask; /* one of its mirrors; of several, that which answered first */
	struct mirrors *mirrors; /* NULL: there is one */
	struct hasher *hasher;
	struct body body;
	struct finish finish;
	struct content_range first_part; /* with --segments */
	const char *wanted;

	/* From here on fetch_get() does not clear it. */
	struct place place;
	struct asking only;
	char since[40], etag[256];
};

/* ---- get.c */

/* Sets why, and returns @err. */
int get_refuse(struct getting *g, int err, const char *why);
/* Runs plain calls where the file is to be. */
int get_call(struct getting *g, int (*fn)(void *getting));
/* Asks the only one there is, or whoever of the mirrors answers first. */
int get_ask_all(struct getting *g);
/* What the answer means, and all that comes of it. */
int get_take_answer(struct getting *g);
/* The digest of what is there already; and whether that of all is the one that it has to be. */
int get_begin_digest(struct getting *g);
int get_check_digest(struct getting *g);
/* What the file will get with its name, by the answer. */
void get_note_finish(struct getting *g);
/* Gives the file its name. Plain calls. */
int get_commit(void *getting);

/* ---- parts.c */

/* Asks for the first part, and for the others where the server has them. */
int parts_try(struct getting *g);
/* The file is there in its size, and the parts that it lacks are known. */
int parts_finish(struct getting *g);

#endif
