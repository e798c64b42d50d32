/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_keeps - what fetch keeps: files that nothing takes the place of, their modes, lines as
 * they were given, secrets to itself; and what it sends
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "support/badmount.h"
#include "support/cmd.h"
#include "support/httpd.h"
#include "support/records.h"

static struct httpd httpd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char posted[8192]; /* the last request's head; under the lock */

static const char large[1 << 20];

static bool was_posted(const char *line)
{
	bool was;

	pthread_mutex_lock(&lock);
	was = strstr(posted, line);
	pthread_mutex_unlock(&lock);
	return was;
}

/* "URL/path", kept until the next eight calls. */
static const char *at(const char *path)
{
	static char urls[8][256];
	static unsigned int next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof(urls[0]), "%s%s", httpd.url, path);
	return url;
}

static void answer(struct asked *a, void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&lock);
	snprintf(posted, sizeof(posted), "%s", a->head);
	pthread_mutex_unlock(&lock);
	if (!strcmp(a->path, "/none"))
		say(a, "HTTP/1.1 204 No Content\r\n\r\n");
	else if (!strcmp(a->path, "/reset"))
		say(a, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
	else if (!strcmp(a->path, "/500"))
		say(a, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	else if (!strncmp(a->path, "/post", 5) || a->body_len)
		say_ok(a, "", a->body_len ? a->body : "", a->body_len);
	else if (!strcmp(a->path, "/large"))
		say_ok(a, "", large, sizeof(large));
	else if (!strcmp(a->path, "/head"))
		say_ok(a, "", a->head, strlen(a->head));
	else
		/* In one piece, so that all of it is there with the head. */
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static void begin(struct test *t)
{
	fresh_dir(t);
	httpd_start(&httpd, answer, NULL);
}

static mode_t mode_of(const char *name)
{
	struct stat st = {0};

	stat(name, &st);
	return st.st_mode & 07777;
}

static void an_answer_without_content_makes_no_file(struct test *t)
{
	const struct records *records;
	struct run *run;
	char line[256];

	begin(t);
	make_file("none", "precious");
	run = BP("fetch", "--json", at("/none"), at("/reset"));
	records = expect_records(run, 2);
	expect_exit(run, 0);
	expect_eq(record_of(records, at("/none"))->code, 204);
	expect_eq(record_of(records, at("/none"))->dst.len, 0);
	expect_out(SH("cat none; ls -A"), "preciousnone\n");
	/* What has to have a digest has to be there. */
	snprintf(line, sizeof(line), "%s\tnone\tmd5:d41d8cd98f00b204e9800998ecf8427e", at("/none"));
	run = BP("fetch", line);
	expect_exit(run, 1);
	expect_says(run, "no content");
	expect_out(SH("cat none; ls -A"), "preciousnone\n");
	httpd_stop(&httpd);
}

/* Neither an answer without content nor one to HEAD is asked for again. */
static void what_made_no_file_is_done_too(struct test *t)
{
	begin(t);
	for (int i = 0; i < 2; i++) {
		expect_exit(BP("fetch", "--journal", "j", "--resume", at("/none")), 0);
		expect_exit(BP("fetch", "--journal", "k", "--resume", "-X", "HEAD", at("/x")), 0);
	}
	expect_eq(atomic_load(&httpd.requests), 2);
	httpd_stop(&httpd);
}

static void a_file_keeps_the_mode_of_the_one_before(struct test *t)
{
	begin(t);
	umask(022);
	make_file("f", "old");
	make_file("g", "old");
	expect_eq(chmod("f", 0640), 0);
	expect_eq(chmod("g", 04755), 0);
	expect_exit(BP("fetch", at("/f"), at("/g"), at("/new")), 0);
	expect_out(SH("cat f"), "hello");
	expect_eq(mode_of("f"), 0640);
	/* It was trusted, and this is another content. */
	expect_eq(mode_of("g"), 0755);
	expect_eq(mode_of("new"), 0644);
	/* A link gives way to a file of its own. */
	expect_exit(SH("ln -sf f link"), 0);
	expect_exit(BP("fetch", at("/link")), 0);
	expect_eq(mode_of("link"), 0644);
	expect_eq(mode_of("f"), 0640);
	httpd_stop(&httpd);
}

/* Some file systems tell only at a close that they could not write. */
static void a_close_that_fails_costs_no_file(struct test *t)
{
	static const char *const paths[] = {"/f", "/large"};
	struct badmount *bad;

	begin(t);
	make_dir("b");
	make_dir("m");
	make_file("b/f", "old");
	make_file("b/large", "old");
	bad = BADMOUNT(t, "b", "m", "size real");
	badmount_say(bad, "error flush %d", EIO);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		expect_exit(BP("fetch", "-P", "m", at(paths[i])), 1);
		expect_exit(BP("fetch", "-P", "m", "--backend", "threads", at(paths[i])), 1);
	}
	expect_out(SH("cat b/f b/large; ls -A b"), "oldoldf\nlarge\n");
	httpd_stop(&httpd);
	badmount_end(bad);
}

/* The temporary name that was made here since @watch began; false: there was none. */
static bool seen_temporary(int watch, char *name, size_t size)
{
	char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t len = read(watch, events, sizeof(events));
	const struct inotify_event *event;
	bool seen = false;

	for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const struct inotify_event *)(events + at);
		if (strncmp(event->name, ".batchproc-", 11))
			continue;
		snprintf(name, size, "%s", event->name);
		seen = true;
	}
	return seen;
}

/* A small body that becomes a new file is never there in part, and never under another name. */
static void a_small_new_file_has_one_name_from_the_first(struct test *t)
{
	char temp[NAME_MAX + 1];
	int watch, fd;

	begin(t);
	fd = open(".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		skip_because(t, "no files without a name on this file system");
	close(fd);
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	expect(watch >= 0 && inotify_add_watch(watch, ".", IN_CREATE) >= 0);
	expect_exit(BP("fetch", at("/f")), 0);
	expect(!seen_temporary(watch, temp, sizeof(temp)));
	/* One that takes the place of a file has to have one. */
	expect_exit(BP("fetch", at("/f")), 0);
	expect(seen_temporary(watch, temp, sizeof(temp)));
	/* Which a run that was killed may have left: it goes, wherever it is. */
	unlink("f");
	make_file(temp, "half");
	expect_exit(BP("fetch", at("/f")), 0);
	expect_out(SH("cat f; ls -A"), "hellof\n");
	expect_exit(SH("mkdir d && echo half >d/$1", temp), 0);
	expect_exit(SH("\"$BATCHPROC\" fetch \"$(printf '%s\td/f' $1)\"", at("/f")), 0);
	expect_out(SH("cat d/f; ls -A d"), "hellof\n");
	close(watch);
	httpd_stop(&httpd);
}

static void what_may_have_passwords_is_for_its_owner_alone(struct test *t)
{
	char jobs[512];

	begin(t);
	umask(022);
	expect_exit(BP("fetch", "--journal", "j", "--failed-to", "again", at("/500")), 1);
	expect_eq(mode_of("again"), 0600);
	expect_eq(mode_of("j"), 0600);
	expect_exit(BP("probe", "--failed-to", "probes", at("/500")), 1);
	expect_eq(mode_of("probes"), 0600);
	snprintf(jobs, sizeof(jobs), "fetch %s\n", at("/500"));
	make_file("jobs", jobs);
	expect_exit(BP("run", "--failed-to", "jobs-again", "jobs"), 1);
	expect_eq(mode_of("jobs-again"), 0600);
	/* Not what has none. */
	expect_exit(BP("hash", "--failed-to", "hashes", "not-there"), 1);
	expect_eq(mode_of("hashes"), 0644);
	httpd_stop(&httpd);
}

static void jobs_that_failed_are_given_back_whole(struct test *t)
{
	char jobs[1024];
	struct run *run;

	begin(t);
	snprintf(jobs, sizeof(jobs),
		 "fetch -P d 'http://me:secret@127.0.0.1:%u/500\ta/b\t"
		 "md5:5d41402abc4b2a76b9719d911017c592'\n"
		 "probe http://me:secret@127.0.0.1:%u/500\n",
		 httpd.port, httpd.port);
	make_file("jobs", jobs);
	run = BP("run", "--json", "--failed-to", "again", "jobs");
	expect_exit(run, 1);
	expect(!strstr(run->out.data, "secret"));
	expect_out(SH("grep -c 'me:secret@' again"), "2\n");
	/* All of it counts: who asks, where it goes to, what it is. */
	expect_exit(SH("sed -i s,/500,/head, again"), 0);
	run = BP("run", "--json", "again");
	expect_exit(run, 1);
	expect(strstr(run->out.data, "does not have the digest"));
	expect(was_posted("Authorization: Basic bWU6c2VjcmV0\r\n"));
	expect_exit(SH("sed -i s,/head,/f, again"), 0);
	expect_exit(BP("run", "again"), 0);
	expect_out(SH("cat d/a/b"), "hello");
	httpd_stop(&httpd);
}

static void bodies_of_a_manifest_are_not_mixed(struct test *t)
{
	char jobs[512];
	struct run *run;

	begin(t);
	snprintf(jobs, sizeof(jobs), "fetch -o - %s\nfetch -o - %s\n", at("/a"), at("/b"));
	make_file("jobs", jobs);
	run = BP("run", "jobs");
	expect_exit(run, 2);
	expect_says(run, "standard output");
	expect_eq(atomic_load(&httpd.requests), 0);
	httpd_stop(&httpd);
}

static void data_is_sent_as_curl_sends_it(struct test *t)
{
	begin(t);
	make_file("data", "a=1\r\nb=2\n");
	expect_out(BP("fetch", "-o", "-", "-d", "x=y", at("/post")), "x=y");
	expect(was_posted("POST /post HTTP/1.1\r\n"));
	expect(was_posted("Content-Type: application/x-www-form-urlencoded\r\n"));
	expect_out(BP("fetch", "-o", "-", "-d", "@data", at("/post")), "a=1b=2");
	expect_out(BP("fetch", "-o", "-", "--data-binary", "@data", at("/post")), "a=1\r\nb=2\n");
	expect_out(BP("fetch", "-o", "-", "-d", "x=y", "-d", "@data", "-d", "z", at("/post")),
		   "x=y&a=1b=2&z");
	expect_out(BP("fetch", "-o", "-", "-X", "PUT", "-d", "", at("/post")), "");
	expect(was_posted("PUT /post HTTP/1.1\r\n"));
	expect(was_posted("Content-Length: 0\r\n"));
	expect_exit(BP("fetch", "-o", "-", "-d", "@missing", at("/post")), 2);
	expect_exit(BP("fetch", "-o", "-", "-d", "@-", at("/post")), 2);
	expect_exit(BP("probe", "-d", "@data", "--expect-body", "^a=1b=2$", at("/post")), 0);
	expect_exit(BP("probe", "--user", "me:secret", at("/f")), 0);
	expect(was_posted("Authorization: Basic bWU6c2VjcmV0\r\n"));
	httpd_stop(&httpd);
}

static void users_stand_in_netrc(struct test *t)
{
	char home[PATH_MAX + 8], cwd[PATH_MAX];
	const char *const env[] = {home, NULL};

	begin(t);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(home, sizeof(home), "HOME=%s", cwd);
	make_file(".netrc", "machine example.org login no password no\n"
			    "machine 127.0.0.1 login me password secret\n");
	expect_exit(RUN(HOW(.env = env), "fetch", "-o", "none", at("/f")), 0);
	expect(!was_posted("Authorization"));
	expect_exit(RUN(HOW(.env = env), "fetch", "--netrc", "-o", "none", at("/f")), 0);
	expect(was_posted("Authorization: Basic bWU6c2VjcmV0\r\n"));
	expect_exit(RUN(HOW(.env = env), "probe", "--netrc", at("/f")), 0);
	expect(was_posted("Authorization: Basic bWU6c2VjcmV0\r\n"));
	make_file(".netrc", "machine\n");
	expect_exit(RUN(HOW(.env = env), "fetch", "--netrc", "-o", "none", at("/f")), 2);
	httpd_stop(&httpd);
}

/* For curl that is who asks; what may be a password is not taken for a URL, nor shown. */
static void u_with_a_password_says_what_is_meant(struct test *t)
{
	struct run *run;

	begin(t);
	run = BP("fetch", "-u", "me:secret", at("/f"));
	expect_exit(run, 2);
	expect_says(run, "--user");
	expect(!strstr(run->err.data, "secret"));
	expect_eq(atomic_load(&httpd.requests), 0);
	httpd_stop(&httpd);
}

static void answer_as_proxy(struct asked *a, void *ctx)
{
	(void)ctx;
	say(a, "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nWho?");
}

static void a_proxy_that_wants_to_know_who_asks_says_so(struct test *t)
{
	char plain[64], tls[64];
	const char *const env[] = {plain, tls, "no_proxy", "NO_PROXY", NULL};
	static const char *const urls[] = {"http://a.test/f", "https://a.test/f"};

	fresh_dir(t);
	httpd_start(&httpd, answer_as_proxy, NULL);
	snprintf(plain, sizeof(plain), "http_proxy=127.0.0.1:%u", httpd.port);
	snprintf(tls, sizeof(tls), "https_proxy=127.0.0.1:%u", httpd.port);
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		struct run *run = RUN(HOW(.env = env), "fetch", "--json", "--retries", "3",
				      "--retry-delay", "1ms", urls[i]);
		const struct record *record = expect_records(run, 1)->all;

		expect_exit(run, 1);
		expect(!strcmp(record->error_name, "EACCES"));
		expect(strstr(record->error, "the proxy asks for a user and a password"));
		/* It would say the same again. */
		expect_eq(record->attempts, 1);
	}
	httpd_stop(&httpd);
}

static const struct test_case cases[] = {
	ONCE(an_answer_without_content_makes_no_file),
	ONCE(what_made_no_file_is_done_too),
	ONCE(a_file_keeps_the_mode_of_the_one_before),
	ONCE(a_close_that_fails_costs_no_file),
	ONCE(a_small_new_file_has_one_name_from_the_first),
	ONCE(what_may_have_passwords_is_for_its_owner_alone),
	ONCE(jobs_that_failed_are_given_back_whole),
	ONCE(bodies_of_a_manifest_are_not_mixed),
	ONCE(data_is_sent_as_curl_sends_it),
	ONCE(users_stand_in_netrc),
	ONCE(u_with_a_password_says_what_is_meant),
	ONCE(a_proxy_that_wants_to_know_who_asks_says_so),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
