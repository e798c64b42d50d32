/* SPDX-License-Identifier: MIT */
/*
 * report.c - prints results: an aligned table, and hands all of it on to document.c
 *
 * Each line is whole in itself: backend, loops, limit and the spread of the runs stand in it, so that
 * a figure that is copied elsewhere says where it came from. Where both sides' CPU time was measured
 * its ratio stands beside that of the time: on a machine that does other things too, it is the one to
 * believe. Who failed or is not there has a line too, never silence.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define SAID_MAX 1024u

/* Which peer of which row something was said about. */
static struct {
	char row[24];
	char peer[48];
} said[SAID_MAX];
static unsigned int said_count, failures;

static void say(const char *row, const char *peer)
{
	if (said_count == SAID_MAX)
		return;
	snprintf(said[said_count].row, sizeof(said->row), "%s", row);
	snprintf(said[said_count++].peer, sizeof(said->peer), "%s", peer);
}

bool was_reported(const char *row, const char *peer)
{
	unsigned int i;

	for (i = 0; i < said_count; i++) {
		if (!strcmp(said[i].row, row) &&
		    (!peer || !strncmp(said[i].peer, peer, strlen(peer))))
			return true;
	}
	return false;
}

void report_begin(const struct bench *b)
{
	struct utsname machine;

	uname(&machine);
	printf("# kernel %s, %ld CPUs, load %.2f, %u runs each: least, median and most\n",
	       machine.release, sysconf(_SC_NPROCESSORS_ONLN), b->load, b->runs);
	printf("%-11s %-26s %-28s %23s %23s %-8s %-18s %-8s %-17s %-7s %5s %6s %s\n", "row", "case",
	       "peer", "ours", "theirs", "unit", "ratio", "goal", "CPU ratio", "backend", "loops",
	       "limit", "note");
}

/* Four significant digits, no exponent. */
static void put_number(char *text, size_t size, double v)
{
	int digits = v > 0 ? 3 - (int)floor(log10(v)) : 0;

	snprintf(text, size, "%.*f", digits < 0 ? 0 : digits > 9 ? 9 : digits, v);
}

static const char *text_of(char *text, size_t size, struct spread s, double scale)
{
	char least[24], median[24], most[24];

	put_number(least, sizeof(least), s.min * scale);
	put_number(median, sizeof(median), s.median * scale);
	put_number(most, sizeof(most), s.max * scale);
	snprintf(text, size, "%s/%s/%s", least, median, most);
	return text;
}

static bool is_met(const struct result *r, double ratio)
{
	return r->speed_up ? ratio >= r->goal : ratio <= r->goal;
}

/* Of both sides, or empty where one of them was not measured. */
static void cpu_text(const struct bench *b, const struct result *r, const struct contestant *ours,
		     const struct contestant *theirs, char *text, size_t size)
{
	struct spread ratio = ratios_of(ours, theirs, r->measure, CPU, b->runs);

	if (samples_of(theirs, r->measure, CPU, b->runs).median <= 0)
		snprintf(text, size, "-");
	else if (r->cpu_goal > 0)
		snprintf(text, size, "%.3f (<=%.2f%s)", ratio.median, r->cpu_goal,
			 ratio.median <= r->cpu_goal ? "" : "!");
	else
		snprintf(text, size, "%.3f", ratio.median);
}

void report_pair(const struct bench *b, const struct result *r, const struct contestant *ours,
		 const struct contestant *theirs)
{
	const struct contestant *bad = ours->failed ? ours : theirs->failed ? theirs : NULL;
	double scale = r->scale > 0 ? r->scale : 1;
	char our_text[80], their_text[80], ratio_text[80], goal[16] = "-", cpu[48];
	struct spread ratio;

	if (bad) {
		char why[160];

		snprintf(why, sizeof(why), "%s: %s: %s", r->what, bad->name,
			 strerror(-bad->failed));
		report_fail(b, r->row, theirs->name, why);
		return;
	}
	say(r->row, theirs->name);
	ratio = r->speed_up ? ratios_of(theirs, ours, r->measure, WALL, b->runs) :
			      ratios_of(ours, theirs, r->measure, WALL, b->runs);
	if (r->goal > 0)
		snprintf(goal, sizeof(goal), "%s%.2f%s", r->speed_up ? ">=" : "<=", r->goal,
			 is_met(r, ratio.median) ? "" : "!");
	cpu_text(b, r, ours, theirs, cpu, sizeof(cpu));
	printf("%-11s %-26s %-28s %23s %23s %-8s %-18s %-8s %-17s %-7s %5u %6ld %s\n", r->row,
	       r->what, theirs->name,
	       text_of(our_text, sizeof(our_text), samples_of(ours, r->measure, WALL, b->runs),
		       scale),
	       text_of(their_text, sizeof(their_text),
		       samples_of(theirs, r->measure, WALL, b->runs), scale),
	       r->unit, text_of(ratio_text, sizeof(ratio_text), ratio, 1), goal, cpu, r->backend,
	       r->loops, r->limit, r->note ? r->note : "");
	fflush(stdout);
	document_pair(b, r, ours, theirs);
}

void report_point(const struct bench *b, const struct point *p, const struct contestant *c)
{
	double scale = p->scale > 0 ? p->scale : 1;
	struct spread s;
	char text[80], x[32];

	if (c->failed) {
		report_fail(b, p->row, p->side, strerror(-c->failed));
		return;
	}
	say(p->row, p->side);
	s = samples_of(c, p->measure, WALL, b->runs);
	if (p->rate)
		s = (struct spread){1 / s.max, 1 / s.median, 1 / s.min};
	snprintf(x, sizeof(x), p->x == floor(p->x) ? "%.0f" : "%g", p->x);
	printf("%-11s %-26s %-28s %23s %-8s %s %s%s%s\n", p->row, p->what, p->side,
	       text_of(text, sizeof(text), s, scale), p->unit, p->of, x, p->note ? " " : "",
	       p->note ? p->note : "");
	fflush(stdout);
	document_point(b, p, c);
}

void report_skip(const struct bench *b, const char *row, const char *peer, const char *why)
{
	(void)b;
	say(row, peer);
	printf("%-11s skipped: %s: %s\n", row, peer, why);
	fflush(stdout);
	document_lack("skipped", row, peer, why);
}

void report_fail(const struct bench *b, const char *row, const char *peer, const char *why)
{
	(void)b;
	say(row, peer);
	failures++;
	printf("%-11s FAILED: %s: %s\n", row, peer, why);
	fflush(stdout);
	document_lack("failed", row, peer, why);
}

void report_row_end(const struct bench *b, const char *row, long seconds)
{
	int err;

	printf("# %s took %ld s\n", row, seconds);
	fflush(stdout);
	document_row(row, seconds);
	err = b->json ? document_write(b, b->json) : 0;
	if (err) {
		fprintf(stderr, "bench: %s: %s\n", b->json, strerror(-err));
		failures++;
	}
}

unsigned int report_end(const struct bench *b)
{
	(void)b;
	if (failures)
		printf("# %u failed\n", failures);
	else
		printf("# nothing failed; ! behind a goal: missed\n");
	return failures;
}
