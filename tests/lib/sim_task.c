/* SPDX-License-Identifier: MIT */
/*
 * sim_task - the steps of a task in a program of sim_prog
 *
 * The result of each is checked where the caller alone can know what it must be: what was written
 * is read back, nothing is done after a cancel, nothing is cancelled inside a shield.
 */
#include <poll.h>
#include <string.h>

#include "lib/sim_run.h"

/* How things stood before an operation of a task. */
struct before {
	bool over; /* it has been cancelled, or has timed out, and is not shielded */
	uint64_t events, clock;
};

static struct before before(struct item *item)
{
	struct sim *sim = item->run->sim;

	return (struct before){bp_cancelled() && !item->shield, sim->events, sim->clock};
}

static bool timed_out(const struct item *item)
{
	const struct run *run = item->run;

	/* A thread's turn sees the time at which it began, which others may have let pass. */
	if (item->g->o->item_timeout_ns && run->sim->clock + (run->engine->driven ? 0 : SURE_NS) >=
						   item->started_ns + item->g->o->item_timeout_ns)
		return true;
	for (unsigned int i = 0; i < item->scopes; i++)
		if (run->sim->clock >= item->scope_end[i])
			return true;
	return false;
}

/** Whether a scope that was begun inside the present shield has run out. */
static bool timed_out_in_shield(const struct item *item)
{
	for (unsigned int i = 0; i < item->scopes; i++)
		if (item->scope_shield[i] >= item->shield &&
		    item->run->sim->clock >= item->scope_end[i])
			return true;
	return false;
}

/** An operation of a task has returned. Return: @res. */
static int after(struct item *item, struct before b, const char *what, int64_t res)
{
	struct run *run = item->run;
	bool stopped = res == -ECANCELED || res == -ETIMEDOUT;

	if (b.over) {
		must(run, stopped, "item %u: %s gave %lld after the cancel", item->id, what,
		     (long long)res);
		must(run, run->sim->events == b.events,
		     "item %u: %s did something after the cancel", item->id, what);
	}
	note(run, "item %u: %s gives %lld", item->id, what, (long long)res);
	if (item->shield)
		must(run, !stopped || (res == -ETIMEDOUT && timed_out_in_shield(item)),
		     "item %u: %s gave %lld inside a shield", item->id, what, (long long)res);
	if (res == -ECANCELED)
		must(run, item_may_be_cancelled(item) && bp_cancelled(),
		     "item %u: %s gave -ECANCELED, and nobody cancelled", item->id, what);
	if (res == -ETIMEDOUT)
		must(run, timed_out(item), "item %u: %s gave -ETIMEDOUT before its time", item->id,
		     what);
	return (int)res;
}

#define CALL(item, what, call)                                                                     \
	({                                                                                         \
		struct before before_ = before(item);                                              \
		after(item, before_, what, call);                                                  \
	})

static int step_sleep(struct item *item, uint64_t ns)
{
	uint64_t until = item->run->sim->clock + ns;
	int res = CALL(item, "sleep", bp_sleep(ns));

	must(item->run, res || item->run->sim->clock >= until, "item %u: slept too short",
	     item->id);
	return res;
}

static int blocking(void *arg)
{
	struct item *item = arg;

	note(item->run, "item %u: on a helper thread", item->id);
	item->offloaded = true;
	return 5;
}

static int step_offload(struct item *item)
{
	int res;

	item->offloaded = false;
	res = CALL(item, "offload", bp_offload(blocking, item));
	must(item->run, item->offloaded == (res == 5), "item %u: offload gave %d, and %s", item->id,
	     res, item->offloaded ? "it ran" : "it did not run");
	return res;
}

static void do_close(struct item *item, int fd)
{
	int res = bp_close(fd);

	note(item->run, "item %u: close gives %d", item->id, res);
	must(item->run, res == 0, "item %u: close gave %d", item->id, res);
}

/** Writes and reads back; what is read must be what was written. */
static int file_contents(struct item *item, int fd, const char *path, unsigned int len)
{
	struct statx stx = {0};
	unsigned int put = 0, got = 0;
	char text[64];
	int res;

	memset(text, 'a' + (int)(item->id % 26), sizeof(text));
	while (put < len) {
		res = CALL(item, "write", bp_write(fd, text, len - put, put));
		if (res < 0)
			return res;
		put += (unsigned int)res;
	}
	while (got < len) {
		res = CALL(item, "read", bp_read(fd, item->buf, len - got, got));
		if (res < 0)
			return res;
		must(item->run, res > 0, "item %u: the file ends after %u of %u bytes", item->id,
		     got, len);
		must(item->run, !memcmp(item->buf, text, (size_t)res),
		     "item %u: read something else than it wrote", item->id);
		memset(item->buf, UNTOUCHED, sizeof(item->buf));
		got += (unsigned int)res;
	}
	res = CALL(item, "statx", bp_statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx));
	must(item->run, res < 0 || stx.stx_size == len, "item %u: the file has %llu bytes, not %u",
	     item->id, (unsigned long long)stx.stx_size, len);
	return res;
}

static int step_file(struct item *item, const struct step *s)
{
	char path[32], moved[32];
	int fd, res;

	if (s->b) {
		snprintf(path, sizeof(path), "/shared%d", s->a);
		fd = CALL(item, "open", bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0644));
		if (fd < 0)
			return fd;
		res = CALL(item, "write", bp_write(fd, "x", 1, 0));
		do_close(item, fd);
		return res;
	}
	snprintf(path, sizeof(path), "file%u", item->id);
	snprintf(moved, sizeof(moved), "moved%u", item->id);
	fd = CALL(item, "open", bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0644));
	if (fd < 0)
		return fd;
	res = file_contents(item, fd, path, (unsigned int)s->c);
	do_close(item, fd);
	if (res >= 0)
		res = CALL(item, "rename", bp_renameat(AT_FDCWD, path, AT_FDCWD, moved, 0));
	/* What is left over is removed also after a cancel. */
	bp_shield_begin();
	item->shield++;
	CALL(item, "unlink", bp_unlinkat(AT_FDCWD, res < 0 ? path : moved, 0));
	item->shield--;
	bp_shield_end();
	return res;
}

static int count_sent(struct item *item, int res)
{
	if (res > 0)
		item->run->sent += (uint64_t)res;
	return res;
}

static int step_send(struct item *item, int fd, unsigned int len, bool zero_copy)
{
	static const char text[] = "0123456789012345678901234567890123456789";

	if (!zero_copy)
		return count_sent(item, CALL(item, "send", bp_send(fd, text, len, 0)));
	io_uring_prep_send_zc(bp_sqe(), fd, text, len, 0, 0);
	return count_sent(item, CALL(item, "send_zc", bp_await()));
}

static int step_recv(struct item *item, int fd, unsigned int len)
{
	int res = CALL(item, "recv", bp_recv(fd, item->buf, len, 0));

	for (unsigned int i = res > 0 ? (unsigned int)res : 0; i < sizeof(item->buf); i++)
		must(item->run, item->buf[i] == UNTOUCHED, "item %u: recv wrote too much",
		     item->id);
	if (res > 0)
		item->run->received += (uint64_t)res;
	memset(item->buf, UNTOUCHED, sizeof(item->buf));
	return res;
}

static int step_connect(struct item *item, unsigned int len)
{
	int fd = CALL(item, "socket", bp_socket(AF_UNIX, SOCK_STREAM, 0)), res;

	if (fd < 0)
		return fd;
	res = CALL(item, "connect",
		   bp_connect(fd, (const struct sockaddr *)RUN_ADDRESS, sizeof(RUN_ADDRESS)));
	if (res >= 0)
		res = step_send(item, fd, len, false);
	do_close(item, fd);
	return res;
}

static int step_accept(struct item *item)
{
	int fd = CALL(item, "accept", bp_accept(item->run->listener, NULL, NULL, 0)), res;

	if (fd < 0)
		return fd;
	do
		res = step_recv(item, fd, 40);
	while (res > 0);
	do_close(item, fd);
	return res;
}

static void step_shield(struct item *item, bool end)
{
	if (!end) {
		bp_shield_begin();
		item->shield++;
	} else if (item->shield) {
		bp_shield_end();
		item->shield--;
	}
}

static void end_scope(struct item *item)
{
	unsigned int i = --item->scopes;
	int res = bp_timeout_end(&item->scope[i]);

	note(item->run, "item %u: its scope ends with %d", item->id, res);
	must(item->run, res == 0 || item->run->sim->clock >= item->scope_end[i],
	     "item %u: a scope ended before its time", item->id);
}

static void step_timeout(struct item *item, const struct step *s)
{
	if (s->b && item->scopes) {
		end_scope(item);
	} else if (!s->b && item->scopes < 4) {
		item->scope_shield[item->scopes] = item->shield;
		item->scope_end[item->scopes] = item->run->sim->clock + (uint64_t)s->c;
		bp_timeout_begin(&item->scope[item->scopes++], (uint64_t)s->c);
	}
}

static void step_nest(struct item *item, const struct step *s)
{
	struct run *run = item->run;
	struct ginst *g;

	if (run->ginsts == RUN_GROUPS)
		return;
	g = run_make_group(run, (unsigned int)s->a, s->flags & NEST_OF_OWN ? item->g : NULL, item);
	for (int64_t i = 0; i < s->c; i++) {
		struct step go = {.kind = STEP_GO, .b = s->b};

		if (run_go(run, item, g, &go))
			break;
	}
	if (s->flags & NEST_UNTIL)
		run_wait(run, g, run->sim->clock + 100000);
	if (!(s->flags & NEST_DESTROY))
		run_wait_for_all(run, item, g);
	run_destroy(run, g);
}

static int task_step(struct item *item, const struct step *s)
{
	struct run *run = item->run;
	int res = 0;

	if (run_step(run, item, s, &res))
		return res;
	/* What may wait for ever has no business inside a shield. */
	if (item->shield && s->kind >= STEP_SEND && s->kind != STEP_SHIELD &&
	    s->kind != STEP_TIMEOUT)
		return 0;
	switch (s->kind) {
	case STEP_NOP:
		io_uring_prep_nop(bp_sqe());
		return CALL(item, "nop", bp_await());
	case STEP_YIELD:
		res = bp_yield();
		note(run, "item %u: yield gives %d", item->id, res);
		return res;
	case STEP_SLEEP:
		return step_sleep(item, (uint64_t)s->c);
	case STEP_OFFLOAD:
		return step_offload(item);
	case STEP_FILE:
		return step_file(item, s);
	case STEP_SEND:
	case STEP_SEND_ZC:
		return step_send(item, run->pair[s->a][0], (unsigned int)s->c,
				 s->kind == STEP_SEND_ZC);
	case STEP_RECV:
		return step_recv(item, run->pair[s->a][1], (unsigned int)s->c);
	case STEP_POLL:
		return CALL(item, "poll", bp_poll(run->pair[s->a][1], POLLIN));
	case STEP_CONNECT:
		return step_connect(item, (unsigned int)s->c);
	case STEP_ACCEPT:
		return step_accept(item);
	case STEP_SHIELD:
		step_shield(item, s->b);
		return 0;
	case STEP_TIMEOUT:
		step_timeout(item, s);
		return 0;
	case STEP_NEST:
		step_nest(item, s);
		return 0;
	default:
		return 0;
	}
}

int run_task_main(void *arg)
{
	struct copy *copy = arg;
	struct item *item = copy->magic == COPY_MAGIC ? copy->item : arg;
	struct run *run = item->run;
	const struct script *script = &run->prog->script[item->script];
	int result = 0;

	must(run, item->magic == ITEM_MAGIC, "a task got something else than its argument");
	check_started(item);
	for (unsigned int i = 0; i < PROG_STEPS; i++) {
		const struct step *s = &script->step[i];
		int res;

		if (s->kind == STEP_RETURN) {
			result = (int)s->c;
			break;
		}
		res = task_step(item, s);
		if (res < 0)
			result = res;
	}
	while (item->scopes)
		end_scope(item);
	while (item->shield)
		step_shield(item, true);
	if (copy->magic == COPY_MAGIC)
		must(run, copy->item == item && copy->more_magic == COPY_MAGIC,
		     "item %u: its copy was changed", item->id);
	item->ended = true;
	item->result = result;
	item->ended_seq = note(run, "item %u returns %d", item->id, result);
	item->ended_late = surely_cancelled(item->g) || item->alone_sure;
	item->g->running -= item->weight;
	if (result >= 0)
		item->g->successes_returned++;
	else
		item->g->failures_returned++;
	return result;
}
