/* SPDX-License-Identifier: MIT */
/*
 * test_corpora - the parsers hold on the inputs that fuzzing has found worth keeping
 *
 * Each file in fuzz/corpus/NAME/ is given to the harness fuzz_NAME. See fuzz/fuzz.h. Run in the top
 * directory of the source.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"
#include "support/harness.h"

static uint8_t *read_input(const char *path, size_t *size)
{
	struct stat st;
	uint8_t *data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && !fstat(fd, &st));
	*size = (size_t)st.st_size;
	/* To the byte, so that a sanitizer sees what reads beyond it. */
	data = malloc(*size + !*size);
	assert_non_null(data);
	assert_int_equal(read(fd, data, *size), *size);
	close(fd);
	return data;
}

static void replay(const char *name, int (*harness)(const uint8_t *data, size_t size))
{
	char path[512];
	struct dirent *entry;
	size_t size, count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/%s", name);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		uint8_t *data;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "tests/fuzz/corpus/%s/%s", name, entry->d_name);
		data = read_input(path, &size);
		harness(data, size);
		free(data);
		count++;
	}
	closedir(dir);
	expect(count > 0);
}

#define REPLAY(name)                                                                               \
	static void the_corpus_of_##name(struct test *t)                                           \
	{                                                                                          \
		(void)t;                                                                           \
		replay(#name, fuzz_##name);                                                        \
	}

REPLAY(bagline)
REPLAY(filter)
REPLAY(journal)
REPLAY(manifest)
REPLAY(mtree)
REPLAY(response)
REPLAY(sumline)
REPLAY(url)
REPLAY(words)

static const struct test_case cases[] = {
	ONCE(the_corpus_of_bagline),  ONCE(the_corpus_of_filter), ONCE(the_corpus_of_journal),
	ONCE(the_corpus_of_manifest), ONCE(the_corpus_of_mtree),  ONCE(the_corpus_of_response),
	ONCE(the_corpus_of_sumline),  ONCE(the_corpus_of_url),	  ONCE(the_corpus_of_words),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
