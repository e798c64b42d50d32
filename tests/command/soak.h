/* SPDX-License-Identifier: MIT */
/*
 * soak - runs of the command under injected faults, and what their records must say
 *
 * A seed chooses faults, backend, loops and options. What a run is about stands in a table of
 * things: each is one input, with what became of it according to its record. Whatever goes wrong
 * inside, each input has exactly one record, each digest that is printed is right, the exit status
 * fits the records, and at its end the command holds no descriptor of an input.
 */
#ifndef BATCHPROC_TESTS_SOAK_H
#define BATCHPROC_TESTS_SOAK_H

#include "support/harness.h"

#define FILES 24
#define DIGEST 64
#define THINGS 256
#define PATH_ROOM 160
#define ARGS_ROOM 64

enum end {
	END_NONE, /* it has no record */
	END_OK,
	END_SKIPPED,
	END_FAILED,
	END_OTHER, /* stopped, or never started */
};

struct thing {
	const char *op;
	char src[PATH_ROOM];
	const char *digest; /* in its record, if that is ok; NULL: none */
	bool absent; /* there is nothing of this name */
	bool below; /* in a tree: it has no record where it was not found */
	/* of one run */
	unsigned int records;
	enum end end;
};

struct soak {
	const char *command, *dir;
	char name[FILES][32];
	char path[FILES][PATH_ROOM];
	char digest[FILES][DIGEST + 1];
	char list[PATH_ROOM]; /* of digests, in sha256sum's format */
	/* of a seed */
	unsigned long seed;
	bool fail_fast;
	char faults[300], loops[4], jobs[8];
	struct thing things[THINGS];
	unsigned int count;
	/* of one run */
	char *argv[ARGS_ROOM];
	unsigned int argc;
	char input[PATH_ROOM]; /* a file for standard input; none by default */
	char output[1u << 18];
	int status, left;
};

/**
 * Makes the files that sha256sum tells the digests of; skips the test where no faults can be had.
 */
struct soak *soak_begin(struct test *t);
/** Calls @fn with a soak for each seed that is wanted. */
void soak_seeds(struct soak *s, void (*fn)(struct soak *s));

/** Begins a command line with the options of the seed. */
void soak_args(struct soak *s, const char *verb);
void soak_arg(struct soak *s, const char *arg);
/** Runs it under the faults of the seed, or without any. */
void soak_run(struct soak *s, bool faults);

void things_clear(struct soak *s);
struct thing *thing_add(struct soak *s, const char *op, const char *src, const char *digest);
/* What a run has to tell of. */
enum which {
	ALL, /* of each thing, but what is in a directory that could not be read */
	OPERANDS, /* of what was named; what is in trees may be done */
	SOME, /* of what a list names, which may be a directory and what is in it */
};

/** Gives each thing what the records of the last run say, and judges that run. */
void soak_check(struct soak *s, const char *what, enum which which);
bool soak_say(const struct soak *s, bool ok, const char *what, const char *line);

unsigned int pick(uint64_t *x, unsigned int n);
/** s->dir/name, in a buffer that is used again after some calls. */
const char *in_dir(const struct soak *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** What is in a file. Return: its length, or -1 when it is not there. */
ssize_t content(const char *path, char *to, size_t room);
void make(const char *path, const char *text);

/* ---------------------------------------------------------------- what is soaked */

void soak_hash(struct soak *s); /* and verify */
void soak_copy(struct soak *s);
void soak_rm(struct soak *s);
void soak_manifest(struct soak *s);
void soak_net(struct soak *s); /* fetch and probe */

/** Copies of the files, and what has to become of them; for soak_copy() and soak_manifest(). */
void copies_make(struct soak *s, const char *dst);
/** Each is whole, or unless @all as it was; and nothing else is there. */
void copies_check(const struct soak *s, const char *dst, bool all);
void copies_remove(const struct soak *s, const char *dst);

/** What is to be removed, as things of the soak; see soak_rm.c. */
void trees_make(struct soak *s);
/** The operands. */
void trees_args(struct soak *s, void (*add)(struct soak *s, const char *path, bool tree));
/** What is ok is gone, what is not is there; unless @all, then all is gone. */
void trees_check(const struct soak *s, bool all);
void trees_remove(struct soak *s);

#endif
