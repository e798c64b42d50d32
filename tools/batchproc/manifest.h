/* SPDX-License-Identifier: MIT */
/*
 * manifest: one line of a manifest, taken apart into a job for a verb. Pure functions.
 *
 *	copy -r a b				words, as on the command line (words.h)
 *	{"op":"copy","src":"a","dst":"b","recursive":true}
 *						JSON: the long options of the verb are keys
 *
 * A record that --json printed is such a job too: what it says about the result is passed over. So is
 * the summary. What the verb says about values and operands is asked elsewhere (run.c).
 */
#ifndef BATCHPROC_MANIFEST_H
#define BATCHPROC_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "words.h"

struct opt;
struct verb;

struct manifest_option {
	const struct opt *opt;
	const char *arg; /* NULL: it takes none */
};

/* A job. Begins zeroed, and is used again for the next line; what it points to, until then. */
struct manifest_job {
	const struct verb *verb;
	const char **args; /* operands; in JSON first src, then dst */
	size_t count;
	bool exact; /* the destination is what the copy is called: in a record */
	struct manifest_option *options; /* as given, the verb's own only */
	size_t option_count;
	struct buf error; /* what is wrong with the line; ends with a NUL that is not counted */

	size_t arg_room;
	size_t option_room;
	struct words words;
	void *json; /* what the strings of a JSON job stand in */
	struct buf text; /* strings that stood in another form */
};

enum manifest_line {
	MANIFEST_NOTHING, /* a comment, or empty */
	MANIFEST_JOB,
	MANIFEST_BAD,
};

/* @line is without its end. */
enum manifest_line manifest_parse(struct manifest_job *job, const char *line, size_t len);
void manifest_free(struct manifest_job *job);

/*
 * Adds the options as members of a JSON job, each with a comma in front. Jobs of one verb for which
 * this is the same text are done alike.
 */
void manifest_add_options(const struct manifest_job *job, struct buf *buf);

#endif
