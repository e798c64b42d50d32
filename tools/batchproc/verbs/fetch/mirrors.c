/* SPDX-License-Identifier: MIT */
/*
 * mirrors: several URLs of one file, of which the first that answers is taken.
 *
 * Each is asked by a task of its own, on whatever loop; all at once, or with --hedge the next only
 * when nobody has answered for that long, or when one has failed. The others are cancelled, and
 * their connections closed.
 *
 * To answer fast is no merit of one that then cuts its body short: in later attempts it comes
 * behind those of which that is not known.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "batchproc.h"
#include "run/job.h"
#include "verbs/fetch/fetch.h"

/* When nobody else has answered for so long, one whose body has failed is asked all the same. */
#define SECOND_CHANCE_NS 5000000000ull

struct mirrors {
	struct item *item;
	struct bp_group *group;
	uint64_t hedge_ns;
	size_t count;
	atomic_size_t next, failed;
	struct mirror {
		struct mirrors *mirrors;
		struct asking ask;
		int err;
	} list[];
};

bool mirror_is_cut(const struct item *item, size_t mirror)
{
	const struct fetch_item *own = item_priv_const(item);
	size_t count = line_mirrors(item), cut = (size_t)__builtin_popcountll(own->cut);

	return mirror < 64 && own->cut >> mirror & 1 && cut < count;
}

void mirror_has_cut(struct item *item, size_t mirror)
{
	struct fetch_item *own = item_priv(item);

	if (mirror < 64)
		own->cut |= 1ull << mirror;
}

static int mirror_task(void *arg);

static bool start_next(struct mirrors *m)
{
	size_t i = atomic_fetch_add(&m->next, 1);

	return i < m->count && !bp_go(m->group, mirror_task, &m->list[i]);
}

static int mirror_task(void *arg)
{
	struct mirror *one = arg;
	struct mirrors *m = one->mirrors;
	const struct fetch_settings *set = m->item->settings;
	int code;

	one->err = ask_follow(&one->ask);
	code = one->ask.code;
	/* What is no success of another kind, such as 304, is an answer too. */
	if (!one->err && (ask_is_expected(set, code) || code == 304 || code == 416))
		return 0;
	if (!one->err)
		one->err = -EREMOTEIO;
	start_next(m);
	if (atomic_fetch_add(&m->failed, 1) + 1 == m->count)
		bp_cancel(m->group, one->err);
	return one->err;
}

/* Never a success, which would be the race's. */
static int hedge_task(void *arg)
{
	struct mirrors *m = arg;

	while (atomic_load(&m->next) < m->count) {
		int err = bp_sleep(m->hedge_ns);

		if (err)
			return err;
		start_next(m);
	}
	return -ECANCELED;
}

/* With all tasks ended: who has won, or else who failed first; all others are ended. */
static int choose(struct mirrors *m, struct mirror *winner, struct asking **ask)
{
	struct mirror *chosen = winner ? winner : &m->list[0];

	for (size_t i = 0; i < m->count; i++) {
		struct mirror *one = &m->list[i];

		if (one == chosen)
			continue;
		/* In the middle of a response: not to be used again. */
		one->ask.x.head.keep = false;
		ask_end(&one->ask);
	}
	*ask = &chosen->ask;
	/* An answer that is not expected is told as such. */
	return chosen->err == -EREMOTEIO ? 0 : chosen->err;
}

/* In the order in which they are asked. How many of them are good, or -errno. */
static ssize_t line_up(struct mirrors *m, const struct asking *like)
{
	ssize_t good = 0;
	size_t next = 0;

	for (int cut = 0; cut < 2; cut++) {
		for (size_t i = 0; i < m->count; i++) {
			struct mirror *one = &m->list[next];

			if (mirror_is_cut(like->item, i) != cut)
				continue;
			*one = (struct mirror){.mirrors = m, .err = -ECANCELED};
			one->ask.item = like->item;
			one->ask.mirror = i;
			one->ask.request = like->request;
			if (line_url(like->item, i, &one->ask.first))
				return -EINVAL;
			next++;
		}
		good = cut ? good : (ssize_t)next;
	}
	return good;
}

int mirrors_race(struct mirrors **mirrors, const struct asking *like, struct asking **ask)
{
	const struct fetch_settings *set = like->item->settings;
	struct job *job = like->item->job;
	size_t count = line_mirrors(like->item);
	struct mirrors *m = xcalloc(1, sizeof(*m) + count * sizeof(m->list[0]));
	struct mirror *winner;
	ssize_t good;
	int err;

	*mirrors = m;
	m->item = like->item;
	m->count = count;
	good = line_up(m, like);
	if (good < 0)
		return (int)good;
	m->hedge_ns = set->hedge_ns;
	if (!m->hedge_ns && (size_t)good < count)
		m->hedge_ns = SECOND_CHANCE_NS;
	err = bp_group_create(&m->group, job->engine,
			      &BP_GROUP_OPTS(.stop_after_failures = 0, .stop_after_successes = 1));
	if (err)
		return err;
	start_next(m);
	while (!set->hedge_ns && --good > 0 && start_next(m))
		;
	if (m->hedge_ns)
		bp_go(m->group, hedge_task, m);
	err = bp_wait(m->group);
	winner = err ? NULL : bp_group_winner(m->group);
	bp_group_destroy(m->group);
	m->group = NULL;
	err = bp_cancelled() && !winner ? err : 0;
	if (!winner && err) {
		choose(m, NULL, ask);
		return err;
	}
	return choose(m, winner, ask);
}

void mirrors_free(struct mirrors *mirrors)
{
	free(mirrors);
}
