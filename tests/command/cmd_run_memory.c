/* SPDX-License-Identifier: MIT */
/*
 * cmd_run_memory - manifests of any length, and of many settings, are done in little memory
 */
#include "support/cmd.h"
#include "support/records.h"

static void a_long_manifest_is_read_in_little_memory(struct test *t)
{
	const unsigned long count = 300000;
	struct text jobs = {0};
	const struct run *run;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "its size would be that of the sanitizer");
	fresh_dir(t);
	for (unsigned long i = 0; i < count; i++)
		text_printf(&jobs,
			    "{\"op\":\"hash\",\"src\":\"some/file.%lu\",\"algorithm\":\"md5\"}\n",
			    i);
	make_file("jobs", jobs.data);
	text_free(&jobs);
	run = SH("\"$BATCHPROC\" run -n jobs | tail -n 1");
	expect_out(run, "hash some/file.299999\n");
	expect_between(run->usage.ru_maxrss, 1, 64 * 1024);
}

/* Settings are there as long as an item has them: the choices are the bits of the line's number. */
static void many_settings_are_held_in_little_memory(struct test *t)
{
	const unsigned long count = 1ul << 18;
	struct text jobs = {0};
	const struct run *run;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "its size would be that of the sanitizer");
	fresh_dir(t);
	for (unsigned long i = 0; i < count; i++) {
		text_printf(&jobs, "hash");
		for (unsigned long bit = count; bit; bit >>= 1)
			text_printf(&jobs, i & bit ? " -amd5" : " -axxh3");
		text_printf(&jobs, " -amd5 f\n");
	}
	make_file("jobs", jobs.data);
	text_free(&jobs);
	run = SH("\"$BATCHPROC\" run -n jobs | tail -n 1");
	expect_out(run, "hash f\n");
	expect_between(run->usage.ru_maxrss, 1, 64 * 1024);
}

/* Also while items of them run, and where a tree has them longer than its job is read. */
static void settings_last_as_long_as_their_items(struct test *t)
{
	struct text jobs = {0};
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d/%d", i);
		make_file(name, name);
	}
	for (int i = 0; i < 300; i++)
		text_printf(&jobs, "hash -r%s -asha%s d\nhash -asha%s d/%d\n",
			    i & 1 ? " --tag" : "", i % 3 ? "256" : "512", i & 2 ? "256" : "512",
			    i % 40);
	run = RUN(HOW(.input = jobs.data), "run", "--json");
	expect_exit(run, 0);
	expect_records(run, 300 * 41);
	text_free(&jobs);
}

/*
 * Some are found again while others go, and are those that were looked for. The choices are the
 * bits of a number, three jobs apart, and the last is the file's name.
 */
static void settings_are_found_while_others_go(struct test *t)
{
	static const char *const algs[] = {"md5", "sha1", "sha512"};
	const int count = 4000;
	struct text jobs = {0};
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		make_file(algs[i], algs[i]);
	for (int i = 0; i < count; i++) {
		const int key = i & 1 && i > 6 ? i / 2 - 3 : i / 2;
		const char *alg = algs[key % 3];

		text_printf(&jobs, "hash");
		for (int bit = 1; bit < count / 2; bit <<= 1)
			text_printf(&jobs, key & bit ? " --binary" : " --text");
		text_printf(&jobs, " -a%s %s\n", alg, alg);
	}
	make_file("jobs", jobs.data);
	text_free(&jobs);
	run = BP("run", "--json", "--loops", "2", "jobs");
	expect_exit(run, 0);
	expect_records(run, count);
	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		char both[64];

		snprintf(both, sizeof(both), "\"src\":\"%s\",\"status\":\"ok\",\"alg\":\"%s\"",
			 algs[i], algs[i]);
		expect_between(text_count(&run->out, both), count / 3 - 3, count / 3 + 3);
	}
}

/* Its words are read one by one: what is held is the line, and little else. */
static void a_long_line_takes_little_more_than_itself(struct test *t)
{
	/* Each of 32 MiB: words, quoted words, a comment. */
	static const char *const lines[] = {
		"printf 'hash '; yes \"$1\" | head -n 166111 | tr '\\n' ' '",
		"printf 'hash '; yes \"'$1'\" | head -n 164483 | tr '\\n' ' '",
		"printf 'hash a\\n#'; yes \"$1\" | head -n 166111 | tr '\\n' ' '",
	};
	const struct run *run;
	char name[202];

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "its size would be that of the sanitizer");
	fresh_dir(t);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		expect_exit(SH("eval \"$2\" >jobs", name, lines[i]), 0);
		run = SH("\"$BATCHPROC\" run -n jobs >plan");
		expect_exit(run, 0);
		expect_between(run->usage.ru_maxrss, 32 * 1024, 32 * 1024 * 5 / 4 + 8 * 1024);
	}
}

static const struct test_case cases[] = {
	ONCE(a_long_manifest_is_read_in_little_memory),
	ONCE(many_settings_are_held_in_little_memory),
	ONCE(settings_last_as_long_as_their_items),
	ONCE(settings_are_found_while_others_go),
	ONCE(a_long_line_takes_little_more_than_itself),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
