/* SPDX-License-Identifier: MIT */
/*
 * cmd_probe - endpoints of real servers, and of one that misbehaves
 *
 * The servers are python3's http.server, nginx and openssl s_server, started and stopped here; what
 * none of them does is done by a thread of the test, on a socket of its own.
 */
#include <sys/un.h>

#include "support/certs.h"
#include "support/probes.h"
#include "support/records.h"

/* ---------------------------------------------------------------- real servers */

/* The number behind the last colon before @word in what a server printed. */
static uint16_t printed_port(const struct run *run, const char *before)
{
	const char *at = strstr(run->out.data, before);

	return at ? (uint16_t)atoi(at + strlen(before)) : 0;
}

static struct run *start_python(uint16_t *port)
{
	struct run *run = START(HOW(.program = "python3"), "-u", "-m", "http.server", "--bind",
				"127.0.0.1", "0");

	until_printed(run, 1, "Serving", 1);
	until_printed(run, 1, "\n", 1);
	*port = printed_port(run, " port ");
	return run;
}

static void stop(struct run *run)
{
	kill(run->pid, SIGKILL);
	run_end(run);
}

/* openssl s_server, which shows the certificate NAME.pem. */
static struct run *start_tls(uint16_t *port, const char *name, const char *alpn)
{
	char cert[64], key[64];
	struct run *run;

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	run = START(HOW(.program = "openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", cert,
		    "-key", key, "-www", "-alpn", alpn);
	until_printed(run, 1, "ACCEPT ", 1);
	until_printed(run, 1, "\n", 2);
	*port = printed_port(run, "ACCEPT 127.0.0.1:");
	return run;
}

static bool need(struct test *t, const char *program)
{
	char text[64];

	if (have_program(program))
		return true;
	snprintf(text, sizeof(text), "no %s here", program);
	skip_because(t, text);
	return false;
}

static void make_certs(void)
{
	static const char here[] = "DNS:localhost,IP:127.0.0.1";

	CERT(.name = "ca", .ca = 1, .to_days = 3650);
	CERT(.name = "good", .issuer = "ca", .names = here, .to_days = 40);
	CERT(.name = "other", .issuer = "ca", .names = "DNS:other.test");
	CERT(.name = "old", .issuer = "ca", .names = here, .from_days = -30, .to_days = -3);
	CERT(.name = "self", .names = here);
}

/* ---------------------------------------------------------------- tests */

static void ports_answer_or_do_not(struct test *t)
{
	static const char *const backends[] = {"auto", "threads"};
	uint16_t open_port = 0, shut_port = 0;
	int listener, bound;

	fresh_dir(t);
	listener = listen_at("127.0.0.1", &open_port, 64);
	bound = listen_at("127.0.0.1", &shut_port, -1);
	for (unsigned int i = 0; i < COUNT_OF(backends); i++) {
		const char *good = target("tcp://", open_port, ""),
			   *bad = target("tcp://", shut_port, "");
		struct run *run = BP("probe", "--backend", backends[i], "--json", good, bad);
		const struct records *records = expect_records(run, 2);

		if (i == 0 && strstr(run->err.data, "io_uring"))
			continue;
		expect_exit(run, 1);
		expect(!strcmp(status_of(records, good), "ok"));
		expect(!strcmp(status_of(records, bad), "failed"));
		expect_has(line_of(run, bad), "\"errno\":\"ECONNREFUSED\"");
		expect_has(line_of(run, good), "\"address\":\"127.0.0.1:");
		expect_has(line_of(run, good), "\"queue_us\":");
		expect_has(line_of(run, good), "\"connect_us\":");
		expect_lacks(line_of(run, good), "first_byte_us");
		expect_lacks(line_of(run, good), "samples");
		expect_exit(BP("probe", "--backend", backends[i], good), 0);
	}
	close(listener);
	close(bound);
}

static void sockets_of_the_file_system_are_endpoints(struct test *t)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct run *run;

	fresh_dir(t);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	run = BP("probe", "unix:socket", "unix:absent");
	expect_exit(run, 1);
	expect(text_count(&run->out, "ok") == 1);
	expect_says(run, "unix:absent: No such file or directory");
	close(fd);
}

static void what_is_no_target_is_said(struct test *t)
{
	static const char *const bad[] = {
		"127.0.0.1:80",	  "ftp://a.test/",	"tcp://a.test",	       "tcp://:1",
		"tcp://a.test:0", "tcp://a.test:65536", "tcp://a.test:1/path", "unix:",
		"http://",	  "http://a.test:x/",	"tls://a b:1",
	};
	char line[128];

	fresh_dir(t);
	for (unsigned int i = 0; i < COUNT_OF(bad); i++) {
		struct run *run = BP("probe", "--json", bad[i]);

		expect_exit(run, 1);
		expect_has(line_of(run, bad[i]), "\"errno\":\"EINVAL\"");
		/* In a manifest nothing is begun. */
		snprintf(line, sizeof(line), "probe '%s'\n", bad[i]);
		make_file("jobs", line);
		expect_exit(BP("run", "jobs"), 2);
	}
	expect_exit(BP("probe"), 2);
	expect_exit(BP("probe", "--expect-status", "20x", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--expect-status", "300-200", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--expect-body", "(", "http://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--repeat", "0", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--interval", "1s", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--repeat", "2", "--until-up", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--until-up=soon", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "-H", "a: b\r\nc: d", "http://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--cacert", "absent", "tcp://127.0.0.1:1"), 2);
	expect_exit(BP("probe", "--key", "absent", "tcp://127.0.0.1:1"), 2);
}

static void statuses_and_bodies_are_looked_at(struct test *t)
{
	struct run *server, *run;
	const char *hello, *absent;
	uint16_t port;

	fresh_dir(t);
	if (!need(t, "python3"))
		return;
	make_file("hello", "first line\nall is well\n");
	server = start_python(&port);
	hello = target("http://", port, "/hello");
	absent = target("http://", port, "/absent");

	run = BP("probe", "--json", hello, absent);
	expect_exit(run, 1);
	expect_has(line_of(run, hello), "\"code\":200");
	expect_has(line_of(run, hello), "\"first_byte_us\":");
	expect_has(line_of(run, hello), "\"bytes\":23");
	expect_has(line_of(run, absent), "\"code\":404");
	expect_has(line_of(run, absent), "\"error\":\"HTTP status 404\"");
	expect_exit(BP("probe", "--expect-status", "404", absent), 0);
	expect_exit(BP("probe", "--expect-status", "200,404", hello, absent), 0);
	expect_exit(BP("probe", "--expect-status", "300-399", hello), 1);
	expect_exit(BP("probe", "--expect-body", "^all is (well|good)$", hello), 0);
	run = BP("probe", "--expect-body", "^is", hello);
	expect_exit(run, 1);
	expect_says(run, "the body does not match --expect-body");
	run = BP("probe", "--json", "-X", "HEAD", hello);
	expect_exit(run, 0);
	expect_has(line_of(run, hello), "\"bytes\":0");
	/* A retry after what will not change is none. */
	run = BP("probe", "--json", "--retries", "3", "--retry-delay", "1ms", absent);
	expect_has(line_of(run, absent), "\"attempts\":1");
	stop(server);
}

static void answers_that_are_none_are_failures(struct test *t)
{
	static const struct {
		const char *answer, *word;
		bool resets;
	} all[] = {
		{"", "before a response", false},
		{"SSH-2.0-OpenSSH_9\r\n\r\n", "", false},
		{"HTTP/1.1 200 OK\r\nContent-Len", "within the response", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "cut short", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "cut short",
		 false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunks", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "", false},
		{"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
		 "HTTP status 503", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "", true},
	};
	static char endless[200000];

	fresh_dir(t);
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		struct player player;
		struct run *run;

		player_start(&player, all[i].answer);
		player.resets = all[i].resets;
		run = BP("probe", target("http://", player.port, "/"));
		expect_exit(run, 1);
		expect_says(run, all[i].word);
		player_stop(&player);
	}
	for (size_t i = 0, n = 0; i + 40 < sizeof(endless); i += n)
		n = (size_t)sprintf(endless + i, "%s",
				    i ? "X-Header: 12345678\r\n" : "HTTP/1.1 200 OK\r\n");
	{
		struct player player;

		player_start(&player, endless);
		expect_exit(BP("probe", target("http://", player.port, "/")), 1);
		player_stop(&player);
	}
}

static void good_answers_of_odd_form_are_good(struct test *t)
{
	static const char *const all[] = {
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nup to the end",
		"HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nshort\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 301 Moved\r\nLocation: /else where\r\nContent-Length: 0\r\n\r\n",
	};

	fresh_dir(t);
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		struct player player;

		player_start(&player, all[i]);
		expect_exit(BP("probe", target("http://", player.port, "/")), 0);
		player_stop(&player);
	}
}

static void silence_ends(struct test *t)
{
	struct player player;
	struct run *run;
	const char *name;

	fresh_dir(t);
	player_start(&player, NULL);
	name = target("http://", player.port, "/");
	run = BP("probe", "--first-byte-timeout", "20ms", name);
	expect_exit(run, 1);
	expect_says(run, "no byte of a response came in time");
	run = BP("probe", "--json", "--timeout", "20ms", name);
	expect_exit(run, 1);
	expect_has(line_of(run, name), "\"status\":\"timeout\"");
	name = target("https://", player.port, "/");
	run = BP("probe", "--connect-timeout", "20ms", name);
	expect_exit(run, 1);
	expect_says(run, "--connect-timeout");
	expect_exit(BP("probe", "--deadline", "30ms", name), 124);
	player_stop(&player);
}

static void certificates_are_told_about(struct test *t)
{
	static const struct {
		const char *cert, *refused;
	} all[] = {
		{"good", NULL},
		{"self", "self-signed certificate"},
		{"old", "certificate has expired"},
		{"other", "IP address mismatch"},
	};

	fresh_dir(t);
	if (!need(t, "openssl"))
		return;
	make_certs();
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		uint16_t port;
		struct run *server = start_tls(&port, all[i].cert, "h2,http/1.1"), *run;
		const char *tls = target("tls://", port, ""),
			   *https = target("https://", port, "/"), *line;

		run = BP("probe", "--json", "--cacert", "ca.pem", "-j1", tls, https);
		expect_exit(run, all[i].refused ? 1 : 0);
		line = line_of(run, tls);
		expect_has(line, "\"version\":\"TLSv1.3\"");
		expect_has(line, "O=Prüfstand\",\"issuer\":\"CN=");
		expect_has(line, "\"not_after\":\"20");
		expect_eq(number_in(line, "days_left"), !strcmp(all[i].cert, "good") ? 39 :
							!strcmp(all[i].cert, "old")  ? -4 :
										       89);
		expect(number_in(line, "tls_us") > 0);
		if (all[i].refused) {
			expect_has(line, "\"refused\":\"");
			expect(strstr(line, all[i].refused));
			expect_has(line, "\"errno\":\"EKEYREJECTED\"");
			expect(strstr(line_of(run, https), all[i].refused));
			expect_lacks(line_of(run, https), "\"code\"");
		} else {
			expect_has(line, "\"alpn\":\"h2\"");
			line = line_of(run, https);
			expect_has(line, "\"alpn\":\"http/1.1\"");
			expect_has(line, "\"code\":200");
			expect_exit(BP("probe", "--cacert", "ca.pem", "--cert-days", "30", tls), 0);
			run = BP("probe", "--cacert", "ca.pem", "--cert-days", "41", tls);
			expect_exit(run, 1);
			expect_says(run, "39 more days");
		}
		expect_exit(BP("probe", "--insecure", tls), 0);
		expect_exit(BP("probe", tls), 1);
		stop(server);
	}
}

static void nginx_answers_on_its_socket_and_over_tls(struct test *t)
{
	static const char config[] =
		"daemon off; pid nginx.pid; error_log error.log; worker_processes 1;\n"
		"events { worker_connections 256; }\n"
		"http { access_log access.log;\n"
		" client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
		" server { listen unix:plain; location = /health { return 200 ok; } location / { return 503; } }\n"
		" server { listen unix:secure ssl; ssl_certificate good.pem; ssl_certificate_key good.key;\n"
		"  location / { return 204; } } }\n";
	struct run *server, *run;
	char dir[256];

	fresh_dir(t);
	if (!need(t, "nginx"))
		return;
	make_certs();
	make_file("nginx.conf", config);
	assert_non_null(getcwd(dir, sizeof(dir)));
	server = START(HOW(.program = "nginx"), "-p", dir, "-e", "error.log", "-c", "nginx.conf");
	/* The health check of a service that is about to start. */
	expect_exit(BP("probe", "--until-up=20s", "--interval", "10ms", "unix:plain",
		       "unix:secure"),
		    0);
	run = BP("probe", "--json", "--unix-socket", "plain", "--expect-body", "^ok$",
		 "http://localhost/health");
	expect_exit(run, 0);
	run = BP("probe", "--unix-socket", "plain", "http://localhost/else");
	expect_exit(run, 1);
	expect_says(run, "HTTP status 503");
	run = BP("probe", "--json", "--cacert", "ca.pem", "--unix-socket", "secure",
		 "https://localhost/");
	expect_exit(run, 0);
	expect_has(line_of(run, "https://localhost/"), "\"code\":204");
	run_kill(server, SIGTERM);
	run_end(server);
}

static const struct test_case cases[] = {
	ONCE(ports_answer_or_do_not),
	ONCE(sockets_of_the_file_system_are_endpoints),
	ONCE(what_is_no_target_is_said),
	ONCE(statuses_and_bodies_are_looked_at),
	ONCE(answers_that_are_none_are_failures),
	ONCE(good_answers_of_odd_form_are_good),
	ONCE(silence_ends),
	ONCE(certificates_are_told_about),
	ONCE(nginx_answers_on_its_socket_and_over_tls),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
