/* SPDX-License-Identifier: MIT */
/*
 * sim_prog - makes random programs, prints them, makes them smaller
 */
#include <errno.h>
#include <string.h>

#include "lib/sim_prog.h"

const unsigned int prog_depths[7] = {1, 2, 3, 5, 8, 16, 64};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------- making */

struct dice {
	uint64_t x;
};

static uint64_t roll(struct dice *dice, uint64_t n)
{
	uint64_t x;

	dice->x += 0x9e3779b97f4a7c15ull;
	x = dice->x;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return (x ^ (x >> 31)) % n;
}

static bool one_in(struct dice *dice, unsigned int n)
{
	return roll(dice, n) == 0;
}

#define PICK(dice, table) ((table)[roll(dice, COUNT(table))])

static uint64_t some_time(struct dice *dice)
{
	static const uint64_t ns[] = {1000, 20000, 300000, 2000000, 30000000};

	return PICK(dice, ns);
}

static void make_group(struct dice *dice, struct prog_group *g, int index)
{
	static const long limits[] = {-1, -1, 1, 1, 2, 2, 3, 5, 8, 0};
	/* wait for all, fail fast, an error budget, race, quorum of 3 */
	static const unsigned char policies[][2] = {{0, 0}, {1, 0}, {1, 0}, {2, 0},
						    {0, 1}, {1, 1}, {2, 2}, {3, 1}};
	const unsigned char *policy = policies[roll(dice, COUNT(policies))];

	g->parent = index > 0 && one_in(dice, 2) ? (int)roll(dice, (uint64_t)index) : -1;
	g->limit = PICK(dice, limits);
	g->failures = policy[0];
	g->successes = policy[1];
	g->deadline_ns = one_in(dice, 4) ? some_time(dice) : 0;
	g->item_timeout_ns = one_in(dice, 5) ? some_time(dice) : 0;
}

static int some_group(struct dice *dice, const struct prog *prog)
{
	return (int)roll(dice, prog->groups);
}

static void make_go(struct dice *dice, const struct prog *prog, struct step *s, unsigned int script)
{
	s->kind = STEP_GO;
	s->a = (signed char)(script && one_in(dice, 2) ? GROUP_OWN : some_group(dice, prog));
	s->b = (signed char)(script + 1 + roll(dice, PROG_SCRIPTS - script - 1));
	s->c = 1 + (int64_t)roll(dice, script ? 3 : 7);
	s->flags = (one_in(dice, 4) ? GO_TRY : 0) | (one_in(dice, 4) ? GO_COPY : 0);
	if (one_in(dice, 4))
		s->flags = (s->flags & GO_TRY) | GO_OP;
	s->flags |= (one_in(dice, 6) ? GO_HEAVY : 0) | (one_in(dice, 4) ? GO_HANDLE : 0) |
		    (one_in(dice, 6) ? GO_PINNED : 0);
}

static void make_group_step(struct dice *dice, const struct prog *prog, struct step *s,
			    unsigned int script)
{
	static const long limits[] = {-1, 0, 1, 2, 3, 6, 10};
	static const int causes[] = {0, -EINTR, -EIO, -ENOENT, -ECANCELED, -ETIMEDOUT};

	s->a = (signed char)(script && one_in(dice, 2) ? GROUP_OWN : some_group(dice, prog));
	switch (roll(dice, 9)) {
	case 0:
		s->kind = STEP_CANCEL;
		s->c = PICK(dice, causes);
		return;
	case 4:
	case 5:
		s->kind = STEP_ALONE;
		s->c = (int64_t)roll(dice, PROG_ITEMS);
		return;
	case 6:
	case 7:
		s->kind = STEP_POST;
		if (script + 1 < PROG_SCRIPTS && !one_in(dice, 3))
			s->b = (signed char)(script + 1 + roll(dice, PROG_SCRIPTS - script - 1));
		s->c = PICK(dice, causes);
		return;
	case 1:
	case 2:
	case 3:
		s->kind = STEP_LIMIT;
		s->c = PICK(dice, limits);
		return;
	default:
		s->kind = STEP_STATS;
	}
}

static void make_main_step(struct dice *dice, const struct prog *prog, struct step *s)
{
	uint64_t what = roll(dice, 10);

	if (what < 6) {
		make_go(dice, prog, s, 0);
	} else if (what < 8) {
		make_group_step(dice, prog, s, 0);
	} else if (one_in(dice, 3)) {
		s->kind = STEP_JOIN;
		s->c = (int64_t)roll(dice, PROG_ITEMS);
	} else {
		s->kind = STEP_WAIT_UNTIL;
		s->a = (signed char)some_group(dice, prog);
		s->c = (int64_t)some_time(dice);
	}
}

static void make_task_step(struct dice *dice, const struct prog *prog, struct step *s,
			   unsigned int script)
{
	static const unsigned char kinds[] = {
		STEP_NOP,  STEP_NOP,	STEP_YIELD,   STEP_SLEEP,   STEP_SLEEP,	 STEP_OFFLOAD,
		STEP_FILE, STEP_FILE,	STEP_SEND,    STEP_SEND,    STEP_RECV,	 STEP_RECV,
		STEP_POLL, STEP_SHIELD, STEP_TIMEOUT, STEP_CONNECT, STEP_ACCEPT, STEP_SEND_ZC,
	};
	static const int results[] = {0, 0, 7, -EIO, -ENOENT, -EPROTO, -ECANCELED, -ETIMEDOUT};

	if (script + 1 < PROG_SCRIPTS && one_in(dice, 6)) {
		make_go(dice, prog, s, script);
		return;
	}
	if (script + 1 < PROG_SCRIPTS && one_in(dice, 12)) {
		make_go(dice, prog, s, script);
		s->kind = STEP_NEST;
		s->a = (signed char)(prog->groups + roll(dice, PROG_GROUPS - prog->groups));
		s->flags = (unsigned char)(roll(dice, 8) << 3);
		return;
	}
	if (one_in(dice, 12)) {
		make_group_step(dice, prog, s, script);
		return;
	}
	if (one_in(dice, 7)) {
		s->kind = STEP_RETURN;
		s->c = PICK(dice, results);
		return;
	}
	s->kind = PICK(dice, kinds);
	s->a = (signed char)roll(dice, 2);
	s->b = (signed char)roll(dice, 2);
	s->c = s->kind == STEP_SLEEP || s->kind == STEP_TIMEOUT ? (int64_t)some_time(dice) :
								  1 + (int64_t)roll(dice, 40);
}

void prog_make(struct prog *prog, uint64_t seed)
{
	struct dice dice = {seed * 0xd1342543de82ef95ull + 1};

	memset(prog, 0, sizeof(*prog));
	prog->seed = seed;
	prog->loops = one_in(&dice, 2) ? 0 : 1 + (unsigned int)roll(&dice, PROG_LOOPS_MAX);
	prog->depth = PICK(&dice, prog_depths);
	prog->quiet = one_in(&dice, 3) ? ~0u : 0;
	prog->groups = 1 + (unsigned int)roll(&dice, 4);
	prog->destroyed = one_in(&dice, 4) ? (int)roll(&dice, prog->groups) : -1;
	prog->parents_first = one_in(&dice, 3);
	for (unsigned int i = 0; i < PROG_GROUPS; i++)
		make_group(&dice, &prog->group[i], i < prog->groups ? (int)i : 0);
	for (unsigned int i = 0; i < PROG_SCRIPTS; i++) {
		uint64_t steps = i ? 1 + roll(&dice, 6) : 2 + roll(&dice, PROG_STEPS - 2);

		for (uint64_t k = 0; k < steps; k++) {
			if (i)
				make_task_step(&dice, prog, &prog->script[i].step[k], i);
			else
				make_main_step(&dice, prog, &prog->script[i].step[k]);
		}
	}
}

/* ---------------------------------------------------------------- printing */

static const char *const kind_names[STEP_KINDS] = {
	[STEP_GO] = "go",	    [STEP_CANCEL] = "cancel",
	[STEP_LIMIT] = "set limit", [STEP_STATS] = "stats",
	[STEP_POST] = "post",	    [STEP_ALONE] = "cancel alone",
	[STEP_WAIT_UNTIL] = "wait", [STEP_JOIN] = "join",
	[STEP_NOP] = "nop",	    [STEP_YIELD] = "yield",
	[STEP_SLEEP] = "sleep",	    [STEP_OFFLOAD] = "offload",
	[STEP_FILE] = "file",	    [STEP_SEND] = "send",
	[STEP_RECV] = "recv",	    [STEP_SEND_ZC] = "send zc",
	[STEP_CONNECT] = "connect", [STEP_ACCEPT] = "accept",
	[STEP_POLL] = "poll",	    [STEP_SHIELD] = "shield",
	[STEP_TIMEOUT] = "timeout", [STEP_NEST] = "nested group",
	[STEP_RETURN] = "return",
};

static void print_step(FILE *out, const struct step *s)
{
	fprintf(out, "\t%s", kind_names[s->kind]);
	switch (s->kind) {
	case STEP_GO:
		if (s->a == GROUP_OWN)
			fprintf(out, " into its own group");
		else
			fprintf(out, " into group %d", s->a);
		fprintf(out, ": script %d, %d times%s%s%s%s%s%s", s->b, (int)s->c,
			s->flags & GO_TRY ? ", try" : "", s->flags & GO_COPY ? ", copy" : "",
			s->flags & GO_OP ? ", operation item" : "",
			s->flags & GO_HEAVY ? ", heavy" : "",
			s->flags & GO_HANDLE ? ", with a handle" : "",
			s->flags & GO_PINNED ? ", pinned" : "");
		break;
	case STEP_NEST:
		fprintf(out, " with options %d: script %d, %d times%s%s%s", s->a, s->b, (int)s->c,
			s->flags & NEST_OF_OWN ? ", child of its own group" : "",
			s->flags & NEST_UNTIL ? ", wait_until" : "",
			s->flags & NEST_DESTROY ? ", destroyed without wait" : "");
		break;
	case STEP_POST:
		fprintf(out, " for group %d: script %d, or cancel with %d", s->a, s->b, (int)s->c);
		break;
	case STEP_SHIELD:
		fprintf(out, s->b ? " end" : " begin");
		break;
	case STEP_TIMEOUT:
		if (s->b)
			fprintf(out, " end");
		else
			fprintf(out, " begin, %lld ns", (long long)s->c);
		break;
	case STEP_FILE:
		fprintf(out, " %d, %s, %d bytes", s->a, s->b ? "shared" : "its own", (int)s->c);
		break;
	default:
		fprintf(out, " %d, %lld", s->a, (long long)s->c);
	}
	fprintf(out, "\n");
}

void prog_print(FILE *out, const struct prog *prog)
{
	fprintf(out, "seed %llu: loops %u, depth %u%s\n", (unsigned long long)prog->seed,
		prog->loops, prog->depth, prog->quiet == ~0u ? ", no misfortune" : "");
	for (unsigned int i = 0; i < PROG_GROUPS; i++) {
		const struct prog_group *g = &prog->group[i];

		fprintf(out,
			"%s %u: parent %d, limit %ld, stop after %u failures, %u successes, "
			"deadline %llu ns, item timeout %llu ns%s\n",
			i < prog->groups ? "group" : "options", i, g->parent, g->limit, g->failures,
			g->successes, (unsigned long long)g->deadline_ns,
			(unsigned long long)g->item_timeout_ns,
			(int)i == prog->destroyed ? ", destroyed without wait" : "");
	}
	for (unsigned int i = 0; i < PROG_SCRIPTS; i++) {
		bool any = false;

		for (unsigned int k = 0; k < PROG_STEPS; k++) {
			if (!prog->script[i].step[k].kind)
				continue;
			if (!any)
				fprintf(out, i ? "script %u:\n" : "main:\n", i);
			any = true;
			print_step(out, &prog->script[i].step[k]);
		}
	}
}

/* ---------------------------------------------------------------- shrinking */

static void shrink_group(struct prog_group *g, unsigned int n)
{
	switch (n) {
	case 0:
		g->parent = -1;
		break;
	case 1:
		g->deadline_ns = 0;
		break;
	case 2:
		g->item_timeout_ns = 0;
		break;
	case 3:
		g->limit = -1;
		break;
	default:
		g->successes = 0;
		g->failures = 1;
	}
}

static void shrink_engine(struct prog *prog, unsigned int n)
{
	switch (n) {
	case 0:
		prog->quiet = ~0u;
		break;
	case 1:
		prog->loops = 0;
		break;
	case 2:
		prog->loops = prog->loops > 2 ? 2 : prog->loops;
		break;
	case 3:
		prog->depth = 64;
		break;
	case 4:
		prog->destroyed = -1;
		break;
	case 5:
		prog->parents_first = false;
		break;
	case 6:
		prog->groups = prog->groups > 1 ? prog->groups - 1 : 1;
		break;
	default:
		prog->quiet |= 1u << (n - 7);
	}
}

#define ENGINE_WAYS 16u
#define GROUP_WAYS 5u

bool prog_shrink(struct prog *prog, unsigned int n)
{
	struct step *s;

	if (n < PROG_SCRIPTS) { /* a whole script */
		if (n)
			memset(&prog->script[n], 0, sizeof(prog->script[n]));
		return true;
	}
	n -= PROG_SCRIPTS;
	if (n < PROG_SCRIPTS * PROG_STEPS) { /* a step */
		memset(&prog->script[n / PROG_STEPS].step[n % PROG_STEPS], 0, sizeof(*s));
		return true;
	}
	n -= PROG_SCRIPTS * PROG_STEPS;
	if (n < PROG_SCRIPTS * PROG_STEPS) { /* fewer of them */
		s = &prog->script[n / PROG_STEPS].step[n % PROG_STEPS];
		if ((s->kind == STEP_GO || s->kind == STEP_NEST) && s->c > 1)
			s->c--;
		return true;
	}
	n -= PROG_SCRIPTS * PROG_STEPS;
	if (n < PROG_SCRIPTS * PROG_STEPS) { /* plainer ones */
		s = &prog->script[n / PROG_STEPS].step[n % PROG_STEPS];
		if (s->kind == STEP_GO)
			s->flags &= s->flags & GO_OP ? GO_OP : 0;
		return true;
	}
	n -= PROG_SCRIPTS * PROG_STEPS;
	if (n < PROG_GROUPS * GROUP_WAYS) {
		shrink_group(&prog->group[n / GROUP_WAYS], n % GROUP_WAYS);
		return true;
	}
	n -= PROG_GROUPS * GROUP_WAYS;
	if (n < ENGINE_WAYS) {
		shrink_engine(prog, n);
		return true;
	}
	return false;
}
