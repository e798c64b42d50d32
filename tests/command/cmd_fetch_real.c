/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_real - against the servers that people run, and against certificates that do not verify
 *
 * Each is started on a free port of loopback, with a configuration in the test's directory, and
 * ended by the test. One that is not installed is skipped by name.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/cmd.h"
#include "support/records.h"
#include "support/servers.h"

#define MANY "1300" /* requests: more than any of them answers on one connection */

static bool answers(unsigned int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected = fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr));

	close(fd);
	return connected;
}

/* A server in the foreground; $1 is the port. Its files are in www/. */
static struct run *serve(const char *script, unsigned int port)
{
	struct run *run;
	struct text all = {0};
	char number[8];

	snprintf(number, sizeof(number), "%u", port);
	/* Nobody reads what it says meanwhile. */
	text_printf(&all, "exec >server.log 2>&1; %s", script);
	run = START(HOW(.program = "sh"), "-c", all.data, "sh", number);
	text_free(&all);
	for (int i = 0; i < 1000 && !answers(port); i++)
		usleep(10000);
	if (!answers(port))
		record_failure("no server came up: %s\n", script);
	return run;
}

static void end_server(struct run *run)
{
	run_kill(run, SIGTERM);
	run_end(run);
}

static void make_site(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("mkdir www www/d; echo hello >www/f; : >www/empty;"
		       "seq 1 700000 >www/big; echo deep >'www/d/a b'; chmod -R a+rX . "),
		    0);
}

/*
 * A whole site, more requests than a connection lives for, what is not there, what has not changed.
 */
static void check_site(unsigned int port, bool conditions)
{
	char url[64], list[512];
	const struct records *records;
	struct run *run;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	snprintf(list, sizeof(list), "%s/f\n%s/empty\n%s/big\n%s/d/a%%20b\td/a b\n%s/none\n", url,
		 url, url, url, url);
	make_file("list", list);
	run = BP("fetch", "-P", "out", "-T", "list", "--json");
	records = expect_records(run, 5);
	expect_exit(run, 1);
	expect_eq(records->ok, 4);
	expect_exit(SH("diff -r www out"), 0);
	run = SH("for i in $(seq $1); do echo $2/f?$i; done >many", MANY, url);
	run = BP("fetch", "-o", "none", "-j", "3", "-T", "many", "--json");
	records = expect_records(run, strtoul(MANY, NULL, 10));
	expect_exit(run, 0);
	if (!conditions)
		return;
	snprintf(list, sizeof(list), "%s/f\n%s/big\n", url, url);
	make_file("list", list);
	expect_exit(BP("fetch", "-u", "-P", "out", "-T", "list"), 0);
	run = BP("fetch", "-u", "-P", "out", "-T", "list", "--json");
	expect_exit(run, 0);
	expect_eq(expect_records(run, 2)->skipped, 2);
}

static void need_program(struct test *t, const char *name)
{
	static char why[64];

	if (have_program(name))
		return;
	snprintf(why, sizeof(why), "%s is not installed", name);
	skip_because(t, why);
}

static void pythons_http_server(struct test *t)
{
	unsigned int port = free_port();
	struct run *server;

	need_program(t, "python3");
	make_site(t);
	server = serve("exec python3 -m http.server $1 --bind 127.0.0.1 -d www", port);
	check_site(port, true);
	end_server(server);
}

#define NGINX                                                                                       \
	"cat >n.conf <<END\n"                                                                       \
	"daemon off; master_process off; pid n.pid; error_log n.err;\n"                             \
	"events { worker_connections 512; }\n"                                                      \
	"http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n" \
	"uwsgi_temp_path u; scgi_temp_path s;\n"                                                    \
	"server { listen 127.0.0.1:$1 $SSL; root $PWD/www; } }\n"                                   \
	"END\n"                                                                                     \
	"exec nginx -p $PWD -c n.conf -e n.err"

static void nginx(struct test *t)
{
	unsigned int port = free_port();
	struct run *server;

	need_program(t, "nginx");
	make_site(t);
	server = serve(NGINX, port);
	check_site(port, true);
	end_server(server);
}

static void lighttpd(struct test *t)
{
	unsigned int port = free_port();
	struct run *server;

	need_program(t, "lighttpd");
	make_site(t);
	server = serve("cat >l.conf <<END\n"
		       "server.document-root = \"$PWD/www\"\nserver.port = $1\n"
		       "server.bind = \"127.0.0.1\"\nserver.errorlog = \"$PWD/l.err\"\n"
		       "mimetype.assign = (\"\" => \"text/plain\")\n"
		       "END\n"
		       "exec lighttpd -D -f l.conf",
		       port);
	check_site(port, true);
	end_server(server);
}

static void apache(struct test *t)
{
	unsigned int port = free_port();
	struct run *server;

	need_program(t, "apache2");
	make_site(t);
	server = serve("m=/usr/lib/apache2/modules; cat >a.conf <<END\n"
		       "ServerRoot $PWD\nServerName localhost\nPidFile $PWD/a.pid\n"
		       "Listen 127.0.0.1:$1\nErrorLog $PWD/a.err\nDocumentRoot $PWD/www\n"
		       "LoadModule mpm_event_module $m/mod_mpm_event.so\n"
		       "LoadModule authz_core_module $m/mod_authz_core.so\n"
		       "User nobody\nGroup nogroup\nMutex file:$PWD default\n"
		       "END\n"
		       "exec apache2 -f $PWD/a.conf -DFOREGROUND",
		       port);
	check_site(port, true);
	end_server(server);
}

/* In front of python's server, which closes each connection. */
static void haproxy(struct test *t)
{
	unsigned int port = free_port(), behind;
	struct run *server, *origin;
	char script[1024];

	need_program(t, "haproxy");
	need_program(t, "python3");
	make_site(t);
	behind = free_port();
	origin = serve("exec python3 -m http.server $1 --bind 127.0.0.1 -d www", behind);
	snprintf(
		script, sizeof(script),
		"cat >h.conf <<END\n"
		"defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
		"listen x\n bind 127.0.0.1:$1\n server s 127.0.0.1:%u\n"
		"END\n"
		"exec haproxy -db -f h.conf",
		behind);
	server = serve(script, port);
	check_site(port, true);
	end_server(server);
	end_server(origin);
}

/* ---------------------------------------------------------------- TLS */

#define CERTIFICATE                                                                                \
	"openssl req -x509 -newkey rsa:2048 -nodes -keyout $1.key -out $1.pem -subj /CN=$1 "       \
	"-addext subjectAltName=$2 -days $3 2>/dev/null"

/* What a server with this certificate is taken for: exit statuses without and with trust in it. */
static void check_certificate(struct test *t, const char *certificate, int trusted, const char *why)
{
	unsigned int port = free_port();
	struct run *server, *run;
	char url[64];

	make_site(t);
	expect_exit(RUN(HOW(.program = "sh"), "-c", certificate), 0);
	server = serve("cd www; exec openssl s_server -accept 127.0.0.1:$1 -cert ../c.pem "
		       "-key ../c.key -WWW -quiet",
		       port);
	snprintf(url, sizeof(url), "https://localhost:%u/f", port);
	make_file("f", "precious");
	run = BP("fetch", url);
	expect_exit(run, 1);
	expect_out(SH("cat f"), "precious");
	run = BP("fetch", "--cacert", "c.pem", "--json", url);
	expect_exit(run, trusted);
	if (why)
		expect(strstr(run->out.data, why));
	expect_out(SH("cat f"), trusted ? "precious" : "hello\n");
	expect_exit(BP("fetch", "--insecure", url), 0);
	expect_out(SH("cat f; ls -A | grep -c ^[.]"), "hello\n0\n");
	end_server(server);
}

static void certificates_are_verified(struct test *t)
{
	need_program(t, "openssl");
	check_certificate(t, "set -- c DNS:localhost 2; " CERTIFICATE, 0, NULL);
}

static void a_certificate_of_another_name_is_refused(struct test *t)
{
	need_program(t, "openssl");
	check_certificate(t, "set -- c DNS:example.org 2; " CERTIFICATE, 1, "name");
}

static void an_expired_certificate_is_refused(struct test *t)
{
	need_program(t, "openssl");
	check_certificate(
		t,
		"openssl req -new -newkey rsa:2048 -nodes -keyout c.key -out c.csr "
		"-subj /CN=localhost 2>/dev/null;"
		"echo subjectAltName=DNS:localhost >ext;"
		"touch index; echo 01 >serial;"
		"printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index\\nserial=serial\\n"
		"new_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n'"
		" >ca.conf;"
		"openssl ca -batch -config ca.conf -selfsign -keyfile c.key -in c.csr "
		"-out c.pem -extfile ext -startdate 200101000000Z -enddate 200201000000Z "
		"2>/dev/null",
		1, "expired");
}

static void nginx_with_tls(struct test *t)
{
	unsigned int port = free_port();
	struct run *server, *run;
	char url[64];

	need_program(t, "nginx");
	need_program(t, "openssl");
	make_site(t);
	expect_exit(SH("set -- c DNS:localhost 2; " CERTIFICATE), 0);
	server = serve(
		"SSL=\"ssl; ssl_certificate $PWD/c.pem; ssl_certificate_key $PWD/c.key\"\n" NGINX,
		port);
	snprintf(url, sizeof(url), "https://localhost:%u", port);
	SH("for i in $(seq $1); do echo $2/f?$i; done >many; echo $2/big >>many", MANY, url);
	run = BP("fetch", "--cacert", "c.pem", "-o", "none", "-j", "3", "-T", "many", "--json");
	expect_exit(run, 0);
	expect_eq(expect_records(run, strtoul(MANY, NULL, 10) + 1)->ok,
		  strtoul(MANY, NULL, 10) + 1);
	snprintf(url, sizeof(url), "https://localhost:%u/big", port);
	expect_exit(BP("fetch", "--cacert", "c.pem", url), 0);
	expect_exit(SH("cmp big www/big"), 0);
	end_server(server);
}

static const struct test_case cases[] = {
	ONCE(pythons_http_server),
	ONCE(nginx),
	ONCE(lighttpd),
	ONCE(apache),
	ONCE(haproxy),
	ONCE(certificates_are_verified),
	ONCE(a_certificate_of_another_name_is_refused),
	ONCE(an_expired_certificate_is_refused),
	ONCE(nginx_with_tls),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
