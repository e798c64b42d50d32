/* SPDX-License-Identifier: MIT */
/*
 * tls_conf: what tls.c needs of a configuration: a context of its loop, and the sessions. Any
 * thread.
 */
#ifndef BATCHPROC_TLS_CONF_H
#define BATCHPROC_TLS_CONF_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct tls;
struct tls_conf;

/*
 * Loads what handshakes need, on a helper thread, unless that was done. NULL, or what is wrong.
 * Task only.
 */
const char *tls_conf_ready(struct tls_conf *conf);

/* The context of the calling thread, after tls_conf_ready(); NULL with @why where there is none. */
SSL_CTX *tls_conf_context(struct tls_conf *conf, const char **why);

/* A session to resume, of the caller, or NULL. */
SSL_SESSION *tls_session_get(struct tls_conf *conf, const char *host, uint16_t port);
/* Keeps a session, which it takes over. */
void tls_session_put(struct tls_conf *conf, const char *host, uint16_t port, SSL_SESSION *session);

/* Of tls.c: the reason of the last error of OpenSSL on this thread, which is then forgotten. */
const char *tls_error_text(void);
/* Whom a handshake is with, for the callbacks. */
void tls_new_session(SSL *ssl, SSL_SESSION *session);
int tls_verify(int ok, X509_STORE_CTX *store);

#endif
