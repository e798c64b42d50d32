/* SPDX-License-Identifier: MIT */
/*
 * docs_plot.c - pictures for gnuplot from the file of `bench --json`
 *
 * A script holds its data, and neither terminal nor output, which scripts/bench-docs.sh sets. Colours
 * are those of Okabe and Ito, which people of any colour vision tell apart; curves have different
 * marks too, and ours is blue where it stands beside others.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docs.h"

#define OURS "#0072B2"
#define SIDES_MAX 8
#define PANELS_MAX 6

static const char *const colours[] = {"#E69F00", "#009E73", "#D55E00", "#CC79A7",
				      "#56B4E9", "#000000", "#999999"};

static bool is_ours(const char *side)
{
	return begins(side, "batchproc") || begins(side, "ours") || begins(side, "each") ||
	       begins(side, "loop") || begins(side, "tasks") || begins(side, "operation items");
}

/* A name that stands in quotes; "_" would lower what follows. */
static const char *quoted(const char *s)
{
	static char texts[4][160];
	static unsigned int next;
	char *t = texts[next++ % 4];
	size_t n = 0;

	for (; *s && n < sizeof(texts[0]) - 4; s++) {
		if (strchr("_^@{}&~", *s)) {
			t[n++] = '\\';
			t[n++] = '\\';
		}
		t[n++] = *s == '"' ? '\'' : *s;
	}
	t[n] = '\0';
	return t;
}

static void print_style(void)
{
	printf("set encoding utf8\n"
	       "set border 3 lc rgb '#444444'\n"
	       "set tics nomirror\n"
	       "set grid lc rgb '#dddddd' lw 1\n"
	       "set key top left box lc rgb '#dddddd' opaque\n");
}

/* ---------------------------------------------------------------- curves */

/* Points of one kind, by row and case, which is a panel, and by side, which is a curve. */
struct curves {
	const char *panel[PANELS_MAX]; /* the case */
	const char *row[PANELS_MAX];
	const char *unit[PANELS_MAX];
	unsigned int panels;
	const char *side[PANELS_MAX][SIDES_MAX];
	unsigned int sides[PANELS_MAX];
};

static unsigned int panel_of(struct curves *c, const json_t *o)
{
	unsigned int i;

	for (i = 0; i < c->panels; i++) {
		if (!strcmp(c->panel[i], text(o, "case")) && !strcmp(c->row[i], text(o, "row")))
			return i;
	}
	if (i == PANELS_MAX)
		return i;
	c->panel[i] = text(o, "case");
	c->row[i] = text(o, "row");
	c->unit[i] = text(o, "unit");
	c->panels++;
	return i;
}

static void add_side(struct curves *c, unsigned int panel, const char *side)
{
	unsigned int i;

	for (i = 0; i < c->sides[panel]; i++) {
		if (!strcmp(c->side[panel][i], side))
			return;
	}
	if (i < SIDES_MAX)
		c->side[panel][c->sides[panel]++] = side;
}

static struct curves find_curves(const json_t *bench, const char *of)
{
	struct curves c = {.panels = 0};
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		unsigned int panel;

		if (strcmp(text(o, "of"), of))
			continue;
		panel = panel_of(&c, o);
		if (panel < PANELS_MAX)
			add_side(&c, panel, text(o, "side"));
	}
	return c;
}

static bool is_on(const json_t *o, const struct curves *c, unsigned int panel)
{
	return !strcmp(text(o, "case"), c->panel[panel]) && !strcmp(text(o, "row"), c->row[panel]);
}

/* A block for each curve: x, median, least, most, peak. @turn: percentiles as nines. */
static void print_data(const json_t *bench, const struct curves *c, const char *of, bool turn)
{
	unsigned int panel, side;
	const json_t *o;
	size_t i;

	for (panel = 0; panel < c->panels; panel++) {
		for (side = 0; side < c->sides[panel]; side++) {
			printf("$d%u_%u << EOD\n", panel, side);
			json_array_foreach(json_object_get(bench, "points"), i, o)
			{
				const json_t *y = json_object_get(o, "y");
				double x = number(o, "x");

				if (strcmp(text(o, "of"), of) || !is_on(o, c, panel) ||
				    strcmp(text(o, "side"), c->side[panel][side]))
					continue;
				printf("%g %g %g %g %g\n", turn ? -log10(1 - x / 100) : x,
				       number(y, "median"), number(y, "min"), number(y, "max"),
				       number(o, "peak_bytes") / 1048576);
			}
			printf("EOD\n");
		}
	}
}

static void print_curves(const struct curves *c, unsigned int panel, const char *columns)
{
	unsigned int side, other = 0;

	for (side = 0; side < c->sides[panel]; side++) {
		const char *name = c->side[panel][side];
		const char *colour = is_ours(name) ? OURS : colours[other++ % 7];

		printf("%s$d%u_%u using %s with linespoints lw 2 pt %u ps 0.9 lc rgb '%s' title \"%s\"",
		       side ? ", \\\n     " : "", panel, side, columns,
		       (const unsigned int[]){7, 5, 9, 11, 13, 4, 6, 8}[side], colour,
		       quoted(name));
	}
}

/* ---------------------------------------------------------------- the limit */

/* What was found without being told: a line across, and where it ended up. */
static void print_auto(const json_t *bench, const struct curves *c, unsigned int panel)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		if (strcmp(text(o, "of"), "auto") || !is_on(o, c, panel))
			continue;
		printf(", \\\n     %g with lines lw 2 dt 2 lc rgb '" OURS "' notitle",
		       number(json_object_get(o, "y"), "median"));
		printf(", \\\n     '+' using (%g):(%g) every ::0::0 with linespoints dt 2 pt 3 ps 2 lw 2 "
		       "lc rgb '" OURS "' title \"%s: %g\"",
		       number(o, "x"), number(json_object_get(o, "y"), "median"),
		       quoted(text(o, "side")), number(o, "x"));
	}
}

/* What grows in proportion is a straight line on both logarithmic axes, and flat where it ends. */
static bool is_wide(const json_t *bench, const struct curves *c, unsigned int panel)
{
	double least = HUGE_VAL, most = 0;
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		double y = number(json_object_get(o, "y"), "median");

		if (strcmp(text(o, "of"), "limit") || !is_on(o, c, panel))
			continue;
		least = fmin(least, y);
		most = fmax(most, y);
	}
	return most > 30 * least;
}

static int plot_limit(const json_t *bench)
{
	struct curves c = find_curves(bench, "limit");
	unsigned int panel, rows = (c.panels + 1) / 2;

	printf("# size 960 %u\n", 60 + 380 * rows);
	print_style();
	print_data(bench, &c, "limit", false);
	printf("set multiplot layout %u,%u title \"Throughput against the limit: median, least and most\"\n",
	       rows, c.panels > 1 ? 2u : 1u);
	printf("set logscale x 2\nset xlabel 'limit, or threads of the pool (logarithmic)'\n"
	       "set key below horizontal nobox noopaque maxrows 2\nset bmargin 6.5\nset offsets graph 0.03, graph 0.03, 0, 0\n");
	for (panel = 0; panel < c.panels; panel++) {
		bool wide = is_wide(bench, &c, panel);

		printf("set title \"%s\"\nset ylabel \"%s%s\"\n%s\n", quoted(c.panel[panel]),
		       quoted(c.unit[panel]), wide ? " (logarithmic)" : "",
		       wide ? "set logscale y\nset yrange [*:*]" :
			      "unset logscale y\nset yrange [0:*]");
		printf("plot ");
		for (unsigned int side = 0; side < c.sides[panel]; side++)
			printf("$d%u_%u using 1:2:3:4 with yerrorbars pt 0 lw 1 lc rgb '#888888' notitle, "
			       "\\\n     ",
			       panel, side);
		print_curves(&c, panel, "1:2");
		print_auto(bench, &c, panel);
		printf("\n");
	}
	printf("unset multiplot\n");
	return 0;
}

/* ---------------------------------------------------------------- latency, items */

static int plot_latency(const json_t *bench)
{
	struct curves c = find_curves(bench, "percentile");
	unsigned int panel;

	printf("# size 900 %u\n", 60 + 420 * c.panels);
	print_style();
	print_data(bench, &c, "percentile", true);
	printf("set multiplot layout %u,1 title \"Latency percentiles, median of the runs\"\n",
	       c.panels);
	printf("set logscale y\nset xlabel 'percentile'\nset offsets graph 0.03, graph 0.03, 0, 0\n"
	       "set xtics ('50' 0.30103, '90' 1, '99' 2, '99.9' 3, '99.99' 4)\n");
	for (panel = 0; panel < c.panels; panel++) {
		printf("set title \"%s\"\nset ylabel \"latency, %s (logarithmic)\"\n",
		       quoted(c.panel[panel]), quoted(c.unit[panel]));
		printf("plot ");
		print_curves(&c, panel, "1:2");
		printf("\n");
	}
	printf("unset multiplot\n");
	return 0;
}

/* Whether memory was measured along a panel's curves. */
static bool has_peaks(const json_t *bench, const struct curves *c, unsigned int panel)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		if (!strcmp(text(o, "of"), "items") && is_on(o, c, panel) &&
		    number(o, "peak_bytes") > 0)
			return true;
	}
	return false;
}

static int plot_items(const json_t *bench)
{
	struct curves c = find_curves(bench, "items");
	unsigned int panel, plots = c.panels;

	for (panel = 0; panel < c.panels; panel++)
		plots += has_peaks(bench, &c, panel);
	printf("# size 960 %u\n", 60 + 380 * ((plots + 1) / 2));
	print_style();
	print_data(bench, &c, "items", false);
	printf("set multiplot layout %u,%u title \"Against the number of items, median\"\n",
	       (plots + 1) / 2, plots > 1 ? 2u : 1u);
	printf("set logscale x\nset xlabel 'items (logarithmic)'\nset format x '10^{%%L}'\n"
	       "set key below horizontal nobox noopaque\nset bmargin 6.5\n"
	       "set offsets graph 0.03, graph 0.03, 0, 0\n");
	for (panel = 0; panel < c.panels; panel++) {
		/* For each of them it is flat, for all of them a straight line. */
		bool all = begins(c.unit[panel], "s");

		printf("set title \"%s: %s\"\nset ylabel \"%s%s\"\n%s\nplot ", quoted(c.row[panel]),
		       quoted(c.panel[panel]), quoted(c.unit[panel]),
		       all ? " (logarithmic)" : " for each",
		       all ? "set logscale y\nset yrange [*:*]" :
			     "unset logscale y\nset yrange [0:*]");
		print_curves(&c, panel, "1:2");
		printf("\n");
		if (!has_peaks(bench, &c, panel))
			continue;
		printf("set title \"%s: peak memory\"\nset ylabel 'MiB'\nunset logscale y\n"
		       "set yrange [0:*]\nplot ",
		       quoted(c.row[panel]));
		print_curves(&c, panel, "1:5");
		printf("\n");
	}
	printf("unset multiplot\n");
	return 0;
}

/* ---------------------------------------------------------------- bars */

/* Microseconds for one item; 0: not known. */
static double cpu_for_each(const json_t *o, const json_t *side)
{
	double cpu = number(json_object_get(side, "cpu"), "median"), items = number(o, "items");
	const char *unit = text(o, "unit");
	double us = begins(unit, "ns") ? 1e-3 :
		    begins(unit, "us") ? 1 :
		    begins(unit, "ms") ? 1e3 :
					 1e6;

	return items > 0 ? cpu * us / items : 0;
}

struct bar {
	const char *row, *what, *name;
	double limit; /* which tells apart what has one name */
	double v;
	bool ours;
	double y; /* where it lies */
};

#define BARS_MAX 128

struct bars {
	struct bar bar[BARS_MAX];
	unsigned int n;
};

static bool same_case(const struct bar *a, const struct bar *b)
{
	return !strcmp(a->row, b->row) && !strcmp(a->what, b->what) && a->limit == b->limit;
}

static void add_bar(struct bars *bars, const json_t *o, const char *name, double v, bool ours)
{
	struct bar bar = {text(o, "row"), text(o, "case"), name, number(o, "limit"), v, ours, 0};
	unsigned int i;

	/* Ours is the same in each comparison of a case. */
	for (i = 0; i < bars->n; i++) {
		if (ours && bars->bar[i].ours && same_case(&bars->bar[i], &bar))
			return;
	}
	if (bars->n < BARS_MAX && v > 0)
		bars->bar[bars->n++] = bar;
}

static void find_cpu_bars(const json_t *bench, struct bars *bars)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		const json_t *ours = json_object_get(o, "ours"),
			     *theirs = json_object_get(o, "theirs");

		/* Ways of the library against each other are another picture. */
		if (begins(text(o, "row"), "lanes") || cpu_for_each(o, theirs) <= 0)
			continue;
		add_bar(bars, o, "batchproc", cpu_for_each(o, ours), true);
		add_bar(bars, o, text(theirs, "name"), cpu_for_each(o, theirs), false);
	}
}

static void find_memory_bars(const json_t *bench, struct bars *bars)
{
	static const char key[] = "bytes_in_flight";
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		const json_t *ours = json_object_get(o, "ours"),
			     *theirs = json_object_get(o, "theirs");

		/* A row may say it with each of its cases: the last one is about it. */
		if (bars->n && number(ours, key) == bars->bar[bars->n - 2].v &&
		    number(theirs, key) == bars->bar[bars->n - 1].v)
			bars->n -= 2;
		if (number(ours, key) > 0 && number(theirs, key) > 0) {
			add_bar(bars, o, text(ours, "name"), number(ours, key), true);
			add_bar(bars, o, text(theirs, "name"), number(theirs, key), false);
		}
	}
}

/* A case of a row that has others of its name, with other limits. */
static bool has_namesake(const struct bars *bars, const struct bar *bar)
{
	unsigned int i;

	for (i = 0; i < bars->n; i++) {
		if (!strcmp(bars->bar[i].row, bar->row) && !strcmp(bars->bar[i].what, bar->what) &&
		    bars->bar[i].limit != bar->limit)
			return true;
	}
	return false;
}

/* In the order of the file, from the top, with their names beside the axis; a gap between cases. */
static void print_names(struct bars *bars)
{
	double y = 0;
	unsigned int i;

	printf("set ytics (");
	for (i = 0; i < bars->n; i++) {
		struct bar *bar = &bars->bar[i];
		char limit[32] = "";

		y -= i && !same_case(bar, bar - 1) ? 1.5 : 1;
		bar->y = y;
		if (has_namesake(bars, bar))
			snprintf(limit, sizeof(limit), ", %g in flight", bar->limit);
		printf("%s\"%s, %s%s: %s\" %g", i ? ", " : "", quoted(bar->row), quoted(bar->what),
		       limit, quoted(bar->name), y);
	}
	printf(")\nset yrange [%g:0]\n", y - 1);
}

static int plot_bars(struct bars *bars, const char *title, const char *axis)
{
	double most = 0, least = HUGE_VAL;
	unsigned int i, half;

	for (i = 0; i < bars->n; i++) {
		most = fmax(most, bars->bar[i].v);
		least = fmin(least, bars->bar[i].v);
	}
	printf("# size 900 %u\n", 150 + 24 * bars->n);
	print_style();
	printf("set multiplot layout 1,1 title \"%s\"\n"
	       "set xlabel \"%s\"\nset logscale x\nset xrange [%g:%g]\n",
	       title, axis, least / 3, most * 4);
	printf("set style fill solid 0.9 noborder\nset grid xtics noytics\nset ytics scale 0\n"
	       "set key below horizontal nobox noopaque\nset bmargin 6\n");
	print_names(bars);
	for (half = 0; half < 2; half++) {
		printf("$d%u << EOD\n", half);
		for (i = 0; i < bars->n; i++) {
			const struct bar *bar = &bars->bar[i];

			if (bar->ours == !half)
				printf("%g %g \"%s\"\n", bar->v, bar->y, figure(bar->v));
		}
		printf("EOD\n");
	}
	printf("plot $d0 using ($1):2:(%g):1:($2-0.4):($2+0.4) with boxxyerror lc rgb '" OURS
	       "' title 'batchproc', \\\n"
	       "     $d1 using ($1):2:(%g):1:($2-0.4):($2+0.4) with boxxyerror lc rgb '#E69F00' title "
	       "'the peer', \\\n"
	       "     $d0 using 1:2:3 with labels left offset 0.5,0 notitle, \\\n"
	       "     $d1 using 1:2:3 with labels left offset 0.5,0 notitle\n",
	       least / 3, least / 3);
	printf("unset multiplot\n");
	return 0;
}

static int plot_cpu(const json_t *bench)
{
	struct bars bars = {.n = 0};

	find_cpu_bars(bench, &bars);
	return plot_bars(&bars, "CPU time for each item, all threads and the kernel's: median",
			 "microseconds (logarithmic; less is better)");
}

static int plot_memory(const json_t *bench)
{
	struct bars bars = {.n = 0};

	find_memory_bars(bench, &bars);
	return plot_bars(&bars, "Memory for each item in flight",
			 "bytes (logarithmic; less is better)");
}

static bool has_bars(const json_t *bench, void (*find)(const json_t *bench, struct bars *bars))
{
	struct bars bars = {.n = 0};

	find(bench, &bars);
	return bars.n;
}

bool has_plot(const json_t *bench, const char *name)
{
	if (!strcmp(name, "cpu"))
		return has_bars(bench, find_cpu_bars);
	if (!strcmp(name, "memory"))
		return has_bars(bench, find_memory_bars);
	return find_curves(bench, !strcmp(name, "latency") ? "percentile" : name).panels > 0;
}

int print_plot(const json_t *bench, const char *name)
{
	static const struct {
		const char *name;
		int (*plot)(const json_t *bench);
	} plots[] = {
		{"limit", plot_limit},	 {"cpu", plot_cpu},	{"latency", plot_latency},
		{"memory", plot_memory}, {"items", plot_items},
	};
	size_t i;

	for (i = 0; i < sizeof(plots) / sizeof(plots[0]); i++) {
		if (!strcmp(plots[i].name, name))
			return has_plot(bench, name) ? plots[i].plot(bench) : 3;
	}
	fprintf(stderr, "bench-docs: no picture is called %s\n", name);
	return 2;
}
