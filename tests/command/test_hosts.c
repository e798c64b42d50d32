/* SPDX-License-Identifier: MIT */
/*
 * test_hosts - how many connections a host gets, who gets them, and what is kept of them
 */
#include "support/dns.h"
#include "support/harness.h"
#include "support/sockets.h"
#include "net/dial.h"
#include "net/hosts.h"
#include "net/stream.h"

struct house {
	struct test *t;
	struct net *net;
	struct net_conf conf;
	struct target target;
	int listener;
	struct gate gate;
	atomic_ulong inside, most, came, stopped;
	atomic_ulong order; /* whose turn it is, where that is looked at */
	bool keeps;
};

static void house_init(struct house *house, struct test *t, unsigned int places)
{
	memset(house, 0, sizeof(*house));
	house->t = t;
	if (!t->engine)
		engine_with(t);
	net_begin(&house->net, t->engine);
	house->conf.max_per_host = places;
	house->target.host = "127.0.0.1";
	house->listener = listen_at("127.0.0.1", &house->target.port, 128);
	gate_init(&house->gate);
}

static void house_free(struct house *house)
{
	net_end(&house->net);
	close(house->listener);
	gate_free(&house->gate);
}

static int visit(void *arg)
{
	struct house *house = arg;
	struct dialed dialed;
	struct conn *conn;
	unsigned long now, most;
	int err = conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed);

	if (err) {
		expect_eq(err, -ECANCELED);
		atomic_fetch_add(&house->stopped, 1);
		return err;
	}
	now = atomic_fetch_add(&house->inside, 1) + 1;
	most = house->most;
	while (now > most && !atomic_compare_exchange_weak(&house->most, &most, now))
		;
	atomic_fetch_add(&house->came, 1);
	err = gate_wait(&house->gate);
	atomic_fetch_sub(&house->inside, 1);
	conn_put(conn, house->keeps);
	return err;
}

static void a_host_has_so_many_connections(struct test *t)
{
	struct house house;
	struct bp_group *g = group_with(t), *ended = group_with(t);

	house_init(&house, t, 3);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, visit, &house), 0);
	until_count(t, &house.came, 3);
	/* Of those who wait, some are cancelled, and nobody's place is lost by it. */
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(i % 2 ? g : ended, visit, &house), 0);
	until_running(t, ended, 5);
	many_turns(t);
	expect_eq(house.came, 3);
	bp_cancel(ended, 0);
	expect_eq(bp_wait(ended), -ECANCELED);
	expect_eq(house.stopped, 5);
	gate_open(&house.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(house.came, 8);
	expect_eq(house.most, 3);
	bp_group_destroy(g);
	bp_group_destroy(ended);
	house_free(&house);
}

static void this_machine_has_as_many_as_are_wanted(struct test *t)
{
	struct house house;
	struct bp_group *g = group_with(t);

	house_init(&house, t, 0);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, visit, &house), 0);
	until_count(t, &house.came, 20);
	gate_open(&house.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	house_free(&house);

	/* Also under a name of which nobody knew it before. */
	house_init(&house, t, 0);
	dns_answers("127.0.0.1", NULL);
	house.target.host = "some.test";
	g = group_with(t);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, visit, &house), 0);
	until_count(t, &house.came, 20);
	gate_open(&house.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	house_free(&house);
}

struct queued {
	struct house *house;
	unsigned long number;
};

static int visit_in_order(void *arg)
{
	struct queued *queued = arg;
	struct house *house = queued->house;
	struct dialed dialed;
	struct conn *conn;

	if (!expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed),
		       0))
		return -EIO;
	expect_eq(atomic_fetch_add(&house->order, 1), queued->number);
	if (queued->number)
		expect(dialed.queue_ns > 0);
	atomic_fetch_add(&house->came, 1);
	gate_wait(&house->gate);
	conn_put(conn, true);
	return 0;
}

static void who_asked_first_is_served_first(struct test *t)
{
	struct house house;
	struct queued queued[12];
	struct bp_group *g = group_with(t);

	house_init(&house, t, 1);
	for (unsigned long i = 0; i < COUNT_OF(queued); i++) {
		queued[i] = (struct queued){&house, i};
		expect_eq(bp_go(g, visit_in_order, &queued[i]), 0);
		until_running(t, g, i + 1);
		until_count(t, &house.came, 1);
		/* It waits in the line, and in nothing else, by one operation. */
		until_in_flight(t, i + 1);
	}
	gate_open(&house.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(house.order, COUNT_OF(queued));
	bp_group_destroy(g);
	house_free(&house);
}

static int use_and_keep(void *arg)
{
	struct house *house = arg;
	struct dialed dialed;
	struct conn *conn;
	int peer, again;

	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed), 0);
	peer = accept4(house->listener, NULL, NULL, SOCK_CLOEXEC);
	expect(!conn->reused);
	expect(dialed.connect_ns > 0);
	conn_put(conn, true);
	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed), 0);
	expect(conn->reused);
	expect_eq(dialed.connect_ns, 0);
	conn_put(conn, true);
	/* Who wants a fresh one gets it. */
	expect_eq(conn_get(house->net, &house->conf, &house->target, true, &conn, &dialed), 0);
	again = accept4(house->listener, NULL, NULL, SOCK_CLOEXEC);
	expect(!conn->reused);
	conn_put(conn, false);
	close(again);
	/* The server ends the kept one: it is not used again. */
	close(peer);
	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed), 0);
	peer = accept4(house->listener, NULL, NULL, SOCK_CLOEXEC);
	expect(!conn->reused);
	conn_put(conn, true);
	/* Nor is one on which something came that nobody asked for, such as a 408. */
	expect_eq(write(peer, "HTTP/1.1 408 \r\n\r\n", 17), 17);
	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed), 0);
	again = accept4(house->listener, NULL, NULL, SOCK_CLOEXEC);
	expect(!conn->reused);
	conn_put(conn, false);
	close(again);
	close(peer);
	return 0;
}

static void a_kept_connection_is_looked_at_before_it_is_used_again(struct test *t)
{
	struct house house;

	house_init(&house, t, 0);
	expect_eq(run_task(t, use_and_keep, &house), 0);
	house_free(&house);
}

struct answering {
	struct house *house;
	int status;
	uint64_t retry_after_ns;
	unsigned int times;
};

static int answer_often(void *arg)
{
	struct answering *a = arg;
	struct dialed dialed;
	struct conn *conn;

	for (unsigned int i = 0; i < a->times; i++) {
		if (!expect_eq(conn_get(a->house->net, &a->house->conf, &a->house->target, false,
					&conn, &dialed),
			       0))
			return -EIO;
		host_answered(conn, a->status, a->retry_after_ns);
		conn_put(conn, true);
	}
	return 0;
}

static void answer_with_status(struct house *house, int status, unsigned int times)
{
	struct answering answering = {house, status, 0, times};

	expect_eq(run_task(house->t, answer_often, &answering), 0);
}

/* How many get in at once, of more than may. */
static unsigned long places_of(struct house *house)
{
	struct bp_group *g = group_with(house->t);

	house->came = house->most = 0;
	gate_free(&house->gate);
	gate_init(&house->gate);
	for (int i = 0; i < 12; i++)
		expect_eq(bp_go(g, visit, house), 0);
	until_running(house->t, g, 12);
	until_in_flight(house->t, 12);
	many_turns(house->t);
	gate_open(&house->gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(house->came, 12);
	bp_group_destroy(g);
	return house->most;
}

static int several_at_once(void *arg)
{
	struct house *house = arg;
	struct dialed dialed;
	struct conn *conn[8];

	for (int i = 0; i < 8; i++)
		expect_eq(conn_get(house->net, &house->conf, &house->target, true, &conn[i],
				   &dialed),
			  0);
	/* Eight answers that were underway together are one sign. */
	for (int i = 0; i < 8; i++)
		host_answered(conn[i], i % 2 ? 503 : 429, 0);
	for (int i = 0; i < 8; i++)
		conn_put(conn[i], false);
	return 0;
}

static void an_overloaded_host_gets_fewer_connections_and_slowly_more_again(struct test *t)
{
	struct house house;

	house_init(&house, t, 8);
	house.keeps = true;
	expect_eq(places_of(&house), 8);
	expect_eq(run_task(t, several_at_once, &house), 0);
	expect_eq(places_of(&house), 4);
	answer_with_status(&house, 200, 39);
	expect_eq(places_of(&house), 4);
	answer_with_status(&house, 200, 1);
	expect_eq(places_of(&house), 6);
	answer_with_status(&house, 200, 500);
	expect_eq(places_of(&house), 8);
	/* One after the other they go down to one, and never to none. */
	answer_with_status(&house, 503, 50);
	expect_eq(places_of(&house), 1);
	house_free(&house);
}

static int after_a_pause(void *arg)
{
	struct house *house = arg;
	struct dialed dialed;
	struct conn *conn;
	uint64_t start = bp_now(house->t->engine);

	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed), 0);
	expect(bp_now(house->t->engine) - start >= 20 * MS);
	expect(dialed.queue_ns >= 20 * MS);
	conn_put(conn, true);
	return 0;
}

static void a_pause_is_the_hosts(struct test *t)
{
	struct house house;
	struct answering answering = {&house, 429, 250 * MS, 1};

	house_init(&house, t, 4);
	expect_eq(run_task(t, answer_often, &answering), 0);
	expect_eq(run_task(t, after_a_pause, &house), 0);
	/* A cancelled wait for its end gives the place back. */
	answering.retry_after_ns = FAR_AWAY;
	expect_eq(run_task(t, answer_often, &answering), 0);
	for (int i = 0; i < 6; i++) {
		struct bp_group *g = group_with(t);

		expect_eq(bp_go(g, visit, &house), 0);
		until_running(t, g, 1);
		many_turns(t);
		bp_cancel(g, 0);
		expect_eq(bp_wait(g), -ECANCELED);
		bp_group_destroy(g);
	}
	expect_eq(house.stopped, 6);
	house_free(&house);
}

static int wait_for_connection(void *arg)
{
	struct house *house = arg;
	struct dialed dialed;
	struct conn *conn;

	house->conf.connect_timeout_ns = 5 * MS;
	expect_eq(conn_get(house->net, &house->conf, &house->target, false, &conn, &dialed),
		  -ETIMEDOUT);
	expect(dialed.why && strstr(dialed.why, "--connect-timeout"));
	expect(!strcmp(dialed.stage, "connect"));
	expect(!conn);
	return 0;
}

static void a_connection_has_a_time_of_its_own(struct test *t)
{
	struct house house;
	int waiting[3];

	house_init(&house, t, 0);
	close(house.listener);
	house.target.port = 0;
	house.listener = listen_at("127.0.0.1", &house.target.port, 0);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		waiting[i] = client_of("127.0.0.1", house.target.port, SOCK_NONBLOCK);
	expect_eq(run_task(t, wait_for_connection, &house), 0);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		close(waiting[i]);
	house_free(&house);
}

static const struct test_case cases[] = {
	EACH_ROW(a_host_has_so_many_connections),
	EACH_ROW(this_machine_has_as_many_as_are_wanted),
	EACH_ROW(who_asked_first_is_served_first),
	EACH_ROW(a_kept_connection_is_looked_at_before_it_is_used_again),
	EACH_ROW(an_overloaded_host_gets_fewer_connections_and_slowly_more_again),
	EACH_ROW(a_pause_is_the_hosts),
	EACH_ROW(a_connection_has_a_time_of_its_own),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
