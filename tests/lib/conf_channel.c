/* SPDX-License-Identifier: MIT */
/*
 * conf_channel - channels between tasks: bounded, in order, nothing lost, cancelled with who waits
 */
#include "support/harness.h"

#define MESSAGES 200
#define SENDERS 4

struct shared {
	struct bp_channel channel;
	int memory[8];
	atomic_ulong sent, received, sum, ended;
	unsigned char seen[SENDERS * MESSAGES];
	int last[SENDERS];
};

struct end {
	struct shared *s;
	int id, message, res;
};

static void shared_init(struct test *t, struct shared *s, size_t capacity)
{
	struct bp_engine *engine = t->engine ? t->engine : engine_with(t, .loops = 0);

	memset(s, 0, sizeof(*s));
	expect_eq(bp_channel_init(&s->channel, engine, s->memory, sizeof(int), capacity), 0);
	for (int i = 0; i < SENDERS; i++)
		s->last[i] = -1;
}

static int send_many(void *arg)
{
	struct end *end = arg;

	for (int i = 0; i < MESSAGES; i++) {
		int message = end->id * MESSAGES + i;
		int err = bp_channel_send(&end->s->channel, &message);

		if (err)
			return err;
		end->s->sent++;
	}
	return 0;
}

static int receive_all(void *arg)
{
	struct shared *s = arg;
	int message, err;

	while (!(err = bp_channel_recv(&s->channel, &message))) {
		if (!expect_between(message, 0, SENDERS * MESSAGES - 1))
			return -EPROTO;
		s->seen[message]++;
		s->received++;
		if (s->received % 7 == 0)
			bp_yield();
	}
	return err == -EPIPE ? 0 : err;
}

/* Runs senders and receivers to the end; each message arrives once. */
static void play(struct test *t, size_t capacity, int receivers)
{
	struct end end[SENDERS];
	struct bp_group *senders, *others;
	struct shared s;

	shared_init(t, &s, capacity);
	senders = group_with(t, .limit = BP_LIMIT_NONE);
	others = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < receivers; i++)
		expect_eq(bp_go(others, receive_all, &s), 0);
	for (int i = 0; i < SENDERS; i++) {
		end[i] = (struct end){.s = &s, .id = i};
		expect_eq(bp_go(senders, send_many, &end[i]), 0);
	}
	expect_eq(bp_wait(senders), 0);
	bp_channel_close(&s.channel);
	expect_eq(bp_wait(others), 0);
	expect_eq(s.sent, SENDERS * MESSAGES);
	expect_eq(s.received, SENDERS * MESSAGES);
	for (int i = 0; i < SENDERS * MESSAGES; i++)
		expect_eq(s.seen[i], 1);
	bp_group_destroy(senders);
	bp_group_destroy(others);
}

static void each_message_arrives_once(struct test *t)
{
	play(t, 8, 3);
}

static void with_room_for_one_too(struct test *t)
{
	play(t, 1, 2);
}

static void and_without_room_from_hand_to_hand(struct test *t)
{
	play(t, 0, 3);
}

static int receive_in_order(void *arg)
{
	struct shared *s = arg;
	int message, err;

	while (!(err = bp_channel_recv(&s->channel, &message))) {
		expect(s->last[message / MESSAGES] < message % MESSAGES);
		s->last[message / MESSAGES] = message % MESSAGES;
	}
	return err == -EPIPE ? 0 : err;
}

static void the_messages_of_a_sender_arrive_in_order(struct test *t)
{
	struct end end[SENDERS];
	struct bp_group *senders, *receiver;
	struct shared s;

	shared_init(t, &s, 3);
	senders = group_with(t, .limit = BP_LIMIT_NONE);
	receiver = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < SENDERS; i++) {
		end[i] = (struct end){.s = &s, .id = i};
		expect_eq(bp_go(senders, send_many, &end[i]), 0);
	}
	expect_eq(bp_go(receiver, receive_in_order, &s), 0);
	expect_eq(bp_wait(senders), 0);
	bp_channel_close(&s.channel);
	expect_eq(bp_wait(receiver), 0);
	for (int i = 0; i < SENDERS; i++)
		expect_eq(s.last[i], MESSAGES - 1);
	bp_group_destroy(senders);
	bp_group_destroy(receiver);
}

static void a_full_channel_and_an_empty_one_say_eagain(struct test *t)
{
	struct shared s;
	int x = 1;

	shared_init(t, &s, 2);
	expect_eq(bp_channel_try_recv(&s.channel, &x), -EAGAIN);
	for (x = 5; x < 7; x++)
		expect_eq(bp_channel_try_send(&s.channel, &x), 0);
	expect_eq(bp_channel_try_send(&s.channel, &x), -EAGAIN);
	expect_eq(bp_channel_try_recv(&s.channel, &x), 0);
	expect_eq(x, 5);
	x = 8;
	expect_eq(bp_channel_send(&s.channel, &x), 0);
	expect_eq(bp_channel_recv(&s.channel, &x), 0);
	expect_eq(x, 6);
	/* Closed: what is in it comes out, and then no more. */
	bp_channel_close(&s.channel);
	bp_channel_close(&s.channel);
	expect_eq(bp_channel_send(&s.channel, &x), -EPIPE);
	expect_eq(bp_channel_try_send(&s.channel, &x), -EPIPE);
	expect_eq(bp_channel_recv(&s.channel, &x), 0);
	expect_eq(x, 8);
	expect_eq(bp_channel_recv(&s.channel, &x), -EPIPE);
	expect_eq(bp_channel_try_recv(&s.channel, &x), -EPIPE);
}

static int receive_one(void *arg)
{
	struct end *end = arg;

	end->res = bp_channel_recv(&end->s->channel, &end->message);
	return end->res;
}

static int send_one(void *arg)
{
	struct end *end = arg;

	end->res = bp_channel_send(&end->s->channel, &end->message);
	return end->res;
}

static void a_close_ends_those_who_wait(struct test *t)
{
	struct bp_group *g;
	struct shared s;
	struct end end[3];

	for (int full = 0; full < 2; full++) {
		shared_init(t, &s, (size_t)full);
		if (full)
			expect_eq(bp_channel_try_send(&s.channel, &full), 0);
		g = group_with(t, .stop_after_failures = 0);
		for (int i = 0; i < 3; i++) {
			end[i] = (struct end){.s = &s, .message = 77, .res = 1};
			expect_eq(bp_go(g, full ? send_one : receive_one, &end[i]), 0);
		}
		until_in_queue(t, full ? &s.channel.senders_ : &s.channel.receivers_, 3);
		bp_channel_close(&s.channel);
		expect_eq(bp_wait(g), -EPIPE);
		for (int i = 0; i < 3; i++) {
			expect_eq(end[i].res, -EPIPE);
			expect_eq(end[i].message, 77);
		}
		bp_group_destroy(g);
	}
}

static void who_waits_at_a_channel_is_cancelled_with_its_group(struct test *t)
{
	struct bp_group *g, *beside;
	struct end end[3], last;
	struct shared s;
	int x = 3;

	shared_init(t, &s, 1);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	beside = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_channel_send(&s.channel, &x), 0);
	for (int i = 0; i < 3; i++) {
		end[i] = (struct end){.s = &s, .message = i, .res = 1};
		expect_eq(bp_go(g, send_one, &end[i]), 0);
	}
	until_in_queue(t, &s.channel.senders_, 3);
	last = (struct end){.s = &s, .message = 9, .res = 1};
	expect_eq(bp_go(beside, send_one, &last), 0);
	until_in_queue(t, &s.channel.senders_, 4);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	for (int i = 0; i < 3; i++)
		expect_eq(end[i].res, -ECANCELED);
	/* Nothing of theirs is in it. */
	expect_eq(bp_channel_recv(&s.channel, &x), 0);
	expect_eq(x, 3);
	expect_eq(bp_channel_recv(&s.channel, &x), 0);
	expect_eq(x, 9);
	expect_eq(bp_wait(beside), 0);
	expect_eq(bp_channel_try_recv(&s.channel, &x), -EAGAIN);
	bp_group_destroy(g);
	bp_group_destroy(beside);
}

static int wait_in_vain(void *arg)
{
	struct shared *s = arg;
	struct bp_timeout scope;
	int x = 4;

	bp_timeout_begin(&scope, MS);
	expect_eq(bp_channel_recv(&s->channel, &x), -ETIMEDOUT);
	expect_eq(x, 4);
	expect_eq(bp_channel_send(&s->channel, &x), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	bp_timeout_begin(&scope, MS);
	expect_eq(bp_channel_send(&s->channel, &x), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	return bp_channel_try_recv(&s->channel, &x) == -EAGAIN ? 0 : -EPROTO;
}

static void waits_at_a_channel_end_with_a_timeout_scope(struct test *t)
{
	struct shared s;

	shared_init(t, &s, 0);
	expect_eq(run_task(t, wait_in_vain, &s), 0);
}

static int answer(void *arg)
{
	struct shared *s = arg;
	int x, err = bp_channel_recv(&s->channel, &x);

	return err ? err : x;
}

static void a_thread_outside_sends_and_receives(struct test *t)
{
	struct bp_group *g;
	struct shared s;
	int x = 21;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_go(g, answer, &s), 0);
	expect_eq(bp_channel_send(&s.channel, &x), 0);
	expect_eq(bp_wait(g), 0);
	if (driven(t))
		expect_eq(bp_channel_recv(&s.channel, &x), -EDEADLK);
	bp_group_destroy(g);
}

static void refused_input(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .loops = 0);
	struct bp_channel channel;
	char room[16];

	expect_eq(bp_channel_init(&channel, engine, room, 0, 4), -EINVAL);
	expect_eq(bp_channel_init(&channel, engine, NULL, 4, 4), -EINVAL);
	expect_eq(bp_channel_init(&channel, engine, room, BP_CHANNEL_ITEM_MAX + 1, 1), -EINVAL);
	expect_eq(bp_channel_init(&channel, engine, room, 16, SIZE_MAX / 8), -EINVAL);
	expect_eq(bp_channel_init(&channel, engine, NULL, 4, 0), 0);
	expect_eq(bp_channel_init(&channel, engine, room, 4, 4), 0);
	expect_eq(bp_channel_send(&channel, NULL), -EINVAL);
	expect_eq(bp_channel_try_send(&channel, NULL), -EINVAL);
	expect_eq(bp_channel_recv(&channel, NULL), -EINVAL);
	expect_eq(bp_channel_try_recv(&channel, NULL), -EINVAL);
}

static const struct test_case cases[] = {
	EACH_ROW(each_message_arrives_once),
	EACH_ROW(with_room_for_one_too),
	EACH_ROW(and_without_room_from_hand_to_hand),
	EACH_ROW(the_messages_of_a_sender_arrive_in_order),
	EACH_ROW(a_full_channel_and_an_empty_one_say_eagain),
	EACH_ROW(a_close_ends_those_who_wait),
	EACH_ROW(who_waits_at_a_channel_is_cancelled_with_its_group),
	EACH_ROW(waits_at_a_channel_end_with_a_timeout_scope),
	EACH_ROW(a_thread_outside_sends_and_receives),
	EACH_ROW(refused_input),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
