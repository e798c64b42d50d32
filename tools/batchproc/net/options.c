/* SPDX-License-Identifier: MIT */
/*
 * options: see options.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/parse.h"
#include "journal/file.h"
#include "net/netrc.h"
#include "net/options.h"
#include "net/request.h"
#include "net/shared.h"
#include "net/url.h"

#define NETRC_BYTES 1048576u
#define DATA_BYTES 1073741824u
#define FILE_BYTES 65536u /* read at once */
#define DIGEST_ROUNDS 4096 /* of what may be a password: a millisecond for each guess */

/* ---- readers */

const char *net_read_method(void *to, const char *arg)
{
	struct net_options *o = to;

	o->method = arg;
	return method_check(arg);
}

const char *net_read_header(void *to, const char *arg)
{
	struct net_options *o = to;
	const char *wanted = header_check(arg);

	if (wanted)
		return wanted;
	if (o->header_count == NET_HEADERS_MOST)
		return "one of 32 headers at most";
	o->headers[o->header_count++] = arg;
	return NULL;
}

static const char *add_piece(struct net_options *o, const char *arg, bool binary)
{
	if (!strcmp(arg, "@") || !strcmp(arg, "@-"))
		return "data, or @ and the name of a file";
	if (o->piece_count == NET_DATA_MOST)
		return "one of 16 pieces of data at most";
	o->pieces[o->piece_count].text = arg;
	o->pieces[o->piece_count++].binary = binary;
	return NULL;
}

const char *net_read_data(void *to, const char *arg)
{
	return add_piece(to, arg, false);
}

const char *net_read_data_binary(void *to, const char *arg)
{
	return add_piece(to, arg, true);
}

const char *net_read_user(void *to, const char *arg)
{
	struct net_options *o = to;
	size_t user = strcspn(arg, ":");

	for (const char *at = arg; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return "a name and a password without control characters";
	if (!user || user >= sizeof(o->user) || strlen(arg) - user >= sizeof(o->password))
		return "USER:PASSWORD";
	memcpy(o->user, arg, user);
	o->user[user] = '\0';
	strcpy(o->password, arg[user] ? arg + user + 1 : "");
	return NULL;
}

const char *net_read_netrc(void *to, const char *arg)
{
	struct net_options *o = to;

	(void)arg;
	o->netrc = true;
	return NULL;
}

static const char *read_file_name(const char **name, const char *arg)
{
	*name = arg;
	return *arg ? NULL : "the name of a file";
}

const char *net_read_cacert(void *to, const char *arg)
{
	return read_file_name(&((struct net_options *)to)->tls.cacert, arg);
}

const char *net_read_cert(void *to, const char *arg)
{
	return read_file_name(&((struct net_options *)to)->tls.cert, arg);
}

const char *net_read_key(void *to, const char *arg)
{
	return read_file_name(&((struct net_options *)to)->tls.key, arg);
}

const char *net_read_insecure(void *to, const char *arg)
{
	struct net_options *o = to;

	(void)arg;
	o->tls.insecure = true;
	return NULL;
}

const char *net_read_socket(void *to, const char *arg)
{
	struct net_options *o = to;

	o->conf.unix_socket = arg;
	return *arg ? NULL : "the path of a socket";
}

static const char *read_time(uint64_t *ns, bool *given, const char *arg)
{
	*given = true;
	return parse_time(arg, ns) ? NULL : "a time such as 500ms, 30s, 2m; 0 for none";
}

const char *net_read_connect_timeout(void *to, const char *arg)
{
	struct net_options *o = to;

	return read_time(&o->conf.connect_timeout_ns, &o->connect_given, arg);
}

const char *net_read_first_byte_timeout(void *to, const char *arg)
{
	struct net_options *o = to;

	return read_time(&o->exchange.first_byte_ns, &o->first_byte_given, arg);
}

const char *net_read_max_per_host(void *to, const char *arg)
{
	struct net_options *o = to;
	uint64_t count;

	if (!parse_count(arg, 1, 1000000, &count))
		return "a number from 1 to 1000000";
	o->conf.max_per_host = (unsigned int)count;
	return NULL;
}

/* ---- what they come to */

/* Adds what the file has, at most so much of it. 0, or -errno. */
static int add_file(struct buf *buf, const char *name, size_t most)
{
	int fd = call_openat(AT_FDCWD, name, O_RDONLY, 0);
	size_t from = buf->len;
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = call_read(fd, buf_room(buf, FILE_BYTES), FILE_BYTES);
		buf->len += n > 0 ? (size_t)n : 0;
		if (buf->len - from > most)
			n = -EFBIG;
	} while (n > 0);
	close(fd);
	return (int)n;
}

/* Takes out ends of lines, and NULs, as curl does. */
static void make_one_line(struct buf *buf, size_t from)
{
	size_t to = from;

	for (size_t i = from; i < buf->len; i++)
		if (buf->data[i] != '\n' && buf->data[i] != '\r' && buf->data[i])
			buf->data[to++] = buf->data[i];
	buf->len = to;
}

/* All pieces. NULL, or what is wrong. */
static const char *add_pieces(const struct net_options *o, struct buf *buf)
{
	static char wrong[512];

	for (size_t i = 0; i < o->piece_count; i++) {
		const char *text = o->pieces[i].text;
		size_t from;
		int err;

		if (i)
			buf_char(buf, '&');
		if (*text != '@') {
			buf_str(buf, text);
			continue;
		}
		from = buf->len;
		err = add_file(buf, text + 1, DATA_BYTES);
		if (err) {
			struct buf shown = {0};

			buf_visible(&shown, text + 1, strlen(text + 1));
			snprintf(wrong, sizeof(wrong), "cannot read %.*s: %s", (int)shown.len,
				 shown.data ? shown.data : "", error_text(err));
			buf_free(&shown);
			return wrong;
		}
		if (!o->pieces[i].binary)
			make_one_line(buf, from);
	}
	return NULL;
}

static const char *settle_data(struct net_options *o)
{
	struct buf bytes = {0};
	const char *wrong;

	o->has_data = o->piece_count;
	if (o->piece_count == 1 && o->pieces[0].text[0] != '@') {
		o->data = o->pieces[0].text;
		o->data_len = strlen(o->data);
	} else if (o->has_data) {
		wrong = add_pieces(o, &bytes);
		o->data = o->own_data = bytes.data;
		o->data_len = bytes.len;
		return wrong;
	}
	return NULL;
}

void net_options_free(struct net_options *o)
{
	free(o->own_data);
	o->own_data = NULL;
}

/* ~/.netrc, which may be missing. */
static const char *read_netrc(struct netrc *netrc)
{
	const char *home = getenv("HOME"), *wrong = NULL;
	const struct passwd *pw = home ? NULL : getpwuid(geteuid());
	struct buf path = {0}, text = {0};
	int err;

	buf_printf(&path, "%s/.netrc", home ? home : pw ? pw->pw_dir : "");
	buf_char(&path, '\0');
	err = add_file(&text, path.data, NETRC_BYTES);
	buf_free(&path);
	if (err && err != -ENOENT)
		wrong = err == -EFBIG ? "~/.netrc is larger than 1 MiB" : "~/.netrc cannot be read";
	else if (netrc_parse(netrc, text.data ? text.data : "", text.len))
		wrong = "~/.netrc makes no sense";
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return wrong;
}

static const char *settle_netrc(struct net_options *o, struct net_shared *shared)
{
	struct netrc entries = {0};
	const char *wrong;

	if (!o->netrc)
		return NULL;
	if (!shared->netrc) {
		wrong = read_netrc(&entries);
		if (wrong)
			return wrong;
		shared->netrc = xcalloc(1, sizeof(*shared->netrc));
		*shared->netrc = entries;
	}
	o->credentials = shared->netrc;
	return NULL;
}

const char *net_settle(struct net_options *o, struct net_shared **shared, uint64_t connect_ns,
		       uint64_t first_byte_ns)
{
	const char *wrong;

	if (o->tls.key && !o->tls.cert)
		return "--key needs --cert";
	wrong = net_share(shared, &o->conf, &o->tls);
	if (!wrong)
		wrong = settle_netrc(o, *shared);
	if (!wrong)
		wrong = settle_data(o);
	if (wrong)
		return wrong;
	if (!o->connect_given)
		o->conf.connect_timeout_ns = connect_ns;
	if (!o->first_byte_given)
		o->exchange.first_byte_ns = first_byte_ns;
	if (!o->method)
		o->method = o->has_data ? "POST" : "GET";
	o->exchange.net = &o->conf;
	/* The system's certificates are read when the first handshake needs them. */
	return o->tls.cacert || o->tls.cert ? tls_conf_check(o->conf.tls) : NULL;
}

/* ---- the journal */

static bool says_who_asks(const char *header)
{
	return header_is(header, "Authorization") || header_is(header, "Proxy-Authorization") ||
	       header_is(header, "Cookie");
}

static void take_digest(char *hex, const void *data, size_t len)
{
	static const unsigned char salt[] = "batchproc journal";
	unsigned char bytes[32];
	struct buf text = {0};

	PKCS5_PBKDF2_HMAC(data, (int)len, salt, sizeof(salt), DIGEST_ROUNDS, EVP_sha256(),
			  sizeof(bytes), bytes);
	buf_hex(&text, bytes, sizeof(bytes));
	memcpy(hex, text.data, text.len);
	buf_free(&text);
}

static void take_digests(struct net_options *o)
{
	struct buf headers = {0};

	if (o->has_data)
		take_digest(o->data_digest, o->data, o->data_len);
	for (size_t i = 0; i < o->header_count; i++) {
		/* A token may be a new one at each run: who asks is the user. */
		if (says_who_asks(o->headers[i]))
			continue;
		buf_str(&headers, o->headers[i]);
		buf_char(&headers, '\n');
	}
	if (headers.len)
		take_digest(o->headers_digest, headers.data, headers.len);
	buf_free(&headers);
	o->digested = true;
}

void net_journal_options(const struct net_options *o, struct buf *buf)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (!o->digested)
		take_digests((struct net_options *)o);
	pthread_mutex_unlock(&lock);
	buf_printf(buf, "method=%s", o->method);
	if (o->has_data)
		buf_printf(buf, " data=%s", o->data_digest);
	if (*o->headers_digest)
		buf_printf(buf, " headers=%s", o->headers_digest);
	if (*o->user) {
		buf_str(buf, " user=");
		journal_escape(buf, o->user, strlen(o->user));
	}
}

/* ---- requests */

const char *net_credentials(const struct net_options *o, const struct url *url, const char **user)
{
	const struct netrc_entry *entry;

	*user = NULL;
	if (url->user) {
		*user = url->user;
		return url->password;
	}
	if (*o->user) {
		*user = o->user;
		return o->password;
	}
	entry = o->netrc ? netrc_find(o->credentials, url->host) : NULL;
	if (!entry || !entry->user)
		return NULL;
	*user = entry->user;
	return entry->password;
}
