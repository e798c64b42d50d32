/* SPDX-License-Identifier: MIT */
/*
 * test_circles - groups whose tasks wait for each other, in bp_go() and bp_wait(), do not hang
 *
 * A bp_go() in the circle is told -EDEADLK; where there is none the program ends with one line, which
 * test_misuse shows. What only looks like a circle goes on.
 */
#include "support/harness.h"

#define GROUPS 4

struct scene {
	struct test *t;
	struct bp_group *group[GROUPS];
	struct gate gate;
	atomic_ulong waiting;
	atomic_int said; /* by the bp_go() of the circle */
	struct link *wants; /* of one_waits_one_runs() */
};

/* A task that waits for the end of another group, once the gate is open. */
struct link {
	struct scene *scene;
	struct bp_group *other;
	bool for_place;
	uint64_t weight;
	atomic_int said; /* by its bp_go_weighted() */
};

static int waits(void *arg)
{
	const struct link *l = arg;
	struct scene *s = l->scene;
	int err = gate_wait(&s->gate);

	if (err)
		return err;
	atomic_fetch_add(&s->waiting, 1);
	if (!l->for_place) {
		bp_wait(l->other);
		return 0;
	}
	s->said = bp_go(l->other, succeed, NULL);
	return 0;
}

static void begin(struct scene *s, struct test *t, int n)
{
	*s = (struct scene){.t = t, .said = 1};
	gate_init(&s->gate);
	for (int i = 0; i < n; i++)
		s->group[i] = group_with(t, .limit = 1);
}

static void end(struct scene *s, int n)
{
	for (int i = 0; i < n; i++) {
		expect_eq(bp_wait(s->group[i]), 0);
		expect_balanced(s->group[i]);
	}
	for (int i = 0; i < n; i++)
		bp_group_destroy(s->group[i]);
	gate_free(&s->gate);
}

/* The item that holds the only place waits for the group of the one that wants it. */
static void a_place_is_held_by_who_waits_for_us(struct test *t)
{
	struct scene s;
	struct link holder, wants;

	begin(&s, t, 2);
	holder = (struct link){.scene = &s, .other = s.group[1]};
	wants = (struct link){.scene = &s, .other = s.group[0], .for_place = true};
	expect_eq(bp_go(s.group[0], waits, &holder), 0);
	expect_eq(bp_go(s.group[1], waits, &wants), 0);
	gate_open(&s.gate);
	until_ended(t, s.group[1], 1);
	expect_eq(s.said, -EDEADLK);
	end(&s, 2);
}

static int wants_a_place(void *arg)
{
	struct scene *s = arg;

	s->said = bp_go(s->group[0], succeed, NULL);
	return 0;
}

/* The same, where the one in bp_go() has waited for long when the circle closes. */
static void who_stands_in_line_is_told(struct test *t)
{
	struct scene s;
	struct link holder;

	begin(&s, t, 2);
	holder = (struct link){.scene = &s, .other = s.group[1]};
	expect_eq(bp_go(s.group[0], waits, &holder), 0);
	expect_eq(bp_go(s.group[1], wants_a_place, &s), 0);
	until_in_line(t, s.group[0], 1);
	gate_open(&s.gate);
	until_ended(t, s.group[1], 1);
	expect_eq(s.said, -EDEADLK);
	end(&s, 2);
}

/* A circle over four groups, and only one of the waits is for a place. */
static void a_circle_may_be_long(struct test *t)
{
	struct link link[GROUPS];
	struct scene s;

	begin(&s, t, GROUPS);
	for (int i = 0; i < GROUPS; i++) {
		link[i] = (struct link){.scene = &s,
					.other = s.group[(i + 1) % GROUPS],
					.for_place = i == 2};
		expect_eq(bp_go(s.group[i], waits, &link[i]), 0);
	}
	gate_open(&s.gate);
	until_ended(t, s.group[2], 1);
	expect_eq(s.said, -EDEADLK);
	end(&s, GROUPS);
}

static int wants_places(void *arg)
{
	struct link *l = arg;

	l->said = bp_go_weighted(l->other, l->weight, succeed, NULL);
	return 0;
}

/*
 * Two items of the first group run: one waits for the end of the second group, the other until its
 * gate is open. An item of the second group wants places in the first.
 */
static void one_waits_one_runs(struct scene *s, struct test *t, struct crowd *crowd, uint64_t held,
			       uint64_t wanted)
{
	static struct link holder, wants;

	begin(s, t, 2);
	crowd_init(crowd);
	expect_eq(bp_group_set_limit(s->group[0], (long)held + 1), 0);
	holder = (struct link){.scene = s, .other = s->group[1]};
	wants = (struct link){.scene = s, .other = s->group[0], .weight = wanted, .said = 1};
	s->wants = &wants;
	expect_eq(bp_go_weighted(s->group[0], held, waits, &holder), 0);
	expect_eq(bp_go(s->group[0], crowd_task, crowd), 0);
	expect_eq(bp_go(s->group[1], wants_places, &wants), 0);
	until_in_line(t, s->group[0], 1);
	gate_open(&s->gate);
	until_count(t, &s->waiting, 1);
	many_turns(t);
}

/* The limit comes down: whatever the one that runs gives back, it is no place any more. */
static void a_limit_that_falls_closes_a_circle(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	one_waits_one_runs(&s, t, &crowd, 1, 1);
	expect_eq(s.wants->said, 1);
	expect_eq(bp_group_set_limit(s.group[0], 1), 0);
	until_ended(t, s.group[1], 1);
	expect_eq(s.wants->said, -EDEADLK);
	gate_open(&crowd.gate);
	end(&s, 2);
	crowd_free(&crowd);
}

/* A limit of 0 is a pause: what runs may end it. */
static void a_pause_closes_none_while_one_runs(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	one_waits_one_runs(&s, t, &crowd, 1, 1);
	expect_eq(bp_group_set_limit(s.group[0], 0), 0);
	many_turns(t);
	expect_eq(s.wants->said, 1);
	gate_open(&crowd.gate);
	until_ended(t, s.group[1], 1);
	expect_eq(s.wants->said, -EDEADLK);
	expect_eq(bp_group_set_limit(s.group[0], 1), 0);
	end(&s, 2);
	crowd_free(&crowd);
}

/* One of the items that hold a place goes on, and it will be free. */
static void one_that_runs_is_enough(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	one_waits_one_runs(&s, t, &crowd, 1, 1);
	expect_eq(s.wants->said, 1);
	gate_open(&crowd.gate);
	until_ended(t, s.group[1], 1);
	expect_eq(s.wants->said, 0);
	end(&s, 2);
	crowd_free(&crowd);
}

/* The same where the one that is stuck holds several places, and the other's is enough. */
static void a_light_one_that_runs_may_be_enough(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	one_waits_one_runs(&s, t, &crowd, 3, 1);
	expect_eq(s.wants->said, 1);
	gate_open(&crowd.gate);
	until_ended(t, s.group[1], 1);
	expect_eq(s.wants->said, 0);
	end(&s, 2);
	crowd_free(&crowd);
}

/* It is not: the circle is closed although one of the items runs on and on. */
static void a_light_one_that_runs_may_be_too_little(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	one_waits_one_runs(&s, t, &crowd, 3, 2);
	until_ended(t, s.group[1], 1);
	expect_eq(s.wants->said, -EDEADLK);
	gate_open(&crowd.gate);
	end(&s, 2);
	crowd_free(&crowd);
}

/* Who stands in front and wants less is not in the circle of the one behind: it will be served. */
static void who_wants_less_in_front_is_not_stuck(struct test *t)
{
	struct link holder, little, much;
	struct crowd crowd;
	struct scene s;

	begin(&s, t, 3);
	crowd_init(&crowd);
	expect_eq(bp_group_set_limit(s.group[0], 4), 0);
	holder = (struct link){.scene = &s, .other = s.group[1]};
	little = (struct link){.scene = &s, .other = s.group[0], .weight = 1, .said = 1};
	much = (struct link){.scene = &s, .other = s.group[0], .weight = 4, .said = 1};
	expect_eq(bp_go_weighted(s.group[0], 3, waits, &holder), 0);
	expect_eq(bp_go(s.group[0], crowd_task, &crowd), 0);
	expect_eq(bp_go(s.group[1], wants_places, &little), 0);
	until_in_line(t, s.group[0], 1);
	expect_eq(bp_go(s.group[2], wants_places, &much), 0);
	until_in_line(t, s.group[0], 2);
	gate_open(&s.gate);
	until_count(t, &s.waiting, 1);
	many_turns(t);
	expect_eq(little.said, 1);
	gate_open(&crowd.gate);
	until_ended(t, s.group[2], 1);
	expect_eq(little.said, 0);
	expect_eq(much.said, 0);
	end(&s, 3);
	crowd_free(&crowd);
}

static int polls_the_other(void *arg)
{
	struct scene *s = arg;

	atomic_fetch_add(&s->waiting, 1);
	while (s->said == 1) {
		bp_wait_until(s->group[1], bp_now(s->t->engine) + MS);
		/* It has nothing to wait for yet. */
		expect_eq(bp_yield(), 0);
	}
	return 0;
}

static int gives_up(void *arg)
{
	struct scene *s = arg;
	struct bp_timeout scope;

	bp_timeout_begin(&scope, 20 * MS);
	s->said = bp_go(s->group[0], succeed, NULL);
	bp_timeout_end(&scope);
	return 0;
}

/* Who waits for a time alone is not stuck. */
static void a_wait_with_a_time_is_no_circle(struct test *t)
{
	struct scene s;

	begin(&s, t, 2);
	expect_eq(bp_go(s.group[0], polls_the_other, &s), 0);
	until_count(t, &s.waiting, 1);
	expect_eq(bp_go(s.group[1], gives_up, &s), 0);
	until_ended(t, s.group[1], 1);
	expect_eq(s.said, -ETIMEDOUT);
	end(&s, 2);
}

static int wants_until_told(void *arg)
{
	struct scene *s = arg;

	s->said = bp_go(s->group[0], succeed, NULL);
	return s->said;
}

/* A cancel ends who waits for a place, as ever. */
static void a_cancel_ends_the_wait(struct test *t)
{
	struct crowd crowd;
	struct scene s;

	begin(&s, t, 2);
	crowd_init(&crowd);
	expect_eq(bp_go(s.group[0], crowd_task, &crowd), 0);
	expect_eq(bp_go(s.group[1], wants_until_told, &s), 0);
	until_in_line(t, s.group[0], 1);
	bp_cancel(s.group[1], -EINTR);
	expect_eq(bp_wait(s.group[1]), -EINTR);
	expect_eq(s.said, -ECANCELED);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(s.group[0]), 0);
	bp_group_destroy(s.group[0]);
	bp_group_destroy(s.group[1]);
	gate_free(&s.gate);
	crowd_free(&crowd);
}

struct many {
	struct bp_group *g;
	atomic_ulong told;
};

static int wants_in_its_own(void *arg)
{
	struct many *m = arg;
	int err = bp_go(m->g, succeed, NULL);

	if (err == -EDEADLK)
		atomic_fetch_add(&m->told, 1);
	return err == -EDEADLK ? 0 : err;
}

/* However many they are: each of them wants a place in the group that they fill. */
static void many_wait_for_their_own_group(struct test *t)
{
	unsigned long n = live_tasks(3000);
	struct many m = {.g = group_with(t, .limit = (long)n)};

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(m.g, wants_in_its_own, &m), 0);
	expect_eq(bp_wait(m.g), 0);
	expect_balanced(m.g);
	expect(m.told <= n);
	bp_group_destroy(m.g);
}

enum {
	FULL_MOST = 64
};

struct full {
	struct bp_group *group, *others;
	struct crowd crowd;
	struct crowd_op op[FULL_MOST];
	atomic_bool filled;
};

static int wants_room(void *arg)
{
	struct full *f = arg;
	unsigned int n = 0;

	/* Again when those that start together with this one have started. */
	for (int round = 0; round < 4; round++) {
		while (n < FULL_MOST && bp_try_go_op(f->others, &f->op[n].op) == 0)
			n++;
		bp_yield();
	}
	f->filled = true;
	return bp_go(f->group, succeed, NULL);
}

static int wants_all_places(void *arg)
{
	struct full *f = arg;

	while (!f->filled)
		bp_yield();
	bp_sleep(5 * MS);
	return bp_go_weighted(f->group, 2, succeed, NULL);
}

static int opens_later(void *arg)
{
	struct full *f = arg;

	while (!f->filled)
		bp_yield();
	bp_sleep(50 * MS);
	gate_open(&f->crowd.gate);
	return 0;
}

/* Who stands in front has its place, and waits for room in the queues alone. */
static void behind_who_waits_for_room_nobody_is_stuck(struct test *t)
{
	struct full *f = calloc(1, sizeof(*f));
	struct bp_group *tasks;

	assert_non_null(f);
	crowd_init(&f->crowd);
	engine_with(t, .depth = 4);
	f->others = group_with(t, .limit = BP_LIMIT_NONE);
	f->group = group_with(t, .limit = 2);
	tasks = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < FULL_MOST; i++)
		crowd_op_init(&f->op[i], &f->crowd);
	expect_eq(bp_go(tasks, opens_later, f), 0);
	expect_eq(bp_go(tasks, wants_all_places, f), 0);
	expect_eq(bp_go(f->group, wants_room, f), 0);
	expect_eq(bp_wait(tasks), 0);
	expect_eq(bp_wait(f->group), 0);
	expect_eq(bp_wait(f->others), 0);
	expect_eq(stats_of(f->group).succeeded, 3);
	bp_group_destroy(tasks);
	bp_group_destroy(f->group);
	bp_group_destroy(f->others);
	crowd_free(&f->crowd);
	free(f);
}

static const struct test_case cases[] = {
	EACH_ROW(a_place_is_held_by_who_waits_for_us),
	EACH_ROW(who_stands_in_line_is_told),
	EACH_ROW(a_circle_may_be_long),
	EACH_ROW(a_limit_that_falls_closes_a_circle),
	EACH_ROW(a_pause_closes_none_while_one_runs),
	EACH_ROW(one_that_runs_is_enough),
	EACH_ROW(a_light_one_that_runs_may_be_enough),
	EACH_ROW(a_light_one_that_runs_may_be_too_little),
	EACH_ROW(who_wants_less_in_front_is_not_stuck),
	EACH_ROW(behind_who_waits_for_room_nobody_is_stuck),
	EACH_ROW(a_wait_with_a_time_is_no_circle),
	EACH_ROW(a_cancel_ends_the_wait),
	EACH_ROW(many_wait_for_their_own_group),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
