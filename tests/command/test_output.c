/* SPDX-License-Identifier: MIT */
/*
 * test_output - a program may hold two runs: what one writes, loses or ends is no matter of the
 * other
 */
#include <sys/stat.h>

#include "base/buf.h"
#include "output/output.h"
#include "run/ownfiles.h"
#include "support/harness.h"

/* What a run has of all this. */
struct part {
	struct output *out;
	char path[PATH_MAX]; /* of what stands for its journal */
	atomic_uint failed; /* sinks that could not be written */
};

static void count_failed(void *ctx, const char *name, int err)
{
	struct part *part = ctx;

	(void)name;
	(void)err;
	atomic_fetch_add(&part->failed, 1);
}

static uint64_t no_progress(void *ctx, struct buf *line, bool *bar)
{
	(void)ctx;
	(void)line;
	(void)bar;
	return 0;
}

static void start(struct test *t, struct part *part, const char *name, int flags)
{
	const struct output_hooks hooks = {count_failed, no_progress, part};

	atomic_init(&part->failed, 0);
	snprintf(part->path, sizeof(part->path), "%s/%s", temp_dir(t), name);
	part->out = output_new();
	output_set_file(part->out, SINK_JOURNAL, temp_file(t, name, 0, flags), name);
	expect_eq(output_start(part->out, &hooks), 0);
}

static void add(struct part *part, const char *text)
{
	output_add(part->out, SINK_JOURNAL, text, strlen(text));
}

/* The end of a run closes standard output, which here is to be used once more. */
static int finish(struct part *part)
{
	int kept = dup(STDOUT_FILENO), err;

	fflush(stdout);
	err = output_finish(part->out);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	output_free(part->out);
	return err;
}

static void expect_text(const struct part *part, const char *expected)
{
	char text[64];
	int fd = open(part->path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[len < 0 ? 0 : len] = '\0';
	if (strcmp(text, expected))
		record_failure("%s has '%s' instead of '%s'\n", part->path, text, expected);
}

static void the_end_of_one_leaves_the_other_running(struct test *t)
{
	struct part first, second;

	start(t, &first, "first", O_WRONLY);
	start(t, &second, "second", O_WRONLY);
	add(&second, "a");
	add(&first, "1");
	add(&second, "b");
	expect_eq(finish(&first), 0);
	add(&second, "c");
	expect_eq(finish(&second), 0);
	expect_text(&first, "1");
	expect_text(&second, "abc");
}

static void what_one_cannot_write_cuts_it_alone(struct test *t)
{
	struct part broken, whole;

	start(t, &broken, "broken", O_RDONLY);
	start(t, &whole, "whole", O_WRONLY);
	add(&broken, "1");
	add(&whole, "a");
	expect_eq(finish(&broken), -EBADF);
	add(&whole, "b");
	expect_eq(finish(&whole), 0);
	expect_eq(atomic_load(&broken.failed), 1);
	expect_eq(atomic_load(&whole.failed), 0);
	expect_text(&whole, "ab");
}

static void a_file_is_closed_without_a_start(struct test *t)
{
	struct output *out = output_new();
	int fd = temp_file(t, "unused", 0, O_WRONLY);

	output_set_file(out, SINK_FAILED, fd, "unused");
	output_free(out);
	expect(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
}

static void each_guards_its_own_files(struct test *t)
{
	struct own_files *first = own_files_new(), *second = own_files_new();
	char path[PATH_MAX];
	struct stat st;
	int fd = temp_file(t, "journal", 0, O_WRONLY);

	snprintf(path, sizeof(path), "%s/journal", temp_dir(t));
	expect_eq(fstat(fd, &st), 0);
	own_file_opened(second, OWN_JOURNAL, fd, path);
	expect(!own_file_called(first, path));
	expect(!own_file_as_source(first, &st));
	own_files_free(first);
	expect(own_file_called(second, path));
	expect(own_file_as_source(second, &st) != NULL);
	expect(own_file_as_destination(second, &st) != NULL);
	own_files_free(second);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_end_of_one_leaves_the_other_running),
		ONCE(what_one_cannot_write_cuts_it_alone),
		ONCE(a_file_is_closed_without_a_start),
		ONCE(each_guards_its_own_files),
	};

	return RUN_CASES(argc, argv, cases);
}
