/* SPDX-License-Identifier: MIT */
/*
 * document.c - the file of --json: what was reported, each sample of it, and the machine
 *
 *	{"format": 1, "machine": {}, "programs": {}, "run": {}, "seconds": {}, "results": [],
 *	 "points": [], "skipped": [], "failed": []}
 *
 * A figure is {"min", "median", "max", "samples"}, the samples in the order of the rounds, so that
 * those of two sides with the same place were measured one after the other. bench-docs makes pages and
 * pictures from it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

static json_t *document;

static json_t *list_of(const char *name)
{
	static const char *const lists[] = {"results", "points", "skipped", "failed"};
	size_t i;

	if (!document) {
		document = json_object();
		for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
			json_object_set_new(document, lists[i], json_array());
	}
	return json_object_get(document, name);
}

/* Six digits are more than a measurement has, and are the same on every machine. */
static json_t *number(double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", v);
	return json_real(strtod(text, NULL));
}

static json_t *spread(struct spread s)
{
	return json_pack("{s:o,s:o,s:o}", "min", number(s.min), "median", number(s.median), "max",
			 number(s.max));
}

/* @rate: so many in a second, of which a sample is the time of one. */
static json_t *figure(const struct contestant *c, unsigned int measure, enum clock clock,
		      double scale, bool rate, unsigned int runs)
{
	json_t *samples = json_array(), *figure;
	double v[RUNS_MAX] = {0};
	unsigned int i;

	for (i = 0; i < runs; i++) {
		const struct measure *m = &c->samples[i][measure];
		double sample = clock == WALL ? m->wall : m->cpu;

		v[i] = rate ? scale / sample : sample * scale;
		json_array_append_new(samples, number(v[i]));
	}
	figure = spread(spread_of(v, runs));
	json_object_set_new(figure, "samples", samples);
	return figure;
}

static json_t *side(const struct bench *b, const struct result *r, const struct contestant *c,
		    double memory)
{
	double scale = r->scale > 0 ? r->scale : 1;
	json_t *o = json_pack("{s:s,s:o}", "name", c->name, "wall",
			      figure(c, r->measure, WALL, scale, false, b->runs));

	if (samples_of(c, r->measure, CPU, b->runs).median > 0)
		json_object_set_new(o, "cpu", figure(c, r->measure, CPU, scale, false, b->runs));
	if (memory > 0)
		json_object_set_new(o, "bytes_in_flight", number(memory));
	return o;
}

void document_pair(const struct bench *b, const struct result *r, const struct contestant *ours,
		   const struct contestant *theirs)
{
	struct spread ratio = r->speed_up ? ratios_of(theirs, ours, r->measure, WALL, b->runs) :
					    ratios_of(ours, theirs, r->measure, WALL, b->runs);
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:i,s:I,s:s}", "row", r->row, "case",
			      r->what, "unit", r->unit, "ratio_is",
			      r->speed_up ? "theirs/ours" : "ours/theirs", "ratio", spread(ratio),
			      "backend", r->backend, "loops", (int)r->loops, "limit",
			      (json_int_t)r->limit, "note", r->note ? r->note : "");

	if (r->goal > 0)
		json_object_set_new(o, "goal", number(r->goal));
	if (samples_of(theirs, r->measure, CPU, b->runs).median > 0)
		json_object_set_new(o, "cpu_ratio",
				    spread(ratios_of(ours, theirs, r->measure, CPU, b->runs)));
	if (r->cpu_goal > 0)
		json_object_set_new(o, "cpu_goal", number(r->cpu_goal));
	if (r->items > 0)
		json_object_set_new(o, "items", number(r->items));
	json_object_set_new(o, "ours", side(b, r, ours, r->ours_memory));
	json_object_set_new(o, "theirs", side(b, r, theirs, r->theirs_memory));
	json_array_append_new(list_of("results"), o);
}

void document_point(const struct bench *b, const struct point *p, const struct contestant *c)
{
	double scale = p->scale > 0 ? p->scale : 1;
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:o,s:s}", "row", p->row, "case", p->what,
			      "side", p->side, "of", p->of, "x", number(p->x), "unit", p->unit, "y",
			      figure(c, p->measure, WALL, scale, p->rate, b->runs), "note",
			      p->note ? p->note : "");

	if (p->memory > 0)
		json_object_set_new(o, "peak_bytes", number(p->memory));
	json_array_append_new(list_of("points"), o);
}

void document_lack(const char *list, const char *row, const char *peer, const char *why)
{
	json_array_append_new(list_of(list),
			      json_pack("{s:s,s:s,s:s}", "row", row, "peer", peer, "why", why));
}

/* How long it took, with the choice of threads and all that is not timed. */
void document_row(const char *row, long seconds)
{
	json_t *rows;

	list_of("results");
	rows = json_object_get(document, "seconds");
	if (!rows) {
		rows = json_object();
		json_object_set_new(document, "seconds", rows);
	}
	json_object_set_new(rows, row, json_integer(seconds));
}

int document_write(const struct bench *b, const char *path)
{
	time_t now = time(NULL);
	struct tm tm;
	char end[32];
	int err = 0;

	strftime(end, sizeof(end), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_set_new(document, "format", json_integer(1));
	json_object_set_new(document, "machine", machine_describe(b));
	json_object_set_new(document, "programs", machine_programs(b));
	json_object_set_new(document, "run",
			    json_pack("{s:i,s:b,s:b,s:s,s:I,s:s}", "runs", (int)b->runs, "smoke",
				      b->smoke, "cold", b->cold, "ended", end, "seconds",
				      (json_int_t)(now - b->began), "command", b->command));
	if (json_dump_file(document, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
		err = errno ? -errno : -EIO;
	return err;
}
