/* SPDX-License-Identifier: MIT */
/*
 * manifest: one line of a manifest, taken apart into a job for a verb. Pure functions.
 *
 *	copy -r a b				words, as on the command line (words.h)
 *	{"op":"copy","src":"a","dst":"b","recursive":true}
 *						JSON: the long options of the verb are keys; the
 *						source is a src, url or endpoint (source.h)
 *
 * A record that --json printed is such a job too: what it says about the result is passed over. So
 * is the summary. What the verb says about values and operands is asked elsewhere (run.c).
 *
 * A line of words may be of any length: beside it no more is held than its options and its longest
 * word. For JSON the parser holds it up to three times, and each number of an array in 32 bytes.
 */
#ifndef BATCHPROC_MANIFEST_H
#define BATCHPROC_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "cli/words.h"

struct opt;
struct verb;

struct manifest_option {
	const struct opt *opt;
	const char *arg; /* NULL: it takes none */
};

#define OPTIONS_MOST 256u /* of one job */

/* A job. Begins zeroed, and is used again for the next line; what it points to, until then. */
struct manifest_job {
	const struct verb *verb;
	size_t count; /* of operands; in JSON first the source, then dst */
	struct buf last; /* the last of them with its NUL, of a verb that has a destination */
	bool exact; /* the destination is what the copy is called: in a record */
	struct manifest_option options[OPTIONS_MOST]; /* as given, the verb's own only */
	size_t option_count;
	struct buf error; /* what is wrong with the line; ends with a NUL that is not counted */

	size_t given; /* of the operands, by manifest_next() */
	struct words words; /* of the line, which stays the caller's */
	bool options_end; /* they are behind -- */
	const char *names[2]; /* the operands of a JSON job */
	void *json; /* what its strings stand in */
	struct buf text; /* arguments of options, and strings that stood in another form */
};

enum manifest_line {
	MANIFEST_NOTHING, /* a comment, or empty */
	MANIFEST_JOB,
	MANIFEST_BAD,
};

/* Before the first line is read: that what reads JSON is missing must not be found out in a run's midst. */
void manifest_setup(void);

/* @line is without its end, and has to stay as it is until the last operand was taken. */
enum manifest_line manifest_parse(struct manifest_job *job, const char *line, size_t len);
/* The next operand, until the next call; NULL behind the last one. */
const char *manifest_next(struct manifest_job *job);
/* From the first operand again. */
void manifest_rewind(struct manifest_job *job);
void manifest_free(struct manifest_job *job);

/*
 * Adds the options as members of a JSON job, each with a comma in front. Jobs of one verb for which
 * this is the same text are done alike.
 */
void manifest_add_options(const struct manifest_job *job, struct buf *buf);

#endif
