/* SPDX-License-Identifier: MIT */
/*
 * tls: see tls.h. OpenSSL reads from and writes to a struct tls in memory through a BIO of ours:
 *
 *	socket --recv--> in --BIO--> SSL_read_ex() --> caller
 *	caller --> SSL_write_ex() --BIO--> out --send--> socket
 *
 * Each call of OpenSSL is made, its error is taken from the thread's queue at once, and only then
 * the ciphertext is moved, which suspends the task.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/alloc.h"
#include "net/names.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/tls_conf.h"
#include "net/tls_io.h"

/* For several records at once; memory that nothing was received into is never touched. */
#define IN_SIZE 65536u
#define OUT_KEPT 4096u

struct tls {
	SSL *ssl;
	struct tls_conf *conf;
	unsigned char *in; /* ciphertext that came; NULL: none is expected */
	size_t in_at, in_len;
	bool in_ended;
	struct buf out; /* ciphertext to be sent */
	int unverified; /* what is wrong with the certificate, X509_V_OK so far */
	bool broken; /* no goodbye is possible */
	uint16_t port;
	char host[NAMES_LEN_MAX + 1];
};

const char *tls_error_text(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return text ? text : "TLS failed";
}

/* ---- the BIO */

static int bio_read(BIO *bio, char *buf, size_t len, size_t *got)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*got = tls->in_len - tls->in_at < len ? tls->in_len - tls->in_at : len;
	if (*got) {
		memcpy(buf, tls->in + tls->in_at, *got);
		tls->in_at += *got;
		return 1;
	}
	if (!tls->in_ended)
		BIO_set_retry_read(bio);
	return 0;
}

static int bio_write(BIO *bio, const char *buf, size_t len, size_t *put)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buf_add(&tls->out, buf, len);
	*put = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls *tls = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return tls->in_ended && tls->in_at == tls->in_len;
	default:
		return 0;
	}
}

static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "batchproc");
		if (method) {
			BIO_meth_set_read_ex(method, bio_read);
			BIO_meth_set_write_ex(method, bio_write);
			BIO_meth_set_ctrl(method, bio_ctrl);
		}
	}
	pthread_mutex_unlock(&lock);
	return method;
}

/* ---- moving the ciphertext */

static int flush(struct stream *stream)
{
	struct tls *tls = stream->tls;
	size_t sent = 0;
	int err;

	if (!tls->out.len)
		return 0;
	err = socket_write(stream, tls->out.data, tls->out.len, &sent);
	if (err)
		tls->broken = true;
	if (tls->out.cap > OUT_KEPT)
		buf_free(&tls->out);
	tls->out.len = 0;
	return err;
}

/* Memory for ciphertext is there only while some is expected or not read yet. */
static void room(struct tls *tls)
{
	if (!tls->in)
		tls->in = xrealloc(NULL, IN_SIZE);
	tls->in_at = tls->in_len = 0;
}

static void release(struct tls *tls)
{
	if (tls->in_at < tls->in_len)
		return;
	free(tls->in);
	tls->in = NULL;
	tls->in_at = tls->in_len = 0;
}

static int fill(struct stream *stream)
{
	struct tls *tls = stream->tls;
	ssize_t got;

	room(tls);
	got = socket_read(stream, tls->in, IN_SIZE);
	if (got < 0)
		return (int)got;
	tls->in_len = (size_t)got;
	tls->in_ended = !got;
	return 0;
}

/* What a call of OpenSSL wants before it can be made again: 0, or -errno; the last call failed. */
static int go_on(struct stream *stream, int code)
{
	struct tls *tls = stream->tls;
	const char *why = NULL;
	int err;

	if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE) {
		tls->broken = true;
		why = tls_error_text();
	}
	err = flush(stream);
	if (why) {
		stream->why = why;
		return -EPROTO;
	}
	if (err || code == SSL_ERROR_WANT_WRITE)
		return err;
	return fill(stream);
}

/* The end of the connection without a close_notify. */
static bool is_cut(const struct tls *tls, int code)
{
	return tls->in_ended && tls->in_at == tls->in_len &&
	       (code == SSL_ERROR_SYSCALL || code == SSL_ERROR_SSL);
}

/*
 * Nothing is there that OpenSSL could take, nor does it have anything itself, not even the end: that
 * may have come with the last record, and the connection stay open.
 */
static bool is_empty(const struct tls *tls)
{
	return tls->in_at == tls->in_len && !tls->in_ended && !tls->broken &&
	       !SSL_has_pending(tls->ssl) && !SSL_get_shutdown(tls->ssl);
}

/* To clear what is clear already takes longer than to look. */
static void clear_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

/* All that is there, of which one call gives one record at most. */
static size_t take_records(struct tls *tls, char *buf, size_t len)
{
	size_t got = 0, part;

	clear_errors();
	while (got < len && SSL_read_ex(tls->ssl, buf + got, len - got, &part) == 1) {
		got += part;
		if (is_empty(tls))
			break;
	}
	return got;
}

ssize_t tls_read(struct stream *stream, void *buf, size_t len)
{
	struct tls *tls = stream->tls;
	size_t got;

	for (;;) {
		int code, err = 0;

		/* It would say that it wants to read. */
		if (is_empty(tls)) {
			err = flush(stream);
			if (!err)
				err = fill(stream);
			if (err)
				return err;
		}
		got = take_records(tls, buf, len);
		/* With some at hand, whatever ended it is met again by the next call. */
		if (got) {
			clear_errors();
			release(tls);
			return (ssize_t)got;
		}
		code = SSL_get_error(tls->ssl, 0);
		if (code == SSL_ERROR_ZERO_RETURN)
			return 0;
		if (is_cut(tls, code)) {
			ERR_clear_error();
			tls->broken = true;
			stream->cut = true;
			return 0;
		}
		err = go_on(stream, code);
		if (err)
			return err;
	}
}

int tls_write(struct stream *stream, const void *data, size_t len, size_t *sent)
{
	struct tls *tls = stream->tls;
	const char *from = data;
	size_t part;
	int err;

	while (*sent < len) {
		clear_errors();
		if (SSL_write_ex(tls->ssl, from + *sent, len - *sent, &part) == 1) {
			err = flush(stream);
			if (!err)
				*sent += part;
		} else {
			err = go_on(stream, SSL_get_error(tls->ssl, 0));
		}
		if (err)
			return err;
	}
	return 0;
}

bool tls_idle(struct stream *stream)
{
	struct tls *tls = stream->tls;
	char byte;
	ssize_t got;
	size_t n;
	int code;

	if (tls->broken || tls->in_ended)
		return false;
	/*
	 * Tickets of TLS 1.3 may have come meanwhile: they are read, and nothing else may be there.
	 */
	got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	if (got > 0 && tls->in_at == tls->in_len) {
		room(tls);
		got = recv(stream->fd, tls->in, IN_SIZE, MSG_DONTWAIT);
		tls->in_len = got > 0 ? (size_t)got : 0;
	}
	if (is_empty(tls))
		return true;
	ERR_clear_error();
	if (SSL_peek_ex(tls->ssl, &byte, 1, &n) == 1)
		return false;
	code = SSL_get_error(tls->ssl, 0);
	ERR_clear_error();
	release(tls);
	return code == SSL_ERROR_WANT_READ;
}

void tls_end(struct stream *stream)
{
	struct tls *tls = stream->tls;

	if (!tls->broken && stream->fd >= 0 && SSL_is_init_finished(tls->ssl)) {
		ERR_clear_error();
		SSL_shutdown(tls->ssl);
		if (tls->out.len)
			(void)!send(stream->fd, tls->out.data, tls->out.len,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	SSL_free(tls->ssl);
	ERR_clear_error();
	buf_free(&tls->out);
	free(tls->in);
	free(tls);
	stream->tls = NULL;
}

/* ---- the handshake */

/* A certificate of the chain has been looked at. */
int tls_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *tls = SSL_get_app_data(ssl);

	if (ok)
		return 1;
	if (tls->unverified == X509_V_OK)
		tls->unverified = X509_STORE_CTX_get_error(store);
	return tls_conf_inspects(tls->conf);
}

void tls_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);

	tls_session_put(tls->conf, tls->host, tls->port, session);
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* Whose certificate it has to be; false: no memory. */
static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *ssl_new(struct tls *tls, SSL_CTX *ctx, const char *host)
{
	SSL_SESSION *session = tls_session_get(tls->conf, host, tls->port);
	BIO *bio = bio_method() ? BIO_new(bio_method()) : NULL;
	SSL *ssl = bio ? SSL_new(ctx) : NULL;

	if (!ssl || !expect_host(ssl, host)) {
		BIO_free(bio);
		SSL_free(ssl);
		SSL_SESSION_free(session);
		return NULL;
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_app_data(ssl, tls);
	SSL_set_connect_state(ssl);
	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	return ssl;
}

static int begin(struct stream *stream, struct tls_conf *conf, const char *host, uint16_t port)
{
	SSL_CTX *ctx;
	struct tls *tls;

	stream->why = tls_conf_ready(conf);
	if (bp_cancelled())
		return bp_yield();
	ctx = stream->why ? NULL : tls_conf_context(conf, &stream->why);
	if (!ctx)
		return -EPROTO;
	if (strlen(host) > NAMES_LEN_MAX)
		return -ENAMETOOLONG;
	tls = xcalloc(1, sizeof(*tls));
	tls->conf = conf;
	tls->port = port;
	memcpy(tls->host, host, strlen(host) + 1);
	tls->ssl = ssl_new(tls, ctx, host);
	if (!tls->ssl) {
		stream->why = tls_error_text();
		free(tls);
		return -EPROTO;
	}
	stream->tls = tls;
	return 0;
}

static int shake_hands(struct stream *stream)
{
	struct tls *tls = stream->tls;
	int err = 0;

	while (!err) {
		int code, ended;

		ERR_clear_error();
		if (SSL_do_handshake(tls->ssl) == 1) {
			err = flush(stream);
			break;
		}
		code = SSL_get_error(tls->ssl, 0);
		ended = is_cut(tls, code);
		err = go_on(stream, code);
		if (err && ended)
			stream->why = "the connection ended during the TLS handshake";
	}
	if (tls->unverified != X509_V_OK && (!err || err == -EPROTO)) {
		stream->why = X509_verify_cert_error_string(tls->unverified);
		return -EKEYREJECTED;
	}
	return err;
}

int tls_handshake(struct stream *stream, struct tls_conf *conf, const char *host, uint16_t port)
{
	int err = begin(stream, conf, host, port);

	if (!err)
		err = shake_hands(stream);
	if (stream->tls)
		release(stream->tls);
	return err;
}

/* ---- what there is to tell */

const char *tls_version(const struct stream *stream)
{
	return SSL_get_version(stream->tls->ssl);
}

const char *tls_cipher(const struct stream *stream)
{
	return SSL_get_cipher_name(stream->tls->ssl);
}

const char *tls_alpn(const struct stream *stream)
{
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(stream->tls->ssl, &name, &len);
	if (len == 2 && !memcmp(name, "h2", 2))
		return "h2";
	return len == 8 && !memcmp(name, "http/1.1", 8) ? "http/1.1" : NULL;
}

bool tls_resumed(const struct stream *stream)
{
	return SSL_session_reused(stream->tls->ssl);
}

static void add_name(struct buf *buf, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (!bio)
		return;
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	len = BIO_get_mem_data(bio, &text);
	buf_add(buf, text, (size_t)len);
	BIO_free(bio);
}

static int64_t seconds(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool tls_certificate(const struct stream *stream, size_t index, struct tls_certificate *cert)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(stream->tls->ssl);
	const X509 *one;

	if (!chain || index >= (size_t)sk_X509_num(chain))
		return false;
	one = sk_X509_value(chain, (int)index);
	if (cert->subject)
		add_name(cert->subject, X509_get_subject_name(one));
	if (cert->issuer)
		add_name(cert->issuer, X509_get_issuer_name(one));
	cert->not_before = seconds(X509_get0_notBefore(one));
	cert->not_after = seconds(X509_get0_notAfter(one));
	return true;
}
