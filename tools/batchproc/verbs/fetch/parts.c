/* SPDX-License-Identifier: MIT */
/*
 * parts: a body in parts, as --segments has it: whether it can be had so, the first part, and what
 * comes of the others.
 */
#include <errno.h>
#include <string.h>

#include "base/calls.h"
#include "batchproc.h"
#include "digest/hasher.h"
#include "verbs/fetch/get.h"

/* The file is there in its size, and the parts that it lacks are known. */
int parts_finish(struct getting *g)
{
	int err;

	g->place.modified = INT64_MIN;
	err = segments_move(g->item, &g->place);

	if (err == -ESTALE) {
		g->anew = true;
		return -EAGAIN;
	}
	g->place.offset = g->own->size = g->place.total;
	if (g->set->keep_time || g->set->update)
		g->finish.mtime = g->place.modified;
	if (g->set->update && g->place.validator[0] == '"')
		g->finish.etag = strcpy(g->etag, g->place.validator);
	if (!err)
		err = get_begin_digest(g);
	if (!err)
		err = get_check_digest(g);
	return err ? err : get_call(g, get_commit);
}

static int create_in_segments(void *arg)
{
	struct getting *g = arg;
	const struct content_range *range = &g->first_part;
	struct place *p = &g->place;
	int err = place_create(p);

	if (err)
		return err;
	p->total = range->total;
	p->part_count = 1;
	p->parts[0] = (struct part){0, range->total};
	p->mirror = g->ask->mirror;
	place_note(p, &g->ask->first, ask_validator(&g->ask->x.head));
	err = call_ftruncate(p->fd, (off_t)range->total);
	return err;
}

/* The first part has come, of a body that can be had in parts. */
static int begin_segments(struct getting *g)
{
	const struct content_range *range = &g->first_part;
	int err;

	g->began = true;
	if (range->total > g->set->max_size)
		return get_refuse(g, -EFBIG, "is larger than --max-size allows");
	get_note_finish(g);
	err = get_call(g, create_in_segments);
	if (err)
		return err;
	g->body =
		(struct body){.set = g->set, .item = g->item, .x = &g->ask->x, .place = &g->place};
	g->hasher = hasher_get();
	exchange_grow(&g->ask->x, (char *)g->hasher->buffer, HASHER_BYTES);
	err = body_move(&g->body);
	hasher_put(g->hasher);
	g->hasher = NULL;
	exchange_end(&g->ask->x);
	if (err)
		return err;
	g->place.part_count = range->last + 1 < range->total;
	g->place.parts[0] = (struct part){range->last + 1, range->total};
	return parts_finish(g);
}

/* Whether a body can be had in parts, by the answer to the request for the first. */
static bool comes_in_parts(struct getting *g)
{
	const struct head *head = &g->ask->x.head;
	const char *text = head_value(head, "Content-Range");
	struct content_range *range = &g->first_part;

	return text && content_range_parse(text, range) && !range->unsatisfied && !range->first &&
	       range->total != UINT64_MAX && ask_validator(head) &&
	       strlen(ask_validator(head)) < sizeof(g->place.validator) &&
	       head->body == BODY_LENGTH && head->length == range->last + 1;
}

int parts_try(struct getting *g)
{
	int status, err = get_ask_all(g);

	if (err)
		return err;
	status = g->ask->x.head.status;
	if (status == 206 && comes_in_parts(g))
		return begin_segments(g);
	if (status != 206 && status != 416)
		return get_take_answer(g);
	g->anew = true;
	return -EAGAIN;
}
