/* SPDX-License-Identifier: MIT */
/*
 * test_sync_sim - random programs of tasks that share mutexes, semaphores, an event and channels, under
 * simulated schedules
 *
 *	test_sync_sim			SEEDS of them (by default 100,000; fewer under sanitizers)
 *	test_sync_sim play FIRST COUNT	those
 *
 * Each task rolls its own steps: it locks and unlocks, acquires and releases, sends and receives,
 * with operations, timeouts and shields between, while groups are cancelled. The promises are held
 * against a model that is kept beside: one holder of a mutex, never more taken than there is, each
 * message received once and in its sender's order, no wait that ends for no reason, and on one loop
 * first come, first served. Where nothing moves any more all is cancelled, and must end.
 */
#include "group.h"
#include "sim/sim.h"
#include "support/harness.h"

#define MUTEXES 2
#define SEMAPHORES 2
#define CHANNELS 2
#define TASKS 10
#define STEPS 12
#define MESSAGES (TASKS * STEPS)
#define LINES (MUTEXES + SEMAPHORES)

struct world;

struct actor {
	struct world *w;
	struct bp_group *g;
	unsigned int id, sent, got[TASKS]; /* the last number of each sender */
	unsigned int held[MUTEXES];
	uint64_t taken[SEMAPHORES];
	uint64_t call; /* the number of the call that may wait */
	bool others, overtaken; /* stood in line before it; did so after it, and went first */
};

struct world {
	uint64_t seed, dice, calls;
	struct bp_engine *engine;
	struct sim *sim;
	struct bp_group *group[2];
	bool cancelled[2];
	struct bp_mutex mutex[MUTEXES];
	struct bp_semaphore semaphore[SEMAPHORES];
	struct bp_event event;
	struct bp_channel channel[CHANNELS];
	uint32_t memory[CHANNELS][4];
	struct actor actor[TASKS];
	unsigned int actors;
	int holder[MUTEXES]; /* -1: nobody */
	uint64_t size[SEMAPHORES], taken[SEMAPHORES];
	struct actor *line[LINES][TASKS]; /* who waits, on one loop */
	unsigned int lined[LINES];
	unsigned int sent, received;
	unsigned char seen[TASKS][STEPS + 1];
};

static struct bp_engine *kept[4];

__attribute__((noreturn, format(printf, 2, 3))) static void broken(const struct world *w,
								   const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %llu, %llu ns: ", (unsigned long long)w->seed,
		(unsigned long long)(w->sim->clock - SIM_EPOCH));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_Exit(3);
}

#define must(w, cond, ...)                                                                         \
	do {                                                                                       \
		if (!(cond))                                                                       \
			broken(w, __VA_ARGS__);                                                    \
	} while (0)

static uint64_t roll(struct world *w, uint64_t n)
{
	uint64_t x;

	w->dice += 0x9e3779b97f4a7c15ull;
	x = w->dice;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return (x ^ (x >> 31)) % n;
}

/* ---------------------------------------------------------------- lines, on one loop */

/* With several loops another may come between the call and its place in the queue. */
static void line_up(struct actor *a, unsigned int line)
{
	struct world *w = a->w;
	const struct bp_link_ *queue = line < MUTEXES ? &w->mutex[line].waiters_ :
							&w->semaphore[line - MUTEXES].waiters_;

	if (!w->engine->driven)
		return;
	a->call = ++w->calls;
	a->others = queue->next && queue->next != queue;
	a->overtaken = false;
	w->line[line][w->lined[line]++] = a;
}

/** The call has returned; @served: with what it wanted. */
static void leave_line(struct actor *a, unsigned int line, bool served)
{
	struct world *w = a->w;
	bool at_once = a->call == w->calls;
	unsigned int i;

	if (!w->engine->driven)
		return;
	must(w, !served || !at_once || !a->others, "task %u did not wait for its turn", a->id);
	w->calls++;
	/* One whose wait was ended, and who was not resumed yet, does not stand there any more. */
	must(w, !served || !a->overtaken, "task %u was overtaken", a->id);
	for (i = 0; w->line[line][i] != a; i++)
		w->line[line][i]->overtaken |= served && !at_once;
	memmove(&w->line[line][i], &w->line[line][i + 1],
		(--w->lined[line] - i) * sizeof(w->line[line][0]));
}

/* ---------------------------------------------------------------- steps */

/** A call that may wait has returned @res. Return: whether it did its work. */
static bool after(struct actor *a, const char *what, int res)
{
	struct world *w = a->w;

	sim_note(w->sim, 1000 + a->id, (uint64_t)(int64_t)res, "task %u: %s gives %d", a->id, what,
		 res);
	if (res == 0)
		return true;
	must(w, res == -ECANCELED || res == -ETIMEDOUT, "task %u: %s gave %d", a->id, what, res);
	must(w, bp_cancelled(), "task %u: %s gave %d, and nobody has ended it", a->id, what, res);
	must(w, res != -ECANCELED || w->cancelled[0] || w->cancelled[1],
	     "task %u: %s gave -ECANCELED without a cancel", a->id, what);
	return false;
}

static void pause_a_little(struct actor *a)
{
	switch (roll(a->w, 4)) {
	case 0:
		bp_yield();
		break;
	case 1:
		bp_sleep(roll(a->w, 50000));
		break;
	case 2:
		io_uring_prep_nop(bp_sqe());
		bp_await();
		break;
	default:
		break;
	}
}

/* In one order, so that there is no circle. */
static void step_lock(struct actor *a, unsigned int m)
{
	struct world *w = a->w;
	int res;

	if (a->held[m] || (m == 0 && a->held[1]))
		return;
	if (roll(w, 4) == 0) {
		res = bp_mutex_trylock(&w->mutex[m]);
		must(w, res == 0 || res == -EAGAIN, "task %u: trylock gave %d", a->id, res);
		if (res)
			return;
	} else {
		line_up(a, m);
		res = bp_mutex_lock(&w->mutex[m]);
		leave_line(a, m, !res);
		if (!after(a, "lock", res))
			return;
	}
	must(w, w->holder[m] < 0, "task %u has mutex %u, and task %d has it too", a->id, m,
	     w->holder[m]);
	w->holder[m] = (int)a->id;
	a->held[m] = 1;
}

static void step_unlock(struct actor *a, unsigned int m)
{
	struct world *w = a->w;

	if (!a->held[m])
		return;
	must(w, w->holder[m] == (int)a->id, "task %u lost mutex %u to task %d", a->id, m,
	     w->holder[m]);
	w->holder[m] = -1;
	a->held[m] = 0;
	bp_mutex_unlock(&w->mutex[m]);
}

static void step_acquire(struct actor *a, unsigned int s)
{
	struct world *w = a->w;
	uint64_t n = 1 + roll(w, 3);
	int res;

	if (a->taken[s])
		return;
	if (roll(w, 4) == 0) {
		res = bp_semaphore_try_acquire(&w->semaphore[s], n);
		must(w, res == 0 || res == -EAGAIN, "task %u: try_acquire gave %d", a->id, res);
		if (res)
			return;
	} else {
		line_up(a, MUTEXES + s);
		res = bp_semaphore_acquire(&w->semaphore[s], n);
		leave_line(a, MUTEXES + s, !res);
		if (!after(a, "acquire", res))
			return;
	}
	a->taken[s] = n;
	w->taken[s] += n;
	must(w, w->taken[s] <= w->size[s], "semaphore %u of %llu gave %llu", s,
	     (unsigned long long)w->size[s], (unsigned long long)w->taken[s]);
}

static void step_release(struct actor *a, unsigned int s)
{
	a->w->taken[s] -= a->taken[s];
	bp_semaphore_release(&a->w->semaphore[s], a->taken[s]);
	a->taken[s] = 0;
}

static void step_event(struct actor *a)
{
	struct world *w = a->w;

	switch (roll(w, 3)) {
	case 0:
		bp_event_set(&w->event);
		return;
	case 1:
		bp_event_reset(&w->event);
		return;
	default:
		after(a, "event", bp_event_wait(&w->event));
	}
}

static void step_send(struct actor *a, unsigned int c)
{
	struct world *w = a->w;
	uint32_t message = a->id << 16 | (a->sent + 1);
	bool try = roll(w, 4) == 0;
	int res;

	w->sent++;
	a->sent++;
	res = try ? bp_channel_try_send(&w->channel[c], &message) :
		    bp_channel_send(&w->channel[c], &message);
	if (res == 0)
		return;
	/* Its number is lost, not the order of the others. */
	w->sent--;
	must(w, !w->seen[a->id][a->sent], "task %u: a message that was not sent arrived", a->id);
	if (!(try && res == -EAGAIN) && res != -EPIPE)
		after(a, "send", res);
}

static void check_message(struct world *w, struct actor *a, uint32_t message)
{
	unsigned int from = message >> 16, number = message & 0xffff;

	must(w, from < w->actors && number && number <= w->actor[from].sent,
	     "a message that nobody sent: %x", message);
	must(w, !w->seen[from][number]++, "message %x came twice", message);
	w->received++;
	if (!a)
		return;
	/* Each sender keeps to one channel, and so must the receiver see its order. */
	must(w, number > a->got[from], "task %u: messages of task %u in the wrong order", a->id,
	     from);
	a->got[from] = number;
}

static void step_recv(struct actor *a, unsigned int c)
{
	struct world *w = a->w;
	uint32_t message = UINT32_MAX;
	bool try = roll(w, 4) == 0;
	int res = try ? bp_channel_try_recv(&w->channel[c], &message) :
			bp_channel_recv(&w->channel[c], &message);

	if (res == 0) {
		/* Two that were served may go on in any order where there are loops. */
		check_message(w, w->engine->driven ? a : NULL, message);
		return;
	}
	must(w, message == UINT32_MAX, "a message came with %d", res);
	if (!(try && res == -EAGAIN) && res != -EPIPE)
		after(a, "recv", res);
}

static void step(struct actor *a, bool shielded)
{
	struct world *w = a->w;
	uint64_t what = roll(w, 20);
	unsigned int i = (unsigned int)roll(w, 2);

	if (what < 5)
		step_lock(a, i);
	else if (what < 8)
		step_unlock(a, i);
	else if (what < 10)
		step_release(a, i);
	else if (what < 12)
		pause_a_little(a);
	else if (shielded)
		return; /* what may never come must not be waited for in here */
	else if (what < 14)
		step_acquire(a, i);
	else if (what < 15)
		step_event(a);
	else if (what < 18)
		step_send(a, a->id % CHANNELS);
	else
		step_recv(a, i);
}

static int act(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;
	struct bp_timeout scope;
	bool scoped = roll(w, 3) == 0, shielded = roll(w, 8) == 0;

	if (shielded)
		bp_shield_begin();
	if (scoped)
		bp_timeout_begin(&scope, 1 + roll(w, 200000));
	for (uint64_t n = 1 + roll(w, STEPS - 1); n; n--) {
		step(a, shielded);
		if (roll(w, 2))
			pause_a_little(a);
	}
	if (scoped)
		bp_timeout_end(&scope);
	if (shielded)
		bp_shield_end();
	for (unsigned int i = MUTEXES; i > 0; i--)
		step_unlock(a, i - 1);
	for (unsigned int i = 0; i < SEMAPHORES; i++)
		if (a->taken[i])
			step_release(a, i);
	return 0;
}

/* ---------------------------------------------------------------- a run */

static struct bp_engine *engine_of(unsigned int loops)
{
	if (!kept[loops] &&
	    bp_engine_create(&kept[loops],
			     &BP_ENGINE_OPTS(.backend = BP_BACKEND_SIM, .loops = loops)))
		abort();
	return kept[loops];
}

static void make_world(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->dice = seed * 0xd1342543de82ef95ull + 1;
	w->engine = engine_of((unsigned int)roll(w, 4));
	w->sim = sim_of(w->engine);
	sim_reset(w->engine, seed);
	for (unsigned int i = 0; i < 2; i++) {
		if (bp_group_create(&w->group[i], w->engine, NULL))
			abort();
		w->holder[i] = -1;
		w->size[i] = 1 + roll(w, 4);
		if (w->size[i] < 3)
			w->size[i] = 3;
		bp_mutex_init(&w->mutex[i], w->engine);
		bp_semaphore_init(&w->semaphore[i], w->engine, w->size[i]);
		bp_channel_init(&w->channel[i], w->engine, w->memory[i], sizeof(uint32_t),
				roll(w, 5));
	}
	bp_event_init(&w->event, w->engine);
	w->actors = 2 + (unsigned int)roll(w, TASKS - 1);
}

static void cancel(struct world *w, unsigned int i)
{
	w->cancelled[i] = true;
	bp_cancel(w->group[i], 0);
}

/** What is left: nothing is held or taken, and all messages can be had. */
static void check_end(struct world *w)
{
	uint32_t message;

	for (unsigned int i = 0; i < 2; i++) {
		must(w, !bp_mutex_trylock(&w->mutex[i]), "mutex %u is held", i);
		bp_mutex_unlock(&w->mutex[i]);
		must(w, w->taken[i] == 0, "semaphore %u: the program is wrong", i);
		must(w, !bp_semaphore_try_acquire(&w->semaphore[i], w->size[i]),
		     "semaphore %u has lost something", i);
		must(w, bp_semaphore_try_acquire(&w->semaphore[i], 1) == -EAGAIN,
		     "semaphore %u has won something", i);
		while (!bp_channel_try_recv(&w->channel[i], &message))
			check_message(w, NULL, message);
		bp_channel_close(&w->channel[i]);
		must(w, bp_channel_recv(&w->channel[i], &message) == -EPIPE,
		     "channel %u is closed, and says something else", i);
	}
	must(w, w->sent == w->received, "%u messages were sent, and %u received", w->sent,
	     w->received);
}

static uint64_t play(uint64_t seed)
{
	static struct world world;
	struct world *w = &world;

	make_world(w, seed);
	for (unsigned int i = 0; i < w->actors; i++) {
		w->actor[i] = (struct actor){.w = w, .id = i, .g = w->group[roll(w, 2)]};
		if (bp_go(w->actor[i].g, act, &w->actor[i]))
			abort();
	}
	if (roll(w, 2)) {
		bp_wait_until(w->group[0], w->sim->clock + 1 + roll(w, 300000));
		if (roll(w, 2))
			cancel(w, (unsigned int)roll(w, 2));
		else
			bp_event_set(&w->event);
	}
	if (roll(w, 3) == 0) {
		bp_channel_close(&w->channel[0]);
		bp_event_set(&w->event);
	}
	/* Who has not ended by then waits for what never comes. */
	for (unsigned int i = 0; i < 2; i++)
		if (bp_wait_until(w->group[i], w->sim->clock + 20000000) == -ETIMEDOUT)
			cancel(w, i);
	for (unsigned int i = 0; i < 2; i++) {
		bp_wait(w->group[i]);
		bp_group_destroy(w->group[i]);
	}
	check_end(w);
	if (!w->engine->driven)
		sim_threads_settle(w->engine);
	return w->sim->hash;
}

static void play_many(uint64_t first, uint64_t count)
{
	for (uint64_t seed = first; seed < first + count; seed++) {
		uint64_t hash = play(seed);

		if (seed % 16 == 0 && play(seed) != hash) {
			fprintf(stderr, "seed %llu: went another way the second time\n",
				(unsigned long long)seed);
			_Exit(5);
		}
	}
	for (unsigned int i = 0; i < COUNT_OF(kept); i++) {
		bp_engine_destroy(kept[i]);
		kept[i] = NULL;
	}
}

static void promises_hold_between_tasks(struct test *t)
{
	const char *value = getenv("SEEDS");
	uint64_t seeds = value ? strtoull(value, NULL, 0) : 0;

	(void)t;
	play_many(0, seeds ? seeds : scaled(100000));
}

static const struct test_case cases[] = {
	ONCE(promises_hold_between_tasks),
};

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "play")) {
		play_many(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
		return 0;
	}
	return RUN_CASES(argc, argv, cases);
}
