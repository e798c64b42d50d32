/* SPDX-License-Identifier: MIT */
/*
 * servers - see servers.h. Whether one is there is asked with the command itself.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/servers.h"

#define PORTS_FIRST 20000u
#define PORTS 12000u

/*
 * Below those that the kernel gives to connections, which other tests make by the thousand; and
 * elsewhere in each process.
 */
uint16_t free_port(void)
{
	static unsigned int next;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int err = -1;

	if (!next)
		next = (unsigned int)getpid() * 37;
	for (unsigned int tries = 0; err && tries < PORTS; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		addr.sin_port = htons((uint16_t)(PORTS_FIRST + next++ % PORTS));
		err = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
		close(fd);
	}
	assert_int_equal(err, 0);
	return ntohs(addr.sin_port);
}

const char *server_url(const struct server *server, const char *scheme, const char *path)
{
	static char urls[8][256];
	static unsigned int next;
	char *url = urls[next++ % COUNT_OF(urls)];

	snprintf(url, sizeof(urls[0]), "%s://127.0.0.1:%u%s", scheme, server->port, path);
	return url;
}

/* An answer: a port may be open before its server knows what signals mean. */
static bool is_up(const struct server *server)
{
	return expect_exit(BP("probe", "--until-up=20s", "--interval", "10ms", "--expect-status",
			      "200-599", server_url(server, "http", "/")),
			   0);
}

static const char nginx_conf[] =
	"daemon off; pid nginx.pid; worker_processes 1;\n"
	"events { worker_connections 512; }\n"
	"http {\n"
	" log_format short '$request_uri $status'; access_log nginx.log short;\n"
	" client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;\n"
	" scgi_temp_path t5; types { text/plain txt; } gzip_min_length 1; gzip_proxied any;\n"
	" server { listen 127.0.0.1:%u; root \"%s/www\"; gzip on;\n"
	"  location = /blank { return 302 \"/dir/a b.txt\"; }\n"
	"  location = /busy { return 503; } } }\n";

static const char apache_conf[] =
	"ServerName localhost\nListen 127.0.0.1:%u\nPidFile \"%s/apache.pid\"\nMutex \"file:%s\" default\n%s"
	"ErrorLog \"%s/apache.err\"\nDocumentRoot \"%s/www\"\n"
	"LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
	"LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
	"LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\n"
	"LogFormat \"%%U %%>s\" short\nCustomLog \"%s/apache2.log\" short\n"
	"StartServers 2\nThreadsPerChild 16\nMaxRequestWorkers 32\nServerLimit 2\n"
	"<Directory \"%s/www\">\nRequire all granted\n</Directory>\n";

static const char lighttpd_conf[] =
	"server.modules = ( \"mod_accesslog\", \"mod_indexfile\", \"mod_staticfile\" )\n"
	"server.document-root = \"%s/www\"\nserver.bind = \"127.0.0.1\"\nserver.port = %u\n"
	"server.errorlog = \"%s/lighttpd.err\"\naccesslog.filename = \"%s/lighttpd.log\"\n"
	"accesslog.format = \"%%U %%s\"\nmimetype.assign = ( \".txt\" => \"text/plain\", "
	/*
	 * What has no type has no validator; and it would believe for a second that a file is what
	 * it was.
	 */
	"\"\" => \"application/x-test\" )\nindex-file.names = ( \"index.html\" )\nserver.stat-cache-engine = \"disable\"\n";

static void write_conf(const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.conf", name);
	make_file(path, text);
}

bool server_start(struct server *server, const char *name)
{
	char text[4096], dir[256], port[8];

	if (!have_program(name))
		return false;
	assert_non_null(getcwd(dir, sizeof(dir)));
	server->name = name;
	server->port = free_port();
	snprintf(port, sizeof(port), "%u", server->port);
	if (!strcmp(name, "nginx")) {
		snprintf(text, sizeof(text), nginx_conf, server->port, dir);
		write_conf(name, text);
		server->run = START(HOW(.program = "nginx"), "-p", dir, "-e", "nginx.err", "-c",
				    "nginx.conf");
	} else if (!strcmp(name, "apache2")) {
		snprintf(text, sizeof(text), apache_conf, server->port, dir, dir,
			 geteuid() ? "" : "User nobody\nGroup nogroup\n", dir, dir, dir, dir);
		write_conf(name, text);
		snprintf(text, sizeof(text), "%s/apache2.conf", dir);
		server->run =
			START(HOW(.program = "apache2"), "-d", dir, "-f", text, "-D", "FOREGROUND");
	} else if (!strcmp(name, "lighttpd")) {
		snprintf(text, sizeof(text), lighttpd_conf, dir, server->port, dir, dir);
		write_conf(name, text);
		server->run = START(HOW(.program = "lighttpd"), "-D", "-f", "lighttpd.conf");
	} else {
		server->run = START(HOW(.program = "sh"), "-c",
				    "exec python3 -m http.server --bind 127.0.0.1 -d www \"$1\" "
				    "2>python3.log",
				    "sh", port);
	}
	return is_up(server);
}

bool server_start_proxy(struct server *server, uint16_t backend)
{
	static const char conf[] =
		"defaults\n mode http\n timeout connect 5s\n timeout server 20s\n timeout client 20s\n"
		" timeout http-request 30ms\n timeout http-keep-alive 30ms\n"
		"frontend f\n bind 127.0.0.1:%u\n default_backend b\n"
		"backend b\n server s 127.0.0.1:%u\n";
	char text[1024];

	if (!have_program("haproxy"))
		return false;
	server->name = "haproxy";
	server->port = free_port();
	snprintf(text, sizeof(text), conf, server->port, backend);
	write_conf("haproxy", text);
	server->run = START(HOW(.program = "haproxy"), "-db", "-f", "haproxy.conf");
	return is_up(server);
}

bool server_start_script(struct server *server, const char *name, const char *script)
{
	char port[8], second[8], target[64];

	if (!have_program(name))
		return false;
	server->name = name;
	server->port = free_port();
	server->second = free_port();
	snprintf(port, sizeof(port), "%u", server->port);
	snprintf(second, sizeof(second), "%u", server->second);
	server->run = START(HOW(.program = "sh"), "-c", script, "sh", port, second);
	snprintf(target, sizeof(target), "tcp://127.0.0.1:%u", server->port);
	return expect_exit(BP("probe", "--until-up=20s", "--interval", "10ms", target), 0);
}

void server_stop(struct server *server)
{
	kill(server->run->pid, SIGTERM);
	run_end(server->run);
}

void server_reload(const struct server *server)
{
	bool apache = !strcmp(server->name, "apache2");
	bool lighttpd = !strcmp(server->name, "lighttpd");

	kill(server->run->pid, apache || lighttpd ? SIGUSR1 : SIGHUP);
}
