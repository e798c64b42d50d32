/* SPDX-License-Identifier: MIT */
/*
 * fetch: what its files share.
 *
 *	fetch.c		the verb: settings, items, records
 *	line.c		a line of a list: URL, path, digest
 *	get.c		one attempt: what it asks for, and what an answer means
 *	ask.c		requests to one server after the other, as redirections lead
 *	mirrors.c	several servers, of which the first to answer is taken
 *	parts.c		a body in parts, with --segments
 *	segments.c	these over several connections
 *	body.c		the body's way into the file, or wherever it goes
 *	place.c		the file that it becomes: its directory, its name
 *	partial.c	its temporary file, and what an earlier attempt or run has left of it
 *
 *	line --> item --> get --> place_open() --> exchange --> body --> place_commit()
 *
 * A body is written to a temporary file beside its destination and gets its name when it is
 * complete and is what it should be; until then nothing that was there is touched. A small one
 * that becomes a new file is written when it is complete, to a file that has no name until then.
 */
#ifndef BATCHPROC_FETCH_H
#define BATCHPROC_FETCH_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "digest/digest.h"
#include "net/exchange.h"
#include "net/options.h"
#include "net/request.h"
#include "net/statuses.h"
#include "net/stream.h"
#include "net/url.h"
#include "run/item.h"

struct fetch_settings {
	const char *dir; /* -P; NULL: here */
	const char *output; /* -o; NULL: a name from the URL */
	bool drop; /* --output none */
	bool to_stdout; /* -o - */
	bool by_disposition; /* --content-disposition */
	bool update; /* -u */
	bool keep_time; /* -p */
	bool compressed;
	struct statuses expected; /* none: 200 to 299 */
	uint64_t max_size; /* UINT64_MAX: any */
	uint64_t max_redirs;
	bool redirs_given;
	size_t segments; /* at most; 0 or 1: none */
	uint64_t hedge_ns; /* 0: mirrors are asked at once */
	bool low_given;
	struct net_options net;
};

struct fetch_item {
	char *line; /* as it was given, where its record must not show all of it; NULL: the name is it */
	struct url url; /* of one alone, for its first attempt; nothing in store: not any more */
	char *path; /* that the list gives it; NULL: none */
	const struct digest_alg *alg; /* of the digest that it must have; NULL: none */
	unsigned char expected[DIGEST_SIZE_MAX];

	bool claimed; /* its place */
	uint64_t claimant; /* who it is there; 0: nobody yet */
	uint64_t cut; /* of its first 64 mirrors those whose body has failed, a bit each */
	bool repeats; /* an earlier attempt has left a partial file that can be gone on with */
	bool written; /* something went to standard output: there is no second attempt */
	int code; /* of the last response; 0: none */
	unsigned int redirects;
	bool unannounced;
	bool resumed;
	uint64_t size; /* of the file, for the journal */
	char *dst; /* where it came to; NULL: not found out */
	char why[160];
};

/* What a run has of this verb: job->fetch. Made before the first item. */
struct fetch_run {
	struct stream_pace pace;
	struct places *places;
	atomic_uint_fast64_t unannounced; /* bodies without a length */
};

/* ---- line.c */

/*
 * A line of a list, or an operand. NULL, or what is wrong with it; then the item fails with that.
 */
const char *line_parse(struct fetch_item *own, const char *line, size_t len, struct buf *name);

/*
 * How many URLs an item has; and one of them, without what stands behind it. NULL, or what is wrong
 * with it.
 */
size_t line_mirrors(const struct item *item);
const char *line_url(const struct item *item, size_t nth, struct url *url);

/* Whether a path of a list can stand below a directory. NULL, or why not. */
const char *path_check(const char *path);

/* ---- ask.c */

/* What is asked of one server, and of those that it sends to. */
struct asking {
	struct item *item;
	size_t mirror; /* of the item's mirrors, which it is */
	struct url first, url; /* that was given, and that it was redirected to */
	struct request request;
	struct exchange x;
	int code; /* of the last response; 0: none */
	unsigned int redirects;
	const char *why; /* of an error, where it is not errno's text */

	/* From here on ask_prepare() clears nothing. */
	char text[160]; /* where that may stand */
	char memory[EXCHANGE_FIRST];
};

/* The request as the settings have it. */
void ask_prepare(struct asking *ask, struct item *item);
/*
 * Asks @ask->first until there is an answer that is no redirection. 0, or -errno. To be ended
 * either way.
 */
int ask_follow(struct asking *ask);
void ask_end(struct asking *ask);
/* The validator of a response that a later range may rest on, or NULL. */
const char *ask_validator(const struct head *head);
bool ask_is_expected(const struct fetch_settings *set, int status);

/* ---- mirrors.c */

struct mirrors;

/*
 * Asks all mirrors of the item as @like does; those whose body has failed before only when no other
 * one is left, or has answered for long. *@ask is the one that answered first, and that did not
 * fail where one did not; it lives as long as *@mirrors, which is to be freed.
 */
int mirrors_race(struct mirrors **mirrors, const struct asking *like, struct asking **ask);
void mirrors_free(struct mirrors *mirrors);
/* Whether the body of this one has failed, and not those of all. */
bool mirror_is_cut(const struct item *item, size_t mirror);
/* Its body has. */
void mirror_has_cut(struct item *item, size_t mirror);

/* ---- place.c */

/* With --segments: how many at most, and how large one is at least. */
#define SEGMENTS_MOST 16
#define SEGMENT_LEAST 1048576u

struct place {
	struct item *item;
	int dirfd;
	bool own_dirfd;
	dev_t dev; /* of the directory */
	ino_t ino;
	bool on_base; /* the directory is of the device of that of -P */
	bool trusted; /* and that is a DEVICE_TRUSTED */
	bool replaces; /* a file, that has */
	bool has_leftover; /* or may have: of the temporary file's name */
	const struct temps
		*temps; /* what the directory has of such, of other machines too, or NULL */
	mode_t mode;
	int fd; /* of the temporary file; -1: none */
	uint64_t offset; /* of what it has of an earlier attempt */
	size_t mirror; /* of the item's mirrors, which that is */
	bool unnoted; /* the file system takes no note of these */
	uint64_t total; /* of a file in segments; 0: it is none */
	size_t part_count;
	int64_t modified; /* as a segment's response has said; INT64_MIN: none has */

	/* From here on place_init() clears no more than the beginning of each text. */
	char name[NAME_MAX + 1], temp[NAME_MAX + 1];
	char validator[256]; /* of what there is of an earlier attempt; empty: none */
	char url[4096]; /* and its URL */
	struct part {
		uint64_t from, to;
	} parts[SEGMENTS_MOST]; /* that are still to come */
};

/* Nothing is known of it. */
void place_init(struct place *place, struct item *item);

/*
 * Finds the directory and the name, and claims it. @wanted is the name that the server gave, or
 * NULL.
 */
int place_find(struct place *place, struct item *item, const struct url *url, const char *wanted);

/* A file of that name that is there; false: there is none. */
bool place_existing(const struct place *place, struct stat *st, char *etag, size_t etag_size);

/* What the file gets with its name. */
struct finish {
	int64_t mtime; /* INT64_MIN: none */
	const char *etag; /* for the next -u; NULL: none */
	const char *data; /* all of it, where it is not written yet */
	size_t len;
};
/* Gives the file its name. Plain calls. */
int place_commit(struct place *place, const struct finish *finish);
/* Closes all; the temporary file is removed unless @keep. */
void place_close(struct place *place, bool keep);

/* The directories of -P, open until the end of the run; and what is claimed. */
struct places *places_new(void);
void places_free(struct places *places);

/* ---- partial.c */

/*
 * Opens what an earlier attempt, or a run that was killed, left of one of the item's URLs. 0, or
 * -errno: -EBUSY somebody writes it, -ENOENT there is nothing that can be gone on with.
 */
int place_reopen(struct place *place);
/* What was opened is to be begun anew. */
void place_forget(struct place *place);
/* Drops that, and makes a fresh temporary file. */
int place_create(struct place *place);
/*
 * Notes from what the partial file comes, and which parts are missing, so that it can be gone on
 * with; best effort.
 * @url NULL: the one that was noted before.
 */
void place_note(struct place *place, const struct url *url, const char *validator);

/* Takes such a note away. */
void place_unnote(const struct place *place);

/* Removes what a run that was killed has left of what needs not be got. Plain calls. */
void place_give_way(const struct place *place);

/* Removes what an attempt of the item has left. */
void place_discard(struct item *item);

/* ---- segments.c */

/* Asks for the parts that the file lacks, divided where it is one. 0, or -errno with why. */
int segments_move(struct item *item, struct place *place);

/* ---- body.c */

struct body {
	const struct fetch_settings *set;
	struct item *item;
	struct place *place; /* NULL: to standard output, or nowhere */
	struct exchange *x;
	struct digest *digest; /* NULL: none */
	uint64_t at; /* in the file */
	struct decoder *decoder; /* NULL: not compressed */
};

/* Moves all of it. 0, or -errno with item->why. */
int body_move(struct body *body);
/*
 * All of a small one that is there already, and stays in the exchange's memory. -EAGAIN: it is not.
 */
int body_peek(struct body *body, const char **data, size_t *len);

/* ---- get.c */

int fetch_get(struct item *item);

/* ---- journal.c */

/* See struct item_ops. */
void fetch_journal_options(const void *settings, struct buf *buf);
void fetch_journal_key(const struct item *item, struct buf *buf);
void fetch_journal_result(const struct item *item, struct buf *buf);
bool fetch_journal_restore(struct item *item, const char *result, size_t len);

#endif
