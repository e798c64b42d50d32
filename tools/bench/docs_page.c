/* SPDX-License-Identifier: MIT */
/*
 * docs_page.c - docs/benchmarks.md from the file of `bench --json`
 *
 * Nothing on the page is written by hand apart from what a row is: which goals are missed, where a
 * pool of threads is the better choice, who failed and who was not there, all that is read from the
 * figures.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docs.h"

static const struct about {
	const char *row, *title, *what;
} abouts[] = {
	{"nop-op", "Operation items that do nothing",
	 "What the library itself costs for one operation: NOPs, so many in flight, against a loop on "
	 "liburing that was written by hand for this alone."},
	{"nop-task", "Tasks that do nothing",
	 "The same as tasks with a stack of their own, and against Go's errgroup with SetLimit and an "
	 "empty function, which has no NOP to wait for."},
	{"direct", "Random reads past the page cache",
	 "4 KiB at random places of a file with O_DIRECT, 64 in flight."},
	{"read", "Many small files read",
	 "50,000 files of 8 KiB are opened, read and closed, all in the page cache; no walk and no "
	 "digest. The sum over the contents has to be the same for all."},
	{"read-cold", "The same, cold",
	 "20,000 of these files, and the page cache is dropped before each run."},
	{"hash-tree", "Digests of a tree",
	 "50,000 files of 8 KiB in the page cache, whole processes with start-up, walk and output. All "
	 "outputs are compared after each run."},
	{"hash-large", "Digests of large files",
	 "One file of 2 GiB, and 32 of 64 MiB, in the page cache, against other programs and against "
	 "the rate that the digest has without any file."},
	{"copy-tree", "Copy of a tree",
	 "That tree to a fresh file system for each run; every file of the copy is compared after it."},
	{"copy-large", "Copy of large files",
	 "One file of 2 GiB, and 32 of 64 MiB, to a fresh file system for each run, from the page cache; "
	 "copies are compared to the byte."},
	{"rm-tree", "Removal of a tree",
	 "That tree, just written, from a file system of its own for each run."},
	{"get", "HTTP, many small answers",
	 "1 KiB each from one nginx worker on the loopback, 64 in flight, connections kept: to files, "
	 "which are compared, and to nowhere. wrk makes no files and has one URL."},
	{"get-tls", "The same over TLS", "Sessions and connections are kept."},
	{"probe", "Ports that are open or closed",
	 "TCP to addresses of 127.0.0.0/8. All of them have to be told apart rightly."},
	{"in-flight", "Requests that take a second",
	 "A server that answers after one second: what it costs to have many in flight, and whether a "
	 "limit is kept and used."},
	{"sleeping", "A hundred thousand that sleep",
	 "What each of them takes: memory, the time until all sleep, and from a cancel to the end of the "
	 "wait for all; then tasks alone, from 10,000 to 1,000,000."},
	{"limits", "Throughput against the limit",
	 "The same work with fixed limits, with the limit that batchproc takes when nobody gives one, "
	 "and a pool with as many threads."},
	{"auto", "The limit that finds itself", "BP_LIMIT_AUTO against each fixed limit."},
	{"latency", "Latency of one read among many",
	 "Random 4 KiB reads past the page cache, 64 in flight: from the call to the result, in each "
	 "run the percentiles of all."},
	{"loops", "From one loop to two", "Work that is CPU time alone, on two loops against one."},
	{"items", "Ten thousand to ten million items",
	 "A list of so many files: the time has to be linear and the memory flat."},
	{"start-up", "Start-up", "The shortest commands there are, start to end."},
};

#define ABOUTS (sizeof(abouts) / sizeof(abouts[0]))

static const struct about *about(const char *row)
{
	size_t i;

	for (i = 0; i < ABOUTS; i++) {
		if (!strcmp(abouts[i].row, row))
			return &abouts[i];
	}
	return NULL;
}

/* ---------------------------------------------------------------- what the figures say */

static double median(const json_t *o, const char *key)
{
	return number(json_object_get(o, key), "median");
}

static bool is_speed_up(const json_t *o)
{
	return !strcmp(text(o, "ratio_is"), "theirs/ours");
}

/* How many times as fast as the peer ours is. */
static double speed(const json_t *o)
{
	double ratio = median(o, "ratio");

	return is_speed_up(o) ? ratio : 1 / ratio;
}

static bool misses_goal(const json_t *o)
{
	double goal = number(o, "goal");

	return goal > 0 && (is_speed_up(o) ? median(o, "ratio") < goal : median(o, "ratio") > goal);
}

static bool misses_cpu_goal(const json_t *o)
{
	return number(o, "cpu_goal") > 0 && median(o, "cpu_ratio") > number(o, "cpu_goal");
}

static const char *peer_of(const json_t *o)
{
	return text(json_object_get(o, "theirs"), "name");
}

static bool is_pool(const char *name)
{
	return begins(name, "pool") || (strstr(name, "threads") && !begins(name, "libuv"));
}

/* ---------------------------------------------------------------- the parts of the page */

static void print_head(const json_t *bench)
{
	const json_t *machine = json_object_get(bench, "machine"),
		     *run = json_object_get(bench, "run");
	const json_t *version;
	const char *name, *between = "";

	printf("# Benchmarks\n\n"
	       "<!-- Made by scripts/bench-docs.sh from docs/bench.json, and compared with it by make "
	       "check: do not edit. -->\n\n");
	printf("Measured on %.10s: %s, %g cores, %.1f GiB of memory, Linux %s, files on %s; %g "
	       "processes wanted a CPU in the minute before. Each side ran %g times, in turn with the "
	       "others, after one run to warm up.\n\n",
	       text(run, "ended"), text(machine, "cpu"), number(machine, "cores"),
	       number(machine, "memory_kib") / 1048576, text(machine, "kernel"),
	       text(machine, "filesystem"), number(machine, "load"), number(run, "runs"));
	if (number(machine, "load") > number(machine, "cores") / 2)
		printf("**The machine was busy with other work: believe ratios of CPU time before those of "
		       "time.**\n\n");
	if (json_is_true(json_object_get(run, "smoke")))
		printf("**These are tiny counts that show that the benchmark works. Believe no figure.**\n\n");
	printf("    make bench-deps        # the peers\n"
	       "    make bench ARGS='%s'\n"
	       "    scripts/bench-docs.sh  # this page and its pictures\n\n",
	       strchr(text(run, "command"), ' ') ? strchr(text(run, "command"), ' ') + 1 : "");
	printf("took %.0f minutes. All samples are in [bench.json](bench.json). Versions: ",
	       number(run, "seconds") / 60);
	json_object_foreach(json_object_get(bench, "programs"), name, version)
	{
		const char *v = json_string_value(version);

		printf("%s%s (%s)", between, name, v ? v : "");
		between = ", ";
	}
	printf(".\n\n");
}

static void print_pictures(const json_t *bench)
{
	static const struct {
		const char *name, *title;
	} pictures[] = {
		{"limit", "Throughput against the limit"},
		{"cpu", "CPU time for each item"},
		{"latency", "Latency percentiles"},
		{"memory", "Memory for each item in flight"},
		{"items", "Time and memory against the number of items"},
	};
	size_t i;

	for (i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
		if (has_plot(bench, pictures[i].name))
			printf("![%s](bench/%s.svg)\n\n", pictures[i].title, pictures[i].name);
	}
}

static void print_better_pool(const json_t *o)
{
	const json_t *cpu = json_object_get(o, "cpu_ratio");

	printf("- %s, %s: against the %s %s times as fast", text(o, "row"), text(o, "case"),
	       peer_of(o), figure(speed(o)));
	if (cpu)
		printf(", at %s of its CPU time", figure(number(cpu, "median")));
	printf(".\n");
}

static void print_pools(const json_t *bench)
{
	const json_t *o;
	unsigned int count = 0;
	size_t i;

	printf("## Where a pool of threads is the better choice\n\n"
	       "A pool has blocking calls, so it needs no library, and its number of threads is chosen "
	       "for each row after trying 1, 2, 4 ... 256, which nobody does outside a benchmark. Here it "
	       "is still faster, or needs less CPU time:\n\n");
	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		const json_t *cpu = json_object_get(o, "cpu_ratio");

		if (!is_pool(peer_of(o)) || (speed(o) >= 1 && (!cpu || number(cpu, "median") <= 1)))
			continue;
		print_better_pool(o);
		count++;
	}
	if (!count)
		printf("- in no row.\n");
	printf("\nWhere calls hardly wait, as with files in the page cache, there is little to win over a "
	       "pool with the right number of threads. It is the simpler choice for a few dozen items "
	       "that block, for calls that io_uring does not have, and where io_uring is switched off: "
	       "there the library runs on threads itself. With thousands of items that wait, for "
	       "network or disks, each thread is a stack and a switch; that is where a ring wins.\n\n");
}

static void print_goals(const json_t *bench)
{
	const json_t *o;
	unsigned int count = 0;
	size_t i;

	printf("## Goals that are missed\n\n");
	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		if (misses_goal(o)) {
			printf("- %s, %s, against %s: %s, not %s %s\n", text(o, "row"),
			       text(o, "case"), peer_of(o), figure(median(o, "ratio")),
			       is_speed_up(o) ? "at least" : "at most", figure(number(o, "goal")));
			count++;
		}
		if (misses_cpu_goal(o)) {
			printf("- %s, %s, against %s: %s of its CPU time, not at most %s\n",
			       text(o, "row"), text(o, "case"), peer_of(o),
			       figure(median(o, "cpu_ratio")), figure(number(o, "cpu_goal")));
			count++;
		}
	}
	printf("%s\n", count ? "" : "- none.\n");
}

/* A row may say the same of each of its cases. */
static bool is_said(const json_t *lacks, size_t before, const json_t *o)
{
	static const char *const keys[3] = {"row", "peer", "why"};

	for (size_t i = 0; i < before; i++) {
		size_t same = 0;

		for (size_t k = 0; k < 3; k++)
			same += !strcmp(text(json_array_get(lacks, i), keys[k]), text(o, keys[k]));
		if (same == 3)
			return true;
	}
	return false;
}

static void print_lacks(const json_t *bench, const char *list, const char *title)
{
	const json_t *lacks = json_object_get(bench, list), *o;
	size_t i;

	if (!json_array_size(lacks))
		return;
	printf("## %s\n\n", title);
	json_array_foreach((json_t *)lacks, i, o)
	{
		if (!is_said(lacks, i, o))
			printf("- %s: %s: %s\n", text(o, "row"), text(o, "peer"), text(o, "why"));
	}
	printf("\n");
}

/* ---------------------------------------------------------------- rows */

static void print_result(const json_t *o)
{
	const json_t *ratio = json_object_get(o, "ratio"), *cpu = json_object_get(o, "cpu_ratio");
	double goal = number(o, "goal");

	printf("| %s | %s | %s | %s | %s | %s (%s to %s) %s | ", text(o, "case"), peer_of(o),
	       figure(median(json_object_get(o, "ours"), "wall")),
	       figure(median(json_object_get(o, "theirs"), "wall")), text(o, "unit"),
	       figure(number(ratio, "median")), figure(number(ratio, "min")),
	       figure(number(ratio, "max")), is_speed_up(o) ? "times as fast" : "of its time");
	if (goal > 0)
		printf("%s %s%s", is_speed_up(o) ? "≥" : "≤", figure(goal),
		       misses_goal(o) ? ", missed" : "");
	printf(" | %s", cpu ? figure(number(cpu, "median")) : "");
	if (number(o, "cpu_goal") > 0)
		printf(" (≤ %s%s)", figure(number(o, "cpu_goal")),
		       misses_cpu_goal(o) ? ", missed" : "");
	printf(" | %s", text(o, "backend"));
	if (number(o, "loops") > 0)
		printf(", %g loop%s", number(o, "loops"), number(o, "loops") == 1 ? "" : "s");
	else
		printf(", the caller's loop");
	if (number(o, "limit") > 0)
		printf(", limit %g", number(o, "limit"));
	printf(" |\n");
}

/* Both sides' notes are the same in a row, mostly; each is said once. */
static void print_notes(const json_t *bench, const char *row)
{
	const json_t *results = json_object_get(bench, "results"), *o, *before;
	size_t i, k;

	json_array_foreach((json_t *)results, i, o)
	{
		bool again = strcmp(text(o, "row"), row) || !text(o, "note")[0];

		for (k = 0; k < i && !again; k++) {
			before = json_array_get(results, k);
			again = !strcmp(text(before, "row"), row) &&
				!strcmp(text(before, "note"), text(o, "note"));
		}
		if (!again)
			printf("%s: %s.\n\n", text(o, "case"), text(o, "note"));
	}
}

/* A line for each point: they are many, and the pictures are what they are for. */
static void print_points(const json_t *bench, const char *row)
{
	const json_t *o;
	bool begun = false;
	char at[32];
	double x;
	size_t i;

	json_array_foreach(json_object_get(bench, "points"), i, o)
	{
		const json_t *y = json_object_get(o, "y");

		if (strcmp(text(o, "row"), row))
			continue;
		if (!begun)
			printf("| case | side | at | median (least to most) | peak memory |\n"
			       "|---|---|---|---|---|\n");
		begun = true;
		x = number(o, "x");
		snprintf(at, sizeof(at), x == floor(x) ? "%.0f" : "%g", x);
		printf("| %s | %s | %s %s | %s (%s to %s) %s | ", text(o, "case"), text(o, "side"),
		       text(o, "of"), at, figure(number(y, "median")), figure(number(y, "min")),
		       figure(number(y, "max")), text(o, "unit"));
		if (number(o, "peak_bytes") > 0)
			printf("%s MiB", figure(number(o, "peak_bytes") / 1048576));
		printf(" |\n");
	}
	if (begun)
		printf("\n");
}

static void print_row(const json_t *bench, const char *row)
{
	const struct about *a = about(row);
	const json_t *o;
	bool begun = false;
	size_t i;

	printf("### %s: %s\n\n", row, a ? a->title : "further figures");
	if (a)
		printf("%s\n\n", a->what);
	json_array_foreach(json_object_get(bench, "results"), i, o)
	{
		if (strcmp(text(o, "row"), row))
			continue;
		if (!begun)
			printf("| case | against | ours | theirs | unit | ratio | goal | CPU, ours / theirs | "
			       "ours ran on |\n|---|---|---|---|---|---|---|---|---|\n");
		begun = true;
		print_result(o);
	}
	if (begun)
		printf("\n");
	print_notes(bench, row);
	print_points(bench, row);
}

int print_page(const json_t *bench)
{
	static const char *const lists[] = {"results", "points"};
	json_t *done = json_object();
	const json_t *o;
	size_t i, k;

	print_head(bench);
	print_pictures(bench);
	print_pools(bench);
	print_goals(bench);
	print_lacks(bench, "failed", "Failed");
	print_lacks(bench, "skipped", "Not measured");
	printf("## The rows\n\nBehind a ratio stand the least and the most of the rounds' own ratios.\n\n");
	for (k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(bench, lists[k]), i, o)
		{
			if (json_object_get(done, text(o, "row")))
				continue;
			json_object_set_new(done, text(o, "row"), json_true());
			print_row(bench, text(o, "row"));
		}
	}
	json_decref(done);
	return 0;
}
