/* SPDX-License-Identifier: MIT */
/*
 * test_sources - items whose source is no path: what a run writes about them
 *
 * The verb is one of this file: its items are URLs, of which those with "bad" in them fail, and
 * nothing is ever fetched. Each run is a process of its own.
 */
#include <sys/stat.h>

#include "journal/journal.h"
#include "run/feed.h"
#include "base/buf.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "run/job.h"
#include "support/harness.h"
#include "verb.h"

static int get_work(struct item *item)
{
	return strstr(item->name.data, "bad") ? -ECONNREFUSED : 0;
}

static const struct item_ops get_items = {
	.op = "get",
	.source = SOURCE_URL,
	.descriptors = 1,
	.work = get_work,
};

static void get_add(struct job *job, const struct jobspec *spec)
{
	const char *name = jobspec_next(spec);

	item_submit(item_new(job, &job->class, NULL, name, strlen(name)));
}

static int get_run(const struct options *options)
{
	static const struct job_ops ops = {
		.journal = &journal_hooks,
		.one_each = true,
		.feed = feed_each,
	};

	return feed_run(options, &ops);
}

static const struct verb get_verb = {
	.name = "get",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.items = &get_items,
	.add = get_add,
	.run = get_run,
};

__attribute__((constructor)) static void begin(void)
{
	static const struct verb *const verbs[] = {&get_verb};

	verbs_set(verbs, 1);
}

/* ---------------------------------------------------------------- runs */

static int get(void *args)
{
	struct options options;
	char **argv = args;
	int argc = 0, status;

	if (!freopen("out", "w", stdout))
		return 99;
	while (argv[argc])
		argc++;
	if (options_parse(&options, &get_verb, argc, argv, &status))
		status = get_run(&options);
	options_free(&options);
	return status;
}

/* The exit status of "batchproc get ..." in a fresh directory, or in that of the run before. */
#define run_get(...) in_child(get, (char *[]){"get", __VA_ARGS__, NULL}).status

static void enter(struct test *t)
{
	if (chdir(temp_dir(t)))
		abort();
}

static void leave(void)
{
	if (chdir("/"))
		abort();
}

static const char *content(const char *name)
{
	static char text[16384];
	FILE *file = fopen(name, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[len] = '\0';
	return text;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

/* ---------------------------------------------------------------- cases */

static void a_url_is_in_the_journal_as_it_was_given(struct test *t)
{
	enter(t);
	expect_eq(run_get("--journal", "j", "https://a.example/x y", "http://bad.example/"),
		  1 << 8);
	expect(strstr(content("j"), "ok\t-\t-\t\tget\thttps://a.example/x y\t"));
	expect(strstr(content("j"), "failed\t-\t-\tECONNREFUSED\tget\thttp://bad.example/\t"));
	leave();
}

/* From wherever the next run is started, and though a file of that name has come about. */
static void a_url_that_was_done_is_passed_over_from_any_directory(struct test *t)
{
	enter(t);
	expect_eq(run_get("--journal", "j", "http:a"), 0);
	expect_eq(mkdir("below", 0755), 0);
	expect_eq(chdir("below"), 0);
	write_file("http:a", "a file");
	expect_eq(run_get("--resume", "--journal", "../j", "--json", "http:a", "http:b"), 0);
	expect(strstr(content("out"), "\"url\":\"http:a\",\"status\":\"skipped\""));
	expect(strstr(content("out"), "\"url\":\"http:b\",\"status\":\"ok\""));
	leave();
}

static void records_name_a_url_as_such(struct test *t)
{
	enter(t);
	expect_eq(run_get("--json", "http://a.example/"), 0);
	expect(strstr(content("out"), "\"op\":\"get\",\"url\":\"http://a.example/\",\"status\""));
	expect(!strstr(content("out"), "\"src\""));
	leave();
}

/* "https:/x" as an argument is no file, so that it cannot be the one that is written to. */
static void a_url_is_never_taken_for_a_file_of_the_run(struct test *t)
{
	enter(t);
	expect_eq(run_get("--failed-to", "bad", "./bad"), 1 << 8);
	expect(!strcmp(content("bad"), "./bad\n"));
	/* A list is a file all the same. */
	write_file("list", "http://a.example/\n");
	expect_eq(run_get("--failed-to", "list", "-T", "list"), 2 << 8);
	leave();
}

static void what_failed_is_a_list_of_urls(struct test *t)
{
	enter(t);
	write_file("list", "http://a.example/\nhttp://bad.example/1\nhttp://bad.example/2\n");
	expect_eq(run_get("-k", "-j", "1", "--failed-to", "again", "-T", "list"), 1 << 8);
	expect(!strcmp(content("again"), "http://bad.example/1\nhttp://bad.example/2\n"));
	leave();
}

static void shards_divide_urls_by_themselves(struct test *t)
{
	size_t done = 0;
	char text[4096] = "", part[8];

	enter(t);
	for (int i = 0; i < 40; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "http://%d.example/\n",
			 i);
	write_file("list", text);
	for (int i = 1; i <= 4; i++) {
		/* The directory does not count. */
		char dir[] = {'d', (char)('0' + i), '\0'};

		expect_eq(mkdir(dir, 0755), 0);
		expect_eq(chdir(dir), 0);
		snprintf(part, sizeof(part), "%d/4", i);
		expect_eq(run_get("--json", "--shard", part, "-T", "../list"), 0);
		for (const char *at = content("out"); (at = strstr(at, "\"url\"")); at++)
			done++;
		expect_eq(chdir(".."), 0);
	}
	expect_eq(done, 40);
	leave();
}

static const struct test_case cases[] = {
	ONCE(a_url_is_in_the_journal_as_it_was_given),
	ONCE(a_url_that_was_done_is_passed_over_from_any_directory),
	ONCE(records_name_a_url_as_such),
	ONCE(a_url_is_never_taken_for_a_file_of_the_run),
	ONCE(what_failed_is_a_list_of_urls),
	ONCE(shards_divide_urls_by_themselves),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
