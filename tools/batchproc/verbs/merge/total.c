/* SPDX-License-Identifier: MIT */
/*
 * total: what the records add up to, as text for people and as one record. Pure functions.
 */
#include <jansson.h>
#include <string.h>

#include "verbs/merge/merge.h"

void op_copy(char op[OP_BYTES], const char *name)
{
	const size_t len = strnlen(name, OP_BYTES - 1);

	memcpy(op, name, len);
	op[len] = '\0';
}

uint64_t total_items(const struct total *total)
{
	uint64_t items = 0;

	for (int i = 0; i < FACT_STATUSES; i++)
		items += total->of[i];
	return items;
}

static void add_line(struct buf *buf, const char *name, uint64_t value)
{
	buf_printf(buf, "%-12s %llu\n", name, (unsigned long long)value);
}

void total_text(const struct total *total, struct buf *buf)
{
	add_line(buf, "items", total_items(total));
	for (int i = 0; i < FACT_STATUSES; i++)
		if (total->of[i] || i == FACT_OK)
			add_line(buf, i == FACT_NOT_STARTED ? "not started" : fact_names[i],
				 total->of[i]);
	buf_printf(buf, "%-12s ", "bytes");
	buf_bytes(buf, (double)total->bytes);
	buf_printf(buf, "%s\n%-12s %.3f s\n", total->bytes < 1000 ? "" : "B", "time",
		   (double)total->wall_us / 1e6);
	buf_printf(buf, "%-12s %llu of %llu ended\n", total->parts ? "parts" : "files",
		   (unsigned long long)total->ended,
		   (unsigned long long)(total->parts ? total->parts : total->files));
	if (total->replaced)
		add_line(buf, "replaced", total->replaced);
	if (total->damaged)
		add_line(buf, "damaged", total->damaged);
	add_line(buf, "exit status", (uint64_t)total->exit);
}

static void add_field(struct buf *buf, const char *name, uint64_t value)
{
	buf_printf(buf, ",\"%s\":", name);
	buf_u64(buf, value);
}

void total_json(const struct total *total, struct buf *buf)
{
	buf_str(buf, "{\"v\":1,\"summary\":true,\"merged\":true,\"op\":");
	buf_json(buf, total->op, strlen(total->op));
	add_field(buf, "items", total_items(total));
	for (int i = 0; i < FACT_STATUSES; i++)
		add_field(buf, fact_names[i], total->of[i]);
	add_field(buf, "bytes", total->bytes);
	add_field(buf, "wall_us", total->wall_us);
	add_field(buf, "files", total->files);
	add_field(buf, "parts", total->parts);
	add_field(buf, "ended", total->ended);
	add_field(buf, "replaced", total->replaced);
	add_field(buf, "damaged", total->damaged);
	if (total->missing.len) {
		buf_str(buf, ",\"missing\":");
		buf_json(buf, total->missing.data, total->missing.len);
	}
	add_field(buf, "exit", (uint64_t)total->exit);
	buf_str(buf, "}\n");
}

static uint64_t number_of(const json_t *json, const char *key)
{
	const json_int_t value = json_integer_value(json_object_get(json, key));

	return value > 0 ? (uint64_t)value : 0;
}

bool total_parse(struct total *total, const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	const char *op = json_string_value(json_object_get(json, "op"));
	const char *missing = json_string_value(json_object_get(json, "missing"));
	bool good = op && json_is_true(json_object_get(json, "merged"));

	*total = (struct total){0};
	if (good) {
		op_copy(total->op, op);
		for (int i = 0; i < FACT_STATUSES; i++)
			total->of[i] = number_of(json, fact_names[i]);
		total->bytes = number_of(json, "bytes");
		total->wall_us = number_of(json, "wall_us");
		total->files = number_of(json, "files");
		total->parts = number_of(json, "parts");
		total->ended = number_of(json, "ended");
		total->replaced = number_of(json, "replaced");
		total->damaged = number_of(json, "damaged");
		total->exit = (int)number_of(json, "exit");
		if (missing)
			buf_str(&total->missing, missing);
	}
	json_decref(json);
	return good;
}

void total_free(struct total *total)
{
	buf_free(&total->missing);
}
