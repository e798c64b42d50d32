/* SPDX-License-Identifier: MIT */
/*
 * options: the options about requests and connections that verbs share, and what they come to.
 *
 * A verb has a struct net_options in its settings, a NET_OPTIONS() in its table, and calls
 * net_settle() when its last option has been read. Main thread; what is settled is read-only.
 */
#ifndef BATCHPROC_NET_OPTIONS_H
#define BATCHPROC_NET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/exchange.h"
#include "net/hosts.h"
#include "net/tls.h"
#include "verb.h"

struct buf;
struct net_shared;
struct netrc;
struct url;

#define NET_HEADERS_MOST 32
#define NET_DATA_MOST 16

struct net_options {
	const char *method; /* -X; NULL: the verb's default, or POST with data */
	const char *headers[NET_HEADERS_MOST];
	size_t header_count;
	struct {
		const char *text; /* with a @ in front: the name of a file */
		bool binary; /* which is taken as it is */
	} pieces[NET_DATA_MOST];
	size_t piece_count;
	bool has_data; /* all pieces, with & between them; settled */
	const char *data;
	size_t data_len;
	char *own_data; /* where that is none of the pieces; NULL: it is */
	bool digested; /* for the journal, under a lock; then these are there, or empty: none */
	char data_digest[65], headers_digest[65];
	char user[256], password[256]; /* --user; an empty user: none */
	bool netrc;
	const struct netrc *credentials; /* with that; settled */
	bool connect_given, first_byte_given;
	struct tls_settings tls;
	struct net_conf conf;
	struct exchange_conf exchange;
};

/*
 * Fills in what was not given, reads the files that were named, and leads the configuration to what
 * the run shares. NULL, or what is wrong: good until the next call.
 */
const char *net_settle(struct net_options *options, struct net_shared **shared, uint64_t connect_ns,
		       uint64_t first_byte_ns);

/*
 * Who a request for @url is from: the URL's user, that of --user, or that of ~/.netrc. The
 * password; NULL: none, as the user then. Any thread.
 */
const char *net_credentials(const struct net_options *options, const struct url *url,
			    const char **user);

/*
 * Adds what makes requests different ones, for the journal: neither data nor headers nor a password
 * themselves, which may be secret, but digests that are slow to guess them by. Any thread.
 */
void net_journal_options(const struct net_options *options, struct buf *buf);

/* Frees what they have of their own. */
void net_options_free(struct net_options *options);

const char *net_read_method(void *to, const char *arg);
const char *net_read_header(void *to, const char *arg);
const char *net_read_data(void *to, const char *arg);
const char *net_read_data_binary(void *to, const char *arg);
const char *net_read_user(void *to, const char *arg);
const char *net_read_netrc(void *to, const char *arg);
const char *net_read_cacert(void *to, const char *arg);
const char *net_read_cert(void *to, const char *arg);
const char *net_read_key(void *to, const char *arg);
const char *net_read_insecure(void *to, const char *arg);
const char *net_read_socket(void *to, const char *arg);
const char *net_read_connect_timeout(void *to, const char *arg);
const char *net_read_first_byte_timeout(void *to, const char *arg);
const char *net_read_max_per_host(void *to, const char *arg);

/*
 * The rows, for a verb with them as @field of its settings, a @type; @connect and @first_byte are
 * the defaults as its help shows them.
 */
#define NET_OPTION(type, field, letter, name, arg, help, read)                                     \
	{                                                                                          \
		letter, name, arg, help, read, OPT_AT(type, field, struct net_options)             \
	}

#define NET_OPTIONS(type, field, connect, first_byte)                                              \
	NET_OPTION(type, field, 'H', "header", "LINE",                                             \
		   "'NAME: VALUE', sent with each request; 'NAME:' sends none; may be\n"           \
		   "given again",                                                                  \
		   net_read_header),                                                               \
		NET_OPTION(type, field, 'X', "request", "METHOD",                                  \
			   "GET unless -d is given, which makes it POST", net_read_method),        \
		NET_OPTION(type, field, 'd', "data", "DATA|@FILE",                                 \
			   "sent with each request; of a file without its ends of lines; may be\n" \
			   "given again, with & between them",                                     \
			   net_read_data),                                                         \
		NET_OPTION(type, field, 0, "data-binary", "DATA|@FILE",                            \
			   "the same, of a file as it is", net_read_data_binary),                  \
		NET_OPTION(type, field, 0, "user", "USER:PASSWORD",                                \
			   "for servers that ask; also in a URL", net_read_user),                  \
		NET_OPTION(type, field, 0, "netrc", NULL, "users and passwords from ~/.netrc",     \
			   net_read_netrc),                                                        \
		NET_OPTION(type, field, 0, "cacert", "FILE",                                       \
			   "certificates to trust in place of the system's", net_read_cacert),     \
		NET_OPTION(type, field, 0, "cert", "FILE", "a certificate to show, in PEM form",   \
			   net_read_cert),                                                         \
		NET_OPTION(type, field, 0, "key", "FILE",                                          \
			   "its key, where that is not in the same file", net_read_key),           \
		NET_OPTION(type, field, 0, "insecure", NULL, "verify no certificate",              \
			   net_read_insecure),                                                     \
		NET_OPTION(type, field, 0, "unix-socket", "PATH",                                  \
			   "connect to this socket, whatever the host of a URL", net_read_socket), \
		NET_OPTION(type, field, 0, "connect-timeout", "T",                                 \
			   "for name, connection, proxy and TLS together (" connect                \
			   "); 0 for none",                                                        \
			   net_read_connect_timeout),                                              \
		NET_OPTION(type, field, 0, "first-byte-timeout", "T",                              \
			   "from a request to the first byte of its response (" first_byte ");\n"  \
			   "0 for none",                                                           \
			   net_read_first_byte_timeout),                                           \
		NET_OPTION(type, field, 0, "max-per-host", "N",                                    \
			   "connections in use at one host (6; on this machine as many as there\n" \
			   "are items)",                                                           \
			   net_read_max_per_host)

#endif
