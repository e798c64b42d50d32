/* SPDX-License-Identifier: MIT */
/*
 * hosts: see hosts.h. One lock for all hosts, held for a few instructions and never while a task
 * waits.
 *
 * A place goes from who gives it back straight to the first who waits, so that nobody who comes
 * later is served before. Whoever has one waits in it for the end of his host's pause. Kept
 * connections are taken last in, first out; the one that was kept longest is closed where there are
 * too many, or where the process has no descriptor left. Hosts with nothing to remember are
 * forgotten, the oldest first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "batchproc.h"
#include "base/alloc.h"
#include "net/dial.h"
#include "net/hosts.h"
#include "net/park.h"
#include "net/proxy.h"
#include "net/tls.h"

#define BUCKETS 1024u
#define HOSTS_KEPT 4096u
#define LOOKS 4 /* for those that can be forgotten, whenever there is a new one */
#define KEPT_MOST 4096u
#define KEPT_NS 55000000000ull /* many servers end an idle connection after 60 s */
#define GOOD_FOR_MORE 10u /* answers for each place, before there are more of them */

/* What tells hosts apart. The settings' files stand in tls, and texts are compared. */
struct key {
	const char *name;
	uint16_t port;
	bool tls, raw;
	unsigned int most;
	const struct tls_conf *conf;
	const struct proxy *proxy;
	const char *unix_socket;
};

struct host {
	struct host *chain;
	struct host *older, *newer; /* all of them, by when they were asked for */
	struct net *net;
	struct key key; /* with strings of its own */
	unsigned int users; /* tasks that have or want a connection */
	unsigned int used; /* places */
	unsigned int places; /* at present; UINT_MAX: as many as are wanted */
	unsigned int most;
	uint64_t good; /* answers since the places changed */
	uint64_t answers; /* since they were lowered */
	unsigned int underway; /* requests when they were lowered: their answers say no more */
	uint64_t pause_ns; /* until then */
	struct line waiting; /* for a place */
	struct conn *kept; /* the last one first */
};

struct net {
	struct bp_engine *engine;
	struct names *names;
	pthread_mutex_t lock; /* covers what follows, and all hosts */
	unsigned int hosts, kept;
	struct host *oldest, *newest;
	struct conn *first, *last; /* kept ones, the longest kept first */
	struct host *bucket[BUCKETS];
};

void net_begin(struct net **net, struct bp_engine *engine)
{
	if (*net)
		return;
	*net = xcalloc(1, sizeof(**net));
	(*net)->engine = engine;
	(*net)->names = names_create(engine);
	pthread_mutex_init(&(*net)->lock, NULL);
}

/* ---- the table of hosts; all of it under the lock */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_host(const struct key *a, const struct key *b)
{
	return a->port == b->port && a->tls == b->tls && a->raw == b->raw && a->most == b->most &&
	       a->conf == b->conf && a->proxy == b->proxy && !strcmp(a->name, b->name) &&
	       same_text(a->unix_socket, b->unix_socket);
}

static struct host **place_of(struct net *net, const struct key *key)
{
	uint32_t hash = 2166136261u ^ key->port;
	struct host **at;

	for (const char *c = key->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	at = &net->bucket[hash % BUCKETS];
	while (*at && !same_host(&(*at)->key, key))
		at = &(*at)->chain;
	return at;
}

static void unlink_age(struct net *net, struct host *host)
{
	*(host->older ? &host->older->newer : &net->oldest) = host->newer;
	*(host->newer ? &host->newer->older : &net->newest) = host->older;
}

static void link_newest(struct net *net, struct host *host)
{
	host->older = net->newest;
	host->newer = NULL;
	*(host->older ? &host->older->newer : &net->oldest) = host;
	net->newest = host;
}

static void host_free(struct net *net, struct host *host)
{
	*place_of(net, &host->key) = host->chain;
	unlink_age(net, host);
	net->hosts--;
	free((char *)host->key.name);
	free((char *)host->key.unix_socket);
	free(host);
}

/*
 * Looks at a few of the oldest; those that are needed count as asked for now, so that others have
 * their turn.
 */
static void forget_old(struct net *net)
{
	for (int i = 0; i < LOOKS && net->hosts > HOSTS_KEPT; i++) {
		struct host *host = net->oldest;

		if (!host->users && !host->kept && host->pause_ns <= bp_now(net->engine)) {
			host_free(net, host);
			continue;
		}
		unlink_age(net, host);
		link_newest(net, host);
	}
}

static bool is_local_name(const char *name)
{
	size_t len = strlen(name);
	union address address = {.any.sa_family = AF_INET};

	if (!strcmp(name, "localhost") || (len > 10 && !strcmp(name + len - 10, ".localhost")))
		return true;
	if (inet_pton(AF_INET, name, &address.in.sin_addr) != 1) {
		address.any.sa_family = AF_INET6;
		if (inet_pton(AF_INET6, name, &address.in6.sin6_addr) != 1)
			return false;
	}
	return address_is_loopback(&address);
}

static struct host *host_add(struct net *net, struct host **at, const struct key *key)
{
	struct host *host = xcalloc(1, sizeof(*host));

	host->net = net;
	host->key = *key;
	host->key.name = xstrdup(key->name);
	host->key.unix_socket = key->unix_socket ? xstrdup(key->unix_socket) : NULL;
	host->most = key->most ? key->most : HOST_PLACES;
	if (!key->most && (key->unix_socket || (!key->proxy && is_local_name(key->name))))
		host->most = UINT_MAX;
	host->places = host->most;
	host->users = 1;
	*at = host;
	net->hosts++;
	link_newest(net, host);
	forget_old(net);
	return host;
}

/* With the lock held from here on. */
static struct host *host_get(struct net *net, const struct net_conf *conf,
			     const struct target *target)
{
	struct key key = {.name = target->host,
			  .port = target->port,
			  .tls = target->tls,
			  .raw = target->raw,
			  .most = conf->max_per_host,
			  .conf = target->tls ? conf->tls : NULL,
			  .unix_socket = conf->unix_socket};
	struct host **at, *host;

	if (conf->proxies && !conf->unix_socket && !target->raw)
		key.proxy = proxy_for(conf->proxies, target->tls, target->host);
	at = place_of(net, &key);
	host = *at;
	if (host) {
		unlink_age(net, host);
		link_newest(net, host);
		host->users++;
	} else {
		host = host_add(net, at, &key);
	}
	return host;
}

/* ---- places */

static void call_waiting(struct host *host)
{
	/* Who is called has a place. */
	while (host->used < host->places && line_call(&host->waiting))
		host->used++;
}

/* Gives back a place, and the host; under the lock. */
static void leave(struct host *host)
{
	host->used--;
	host->users--;
	call_waiting(host);
}

/* Waits for a place, and in it for the end of a pause. The lock is held, but while it waits. */
static int enter(struct host *host)
{
	struct net *net = host->net;
	uint64_t now = 0;
	int err = 0;

	if (host->used < host->places && !host->waiting.length)
		host->used++;
	else
		err = line_wait(&host->waiting, &net->lock);
	if (err) {
		host->users--;
		return err;
	}
	while (!err && host->pause_ns && (now = bp_now(net->engine)) < host->pause_ns) {
		uint64_t left = host->pause_ns - now;

		pthread_mutex_unlock(&net->lock);
		err = bp_sleep(left);
		pthread_mutex_lock(&net->lock);
	}
	if (err)
		leave(host);
	return err;
}

static void lower(struct host *host)
{
	unsigned int busy = host->used < host->places ? host->used : host->places;

	if (host->answers < host->underway)
		return;
	host->places = busy > 2 ? busy / 2 : 1;
	host->underway = host->used;
	host->answers = host->good = 0;
}

static void raise_slowly(struct host *host)
{
	if (host->places == host->most || ++host->good < (uint64_t)GOOD_FOR_MORE * host->places)
		return;
	host->good = 0;
	host->places += 1 + host->places / 4;
	if (host->places > host->most)
		host->places = host->most;
	call_waiting(host);
}

void host_answered(struct conn *conn, int status, uint64_t retry_after_ns)
{
	struct host *host = conn->host;
	struct net *net = host->net;
	uint64_t until;

	pthread_mutex_lock(&net->lock);
	host->answers++;
	if (status == 429 || status == 503)
		lower(host);
	else
		raise_slowly(host);
	if (retry_after_ns) {
		until = bp_now(net->engine) + retry_after_ns;
		if (until > host->pause_ns)
			host->pause_ns = until;
	}
	pthread_mutex_unlock(&net->lock);
}

/* ---- kept connections */

/* Takes it out of the order of all kept ones, and out of its host's. */
static void unkeep(struct net *net, struct conn *conn)
{
	struct conn **at = &conn->host->kept;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	*(conn->older ? &conn->older->newer : &net->first) = conn->newer;
	*(conn->newer ? &conn->newer->older : &net->last) = conn->older;
	net->kept--;
}

static void keep_conn(struct net *net, struct conn *conn)
{
	conn->next = conn->host->kept;
	conn->host->kept = conn;
	conn->older = net->last;
	conn->newer = NULL;
	*(conn->older ? &conn->older->newer : &net->first) = conn;
	net->last = conn;
	net->kept++;
}

static void conn_free(struct conn *conn)
{
	stream_close(&conn->stream);
	free(conn);
}

/* One that was kept, under the lock; or NULL. */
static struct conn *take_kept(struct host *host)
{
	struct conn *conn = host->kept;

	if (conn)
		unkeep(host->net, conn);
	return conn;
}

/* @conn, or another one that was kept, that can be used; or NULL. */
static struct conn *first_usable(struct host *host, struct conn *conn, uint64_t now)
{
	struct net *net = host->net;

	while (conn && (now >= conn->kept_ns + KEPT_NS || !stream_idle(&conn->stream))) {
		conn_free(conn);
		pthread_mutex_lock(&net->lock);
		conn = take_kept(host);
		pthread_mutex_unlock(&net->lock);
	}
	return conn;
}

/* Closes those that are kept beyond @most; returns whether there was one. */
static bool close_kept(struct net *net, unsigned int most)
{
	bool any = false;

	for (;;) {
		struct conn *conn = NULL;

		pthread_mutex_lock(&net->lock);
		if (net->kept > most) {
			conn = net->first;
			unkeep(net, conn);
		}
		pthread_mutex_unlock(&net->lock);
		if (!conn)
			return any;
		conn_free(conn);
		any = true;
	}
}

/* ---- a new connection */

/* Where no descriptor is left the kept ones are closed, and it is tried once more. */
static bool made_room(struct net *net, int err)
{
	return (err == -EMFILE || err == -ENFILE) && close_kept(net, 0);
}

static int dial_name(struct net *net, const char *name, uint16_t port, struct conn *conn,
		     struct dialed *dialed)
{
	struct addresses *addresses;
	uint64_t start = bp_now(net->engine);
	int fd;

	dialed->stage = "name";
	fd = names_lookup(net->names, name, &addresses, &dialed->why);
	dialed->name_ns = bp_now(net->engine) - start;
	if (fd)
		return fd;
	dialed->stage = "connect";
	fd = dial(net->engine, addresses, port, &conn->address);
	if (made_room(net, fd))
		fd = dial(net->engine, addresses, port, &conn->address);
	if (fd < 0 && fd != -ECANCELED)
		names_failed(net->names, name, addresses);
	addresses_put(addresses);
	return fd;
}

static int dial_socket(struct net *net, const char *path, struct conn *conn, struct dialed *dialed)
{
	int fd;

	dialed->stage = "connect";
	conn->address.any.sa_family = AF_UNIX;
	fd = dial_unix(path);
	return made_room(net, fd) ? dial_unix(path) : fd;
}

/* A request is one write; it must not wait for the answer to the one before. */
static void send_at_once(int fd, const struct key *key)
{
	static const int on = 1;

	/* Nothing is sent to who is only to take a connection. */
	if (!key->unix_socket && (!key->raw || key->tls))
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The host turned out to be this machine, under another name. */
static void found_local(struct host *host)
{
	struct net *net = host->net;

	pthread_mutex_lock(&net->lock);
	if (host->most != UINT_MAX) {
		host->places = host->places == host->most ? UINT_MAX : host->places;
		host->most = UINT_MAX;
		call_waiting(host);
	}
	pthread_mutex_unlock(&net->lock);
}

static int secure(struct conn *conn, const struct net_conf *conf, struct dialed *dialed)
{
	const struct key *key = &conn->host->key;
	struct bp_engine *engine = conn->host->net->engine;
	uint64_t start = bp_now(engine);
	int err = 0;

	if (key->proxy && key->tls) {
		dialed->stage = "proxy";
		err = proxy_tunnel(&conn->stream, key->proxy, key->name, key->port);
		dialed->connect_ns += bp_now(engine) - start;
		start = bp_now(engine);
	}
	if (!err && key->tls) {
		dialed->stage = "tls";
		err = tls_handshake(&conn->stream, conf->tls, key->name, key->port);
		dialed->tls_ns = bp_now(engine) - start;
	}
	if (conn->stream.why)
		dialed->why = conn->stream.why;
	return err;
}

static int connect_conn(struct conn *conn, const struct net_conf *conf, struct dialed *dialed)
{
	struct host *host = conn->host;
	const struct key *key = &host->key;
	struct net *net = host->net;
	uint64_t start = bp_now(net->engine);
	int fd;

	if (key->unix_socket)
		fd = dial_socket(net, key->unix_socket, conn, dialed);
	else if (key->proxy)
		fd = dial_name(net, key->proxy->host, key->proxy->port, conn, dialed);
	else
		fd = dial_name(net, key->name, key->port, conn, dialed);
	dialed->connect_ns = bp_now(net->engine) - start - dialed->name_ns;
	if (fd < 0)
		return fd;
	send_at_once(fd, key);
	stream_init(&conn->stream, net->engine, fd);
	if (!key->most && !key->proxy && address_is_loopback(&conn->address))
		found_local(host);
	return secure(conn, conf, dialed);
}

/* The same within the connect timeout. */
static int connect_in_time(struct conn *conn, const struct net_conf *conf, struct dialed *dialed)
{
	struct bp_timeout scope;
	int err;

	if (!conf->connect_timeout_ns)
		return connect_conn(conn, conf, dialed);
	bp_timeout_begin(&scope, conf->connect_timeout_ns);
	err = connect_conn(conn, conf, dialed);
	if (bp_timeout_end(&scope) && err == -ETIMEDOUT)
		dialed->why = "no connection within --connect-timeout";
	return err;
}

static struct conn *conn_new(struct host *host)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->host = host;
	conn->proxy = host->key.proxy;
	conn->stream.fd = -1;
	return conn;
}

int conn_get(struct net *net, const struct net_conf *conf, const struct target *target, bool fresh,
	     struct conn **conn, struct dialed *dialed)
{
	uint64_t start = bp_now(net->engine), now;
	struct host *host;
	int err;

	memset(dialed, 0, sizeof(*dialed));
	*conn = NULL;
	pthread_mutex_lock(&net->lock);
	host = host_get(net, conf, target);
	err = enter(host);
	if (!err && !fresh)
		*conn = take_kept(host);
	pthread_mutex_unlock(&net->lock);
	now = bp_now(net->engine);
	dialed->queue_ns = now - start;
	dialed->stage = "queue";
	if (err)
		return err;
	*conn = first_usable(host, *conn, now);
	if (*conn) {
		(*conn)->reused = true;
	} else {
		*conn = conn_new(host);
		err = connect_in_time(*conn, conf, dialed);
	}
	if (err && !(err == -EKEYREJECTED && tls_conf_inspects(conf->tls))) {
		conn_put(*conn, false);
		*conn = NULL;
	}
	return err;
}

void conn_put(struct conn *conn, bool keep)
{
	struct host *host = conn->host;
	struct net *net = host->net;

	if (!keep || conn->stream.ended) {
		conn_free(conn);
		conn = NULL;
	} else {
		conn->kept_ns = bp_now(net->engine);
		conn->stream.pace = NULL;
		conn->stream.low.bytes = 0;
		conn->stream.received = conn->stream.sent = 0;
	}
	pthread_mutex_lock(&net->lock);
	if (conn)
		keep_conn(net, conn);
	leave(host);
	pthread_mutex_unlock(&net->lock);
	if (conn)
		close_kept(net, KEPT_MOST);
}

void net_end(struct net **net)
{
	if (*net) {
		close_kept(*net, 0);
		while ((*net)->oldest)
			host_free(*net, (*net)->oldest);
		names_destroy((*net)->names);
		pthread_mutex_destroy(&(*net)->lock);
		free(*net);
		*net = NULL;
	}
}
