/* SPDX-License-Identifier: MIT */
/*
 * tls: TLS 1.2 and 1.3 by OpenSSL, between memory buffers: the ciphertext is moved by stream.c with
 * operations of the library, so that no call of OpenSSL ever suspends a task (its error queue is
 * the thread's). Certificates are verified, and the host's name in them, unless the settings say
 * otherwise.
 *
 * One SSL_CTX for each loop, all with one X509_STORE, which is loaded when the first handshake
 * needs it.
 */
#ifndef BATCHPROC_TLS_H
#define BATCHPROC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct stream;
struct tls;
struct tls_conf;
struct tls_confs;

struct tls_settings {
	const char *cacert; /* a file in place of the system's; the same for the others; NULL: none */
	const char *cert;
	const char *key;
	bool insecure; /* -k: nothing is verified */
	/*
	 * A certificate that does not verify ends the handshake only when all of it is known, so
	 * that tls_certificate() can tell about it. Nothing is sent to such a peer but the
	 * handshake.
	 */
	bool inspect;
	bool offer_h2; /* besides http/1.1, to see what the other side would choose */
};

/* Configurations by their settings. */
struct tls_confs *tls_confs_new(void);
void tls_confs_free(struct tls_confs *confs);

/*
 * The configuration with these settings; the same settings give the same one. Reads no file yet.
 * Main thread or task.
 */
struct tls_conf *tls_conf_get(struct tls_confs *confs, const struct tls_settings *settings);
/* Reads the files that were named. NULL, or what is wrong with one: constant text. Any thread. */
const char *tls_conf_check(struct tls_conf *conf);
bool tls_conf_inspects(const struct tls_conf *conf);

/*
 * Makes a TLS client of the connected @stream, with @host for SNI and for the check of the
 * certificate; an earlier session with @host and @port is resumed. Returns 0, or -errno with the
 * reason in stream->why: -EKEYREJECTED the certificate does not verify, -EPROTO TLS went wrong, or
 * what the socket said. Task only.
 */
int tls_handshake(struct stream *stream, struct tls_conf *conf, const char *host, uint16_t port);

/* What was agreed on; after a handshake, also one that failed with -EKEYREJECTED. */
const char *tls_version(const struct stream *stream); /* "TLSv1.3" */
const char *tls_cipher(const struct stream *stream);
const char *tls_alpn(const struct stream *stream); /* "http/1.1", or NULL */
bool tls_resumed(const struct stream *stream);

/* A certificate of the peer's chain, 0 is its own. Texts are UTF-8, in RFC 2253's form. */
struct tls_certificate {
	struct buf *subject; /* of the caller; NULL: not wanted */
	struct buf *issuer;
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
};

/* Fills it in. False: the chain has no such certificate. */
bool tls_certificate(const struct stream *stream, size_t index, struct tls_certificate *cert);

#endif
