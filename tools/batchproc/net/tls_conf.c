/* SPDX-License-Identifier: MIT */
/*
 * tls_conf: the configurations of TLS, each with its store of trusted certificates, its contexts,
 * one for each loop, and the sessions that may be resumed. A list of them has one lock; each has a
 * lock of its own for what it holds. The store and the files are read once, by whoever needs them
 * first.
 */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/blocking.h"
#include "base/alloc.h"
#include "net/names.h"
#include "net/tls.h"
#include "net/tls_conf.h"

#define SESSIONS 256u

struct context {
	struct context *next;
	pthread_t thread;
	SSL_CTX *ctx;
};

/* The last session with a host, in the slot of its name: who shares one with another loses it. */
struct session {
	SSL_SESSION *session; /* NULL: none */
	uint16_t port;
	char host[NAMES_LEN_MAX + 1];
};

struct tls_conf {
	struct tls_conf *next;
	struct tls_settings set; /* with strings of its own */
	atomic_bool ready;
	pthread_mutex_t lock; /* covers what follows */
	const char *wrong; /* with a file; once ready */
	X509_STORE *store; /* NULL: nothing is verified */
	struct context *contexts;
	struct session *sessions; /* NULL: none yet */
};

struct tls_confs {
	pthread_mutex_t lock; /* covers what follows */
	struct tls_conf *first;
};

struct tls_confs *tls_confs_new(void)
{
	struct tls_confs *confs = xcalloc(1, sizeof(*confs));

	pthread_mutex_init(&confs->lock, NULL);
	return confs;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_settings(const struct tls_settings *a, const struct tls_settings *b)
{
	return same_text(a->cacert, b->cacert) && same_text(a->cert, b->cert) &&
	       same_text(a->key, b->key) && a->insecure == b->insecure &&
	       a->inspect == b->inspect && a->offer_h2 == b->offer_h2;
}

static const char *copy_text(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

struct tls_conf *tls_conf_get(struct tls_confs *confs, const struct tls_settings *settings)
{
	struct tls_conf *conf;

	pthread_mutex_lock(&confs->lock);
	for (conf = confs->first; conf && !same_settings(&conf->set, settings); conf = conf->next)
		;
	if (!conf) {
		conf = xcalloc(1, sizeof(*conf));
		conf->set = *settings;
		conf->set.cacert = copy_text(settings->cacert);
		conf->set.cert = copy_text(settings->cert);
		conf->set.key = copy_text(settings->key);
		pthread_mutex_init(&conf->lock, NULL);
		conf->next = confs->first;
		confs->first = conf;
	}
	pthread_mutex_unlock(&confs->lock);
	return conf;
}

bool tls_conf_inspects(const struct tls_conf *conf)
{
	return conf->set.inspect;
}

/* ---- contexts */

/* Nobody is asked for a password in the middle of a run. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static int new_session(SSL *ssl, SSL_SESSION *session)
{
	tls_new_session(ssl, session);
	return 1;
}

/* The certificate that we show; NULL, or what is wrong. */
static const char *use_certificate(SSL_CTX *ctx, const struct tls_settings *set)
{
	const char *key = set->key ? set->key : set->cert;

	if (!set->cert)
		return set->key ? "--key needs --cert" : NULL;
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	if (SSL_CTX_use_certificate_chain_file(ctx, set->cert) != 1)
		return "cannot read the certificate of --cert as PEM";
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
		return NULL;
	if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
		return "the private key does not belong to the certificate";
	return "cannot read the private key as PEM without a password";
}

static void set_up(SSL_CTX *ctx, const struct tls_conf *conf)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	size_t skip = conf->set.offer_h2 ? 0 : 3;

	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_protos(ctx, both + skip, (unsigned int)(sizeof(both) - 1 - skip));
	SSL_CTX_set_session_cache_mode(ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, new_session);
	if (conf->store) {
		SSL_CTX_set1_cert_store(ctx, conf->store);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, tls_verify);
	} else {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	}
}

/* Under the lock, as all of the next ones. */
static SSL_CTX *add_context(struct tls_conf *conf, const char **why)
{
	struct context *context;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx) {
		*why = tls_error_text();
		return NULL;
	}
	set_up(ctx, conf);
	*why = use_certificate(ctx, &conf->set);
	ERR_clear_error();
	if (*why) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	context = xcalloc(1, sizeof(*context));
	context->thread = pthread_self();
	context->ctx = ctx;
	context->next = conf->contexts;
	conf->contexts = context;
	return ctx;
}

SSL_CTX *tls_conf_context(struct tls_conf *conf, const char **why)
{
	struct context *context;
	SSL_CTX *ctx;

	pthread_mutex_lock(&conf->lock);
	context = conf->contexts;
	while (context && !pthread_equal(context->thread, pthread_self()))
		context = context->next;
	ctx = context ? context->ctx : add_context(conf, why);
	pthread_mutex_unlock(&conf->lock);
	return ctx;
}

/* ---- the store */

static const char *load_store(struct tls_conf *conf)
{
	X509_STORE *store = X509_STORE_new();
	int loaded;

	if (!store)
		return "out of memory";
	loaded = conf->set.cacert ? X509_STORE_load_file(store, conf->set.cacert) :
				    X509_STORE_set_default_paths(store);
	ERR_clear_error();
	if (loaded != 1) {
		X509_STORE_free(store);
		return conf->set.cacert ? "cannot read certificates of --cacert as PEM" :
					  "cannot read the system's trusted certificates";
	}
	conf->store = store;
	return NULL;
}

const char *tls_conf_check(struct tls_conf *conf)
{
	const char *wrong;

	pthread_mutex_lock(&conf->lock);
	if (!conf->ready) {
		/* What is wrong with the files is said before anything is started. */
		if (!conf->set.insecure || conf->set.inspect)
			conf->wrong = load_store(conf);
		if (!conf->wrong)
			add_context(conf, &conf->wrong);
		atomic_store(&conf->ready, true);
	}
	wrong = conf->wrong;
	pthread_mutex_unlock(&conf->lock);
	return wrong;
}

static int load(void *arg)
{
	tls_conf_check(arg);
	return 0;
}

const char *tls_conf_ready(struct tls_conf *conf)
{
	if (!atomic_load(&conf->ready))
		blocking_long(load, conf);
	return atomic_load(&conf->ready) ? conf->wrong : "cancelled";
}

/* ---- sessions */

static struct session *slot(struct tls_conf *conf, const char *host, uint16_t port)
{
	uint32_t hash = 2166136261u ^ port;

	if (strlen(host) > NAMES_LEN_MAX)
		return NULL;
	for (const char *c = host; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	if (!conf->sessions)
		conf->sessions = xcalloc(SESSIONS, sizeof(*conf->sessions));
	return &conf->sessions[hash % SESSIONS];
}

SSL_SESSION *tls_session_get(struct tls_conf *conf, const char *host, uint16_t port)
{
	SSL_SESSION *session = NULL;
	struct session *at;

	/* Who wants to see the whole of it takes no short cut. */
	if (conf->set.inspect)
		return NULL;
	pthread_mutex_lock(&conf->lock);
	at = slot(conf, host, port);
	if (at && at->session && at->port == port && !strcmp(at->host, host)) {
		session = at->session;
		SSL_SESSION_up_ref(session);
	}
	pthread_mutex_unlock(&conf->lock);
	return session;
}

void tls_session_put(struct tls_conf *conf, const char *host, uint16_t port, SSL_SESSION *session)
{
	SSL_SESSION *old = session;
	struct session *at;

	pthread_mutex_lock(&conf->lock);
	at = conf->set.inspect ? NULL : slot(conf, host, port);
	if (at) {
		old = at->session;
		at->session = session;
		at->port = port;
		memcpy(at->host, host, strlen(host) + 1);
	}
	pthread_mutex_unlock(&conf->lock);
	SSL_SESSION_free(old);
}

/* ---- the end */

static void conf_free(struct tls_conf *conf)
{
	struct context *context, *next;

	for (size_t i = 0; conf->sessions && i < SESSIONS; i++)
		SSL_SESSION_free(conf->sessions[i].session);
	free(conf->sessions);
	for (context = conf->contexts; context; context = next) {
		next = context->next;
		SSL_CTX_free(context->ctx);
		free(context);
	}
	X509_STORE_free(conf->store);
	pthread_mutex_destroy(&conf->lock);
	free((char *)conf->set.cacert);
	free((char *)conf->set.cert);
	free((char *)conf->set.key);
	free(conf);
}

void tls_confs_free(struct tls_confs *confs)
{
	struct tls_conf *conf, *next;

	for (conf = confs->first; conf; conf = next) {
		next = conf->next;
		conf_free(conf);
	}
	pthread_mutex_destroy(&confs->lock);
	free(confs);
}
