/* SPDX-License-Identifier: MIT */
/*
 * segments: one body over several connections, by ranges.
 *
 * Each segment is asked for by a task of its own, and written to its place in the file. Every part
 * that comes has to be of the same content as the first one: the same strong validator, the same
 * total. What is still to come stands in the attribute of the file, from time to time, so that a
 * later attempt or run asks for that alone.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/device.h"
#include "batchproc.h"
#include "digest/hasher.h"
#include "net/fields.h"
#include "run/job.h"
#include "verbs/fetch/fetch.h"

#define NOTE_BYTES 8388608u /* of a segment, before it is noted how far it has come */

struct segments;

struct segment {
	struct segments *segments;
	uint64_t at, to; /* what is still to come; under the lock */
	uint64_t moved;
	struct asking ask;
};

struct segments {
	struct item *item;
	struct place *place;
	pthread_mutex_t lock;
	int err; /* of the first that failed, with why */
	size_t count;
	struct segment list[SEGMENTS_MOST];
};

/* Notes what is missing. Plain calls; under the lock. */
static void note(struct segments *s)
{
	struct place *p = s->place;

	p->part_count = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].at < s->list[i].to)
			p->parts[p->part_count++] = (struct part){s->list[i].at, s->list[i].to};
	place_note(p, NULL, p->validator);
}

static int note_task(void *arg)
{
	struct segments *s = arg;

	pthread_mutex_lock(&s->lock);
	note(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int take_note(struct segments *s)
{
	return device_call(device_kind(s->place->dev, s->place->dirfd), note_task, s);
}

static bool is_wanted(const struct segment *one)
{
	const struct place *p = one->segments->place;
	const struct head *head = &one->ask.x.head;
	const char *text = head_value(head, "Content-Range");
	const char *theirs = head_value(head, *p->validator == '"' ? "ETag" : "Last-Modified");
	struct content_range range;

	return head->status == 206 && text && content_range_parse(text, &range) &&
	       !range.unsatisfied && range.first == one->at && range.last + 1 == one->to &&
	       range.total == p->total && theirs && !strcmp(theirs, p->validator);
}

static int write_piece(struct segment *one, const char *data, size_t len)
{
	struct segments *s = one->segments;

	if (len > one->to - one->at)
		return -EPROTO;
	for (size_t done = 0; done < len;) {
		ssize_t n =
			bp_write(s->place->fd, data + done, len - done, (off_t)(one->at + done));

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	pthread_mutex_lock(&s->lock);
	one->at += len;
	pthread_mutex_unlock(&s->lock);
	one->moved += len;
	atomic_fetch_add_explicit(&s->item->job->moved, len, memory_order_relaxed);
	return 0;
}

static int move(struct segment *one)
{
	struct hasher *hasher = hasher_get();
	uint64_t noted = 0;
	const char *piece;
	ssize_t n;
	int err = 0;

	exchange_grow(&one->ask.x, (char *)hasher->buffer, HASHER_BYTES);
	while (!err && (n = exchange_body(&one->ask.x, &piece)) != 0) {
		err = n < 0 ? (int)n : write_piece(one, piece, (size_t)n);
		if (!err && one->moved - noted >= NOTE_BYTES) {
			noted = one->moved;
			err = take_note(one->segments);
		}
	}
	if (!err && one->at < one->to)
		err = -EPIPE;
	one->ask.why = one->ask.x.why;
	hasher_put(hasher);
	return err;
}

/* For -p, of what an earlier attempt or run began. */
static void note_time(struct segment *one)
{
	const char *text = head_value(&one->ask.x.head, "Last-Modified");
	int64_t modified;

	if (!text || !http_date_parse(text, &modified))
		return;
	pthread_mutex_lock(&one->segments->lock);
	one->segments->place->modified = modified;
	pthread_mutex_unlock(&one->segments->lock);
}

static int segment_task(void *arg)
{
	struct segment *one = arg;
	struct segments *s = one->segments;
	int err = ask_follow(&one->ask);

	if (!err && !is_wanted(one)) {
		/* It is another content by now, or the server does not go on with ranges. */
		err = one->ask.x.head.status >= 400 && one->ask.x.head.status != 416 ? -EREMOTEIO :
										       -ESTALE;
		one->ask.why = "the server did not send the part that was asked for";
	} else if (!err) {
		note_time(one);
		err = move(one);
	}
	if (err && !bp_cancelled()) {
		pthread_mutex_lock(&s->lock);
		if (!s->err) {
			struct fetch_item *own = item_priv(s->item);

			s->err = err;
			own->code = one->ask.code;
			if (one->ask.why)
				snprintf(own->why, sizeof(own->why), "%s", one->ask.why);
			s->item->why = one->ask.why ? own->why : NULL;
		}
		pthread_mutex_unlock(&s->lock);
	}
	ask_end(&one->ask);
	return err;
}

/* Each as large as the others, and none smaller than need be. */
static void divide(struct place *p, size_t most)
{
	uint64_t from = p->parts[0].from, left = p->parts[0].to - from;
	/* One, where they are the rest of a run with --segments, and this is none. */
	size_t count = most ? most : 1;

	while (count > 1 && left / count < SEGMENT_LEAST)
		count--;
	for (size_t i = 0; i < count; i++) {
		uint64_t len = left / (count - i);

		p->parts[i] = (struct part){from, from + len};
		from += len;
		left -= len;
	}
	p->part_count = count;
}

static int prepare(struct segments *s)
{
	struct place *p = s->place;
	const char *wrong;

	if (p->part_count == 1)
		divide(p, ((const struct fetch_settings *)s->item->settings)->segments);
	for (size_t i = 0; i < p->part_count; i++) {
		struct segment *one = &s->list[i];

		one->segments = s;
		one->at = p->parts[i].from;
		one->to = p->parts[i].to;
		ask_prepare(&one->ask, s->item);
		one->ask.request.range_first = one->at;
		one->ask.request.range_last = one->to - 1;
		one->ask.request.if_range = p->validator;
		wrong = line_url(s->item, p->mirror, &one->ask.first);
		if (wrong)
			return -EINVAL;
		s->count++;
	}
	return 0;
}

static int run(struct segments *s)
{
	struct bp_group *group;
	int err = bp_group_create(&group, s->item->job->engine,
				  &BP_GROUP_OPTS(.stop_after_failures = 1));
	size_t started = 0;

	if (err)
		return err;
	while (started < s->count && !bp_go(group, segment_task, &s->list[started]))
		started++;
	err = bp_wait(group);
	bp_group_destroy(group);
	for (size_t i = started; i < s->count; i++)
		ask_end(&s->list[i].ask);
	if (s->err || err)
		return s->err ? s->err : err;
	/* A task that could not be started has told nobody. */
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].at < s->list[i].to)
			return -ECANCELED;
	return 0;
}

int segments_move(struct item *item, struct place *place)
{
	struct segments *s = xcalloc(1, sizeof(*s));
	int err;

	s->item = item;
	s->place = place;
	pthread_mutex_init(&s->lock, NULL);
	err = prepare(s);
	if (!err)
		err = take_note(s);
	if (!err)
		err = run(s);
	for (size_t i = 0; i < s->count; i++)
		item->bytes += s->list[i].moved;
	/* Also in a task that was ended: the file may be gone on with. */
	bp_shield_begin();
	take_note(s);
	bp_shield_end();
	pthread_mutex_destroy(&s->lock);
	free(s);
	return err;
}
