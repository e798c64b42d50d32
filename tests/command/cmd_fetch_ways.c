/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_ways - the ways to a server: through a proxy, over a socket of the file system, over
 * IPv6, and to one that asks for a certificate
 *
 * The other ends are real ones, on loopback. One that is not installed is skipped by name.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/certs.h"
#include "support/cmd.h"
#include "support/records.h"
#include "support/servers.h"

static void need(struct test *t, const char *program)
{
	static char why[64];

	if (have_program(program))
		return;
	snprintf(why, sizeof(why), "%s is not installed", program);
	skip_because(t, why);
}

/* www/f and www/text.txt; the lowest users of servers may look into it. */
static void begin(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("rm -rf -- * .[!.]*"), 0);
	expect_eq(chmod(".", 0755), 0);
	make_dir("www");
	make_file("www/f", "hello");
	expect_exit(SH("seq 1 20000 >www/text.txt"), 0);
}

#define NGINX                                                                                          \
	"cat >n.conf <<END\n"                                                                          \
	"daemon off; master_process off; pid n.pid; error_log n.err;\n"                                \
	"events { worker_connections 512; }\n"                                                         \
	"http { access_log n.log; client_body_temp_path t1; proxy_temp_path t2; uwsgi_temp_path t3;\n" \
	"fastcgi_temp_path t4; scgi_temp_path t5; types { text/plain txt; } gzip_min_length 1;\n"      \
	"gzip_proxied any; server { listen 127.0.0.1:$1; $MORE root $PWD/www; gzip on; } }\n"          \
	"END\n"                                                                                        \
	"exec nginx -p $PWD -c n.conf -e n.err"

#define TLS                                                                                        \
	"MORE=\"listen $2 ssl; ssl_certificate $PWD/s.pem; ssl_certificate_key $PWD/s.key;"        \
	"ssl_client_certificate $PWD/ca.pem; ssl_verify_client $VERIFY;\"\n" NGINX

/* A name and its value for a process. */
static char *variable(const char *name, const char *format, unsigned int port)
{
	static char all[8][96];
	static unsigned int next;
	char *text = all[next++ % COUNT_OF(all)];
	int len = snprintf(text, sizeof(all[0]), "%s=", name);

	snprintf(text + len, sizeof(all[0]) - (size_t)len, format, port);
	return text;
}

/* ---------------------------------------------------------------- proxies */

#define TINYPROXY                                                                                  \
	"cat >t.conf <<END\n"                                                                      \
	"Port $1\nListen 127.0.0.1\nTimeout 20\nMaxClients 20\nLogFile \"$PWD/t.log\"\n"           \
	"LogLevel Info\nPidFile \"$PWD/t.pid\"\nAllow 127.0.0.1\nBasicAuth me secret\n"            \
	"END\n"                                                                                    \
	"exec tinyproxy -d -c t.conf"

/* What the proxy was asked for so far. */
static size_t proxied(const char *what)
{
	return (size_t)atoi(SH("grep -c \"Request.*$1\" t.log", what)->out.data);
}

static void make_certs(void)
{
	CERT(.name = "ca", .ca = 1);
	CERT(.name = "s", .issuer = "ca", .names = "DNS:localhost,IP:127.0.0.1");
	CERT(.name = "c", .issuer = "ca");
	CERT(.name = "stranger");
	expect_exit(SH("chmod a+r *.key *.pem"), 0);
}

static void proxies_are_gone_through(struct test *t)
{
	const char *env[] = {NULL, NULL, "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", NULL};
	struct server nginx, proxy;
	char url[64];
	struct run *run;

	need(t, "nginx");
	need(t, "tinyproxy");
	begin(t);
	make_certs();
	expect(server_start_script(&nginx, "nginx", "VERIFY=off\n" TLS));
	expect(server_start_script(&proxy, "tinyproxy", TINYPROXY));
	env[0] = variable("http_proxy", "http://me:secret@127.0.0.1:%u", proxy.port);
	env[1] = variable("https_proxy", "http://me:secret@127.0.0.1:%u", proxy.port);

	/* The whole URL to the one, a way through to the other. */
	run = RUN(HOW(.env = env), "fetch", "-o", "got", server_url(&nginx, "http", "/text.txt"));
	expect_exit(run, 0);
	expect_exit(SH("cmp got www/text.txt"), 0);
	expect_eq(proxied("GET http://127.0.0.1"), 1);
	snprintf(url, sizeof(url), "https://localhost:%u/text.txt", nginx.second);
	run = RUN(HOW(.env = env), "fetch", "--cacert", "ca.pem", "-o", "tls", url);
	expect_exit(run, 0);
	expect_exit(SH("cmp tls www/text.txt"), 0);
	expect_eq(proxied("CONNECT localhost"), 1);
	/* The certificate is that of the server behind it. */
	run = RUN(HOW(.env = env), "fetch", "-o", "tls", url);
	expect_exit(run, 1);
	run = RUN(HOW(.env = env), "probe", "--json", "--cacert", "ca.pem", url);
	expect_exit(run, 0);

	/* Who does not say who asks is told so. */
	env[0] = variable("http_proxy", "127.0.0.1:%u", proxy.port);
	env[1] = variable("https_proxy", "me:sesame@127.0.0.1:%u", proxy.port);
	run = RUN(HOW(.env = env), "fetch", "--json", "--cacert", "ca.pem", "-P", "d", url,
		  server_url(&nginx, "http", "/f"));
	expect_exit(run, 1);
	expect_eq(expect_records(run, 2)->failed, 2);
	expect_eq(text_count(&run->out, "\"EACCES\""), 2);

	/* These are asked directly. */
	env[2] = "no_proxy=example.org, 127.0.0.0/8,localhost";
	run = RUN(HOW(.env = env), "fetch", "--cacert", "ca.pem", "-P", "d", url,
		  server_url(&nginx, "http", "/f"));
	expect_exit(run, 0);
	server_stop(&proxy);
	server_stop(&nginx);
}

/* ---------------------------------------------------------------- sockets */

static void a_socket_of_the_file_system_leads_there(struct test *t)
{
	struct server nginx;

	need(t, "nginx");
	begin(t);
	expect(server_start_script(&nginx, "nginx", "MORE=\"listen unix:$PWD/sock;\"\n" NGINX));
	expect_exit(BP("fetch", "--unix-socket", "sock", "http://example.org/f"), 0);
	expect_out(SH("cat f"), "hello");
	expect_exit(BP("fetch", "--unix-socket", "none", "http://example.org/f"), 1);
	expect_out(SH("cat f"), "hello");
	expect_exit(BP("probe", "--unix-socket", "sock", "http://example.org/f"), 0);
	server_stop(&nginx);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && !bind(fd, (struct sockaddr *)&addr, sizeof(addr));

	close(fd);
	return bound;
}

static void addresses_may_be_longer(struct test *t)
{
	struct server nginx;
	char url[64];

	need(t, "nginx");
	if (!has_ipv6())
		skip_because(t, "there is no ::1");
	begin(t);
	expect(server_start_script(&nginx, "nginx", "MORE=\"listen [::1]:$1;\"\n" NGINX));
	snprintf(url, sizeof(url), "http://[::1]:%u/f", nginx.port);
	expect_exit(BP("fetch", url), 0);
	expect_out(SH("cat f"), "hello");
	expect_exit(SH("grep -q '^::1 .*/f' n.log"), 0);
	expect_exit(BP("probe", url), 0);
	server_stop(&nginx);
}

/* ---------------------------------------------------------------- certificates */

static void a_server_may_ask_for_a_certificate(struct test *t)
{
	struct server nginx;
	struct run *run;
	char url[64];

	need(t, "nginx");
	begin(t);
	make_certs();
	expect(server_start_script(&nginx, "nginx", "VERIFY=on\n" TLS));
	snprintf(url, sizeof(url), "https://localhost:%u/f", nginx.second);
	make_file("f", "precious");
	run = BP("fetch", "--cacert", "ca.pem", url);
	expect_exit(run, 1);
	expect_says(run, "status 400");
	run = BP("fetch", "--cacert", "ca.pem", "--cert", "stranger.pem", "--key", "stranger.key",
		 url);
	expect_exit(run, 1);
	expect_out(SH("cat f"), "precious");
	run = BP("fetch", "--cacert", "ca.pem", "--cert", "c.pem", "--key", "c.key", url);
	expect_exit(run, 0);
	expect_out(SH("cat f"), "hello");
	/* Both in one file. */
	expect_exit(SH("cat c.pem c.key >both"), 0);
	expect_exit(BP("probe", "--cacert", "ca.pem", "--cert", "both", url), 0);
	/* These are no certificate and key. */
	expect_exit(BP("fetch", "--cert", "www/f", url), 2);
	expect_exit(BP("fetch", "--cert", "c.pem", "--key", "stranger.key", url), 2);
	expect_exit(BP("fetch", "--key", "c.key", url), 2);
	server_stop(&nginx);
}

/* It ends the handshake itself. */
static void a_server_may_insist_on_a_certificate(struct test *t)
{
	struct server server;
	struct run *run;
	char url[64];

	need(t, "openssl");
	begin(t);
	make_certs();
	expect(server_start_script(&server, "openssl",
				   "cd www; exec openssl s_server -accept 127.0.0.1:$1 -cert "
				   "../s.pem -key ../s.key -CAfile ../ca.pem -Verify 1 "
				   "-verify_return_error -WWW -quiet >../s.log 2>&1"));
	snprintf(url, sizeof(url), "https://localhost:%u/f", server.port);
	make_file("f", "precious");
	run = BP("fetch", "--cacert", "ca.pem", url);
	expect_exit(run, 1);
	expect_says(run, "certificate");
	expect_out(SH("cat f"), "precious");
	run = BP("fetch", "--cacert", "ca.pem", "--cert", "c.pem", "--key", "c.key", url);
	expect_exit(run, 0);
	expect_out(SH("cat f"), "hello");
	server_stop(&server);
}

static const struct test_case cases[] = {
	ONCE(proxies_are_gone_through),
	ONCE(a_socket_of_the_file_system_leads_there),
	ONCE(addresses_may_be_longer),
	ONCE(a_server_may_ask_for_a_certificate),
	ONCE(a_server_may_insist_on_a_certificate),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
