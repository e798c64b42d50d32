/* SPDX-License-Identifier: MIT */
/*
 * cmd_slow - a file server that is slow, or does not answer, holds up nobody else on its loop:
 * names that the user gave, what --resume looks at, and all that is made there
 *
 * One loop, so that whoever waits on it is seen to hold up the others. A row's first items are on
 * the server, where one call is not answered; all others have to end meanwhile.
 */
#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/httpd.h"

#define OTHERS 100

static const char *const backends[] = {"auto", "threads"};

struct held {
	const char *call; /* that is not answered */
	const char *args;
	const char *prints; /* of each other item */
	const char *first; /* another run, before that */
};

static struct badmount *begin(struct test *t)
{
	fresh_dir(t);
	run_sh("rm -rf ./*; mkdir -p m l b/d/e b/t b/dir b/old; echo f >b/f; echo g >b/d/g; ln -s f b/t/link\n"
	       "mkfifo b/t/fifo; mkdir b/t/sub; echo h >b/t/sub/h; ln b/t/sub/h b/t/h\n"
	       "for i in $(seq 100 199); do echo $i >l/file-$i; done");
	return BADMOUNT(t, "b", "m", "size real");
}

static void play(struct test *t, const struct held *held, const char *backend)
{
	struct badmount *bad = begin(t);
	struct run *run;
	char call[32];

	if (held->first)
		run_sh(held->first);
	sscanf(held->call, "%31s", call);
	badmount_say(bad, "hang %s", held->call);
	run = SH("printf '%s --loops 1 -j 16 --backend %s' \"$1\" \"$2\" >line", held->args,
		 backend);
	run = START(HOW(.program = "sh"), "-c", "exec \"$BATCHPROC\" $(cat line)");
	badmount_say(bad, "await %s 1", call);
	if (!until_printed(run, 1, held->prints, OTHERS))
		print_error("%s: %s, %s\n", held->call, held->args, backend);
	badmount_say(bad, "release %s", held->call);
	if (!expect_exit(run_end(run), 0))
		print_error("%s: %s, %s\n", held->call, held->args, backend);
	badmount_end(bad);
}

static void play_all(struct test *t, const struct held *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < COUNT_OF(backends); k++)
			play(t, &rows[i], backends[k]);
}

static void names_that_are_removed(struct test *t)
{
	static const struct held rows[] = {
		{"unlink f", "rm -v m/f m/d/g -T list", "removed 'l/", "ls l/* >list"},
		{"rmdir", "rm -dv m/d/e -T list", "removed 'l/", "ls l/* >list"},
		{"rmdir", "rm -rv m/d l", "removed 'l/", NULL},
		{"unlink g", "rm -rv m/d l", "removed 'l/", NULL},
	};

	play_all(t, rows, COUNT_OF(rows));
}

static void names_that_are_read(struct test *t)
{
	static const struct held rows[] = {
		{"open f", "hash m/f -T list", "  l/", "ls l/* >list"},
		{"read f", "hash m/f -T list", "  l/", "ls l/* >list"},
		{"open f", "verify list", "l/file-", "sha256sum m/f l/* >list"},
	};

	play_all(t, rows, COUNT_OF(rows));
}

static void what_is_copied_from_there(struct test *t)
{
	static const struct held rows[] = {
		{"open f", "copy --json m/f -T list out", "\"src\":\"l/",
		 "mkdir out; ls l/* >list"},
		{"read f", "copy --json m/f -T list out", "\"src\":\"l/",
		 "mkdir out; ls l/* >list"},
	};

	play_all(t, rows, COUNT_OF(rows));
}

static void links_and_directories_that_are_copied(struct test *t)
{
	static const struct held rows[] = {
		{"readlink link", "copy --json -a m/t l out", "\"src\":\"l/", "mkdir out"},
		{"opendir sub", "copy --json -a m/t l out", "\"src\":\"l/", "mkdir out"},
		{"listxattr sub", "copy --json -a m/t l out", "\"src\":\"l/", "mkdir out"},
	};

	play_all(t, rows, COUNT_OF(rows));
}

/* What the journal says is done is looked at: its attributes, which the server has to be asked for. */
static void what_a_resumed_run_looks_at(struct test *t)
{
	static const struct held rows[] = {
		{"getattr g", "hash --json --journal j --resume -r m/d l", "\"src\":\"l/",
		 "\"$BATCHPROC\" hash -q --journal j -r m/d l >out; sed -i 's/^end.*//' j"},
		{"getattr g", "verify -v --json --journal j --resume list", "\"src\":\"l/",
		 "sha256sum m/d/g l/* >list; \"$BATCHPROC\" verify -q --journal j list"},
		{"getattr g", "copy --json --journal j --resume -r m/d l out", "\"src\":\"l/",
		 "mkdir out; \"$BATCHPROC\" copy -q --journal j -r m/d l out"},
		{"lookup g", "copy --json --journal j --resume -r m/d l out", "\"src\":\"l/",
		 "mkdir out; \"$BATCHPROC\" copy -q --journal j -r m/d l out"},
	};

	play_all(t, rows, COUNT_OF(rows));
}

#define JOBS(job) "{ echo '" job "'; for i in l/*; do echo \"hash $i\"; done; } >jobs"

static void trees_that_are_made_there(struct test *t)
{
#define TREE "cp -a b/t tree; " JOBS("copy -a tree m/new")
	static const struct held rows[] = {
		{"mkdir new", "run --json jobs", "\"src\":\"l/", TREE},
		{"symlink link", "run --json jobs", "\"src\":\"l/", TREE},
		{"link h", "run --json jobs", "\"src\":\"l/", TREE},
		{"utimens new", "run --json jobs", "\"src\":\"l/", TREE},
		{"chmod new", "run --json jobs", "\"src\":\"l/", TREE},
	};

	play_all(t, rows, COUNT_OF(rows));
}

static void files_that_are_made_there(struct test *t)
{
#define SMALL "echo new >small; " JOBS("copy small m/old/small")
	static const struct held rows[] = {
		{"create", "run --json jobs", "\"src\":\"l/", SMALL},
		{"flush", "run --json jobs", "\"src\":\"l/", SMALL},
		{"rename small", "run --json jobs", "\"src\":\"l/",
		 "echo old >b/old/small; " SMALL},
	};

	play_all(t, rows, COUNT_OF(rows));
}

static void answer(struct asked *a, void *ctx)
{
	(void)ctx;
	say_ok(a, "", "hello", 5);
}

static void what_is_fetched_to_there(struct test *t)
{
	static const char *const calls[] = {"create", "rename f", "flush"};
	struct httpd httpd;

	httpd_start(&httpd, answer, NULL);
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		for (size_t k = 0; k < COUNT_OF(backends); k++) {
			char first[512];
			struct held held = {calls[i], "run --json jobs", "\"src\":\"l/", first};

			snprintf(first, sizeof(first), JOBS("fetch -P m/old %s/f"), httpd.url);
			play(t, &held, backends[k]);
		}
	httpd_stop(&httpd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(names_that_are_removed),	   ONCE(names_that_are_read),
		ONCE(what_is_copied_from_there),   ONCE(links_and_directories_that_are_copied),
		ONCE(what_a_resumed_run_looks_at), ONCE(trees_that_are_made_there),
		ONCE(files_that_are_made_there),   ONCE(what_is_fetched_to_there),
	};

	return RUN_CASES(argc, argv, cases);
}
