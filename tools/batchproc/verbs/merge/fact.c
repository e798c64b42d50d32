/* SPDX-License-Identifier: MIT */
/*
 * fact: one line of a file of records, taken apart. Pure functions; JSON is read by jansson.
 *
 * A run that was killed may leave half a record, and the next one appends to it without a newline.
 * What begins a record cannot stand within one: a quotation mark in a string is escaped. So where a
 * line is no JSON, what stands behind the last such beginning may be.
 */
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "base/array.h"
#include "base/source.h"
#include "verbs/merge/merge.h"

#define BEGINNING "{\"v\":"

const char *const fact_names[FACT_STATUSES] = {
	[FACT_OK] = "ok",
	[FACT_FAILED] = "failed",
	[FACT_TIMEOUT] = "timeout",
	[FACT_CANCELLED] = "cancelled",
	[FACT_REJECTED] = "rejected",
	[FACT_NOT_STARTED] = "not_started",
	[FACT_SKIPPED] = "skipped",
};

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t number_of(const json_t *object, const char *key)
{
	const json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

/* A name, which may be in base64. */
static bool take_name(const json_t *value, struct buf *buf)
{
	const json_t *text = json_is_object(value) ? json_object_get(value, "base64") : NULL;

	buf->len = 0;
	if (json_is_string(value)) {
		buf_add(buf, json_string_value(value), json_string_length(value));
		return true;
	}
	return json_is_string(text) &&
	       buf_unbase64(buf, json_string_value(text), json_string_length(text));
}

/* A part of what the item is, with its length in front so that none runs into the next. */
static void add_part(struct fact *fact, const char *data, size_t len)
{
	const uint64_t size = len;

	buf_add(&fact->what, &size, sizeof(size));
	buf_add(&fact->what, data, len);
}

static void hash_what(const struct fact *fact, uint64_t key[2])
{
	const XXH128_hash_t hash = XXH3_128bits(fact->what.data, fact->what.len);

	key[0] = hash.low64;
	key[1] = hash.high64;
}

static void take_key(struct fact *fact)
{
	fact->what.len = 0;
	add_part(fact, fact->op, strlen(fact->op));
	add_part(fact, fact->name.data, fact->name.len);
	if (fact->alg && fact->expected) {
		add_part(fact, fact->alg, strlen(fact->alg));
		add_part(fact, fact->expected, strlen(fact->expected));
	}
	hash_what(fact, fact->key_without);
	if (fact->has_dst)
		add_part(fact, fact->dst.data, fact->dst.len);
	hash_what(fact, fact->key);
}

/* 2026-01-02T03:04:05.678Z as milliseconds since 1970; 0: it is not that. */
static int64_t time_of(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";
	unsigned int number[7] = {0}, at = 0;
	struct tm tm = {0};

	for (size_t i = 0; form[i]; i++) {
		if (form[i] != '0') {
			if (text[i] != form[i])
				return 0;
			at++;
		} else if (text[i] < '0' || text[i] > '9') {
			return 0;
		} else {
			number[at] = number[at] * 10 + (unsigned int)(text[i] - '0');
		}
	}
	tm.tm_year = (int)number[0] - 1900;
	tm.tm_mon = (int)number[1] - 1;
	tm.tm_mday = (int)number[2];
	tm.tm_hour = (int)number[3];
	tm.tm_min = (int)number[4];
	tm.tm_sec = (int)number[5];
	return (int64_t)timegm(&tm) * 1000 + number[6];
}

static bool take_record(struct fact *fact, const json_t *json)
{
	static const enum source_kind kinds[] = {SOURCE_PATH, SOURCE_URL, SOURCE_ENDPOINT};
	const char *status = string_of(json, "status"), *start = string_of(json, "start");
	const json_t *name = NULL, *dst = json_object_get(json, "dst");
	size_t i;

	fact->op = string_of(json, "op");
	for (i = 0; i < ARRAY_SIZE(kinds) && !name; i++)
		name = json_object_get(json, source_key(kinds[i]));
	for (i = 0; status && i < FACT_STATUSES && strcmp(status, fact_names[i]); i++)
		;
	if (!status || i == FACT_STATUSES || !fact->op || !take_name(name, &fact->name))
		return false;
	fact->status = (enum fact_status)i;
	fact->has_dst = dst;
	if (dst && !take_name(dst, &fact->dst))
		return false;
	fact->error = string_of(json, "error");
	fact->alg = string_of(json, "alg");
	fact->expected = string_of(json, "expected");
	fact->bytes = number_of(json, "bytes");
	fact->start_ms = start ? time_of(start) : 0;
	fact->end_ms = fact->start_ms + (int64_t)(number_of(json, "dur_us") / 1000);
	take_key(fact);
	return true;
}

static bool take_summary(struct fact *fact, const json_t *json)
{
	const char *shard = string_of(json, "shard");

	fact->op = string_of(json, "op");
	fact->items = number_of(json, "items");
	for (int i = 0; i < FACT_STATUSES; i++)
		if (fact_is_bad((enum fact_status)i))
			fact->bad += number_of(json, fact_names[i]);
	fact->exit = (int)number_of(json, "exit");
	return fact->op && json_is_integer(json_object_get(json, "exit")) &&
	       (!shard || shard_parse(&fact->shard, shard));
}

static void take(struct fact *fact, const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	fact->json = json;
	fact->text = text;
	fact->len = len;
	if (json_integer_value(json_object_get(json, "v")) != 1)
		return;
	if (json_is_true(json_object_get(json, "summary")))
		fact->kind = take_summary(fact, json) ? FACT_SUMMARY : FACT_NONE;
	else
		fact->kind = take_record(fact, json) ? FACT_RECORD : FACT_NONE;
}

/* Forgets the line before, but for the memory. */
static void begin(struct fact *fact)
{
	json_decref(fact->json);
	*fact = (struct fact){.name = fact->name, .dst = fact->dst, .what = fact->what};
}

void fact_parse(struct fact *fact, const char *line, size_t len)
{
	const size_t begins = strlen(BEGINNING);
	const char *last = NULL, *at = line;

	begin(fact);
	take(fact, line, len);
	if (fact->kind != FACT_NONE)
		return;
	while (len && (at = memmem(at + 1, len - (size_t)(at + 1 - line), BEGINNING, begins)))
		last = at;
	if (!last)
		return;
	begin(fact);
	take(fact, last, len - (size_t)(last - line));
	fact->torn = true;
}

void fact_free(struct fact *fact)
{
	json_decref(fact->json);
	buf_free(&fact->name);
	buf_free(&fact->dst);
	buf_free(&fact->what);
	*fact = (struct fact){0};
}
