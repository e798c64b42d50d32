/* SPDX-License-Identifier: MIT */
/*
 * test_tls - TLS between a stream and a server that a thread of the test plays with OpenSSL's own
 * sockets
 *
 * The server takes one connection after the other. On each it reads a line, and answers with what
 * the test wants; how it ends the connection is the test's wish too.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "support/certs.h"
#include "support/harness.h"
#include "base/buf.h"
#include "net/hosts.h"
#include "net/tls.h"

enum ending {
	ENDS_WELL, /* with a close_notify */
	ENDS_ABRUPTLY, /* the socket is closed */
	ENDS_AND_WAITS, /* with a close_notify in the answer's packet, for the other side to close */
	STAYS, /* as long as the other side does */
};

struct server {
	struct test *t;
	struct net *net; /* of its clients; and how they speak */
	struct tls_confs *confs;
	const char *cert;
	const char *ca; /* clients must show a certificate of it; NULL: they need not */
	int version; /* the highest; 0: any */
	enum ending ending;
	size_t size; /* of the answer */
	bool h2;

	int listener;
	uint16_t port;
	pthread_t thread;
	atomic_bool stop;
	atomic_ulong served, resumed, failed;
	char sni[64];
	char client[64]; /* subject of its certificate */
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
			   const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char h2[] = "\x02h2\x08http/1.1";
	const struct server *server = arg;
	size_t skip = server->h2 ? 0 : 3;

	(void)ssl;
	if (SSL_select_next_proto((unsigned char **)out, outlen, h2 + skip,
				  (unsigned int)(sizeof(h2) - 1 - skip), in,
				  inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_of(struct server *server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char path[64];

	snprintf(path, sizeof(path), "%s.pem", server->cert);
	expect_eq(SSL_CTX_use_certificate_chain_file(ctx, path), 1);
	snprintf(path, sizeof(path), "%s.key", server->cert);
	expect_eq(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, server);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
	if (server->version)
		SSL_CTX_set_max_proto_version(ctx, server->version);
	if (server->ca) {
		snprintf(path, sizeof(path), "%s.pem", server->ca);
		expect_eq(SSL_CTX_load_verify_file(ctx, path), 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}

/* The answer: byte i is file_byte(i). */
static void answer(struct server *server, SSL *ssl)
{
	char line[256];
	char *bytes = malloc(server->size + 1);
	int got;

	for (size_t i = 0; i < server->size; i++)
		bytes[i] = (char)file_byte(i);
	while ((got = SSL_read(ssl, line, sizeof(line))) > 0) {
		if (server->size && SSL_write(ssl, bytes, (int)server->size) <= 0)
			break;
		if (server->ending != STAYS)
			break;
	}
	free(bytes);
}

static void serve(struct server *server, SSL *ssl)
{
	const int waits = server->ending == ENDS_AND_WAITS;
	const char *sni;
	X509 *client;
	char byte;

	if (SSL_accept(ssl) != 1) {
		atomic_fetch_add(&server->failed, 1);
		return;
	}
	sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(server->sni, sizeof(server->sni), "%s", sni ? sni : "");
	client = SSL_get0_peer_certificate(ssl);
	if (client)
		X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName,
					  server->client, sizeof(server->client));
	if (SSL_session_reused(ssl))
		atomic_fetch_add(&server->resumed, 1);
	/* What is written goes out together. */
	setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_CORK, &waits, sizeof(waits));
	answer(server, ssl);
	if (server->ending == ENDS_WELL || waits)
		SSL_shutdown(ssl);
	else
		SSL_set_quiet_shutdown(ssl, 1);
	setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int));
	while (waits && recv(SSL_get_fd(ssl), &byte, 1, 0) > 0)
		;
	atomic_fetch_add(&server->served, 1);
}

static void *server_main(void *arg)
{
	struct server *server = arg;
	SSL_CTX *ctx = context_of(server);

	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		SSL *ssl;

		if (fd < 0 || server->stop) {
			close(fd);
			break;
		}
		ssl = SSL_new(ctx);
		SSL_set_fd(ssl, fd);
		serve(server, ssl);
		SSL_free(ssl);
		ERR_clear_error();
		close(fd);
	}
	SSL_CTX_free(ctx);
	OPENSSL_thread_stop();
	return NULL;
}

/*
 * Certificates: ca, and of it good, other (another name), old (expired) and client; self signs
 * itself.
 */
static void make_certs(void)
{
	static const char here[] = "DNS:localhost,IP:127.0.0.1";

	CERT(.name = "ca", .ca = 1, .to_days = 3650);
	CERT(.name = "good", .issuer = "ca", .names = here, .to_days = 40);
	CERT(.name = "other", .issuer = "ca", .names = "DNS:other.test");
	CERT(.name = "old", .issuer = "ca", .names = here, .from_days = -30, .to_days = -3);
	CERT(.name = "self", .names = here);
	CERT(.name = "client", .issuer = "ca");
}

static void server_start(struct server *server, struct test *t)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	server->t = t;
	if (!t->engine)
		engine_with(t);
	net_begin(&server->net, t->engine);
	server->confs = tls_confs_new();
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(server->listener, 64), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&addr, &len), 0);
	server->port = ntohs(addr.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void server_stop(struct server *server)
{
	net_end(&server->net);
	tls_confs_free(server->confs);
	server->stop = true;
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
}

/* ---------------------------------------------------------------- a client */

struct client {
	struct server *server;
	struct tls_settings set;
	const char *host;
	bool keeps;
	int expected; /* of conn_get() */
	const char *why; /* has this in it */

	/* What came of it. */
	struct conn *conn;
	size_t got;
	bool right; /* every byte */
	bool cut;
	bool resumed;
	int end; /* of the last read */
	char version[16], alpn[16];
	struct buf subject, issuer;
	int64_t not_after;
	size_t chain;
};

static void note_certificate(struct client *client)
{
	struct tls_certificate cert = {.subject = &client->subject, .issuer = &client->issuer};

	if (expect(tls_certificate(&client->conn->stream, 0, &cert)))
		client->not_after = cert.not_after;
	buf_char(&client->subject, '\0');
	buf_char(&client->issuer, '\0');
	cert.subject = cert.issuer = NULL;
	while (tls_certificate(&client->conn->stream, client->chain, &cert))
		client->chain++;
}

static void talk(struct client *client)
{
	struct stream *stream = &client->conn->stream;
	size_t want = client->server->ending == STAYS ? client->server->size : SIZE_MAX;
	char *buf = malloc(70000);
	ssize_t n = 1;

	client->right = true;
	client->got = 0;
	client->resumed = tls_resumed(stream);
	snprintf(client->version, sizeof(client->version), "%s", tls_version(stream));
	snprintf(client->alpn, sizeof(client->alpn), "%s",
		 tls_alpn(stream) ? tls_alpn(stream) : "");
	expect_eq(stream_write(stream, "hello\n", 6, 0), 0);
	while (n > 0 && client->got < want) {
		n = stream_read(stream, buf, 70000, 0);
		for (ssize_t i = 0; i < n; i++)
			client->right &= (unsigned char)buf[i] ==
					 file_byte(client->got + (size_t)i);
		if (n > 0)
			client->got += (size_t)n;
	}
	free(buf);
	client->end = (int)n;
	client->cut = stream->cut;
}

static int client_task(void *arg)
{
	struct client *client = arg;
	struct net_conf conf = {.tls = tls_conf_get(client->server->confs, &client->set)};
	struct target target = {client->host ? client->host : "127.0.0.1", client->server->port,
				.tls = true};
	struct dialed dialed;
	int err = conn_get(client->server->net, &conf, &target, false, &client->conn, &dialed);

	expect_eq(err, client->expected);
	if (client->why && (!dialed.why || !strstr(dialed.why, client->why)))
		record_failure("why: %s instead of %s", dialed.why, client->why);
	if (err) {
		expect(!strcmp(dialed.stage, "tls"));
		if (client->conn)
			note_certificate(client);
	} else {
		talk(client);
	}
	if (client->conn)
		conn_put(client->conn, client->keeps && !err);
	return 0;
}

static void client_run(struct client *client)
{
	client->subject.len = client->issuer.len = client->chain = 0;
	expect_eq(run_task(client->server->t, client_task, client), 0);
}

static void begin(struct test *t)
{
	expect_eq(chdir(temp_dir(t)), 0);
	make_certs();
}

/* ---------------------------------------------------------------- tests */

static void come_through(struct test *t, enum ending ending, size_t size)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (unsigned int v = 0; v < 2; v++) {
		struct server server = {.cert = "good",
					.size = size,
					.ending = ending,
					.version = versions[v]};
		struct client client = {&server, .set.cacert = "ca.pem"};

		server_start(&server, t);
		client_run(&client);
		expect_eq(client.got, size);
		expect(client.right);
		expect_eq(client.end, 0);
		expect_eq(client.cut, ending == ENDS_ABRUPTLY);
		expect(!strcmp(client.version, v ? "TLSv1.3" : "TLSv1.2"));
		expect(!strcmp(client.alpn, "http/1.1"));
		server_stop(&server);
		expect_eq(server.served, 1);
		/* An address is no name: none is sent. */
		expect(!strcmp(server.sni, ""));
	}
}

static void bytes_come_through(struct test *t)
{
	static const size_t sizes[] = {0, 1, 16384, 16385, 3000000};

	begin(t);
	for (unsigned int i = 0; i < COUNT_OF(sizes); i++)
		come_through(t, ENDS_WELL, sizes[i]);
}

static void certificates_that_do_not_verify_are_refused(struct test *t)
{
	static const struct {
		const char *cert, *host, *why;
	} all[] = {
		{"self", NULL, "self-signed certificate"},
		{"old", NULL, "certificate has expired"},
		{"other", NULL, "IP address mismatch"},
		{"other", "localhost", "hostname mismatch"},
	};

	begin(t);
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		struct server server = {.cert = all[i].cert};
		struct client client = {&server, .set.cacert = "ca.pem", .host = all[i].host,
					.why = all[i].why, .expected = -EKEYREJECTED};

		server_start(&server, t);
		client_run(&client);
		expect(!client.conn);
		server_stop(&server);
		expect_eq(server.served, 0);
	}
}

static void a_certificate_can_be_looked_at_although_it_does_not_verify(struct test *t)
{
	struct server server = {.cert = "old"};
	struct client client = {&server, .set = {.cacert = "ca.pem", .inspect = true},
				.why = "expired", .expected = -EKEYREJECTED};
	time_t now = time(NULL);

	begin(t);
	server_start(&server, t);
	client_run(&client);
	expect(client.conn);
	expect(!strcmp(client.subject.data, "CN=old,O=Pr\xc3\xbc"
					    "fstand"));
	expect(!strcmp(client.issuer.data, "CN=ca,O=Pr\xc3\xbc"
					   "fstand"));
	expect_eq(client.chain, 1);
	expect(client.not_after < now - 2 * 86400 && client.not_after > now - 4 * 86400);
	server_stop(&server);
	buf_free(&client.subject);
	buf_free(&client.issuer);
}

static void insecure_takes_anything(struct test *t)
{
	struct server server = {.cert = "old", .size = 10};
	struct client client = {&server, .set.insecure = true, .host = "localhost"};

	begin(t);
	server_start(&server, t);
	client_run(&client);
	expect_eq(client.got, 10);
	server_stop(&server);
	expect(!strcmp(server.sni, "localhost"));
}

static void an_end_without_goodbye_is_known(struct test *t)
{
	begin(t);
	come_through(t, ENDS_ABRUPTLY, 20000);
}

/* Then it is not waited for once more. */
static void an_end_may_come_with_the_last_bytes(struct test *t)
{
	begin(t);
	come_through(t, ENDS_AND_WAITS, 100);
}

static void sessions_are_resumed(struct test *t)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	begin(t);
	for (unsigned int v = 0; v < 2; v++) {
		struct server server = {.cert = "good", .size = 10, .version = versions[v]};
		struct client client = {&server, .set.cacert = "ca.pem"};
		struct client inspector = {&server, .set = {.cacert = "ca.pem", .inspect = true}};

		server_start(&server, t);
		client_run(&client);
		expect(!client.resumed);
		client_run(&client);
		expect(client.resumed);
		/* Who looks at certificates wants to see them. */
		client_run(&inspector);
		client_run(&inspector);
		expect(!inspector.resumed);
		server_stop(&server);
		expect_eq(server.served, 4);
		expect_eq(server.resumed, 1);
	}
}

static void a_kept_connection_is_used_again(struct test *t)
{
	struct server server = {.cert = "good", .size = 100, .ending = STAYS};
	struct client client = {&server, .set.cacert = "ca.pem", .keeps = true};

	begin(t);
	server_start(&server, t);
	for (int i = 0; i < 3; i++) {
		client_run(&client);
		expect_eq(client.got, 100);
		expect_eq(client.conn->reused, i > 0);
	}
	server_stop(&server);
	expect_eq(server.served, 1);
}

static void a_server_may_want_a_certificate(struct test *t)
{
	struct server server = {.cert = "good", .ca = "ca", .size = 10, .version = TLS1_2_VERSION};
	struct client client = {
		&server, .set = {.cacert = "ca.pem", .cert = "client.pem", .key = "client.key"}};
	struct client without = {&server, .set.cacert = "ca.pem", .expected = -EPROTO,
				 .why = "handshake failure"};

	begin(t);
	server_start(&server, t);
	client_run(&client);
	expect_eq(client.got, 10);
	client_run(&without);
	server_stop(&server);
	expect(!strcmp(server.client, "client"));
}

static void what_alpn_would_choose_is_told(struct test *t)
{
	struct server server = {.cert = "good", .h2 = true};
	struct client client = {&server, .set = {.cacert = "ca.pem", .offer_h2 = true}};
	struct client plain = {&server, .set.cacert = "ca.pem"};

	begin(t);
	server_start(&server, t);
	client_run(&client);
	expect(!strcmp(client.alpn, "h2"));
	client_run(&plain);
	expect(!strcmp(plain.alpn, "http/1.1"));
	server_stop(&server);
}

static void files_that_are_no_certificates_are_refused_before(struct test *t)
{
	static const struct {
		struct tls_settings set;
		const char *wrong;
	} all[] = {
		{{.cacert = "absent"}, "--cacert"},
		{{.cacert = "ca.key"}, "--cacert"},
		{{.insecure = true, .cert = "absent"}, "--cert"},
		{{.insecure = true, .cert = "good.pem"}, "private key"},
		{{.insecure = true, .cert = "good.pem", .key = "old.key"}, "belong"},
		{{.insecure = true, .key = "old.key"}, "needs --cert"},
		{{.cacert = "ca.pem", .cert = "good.pem", .key = "good.key"}, NULL},
	};

	struct tls_confs *confs = tls_confs_new();

	begin(t);
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		const char *wrong = tls_conf_check(tls_conf_get(confs, &all[i].set));

		if (!wrong != !all[i].wrong || (wrong && !strstr(wrong, all[i].wrong)))
			record_failure("%u: %s", i, wrong);
	}
	expect(tls_conf_get(confs, &all[0].set) == tls_conf_get(confs, &all[0].set));
	expect(tls_conf_get(confs, &all[0].set) != tls_conf_get(confs, &all[1].set));
	tls_confs_free(confs);
}

static int many_clients(void *arg)
{
	struct client client = {.server = arg, .set.cacert = "ca.pem"};

	client_task(&client);
	expect_eq(client.got, client.server->size);
	expect(client.right);
	return 0;
}

static void many_at_once_on_all_loops(struct test *t)
{
	struct server server = {.cert = "good", .size = 50000};
	struct bp_group *g = group_with(t, .limit = 8);

	begin(t);
	server_start(&server, t);
	for (int i = 0; i < 60; i++)
		expect_eq(bp_go(g, many_clients, &server), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	server_stop(&server);
	expect_eq(server.served, 60);
	expect(server.resumed > 0);
}

static int silence(void *arg)
{
	struct client *client = arg;
	struct net_conf conf = {.tls = tls_conf_get(client->server->confs, &client->set),
				.connect_timeout_ns = 20 * MS};
	struct target target = {"127.0.0.1", client->server->port, .tls = true};
	struct dialed dialed;

	expect_eq(conn_get(client->server->net, &conf, &target, false, &client->conn, &dialed),
		  -ETIMEDOUT);
	expect(!strcmp(dialed.stage, "tls"));
	return 0;
}

/* A server that takes the connection and says nothing. */
static void a_silent_handshake_times_out(struct test *t)
{
	struct server server = {.t = t};
	struct client client = {&server, .set.insecure = true};
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	engine_with(t);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(server.listener, 8), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&addr, &len), 0);
	server.port = ntohs(addr.sin_port);
	net_begin(&server.net, t->engine);
	server.confs = tls_confs_new();
	expect_eq(run_task(t, silence, &client), 0);
	net_end(&server.net);
	tls_confs_free(server.confs);
	close(server.listener);
}

static const struct test_case cases[] = {
	EACH_ROW(bytes_come_through),
	EACH_ROW(certificates_that_do_not_verify_are_refused),
	EACH_ROW(a_certificate_can_be_looked_at_although_it_does_not_verify),
	EACH_ROW(insecure_takes_anything),
	EACH_ROW(an_end_without_goodbye_is_known),
	EACH_ROW(an_end_may_come_with_the_last_bytes),
	EACH_ROW(sessions_are_resumed),
	EACH_ROW(a_kept_connection_is_used_again),
	EACH_ROW(a_server_may_want_a_certificate),
	EACH_ROW(what_alpn_would_choose_is_told),
	ONCE(files_that_are_no_certificates_are_refused_before),
	EACH_ROW(many_at_once_on_all_loops),
	EACH_ROW(a_silent_handshake_times_out),
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return RUN_REAL_CASES(argc, argv, cases);
}
