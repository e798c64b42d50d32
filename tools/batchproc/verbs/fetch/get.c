/* SPDX-License-Identifier: MIT */
/*
 * get: one attempt at an item: requests until there is an answer that is no redirection, and what
 * it means.
 *
 * A partial file is gone on with only when the server proves that it has the same content still: by
 * its strong validator and by the range that it says it sends. What does not add up begins anew.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/blocking.h"
#include "base/buf.h"
#include "base/calls.h"
#include "batchproc.h"
#include "cli/options.h"
#include "digest/hasher.h"
#include "net/fields.h"
#include "net/proxy.h"
#include "run/job.h"
#include "verbs/fetch/get.h"

#define BUSY_TRIES 100u
#define BUSY_NS 20000000ull

/* ---- the request */

/* For plain calls where the file is to be: a slow server there must not hold up the others. */
int get_call(struct getting *g, int (*fn)(void *getting))
{
	const struct fetch_settings *set = g->set;

	g->kind = set->output ? device_kind_around(set->output) :
				device_kind_within(set->dir ? set->dir : ".");
	return device_call(g->kind, fn, g);
}

static int find_place(void *arg)
{
	struct getting *g = arg;

	return place_find(&g->place, g->item, &g->first, g->wanted);
}

static int look_at_existing(void *arg)
{
	struct getting *g = arg;
	struct stat st;
	struct buf date = {0};

	if (!place_existing(&g->place, &st, g->etag, sizeof(g->etag)))
		return 0;
	if (etag_is_valid(g->etag))
		g->ask->request.if_none_match = g->etag;
	http_date_add(&date, st.st_mtim.tv_sec);
	snprintf(g->since, sizeof(g->since), "%.*s", (int)date.len, date.data);
	g->ask->request.if_modified_since = g->since;
	buf_free(&date);
	return 0;
}

static int look_for_partial(void *arg)
{
	struct getting *g = arg;

	return place_reopen(&g->place);
}

/* What an earlier attempt or run has left is asked for no more. */
static void ask_for_the_rest(struct getting *g)
{
	const struct options *opt = g->item->job->opt;
	unsigned int tries = 0;
	int err;

	if (g->anew || !(opt->resume || opt->retry_failed || g->own->repeats))
		return;
	/*
	 * What a killed run had handed to the kernel may hold the file a moment longer than the run
	 * lived.
	 */
	while ((err = get_call(g, look_for_partial)) == -EBUSY && tries++ < BUSY_TRIES)
		if (bp_sleep(BUSY_NS))
			return;
	if (err)
		return;
	if (g->place.total) {
		/* Only the mirror that it is of can give the other parts. */
		if (mirror_is_cut(g->item, g->place.mirror))
			place_forget(&g->place);
		return;
	}
	g->ask->request.range_first = g->place.offset;
	g->ask->request.if_range = g->place.validator;
	g->ask->request.if_none_match = g->ask->request.if_modified_since = NULL;
}

/* With --segments the first part is asked for first. */
static bool may_divide(const struct getting *g)
{
	return g->set->segments > 1 && !g->anew && !g->place.validator[0];
}

/* The URL of the item, or of its first mirror. */
static const char *take_url(struct getting *g)
{
	if (!g->own->url.store)
		return line_url(g->item, 0, &g->first);
	g->first = g->own->url;
	g->own->url.store = NULL;
	return NULL;
}

static int prepare(struct getting *g)
{
	const struct fetch_settings *set = g->set;
	const char *wrong = take_url(g);
	bool plain_get;
	int err = 0;

	if (wrong) {
		snprintf(g->own->why, sizeof(g->own->why), "the URL %s", wrong);
		g->item->why = g->own->why;
		return -EINVAL;
	}
	g->has_place = !set->drop && !set->to_stdout && strcmp(g->ask->request.method, "HEAD") != 0;
	plain_get = !strcmp(g->ask->request.method, "GET") && !set->compressed;
	if (g->has_place && !set->by_disposition) {
		err = get_call(g, find_place);
		if (!err && set->update)
			err = get_call(g, look_at_existing);
		if (!err && plain_get)
			ask_for_the_rest(g);
		if (!err && plain_get && may_divide(g))
			g->ask->request.range_last = SEGMENT_LEAST - 1;
	}
	return err;
}

/* ---- what an answer means */

int get_refuse(struct getting *g, int err, const char *why)
{
	g->item->why = why;
	return err;
}

static int status_error(struct getting *g)
{
	int status = g->ask->x.head.status;

	if (status == 407 && g->ask->x.conn && g->ask->x.conn->proxy)
		snprintf(g->own->why, sizeof(g->own->why), "%s", proxy_wants_credentials);
	else
		snprintf(g->own->why, sizeof(g->own->why), "the server answered with status %d",
			 status);
	g->item->why = g->own->why;
	switch (status) {
	case 404:
	case 410:
		return -ENOENT;
	case 401:
	case 403:
	case 407:
		return -EACCES;
	case 429:
	case 503:
		return -EBUSY;
	default:
		return -EREMOTEIO;
	}
}

/* Whether the part that came is the rest of what the partial file has the beginning of. */
static bool is_the_rest(const struct getting *g)
{
	const struct head *head = &g->ask->x.head;
	const char *range_text = head_value(head, "Content-Range");
	const char *validator = g->place.validator;
	const char *theirs = head_value(head, *validator == '"' ? "ETag" : "Last-Modified");
	struct content_range range;

	if (!range_text || !content_range_parse(range_text, &range) || range.unsatisfied)
		return false;
	if (range.first != g->place.offset || range.total != range.last + 1)
		return false;
	if (head->body == BODY_LENGTH && head->length != range.total - range.first)
		return false;
	return theirs && !strcmp(theirs, validator);
}

/* Whether the partial file is the whole already. */
static bool is_whole(const struct getting *g)
{
	const char *text = head_value(&g->ask->x.head, "Content-Range");
	const char *etag = head_value(&g->ask->x.head, "ETag");
	struct content_range range;

	return text && content_range_parse(text, &range) && range.unsatisfied &&
	       range.total == g->place.offset && (!etag || !strcmp(etag, g->place.validator));
}

/* How it goes on after the answer to a request for the rest. */
enum rest {
	REST_COMES, /* the rest is its body */
	REST_NONE, /* all is there */
	REST_ANEW, /* the whole is to be asked for */
	REST_WHOLE, /* and this is it */
	REST_FAILED, /* as without a range */
};

static enum rest judge_rest(const struct getting *g)
{
	switch (g->ask->x.head.status) {
	case 206:
		return is_the_rest(g) ? REST_COMES : REST_ANEW;
	case 416:
		return is_whole(g) ? REST_NONE : REST_ANEW;
	case 304:
	case 412:
		return REST_ANEW;
	case 200:
		return REST_WHOLE;
	default:
		return REST_FAILED;
	}
}

/* ---- the body */

static int hash_partial(void *arg)
{
	struct getting *g = arg;
	uint64_t at = 0;
	ssize_t n;

	while (at < g->place.offset) {
		n = call_pread(g->place.fd, g->hasher->buffer, HASHER_BYTES, (off_t)at);
		if (n <= 0)
			return n ? (int)n : -EIO;
		digest_update(g->hasher->digest, g->hasher->buffer, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

int get_begin_digest(struct getting *g)
{
	if (!g->own->alg)
		return 0;
	g->hasher = hasher_get();
	g->body.digest = g->hasher->digest;
	digest_begin(g->hasher->digest, g->own->alg);
	return g->place.offset ? blocking_long(hash_partial, g) : 0;
}

int get_check_digest(struct getting *g)
{
	unsigned char got[DIGEST_SIZE_MAX];

	if (!g->own->alg)
		return 0;
	digest_finish(g->hasher->digest, got);
	if (!memcmp(got, g->own->expected, g->own->alg->size))
		return 0;
	return get_refuse(g, -EBADMSG, "the content does not have the digest that it should have");
}

static int create_file(void *arg)
{
	struct getting *g = arg;
	const struct options *opt = g->item->job->opt;
	const char *validator = ask_validator(&g->ask->x.head);
	int err;

	if (g->place.offset)
		return 0;
	err = place_create(&g->place);
	/* By the name that a server gives, nobody finds a partial file again. */
	if (!err && validator && !g->set->compressed && !g->set->by_disposition &&
	    (opt->journal || g->item->attempts <= opt->retries) &&
	    !strcmp(g->ask->request.method, "GET"))
		place_note(&g->place, &g->ask->first, validator);
	return err;
}

int get_commit(void *arg)
{
	struct getting *g = arg;

	g->place.trusted = g->kind == DEVICE_TRUSTED && g->place.on_base;
	return place_commit(&g->place, &g->finish);
}

static int move_body(struct getting *g)
{
	struct body *b = &g->body;
	int err = -EAGAIN;

	if (g->has_place && !g->place.offset)
		err = body_peek(b, &g->finish.data, &g->finish.len);
	if (err != -EAGAIN)
		return err;
	if (g->has_place) {
		err = get_call(g, create_file);
		if (err)
			return err;
		b->place = &g->place;
	}
	if (!g->hasher)
		g->hasher = hasher_get();
	exchange_grow(&g->ask->x, (char *)g->hasher->buffer, HASHER_BYTES);
	return body_move(b);
}

static int check_size(struct getting *g)
{
	const struct head *head = &g->ask->x.head;
	uint64_t most = g->set->max_size;

	if (head->body == BODY_LENGTH && !g->set->compressed &&
	    (head->length > most || g->place.offset > most - head->length))
		return get_refuse(g, -EFBIG, "is larger than --max-size allows");
	return 0;
}

void get_note_finish(struct getting *g)
{
	const char *modified = head_value(&g->ask->x.head, "Last-Modified");
	const char *etag = head_value(&g->ask->x.head, "ETag");

	g->finish = (struct finish){.mtime = INT64_MIN};
	if ((g->set->keep_time || g->set->update) && modified)
		http_date_parse(modified, &g->finish.mtime);
	if (g->set->update && etag && etag_is_valid(etag) && strlen(etag) < sizeof(g->etag))
		g->finish.etag = strcpy(g->etag, etag);
}

static int receive(struct getting *g, bool nothing_more)
{
	int err = 0;

	g->began = true;
	get_note_finish(g);
	g->body = (struct body){.set = g->set,
				.item = g->item,
				.x = &g->ask->x,
				.at = g->place.offset};
	if (!nothing_more)
		err = check_size(g);
	if (!err)
		err = get_begin_digest(g);
	if (!err && !nothing_more)
		err = move_body(g);
	g->own->unannounced = g->ask->x.unannounced;
	if (!err)
		err = get_check_digest(g);
	g->own->size = g->body.at;
	if (!err && g->has_place)
		err = get_call(g, get_commit);
	return err;
}

/* By the name that the server gives it. */
static int find_wanted_place(struct getting *g)
{
	const char *text = head_value(&g->ask->x.head, "Content-Disposition");
	struct buf name = {0};
	int err;

	if (text && disposition_name(text, &name)) {
		buf_char(&name, '\0');
		g->wanted = name.data;
	}
	err = get_call(g, find_place);
	g->wanted = NULL;
	buf_free(&name);
	return err;
}

/* Nothing that could be a file, nor take the place of one. */
static int take_nothing(struct getting *g)
{
	if (g->own->alg)
		return get_refuse(g, -ENODATA, "the server has no content to send");
	g->own->size = 0;
	free(g->own->dst);
	g->own->dst = NULL;
	return 0;
}

static int give_way(void *arg)
{
	struct getting *g = arg;

	place_give_way(&g->place);
	return 0;
}

int get_take_answer(struct getting *g)
{
	int status = g->ask->x.head.status, err = 0;

	if (status == 304 && g->ask->request.if_modified_since) {
		get_call(g, give_way);
		g->item->status = STATUS_SKIPPED;
		g->item->why = "not modified";
		return 0;
	}
	if (!ask_is_expected(g->set, status))
		return status_error(g);
	if (status == 206)
		return get_refuse(g, -EPROTO, "the server sent a part that was not asked for");
	if (status == 204 || status == 205 || status == 304)
		return take_nothing(g);
	if (g->has_place && g->set->by_disposition)
		err = find_wanted_place(g);
	return err ? err : receive(g, false);
}

/* Asks the only one there is, or whoever of the mirrors answers first. */
int get_ask_all(struct getting *g)
{
	int err;

	if (line_mirrors(g->item) > 1) {
		err = mirrors_race(&g->mirrors, &g->only, &g->ask);
	} else {
		g->only.first = url_view(&g->first);
		err = ask_follow(&g->only);
	}
	g->own->code = g->ask->code;
	g->own->redirects = g->ask->redirects;
	if (err && g->ask->why) {
		snprintf(g->own->why, sizeof(g->own->why), "%s", g->ask->why);
		g->item->why = g->own->why;
	}
	return err;
}

static int try_it(struct getting *g)
{
	enum rest rest;
	int err;

	if (g->place.total) {
		g->began = true;
		g->ask->mirror = g->place.mirror;
		g->finish = (struct finish){.mtime = INT64_MIN};
		g->own->resumed = true;
		return parts_finish(g);
	}
	if (g->ask->request.range_last != UINT64_MAX)
		return parts_try(g);
	err = get_ask_all(g);
	if (err || !g->ask->request.range_first)
		return err ? err : get_take_answer(g);
	rest = judge_rest(g);
	switch (rest) {
	case REST_COMES:
	case REST_NONE:
		g->own->resumed = true;
		return receive(g, rest == REST_NONE);
	case REST_ANEW:
		g->anew = true;
		return -EAGAIN;
	case REST_WHOLE:
		g->place.offset = 0;
		return get_take_answer(g);
	default:
		return get_take_answer(g);
	}
}

/*
 * A partial file stays where somebody may go on with it: the next attempt, or --resume, also where
 * the run was stopped or the time is over. Not where it would fill the device.
 */
static bool is_worth_keeping(const struct getting *g, int err)
{
	const struct options *opt = g->item->job->opt;

	if (!err || err == -EFBIG || err == -EBADMSG || err == -ENOSPC || err == -EDQUOT ||
	    !g->place.validator[0] || g->place.unnoted)
		return false;
	/* Of nothing there is no rest. */
	if (!g->place.total && !g->place.offset && !g->body.at)
		return false;
	return opt->journal || (g->item->attempts <= opt->retries && !bp_cancelled());
}

static int close_place(void *arg)
{
	struct getting *g = arg;

	place_close(&g->place, g->keep);
	return 0;
}

static void finish_with(struct getting *g, int err)
{
	g->keep = is_worth_keeping(g, err);
	if (err && g->began && !bp_cancelled())
		mirror_has_cut(g->item, g->ask->mirror);
	ask_end(g->ask);
	mirrors_free(g->mirrors);
	g->mirrors = NULL;
	if (g->hasher)
		hasher_put(g->hasher);
	g->hasher = NULL;
	if (g->keep)
		g->own->repeats = true;
	if (g->has_place) {
		bp_shield_begin();
		get_call(g, close_place);
		bp_shield_end();
	}
	url_free(&g->first);
}

int fetch_get(struct item *item)
{
	struct getting g;
	int err;

	memset(&g, 0, offsetof(struct getting, place));
	g.item = item;
	g.set = item->settings;
	g.own = item_priv(item);
	place_init(&g.place, item);

	for (int round = 0; round < 2; round++) {
		item->why = NULL;
		g.began = false;
		g.own->code = 0;
		g.own->redirects = 0;
		g.own->unannounced = g.own->resumed = false;
		item->bytes = 0;
		g.ask = &g.only;
		ask_prepare(g.ask, item);
		err = prepare(&g);
		if (!err)
			err = try_it(&g);
		finish_with(&g, err);
		if (err != -EAGAIN || !g.anew)
			break;
	}
	return err;
}
