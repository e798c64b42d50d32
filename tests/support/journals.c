/* SPDX-License-Identifier: MIT */
/*
 * journals - what the tests of the journal share
 */
#include "support/journals.h"

void make_journal_tree(unsigned int count)
{
	char path[64];

	make_dir("d");
	for (unsigned int i = 0; i < count; i++) {
		if (i % 50 == 0) {
			snprintf(path, sizeof(path), "d/%u", i / 50);
			make_dir(path);
		}
		snprintf(path, sizeof(path), "d/%u/f%u", i / 50, i);
		make_file(path, path);
	}
}

struct text read_all(const char *name)
{
	struct text text = {0};
	char block[4096];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	text_add(&text, "", 0);
	while ((n = read(fd, block, sizeof(block))) > 0)
		text_add(&text, block, (size_t)n);
	close(fd);
	return text;
}

void expect_file(const char *name, const struct text *expected)
{
	struct text now = read_all(name);

	expect_(now.len == expected->len && !memcmp(now.data, expected->data, now.len),
		"the file is as it was", __FILE__, __LINE__);
	text_free(&now);
}
