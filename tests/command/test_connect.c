/* SPDX-License-Identifier: MIT */
/*
 * test_connect - names, addresses and streams, over sockets on this machine
 *
 * The names are looked up in a getaddrinfo() of our own: see support/dns.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "support/dns.h"
#include "support/harness.h"
#include "support/sockets.h"
#include "net/dial.h"
#include "net/names.h"
#include "net/stream.h"

/* ---------------------------------------------------------------- names */

struct asking {
	struct names *names;
	const char *host;
	atomic_ulong got, refused, stopped;
};

static int ask_name(void *arg)
{
	struct asking *asking = arg;
	struct addresses *addresses;
	const char *why = NULL;
	int err = names_lookup(asking->names, asking->host, &addresses, &why);

	if (!err) {
		atomic_fetch_add(&asking->got, 1);
		addresses_put(addresses);
	} else if (err == -ECANCELED) {
		atomic_fetch_add(&asking->stopped, 1);
	} else {
		expect_eq(err, -ENOENT);
		expect(why);
		atomic_fetch_add(&asking->refused, 1);
	}
	return err;
}

static void one_lookup_serves_all_who_want_the_name(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0);
	struct asking asking = {.names = names_create(t->engine), .host = "some.test"};
	struct gate gate;

	gate_init(&gate);
	dns_answers("192.0.2.1", NULL);
	dns.gate = gate.fd[0];
	for (int i = 0; i < 50; i++)
		expect_eq(bp_go(g, ask_name, &asking), 0);
	until_running(t, g, 50);
	until_count(t, &dns.asked, 1);
	many_turns(t);
	expect_eq(asking.got, 0);
	gate_open(&gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(asking.got, 50);
	expect_eq(dns.asked, 1);
	bp_group_destroy(g);
	/* And whoever comes later has its answer too. */
	expect_eq(run_task(t, ask_name, &asking), 0);
	expect_eq(dns.asked, 1);
	names_destroy(asking.names);
	gate_free(&gate);
}

static void only_some_lookups_run_at_once(struct test *t)
{
	enum {
		MANY = 40
	};
	struct bp_group *g = group_with(t);
	struct names *names = names_create(t->engine);
	struct asking asking[MANY];
	char host[MANY][20];
	struct gate gate;

	gate_init(&gate);
	dns_answers("192.0.2.1", NULL);
	dns.gate = gate.fd[0];
	for (int i = 0; i < MANY; i++) {
		snprintf(host[i], sizeof(host[i]), "host%d.test", i);
		asking[i] = (struct asking){.names = names, .host = host[i]};
		expect_eq(bp_go(g, ask_name, &asking[i]), 0);
	}
	until_running(t, g, MANY);
	until_count(t, &dns.running, 1);
	many_turns(t);
	gate_open(&gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(dns.asked, MANY);
	expect_between(dns.most, 1, NAMES_AT_ONCE);
	bp_group_destroy(g);
	names_destroy(names);
	gate_free(&gate);
}

/* Who waits for a lookup of somebody else is not lost when that one is cancelled in the queue. */
static void a_cancelled_lookup_is_taken_over(struct test *t)
{
	struct bp_group *others = group_with(t), *first = group_with(t), *second = group_with(t);
	struct names *names = names_create(t->engine);
	struct asking busy[NAMES_AT_ONCE], asking = {.names = names, .host = "some.test"};
	char host[NAMES_AT_ONCE][20];
	struct gate gate;

	gate_init(&gate);
	dns_answers("192.0.2.1", NULL);
	dns.gate = gate.fd[0];
	for (unsigned int i = 0; i < NAMES_AT_ONCE; i++) {
		snprintf(host[i], sizeof(host[i]), "busy%u.test", i);
		busy[i] = (struct asking){.names = names, .host = host[i]};
		expect_eq(bp_go(others, ask_name, &busy[i]), 0);
	}
	until_count(t, &dns.running, 1);
	many_turns(t);
	expect_eq(bp_go(first, ask_name, &asking), 0);
	until_running(t, first, 1);
	many_turns(t);
	expect_eq(bp_go(second, ask_name, &asking), 0);
	until_running(t, second, 1);
	many_turns(t);
	bp_cancel(first, 0);
	expect_eq(bp_wait(first), -ECANCELED);
	expect_eq(asking.stopped, 1);
	gate_open(&gate);
	expect_eq(bp_wait(second), 0);
	expect_eq(bp_wait(others), 0);
	expect_eq(asking.got, 1);
	bp_group_destroy(first);
	bp_group_destroy(second);
	bp_group_destroy(others);
	names_destroy(names);
	gate_free(&gate);
}

static void a_name_without_addresses_is_asked_for_once(struct test *t)
{
	struct asking asking = {.host = "absent.test"};

	engine_with(t);
	asking.names = names_create(t->engine);
	dns_answers("192.0.2.1", NULL);
	for (int i = 0; i < 3; i++)
		expect_eq(run_task(t, ask_name, &asking), -ENOENT);
	expect_eq(asking.refused, 3);
	expect_eq(dns.asked, 1);
	names_destroy(asking.names);
}

static int look_at_addresses(void *arg)
{
	struct names *names = arg;
	struct addresses *addresses;
	const char *why;
	char text[ADDRESS_TEXT_MAX];

	expect_eq(names_lookup(names, "::1", &addresses, &why), 0);
	expect(address_is_loopback(&addresses->list[0]));
	addresses_put(addresses);
	expect_eq(dns.asked, 0);
	expect_eq(names_lookup(names, "some.test", &addresses, &why), 0);
	/* Families in turn, in the order that getaddrinfo() has them in. */
	expect_eq(addresses->count, 3);
	address_text(&addresses->list[0], text);
	expect(!strcmp(text, "[2001:db8::1]:0"));
	address_text(&addresses->list[1], text);
	expect(!strcmp(text, "192.0.2.1:0"));
	address_text(&addresses->list[2], text);
	expect(!strcmp(text, "[2001:db8::2]:0"));
	names_failed(names, "some.test", addresses);
	addresses_put(addresses);
	expect_eq(names_lookup(names, "some.test", &addresses, &why), 0);
	expect_eq(dns.asked, 2);
	/* What failed was an older answer. */
	names_failed(names, "some.test", NULL);
	addresses_put(addresses);
	expect_eq(names_lookup(names, "some.test", &addresses, &why), 0);
	expect_eq(dns.asked, 2);
	addresses_put(addresses);
	return 0;
}

static void an_answer_holds_until_all_its_addresses_have_failed(struct test *t)
{
	struct names *names;

	engine_with(t);
	names = names_create(t->engine);
	dns_answers("2001:db8::1", "2001:db8::2");
	dns.addresses[2] = "192.0.2.1";
	expect_eq(run_task(t, look_at_addresses, names), 0);
	names_destroy(names);
}

static int ask_for_many(void *arg)
{
	struct asking asking = {.names = arg};
	char host[20];

	asking.host = host;
	for (int i = 0; i < 5000; i++) {
		snprintf(host, sizeof(host), "host%d.test", i);
		expect_eq(ask_name(&asking), 0);
	}
	expect_eq(dns.asked, 5000);
	/* The last one is known still, the first one is not. */
	expect_eq(ask_name(&asking), 0);
	expect_eq(dns.asked, 5000);
	asking.host = "host0.test";
	expect_eq(ask_name(&asking), 0);
	expect_eq(dns.asked, 5001);
	return 0;
}

static void old_names_are_forgotten(struct test *t)
{
	struct names *names;

	engine_with(t);
	names = names_create(t->engine);
	dns_answers("192.0.2.1", NULL);
	expect_eq(run_task(t, ask_for_many, names), 0);
	names_destroy(names);
}

/* ---------------------------------------------------------------- sockets */

struct dialing {
	struct test *t;
	const char *ip[3];
	uint16_t port;
	int fd;
	char used[ADDRESS_TEXT_MAX];
};

static int dial_them(void *arg)
{
	struct dialing *d = arg;
	struct addresses *addresses =
		calloc(1, sizeof(*addresses) + COUNT_OF(d->ip) * sizeof(union address));
	union address used = {.any.sa_family = AF_UNSPEC};

	for (; addresses->count < COUNT_OF(d->ip) && d->ip[addresses->count]; addresses->count++) {
		union address *address = &addresses->list[addresses->count];

		address->in.sin_family = AF_INET;
		inet_pton(AF_INET, d->ip[addresses->count], &address->in.sin_addr);
	}
	d->fd = dial(d->t->engine, addresses, d->port, &used);
	address_text(&used, d->used);
	free(addresses);
	return d->fd < 0 ? d->fd : 0;
}

static void the_second_address_is_tried_when_the_first_refuses(struct test *t)
{
	struct dialing d = {.t = t, .ip = {"127.0.0.1", "127.0.0.2"}}, race = {.t = t};
	int listener = listen_at("127.0.0.2", &d.port, 8);

	expect_eq(run_task(t, dial_them, &d), 0);
	expect(!strncmp(d.used, "127.0.0.2:", 10));
	close(d.fd);
	/* 0.0.0.0 is this machine too, but does not look like it: the same as a race. */
	race = d;
	race.ip[0] = "0.0.0.0";
	expect_eq(run_task(t, dial_them, &race), 0);
	expect(!strncmp(race.used, "127.0.0.2:", 10));
	close(race.fd);
	close(listener);
}

static void the_second_address_does_not_wait_for_a_silent_first(struct test *t)
{
	struct dialing d = {.t = t, .ip = {"0.0.0.0", "127.0.0.2"}};
	int full = listen_at("127.0.0.1", &d.port, 0), listener, waiting[3];

	listener = listen_at("127.0.0.2", &d.port, 8);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		waiting[i] = client_of("127.0.0.1", d.port, SOCK_NONBLOCK);
	expect_eq(run_task(t, dial_them, &d), 0);
	expect(!strncmp(d.used, "127.0.0.2:", 10));
	close(d.fd);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		close(waiting[i]);
	close(full);
	close(listener);
}

static void all_refuse(struct test *t)
{
	struct dialing d = {.t = t, .ip = {"0.0.0.0", "127.0.0.2", "127.0.0.3"}};
	int bound = listen_at("0.0.0.0", &d.port, -1);

	expect_eq(run_task(t, dial_them, &d), -ECONNREFUSED);
	d.ip[0] = "127.0.0.1";
	expect_eq(run_task(t, dial_them, &d), -ECONNREFUSED);
	close(bound);
}

static void a_race_is_cancelled_with_its_task(struct test *t)
{
	struct dialing d = {.t = t, .ip = {"0.0.0.0", "127.0.0.1"}};
	struct bp_group *g = group_with(t);
	int full = listen_at("127.0.0.1", &d.port, 0), waiting[3];

	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		waiting[i] = client_of("127.0.0.1", d.port, SOCK_NONBLOCK);
	expect_eq(bp_go(g, dial_them, &d), 0);
	until_in_flight(t, 2);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(d.fd, -ECANCELED);
	bp_group_destroy(g);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		close(waiting[i]);
	close(full);
}

static int dial_sockets(void *arg)
{
	const char *path = arg;
	int fd = dial_unix(path);

	if (expect(fd >= 0))
		close(fd);
	expect_eq(dial_unix(""), -ENAMETOOLONG);
	expect_eq(dial_unix("/nowhere/at/all"), -ENOENT);
	return 0;
}

static void sockets_of_the_file_system_and_abstract_ones(struct test *t)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[sizeof(addr.sun_path)];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len;

	snprintf(path, sizeof(path), "%s/socket", temp_dir(t));
	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	expect_eq(run_task(t, dial_sockets, path), 0);
	close(fd);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(path, sizeof(path), "@batchproc-test-%d", (int)getpid());
	len = strlen(path);
	memcpy(addr.sun_path, path, len);
	addr.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	assert_int_equal(listen(fd, 8), 0);
	expect_eq(run_task(t, dial_sockets, path), 0);
	close(fd);
}

/* ---------------------------------------------------------------- streams */

struct reading {
	struct test *t;
	struct stream_low low;
	uint64_t timeout_ns;
	int fd;
	int res;
	uint64_t received;
	bool says_why;
};

static int read_all(void *arg)
{
	struct reading *r = arg;
	struct stream stream;
	char buf[64];
	ssize_t res;

	stream_init(&stream, r->t->engine, r->fd);
	stream_low_begin(&stream, r->low);
	while ((res = stream_read(&stream, buf, sizeof(buf), r->timeout_ns)) > 0)
		;
	r->res = (int)res;
	r->received = stream.received;
	r->says_why = stream.why;
	stream_close(&stream);
	return (int)res;
}

static void a_silent_stream_times_out(struct test *t)
{
	struct reading r = {.t = t, .timeout_ns = 5 * MS};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r.fd = pair[0];
	assert_int_equal(write(pair[1], "abc", 3), 3);
	expect_eq(run_task(t, read_all, &r), -ETIMEDOUT);
	expect_eq(r.received, 3);
	expect(!r.says_why);
	close(pair[1]);
}

static void a_trickle_is_ended(struct test *t)
{
	struct reading r = {.t = t, .low = {.bytes = 4, .ns = 5 * MS}};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r.fd = pair[0];
	assert_int_equal(write(pair[1], "abc", 3), 3);
	expect_eq(run_task(t, read_all, &r), -ETIMEDOUT);
	expect_eq(r.received, 3);
	expect(r.says_why);
	close(pair[1]);
}

struct payment {
	uint64_t paid;
	unsigned int times;
};

static int pay(void *ctx, uint64_t bytes)
{
	struct payment *payment = ctx;

	payment->paid += bytes;
	payment->times++;
	return 0;
}

static void unpay(void *ctx, uint64_t bytes)
{
	struct payment *payment = ctx;

	payment->paid -= bytes;
}

static size_t block_of_ten(void *ctx, size_t most)
{
	(void)ctx;
	return most < 10 ? most : 10;
}

static int move_and_pay(void *arg)
{
	struct test *t = current_test();
	struct payment in = {0}, out = {0};
	const struct stream_pace paid_in = {pay, unpay, block_of_ten, &in},
				 paid_out = {pay, unpay, block_of_ten, &out};
	struct stream from, to;
	char buf[100] = "";
	int *pair = arg;

	stream_init(&from, t->engine, pair[0]);
	stream_init(&to, t->engine, pair[1]);
	from.pace = &paid_in;
	to.pace = &paid_out;
	expect_eq(stream_write(&to, buf, 95, 0), 0);
	stream_close(&to);
	while (stream_read(&from, buf, sizeof(buf), 0) > 0)
		;
	expect(from.ended);
	expect_eq(from.received, 95);
	expect_eq(in.paid, 95);
	expect_eq(out.paid, 95);
	expect_between(in.times, 10, 12);
	expect_eq(out.times, 10);
	stream_close(&from);
	return 0;
}

static void what_is_moved_is_paid(struct test *t)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_eq(run_task(t, move_and_pay, pair), 0);
}

static const struct test_case cases[] = {
	EACH_ROW(one_lookup_serves_all_who_want_the_name),
	EACH_ROW(only_some_lookups_run_at_once),
	EACH_ROW(a_cancelled_lookup_is_taken_over),
	EACH_ROW(a_name_without_addresses_is_asked_for_once),
	EACH_ROW(an_answer_holds_until_all_its_addresses_have_failed),
	EACH_ROW(old_names_are_forgotten),
	EACH_ROW(the_second_address_is_tried_when_the_first_refuses),
	EACH_ROW(the_second_address_does_not_wait_for_a_silent_first),
	EACH_ROW(all_refuse),
	EACH_ROW(a_race_is_cancelled_with_its_task),
	EACH_ROW(sockets_of_the_file_system_and_abstract_ones),
	EACH_ROW(a_silent_stream_times_out),
	EACH_ROW(a_trickle_is_ended),
	EACH_ROW(what_is_moved_is_paid),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
