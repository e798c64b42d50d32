/* SPDX-License-Identifier: MIT */
/*
 * report.c - prints results: an aligned table for people, one JSON object a line for programs
 *
 * Each line is whole in itself: backend, loops, limit, kernel and number of runs stand in it, so
 * that a figure that is copied elsewhere says where it came from. Where both sides' CPU time was
 * measured its ratio stands beside that of the time: on a machine that does other things too, it is
 * the one to believe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

static struct utsname machine;

/* Processes that wanted a CPU in the last minute: figures from a busy machine say so. */
static double load(void)
{
	double avg;

	return getloadavg(&avg, 1) == 1 ? avg : 0;
}

void report_begin(const struct bench *b)
{
	uname(&machine);
	if (b->json)
		return;
	printf("# kernel %s, %ld CPUs, load %.2f, %u runs each, medians\n", machine.release,
	       sysconf(_SC_NPROCESSORS_ONLN), load(), b->runs);
	printf("%-11s %-28s %-28s %10s %10s %-8s %7s %7s %9s %9s %9s %-7s %5s %6s %s\n", "row",
	       "case", "peer", "ours", "theirs", "unit", "ratio", "goal", "cpu", "peer cpu",
	       "cpu ratio", "backend", "loops", "limit", "note");
}

static void print_json(const struct bench *b, const struct result *r)
{
	printf("{\"row\":\"%s\",\"case\":\"%s\",\"peer\":\"%s\",\"ours\":%.6g,\"theirs\":%.6g,"
	       "\"unit\":\"%s\",\"ratio\":%.4f,\"ratio_is\":\"%s\"",
	       r->row, r->what, r->peer, r->ours, r->theirs, r->unit, r->ratio, r->ratio_is);
	if (r->goal > 0)
		printf(",\"goal\":%.2f", r->goal);
	if (r->ours_cpu > 0)
		printf(",\"ours_cpu\":%.6g,\"theirs_cpu\":%.6g,\"cpu_ratio\":%.4f", r->ours_cpu,
		       r->theirs_cpu, r->ours_cpu / r->theirs_cpu);
	printf(",\"backend\":\"%s\",\"loops\":%u,\"limit\":%ld,\"kernel\":\"%s\",\"cpus\":%ld,"
	       "\"load\":%.2f,\"runs\":%u,\"note\":\"%s\"}\n",
	       r->backend, r->loops, r->limit, machine.release, sysconf(_SC_NPROCESSORS_ONLN),
	       load(), b->runs, r->note ? r->note : "");
}

static void print_text(const struct result *r)
{
	char goal[16] = "-", cpu[16] = "-", peer_cpu[16] = "-", cpu_ratio[16] = "-";

	/* More is better for a speed-up, less for ours/theirs. */
	if (r->goal > 0)
		snprintf(goal, sizeof(goal), "%s%.2f",
			 r->ratio_is[0] == 's' ? ">=" : "<=", r->goal);
	if (r->ours_cpu > 0) {
		snprintf(cpu, sizeof(cpu), "%.4g", r->ours_cpu);
		snprintf(peer_cpu, sizeof(peer_cpu), "%.4g", r->theirs_cpu);
		snprintf(cpu_ratio, sizeof(cpu_ratio), "%.3f", r->ours_cpu / r->theirs_cpu);
	}
	printf("%-11s %-28s %-28s %10.4g %10.4g %-8s %7.3f %7s %9s %9s %9s %-7s %5u %6ld %s\n",
	       r->row, r->what, r->peer, r->ours, r->theirs, r->unit, r->ratio, goal, cpu, peer_cpu,
	       cpu_ratio, r->backend, r->loops, r->limit, r->note ? r->note : "");
}

void report(const struct bench *b, const struct result *r)
{
	if (b->json)
		print_json(b, r);
	else
		print_text(r);
	fflush(stdout);
}

void report_skip(const struct bench *b, const char *row, const char *peer, const char *why)
{
	if (b->json)
		printf("{\"row\":\"%s\",\"peer\":\"%s\",\"skipped\":\"%s\"}\n", row, peer, why);
	else
		printf("%-11s skipped: %s: %s\n", row, peer, why);
	fflush(stdout);
}
