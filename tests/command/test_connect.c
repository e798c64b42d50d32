// SPDX-License-Identifier: MIT
/*
 * test_connect - names, addresses, streams, places and kept connections, over sockets on this machine
 *
 * The names are looked up in a getaddrinfo() of our own, which tells how often it was asked, and waits
 * where a test wants it to.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "support/harness.h"
#include "net/dial.h"
#include "net/hosts.h"
#include "net/names.h"
#include "net/stream.h"

/* ---------------------------------------------------------------- getaddrinfo() */

static struct {
	atomic_ulong asked, running, most;
	int gate; /* each lookup waits until something can be read there; -1: none waits */
	const char *addresses[4]; /* the answer for every name that does not begin with "absent" */
} dns;

static struct addrinfo *answer_with(const char *text)
{
	struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(union address));
	union address *address = (union address *)(info + 1);

	info->ai_addr = &address->any;
	info->ai_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	address->any.sa_family = (sa_family_t)info->ai_family;
	if (info->ai_family == AF_INET6) {
		info->ai_addrlen = sizeof(address->in6);
		inet_pton(AF_INET6, text, &address->in6.sin6_addr);
	} else {
		info->ai_addrlen = sizeof(address->in);
		inet_pton(AF_INET, text, &address->in.sin_addr);
	}
	return info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **list)
{
	unsigned long now = atomic_fetch_add(&dns.running, 1) + 1, most = dns.most;

	(void)service;
	(void)hints;
	while (now > most && !atomic_compare_exchange_weak(&dns.most, &most, now))
		;
	atomic_fetch_add(&dns.asked, 1);
	if (dns.gate >= 0)
		poll(&(struct pollfd){.fd = dns.gate, .events = POLLIN}, 1, -1);
	atomic_fetch_sub(&dns.running, 1);
	if (!strncmp(node, "absent", 6))
		return EAI_NONAME;
	for (unsigned int i = 0; i < COUNT_OF(dns.addresses) && dns.addresses[i]; i++) {
		*list = answer_with(dns.addresses[i]);
		list = &(*list)->ai_next;
	}
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

static void dns_answers(const char *first, const char *second)
{
	memset(&dns, 0, sizeof(dns));
	dns.gate = -1;
	dns.addresses[0] = first;
	dns.addresses[1] = second;
}

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

/* ---------------------------------------------------------------- sockets */

/* A listening socket; port 0: a new one, which is put there. */
static int listen_at(const char *ip, uint16_t *port, int backlog)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(*port)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &addr.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

/* A client that is connected, or about to be. */
static int client_of(const char *ip, uint16_t port, int flags)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	inet_pton(AF_INET, ip, &addr.sin_addr);
	(void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	return fd;
}

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

/* ---------------------------------------------------------------- hosts */

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
	house->net = net_get(t->engine);
	house->conf.max_per_host = places;
	house->target.host = "127.0.0.1";
	house->listener = listen_at("127.0.0.1", &house->target.port, 128);
	gate_init(&house->gate);
}

static void house_free(struct house *house)
{
	net_cleanup();
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
	struct answering answering = {&house, 429, 25 * MS, 1};

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
	EACH_ROW(one_lookup_serves_all_who_want_the_name),
	EACH_ROW(only_some_lookups_run_at_once),
	EACH_ROW(a_cancelled_lookup_is_taken_over),
	EACH_ROW(a_name_without_addresses_is_asked_for_once),
	EACH_ROW(an_answer_holds_until_all_its_addresses_have_failed),
	EACH_ROW(the_second_address_is_tried_when_the_first_refuses),
	EACH_ROW(the_second_address_does_not_wait_for_a_silent_first),
	EACH_ROW(all_refuse),
	EACH_ROW(a_race_is_cancelled_with_its_task),
	EACH_ROW(sockets_of_the_file_system_and_abstract_ones),
	EACH_ROW(a_silent_stream_times_out),
	EACH_ROW(a_trickle_is_ended),
	EACH_ROW(what_is_moved_is_paid),
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
