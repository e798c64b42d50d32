/* SPDX-License-Identifier: MIT */
/*
 * docs.c - bench-docs: looks at the file that `bench --json` writes, and makes a page and pictures
 *
 * usage: bench-docs check|rows|page FILE
 *        bench-docs plot NAME FILE
 *
 * check says whether the file is whole. rows prints a line for each thing that was said: row, peer,
 * and measured, skipped or failed, and why. plot exits with 3 where there is nothing to be drawn.
 * scripts/bench-docs.sh puts all of it together.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docs.h"

const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

const char *figure(double v)
{
	static char texts[8][32];
	static unsigned int next;
	char *s = texts[next++ % 8];
	int digits = v != 0 ? 2 - (int)floor(log10(fabs(v))) : 0;

	snprintf(s, sizeof(texts[0]), "%.*f", digits < 0 ? 0 : digits > 9 ? 9 : digits, v);
	return s;
}

/* ---------------------------------------------------------------- is it whole? */

static unsigned int faults;

static void __attribute__((format(printf, 1, 2))) fault(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench-docs: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	faults++;
}

static void want_texts(const json_t *o, const char *where, const char *const *keys)
{
	for (; *keys; keys++) {
		if (!text(o, *keys)[0])
			fault("%s: no %s", where, *keys);
	}
}

/* A number for each of so many rounds, and the middle and ends of just these. */
static void want_figure(const json_t *f, const char *where, const char *which, size_t least_runs,
			size_t runs)
{
	const json_t *samples = json_object_get(f, "samples"), *sample;
	double least = HUGE_VAL, most = -HUGE_VAL, median = number(f, "median");
	size_t i;

	if (json_array_size(samples) < least_runs || json_array_size(samples) > runs)
		fault("%s: %s: %zu samples, not %zu", where, which, json_array_size(samples), runs);
	json_array_foreach((json_t *)samples, i, sample)
	{
		double v = json_number_value(sample);

		if (!json_is_number(sample) || !isfinite(v) || v < 0)
			fault("%s: %s: sample %zu is no time", where, which, i);
		least = fmin(least, v);
		most = fmax(most, v);
	}
	if (least < HUGE_VAL && (number(f, "min") != least || number(f, "max") != most ||
				 median < least || median > most))
		fault("%s: %s: not what its samples say", where, which);
}

static void want_side(const json_t *side, const char *where, size_t runs)
{
	const json_t *cpu = json_object_get(side, "cpu");

	if (!text(side, "name")[0])
		fault("%s: a side without a name", where);
	want_figure(json_object_get(side, "wall"), where, "wall", runs, runs);
	if (cpu)
		want_figure(cpu, where, "cpu", runs, runs);
	if (!(number(json_object_get(side, "wall"), "median") > 0))
		fault("%s: %s took no time", where, text(side, "name"));
}

static void check_machine(const json_t *bench)
{
	static const char *const keys[] = {"kernel", "machine", "cpu", "filesystem", NULL};
	const json_t *machine = json_object_get(bench, "machine"), *version;
	const char *name;

	want_texts(machine, "machine", keys);
	if (number(machine, "cores") < 1 || number(machine, "memory_kib") < 1)
		fault("machine: no cores, or no memory");
	json_object_foreach(json_object_get(bench, "programs"), name, version)
	{
		if (!json_is_string(version))
			fault("programs: %s has no version", name);
	}
	if (!json_object_get(json_object_get(bench, "programs"), "batchproc"))
		fault("programs: no batchproc");
}

static int check(const json_t *bench)
{
	static const char *const of_result[] = {"row", "case", "unit", "ratio_is", "backend", NULL};
	static const char *const of_point[] = {"row", "case", "side", "of", "unit", NULL};
	static const char *const of_lack[] = {"row", "peer", "why", NULL};
	static const char *const lacks[] = {"skipped", "failed"};
	const json_t *o;
	size_t i, k, runs = (size_t)number(json_object_get(bench, "run"), "runs"), said = 0;

	if (number(bench, "format") != 1)
		fault("this is no file of bench --json, or of another version");
	check_machine(bench);
	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		const char *where = text(o, "row");

		said++;
		want_texts(o, where, of_result);
		want_side(json_object_get(o, "ours"), where, runs);
		want_side(json_object_get(o, "theirs"), where, runs);
		if (!(number(json_object_get(o, "ratio"), "median") > 0))
			fault("%s: no ratio", where);
	}
	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		said++;
		want_texts(o, text(o, "row"), of_point);
		/* What takes a minute is not run as often as the rest. */
		want_figure(json_object_get(o, "y"), text(o, "row"), "y", 1, runs);
	}
	for (k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(bench, lacks[k]), i, o)
		{
			said++;
			want_texts(o, lacks[k], of_lack);
		}
	}
	if (!said)
		fault("nothing was measured");
	return faults > 0;
}

/* ---------------------------------------------------------------- what is in it */

static int print_rows(const json_t *bench)
{
	static const char *const lacks[] = {"skipped", "failed"};
	const json_t *o;
	size_t i, k;

	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		printf("%s\t%s\tmeasured\t%s\n", text(o, "row"),
		       text(json_object_get(o, "theirs"), "name"), text(o, "case"));
	}
	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		printf("%s\t%s\tmeasured\t%s, %s %g\n", text(o, "row"), text(o, "side"),
		       text(o, "case"), text(o, "of"), number(o, "x"));
	}
	for (k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(bench, lacks[k]), i, o)
		{
			printf("%s\t%s\t%s\t%s\n", text(o, "row"), text(o, "peer"), lacks[k],
			       text(o, "why"));
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *bench = argc > 2 ? json_load_file(argv[argc - 1], 0, &error) : NULL;
	int status = 2;

	if (argc > 2 && !bench)
		fprintf(stderr, "bench-docs: %s:%d: %s\n", argv[argc - 1], error.line, error.text);
	else if (argc == 3 && !strcmp(argv[1], "check"))
		status = check(bench);
	else if (argc == 3 && !strcmp(argv[1], "rows"))
		status = print_rows(bench);
	else if (argc == 3 && !strcmp(argv[1], "page"))
		status = print_page(bench);
	else if (argc == 4 && !strcmp(argv[1], "plot"))
		status = print_plot(bench, argv[2]);
	else
		fputs("usage: bench-docs check|rows|page FILE, or plot NAME FILE\n", stderr);
	json_decref(bench);
	return status;
}
