/* SPDX-License-Identifier: MIT */
/*
 * soak_copy - copies under faults are whole or were not made; without faults a second run makes all
 */
#include <dirent.h>
#include <sys/stat.h>

#include "command/soak.h"

#define FILE_MOST 400000
#define OLD "what was there before"

/* Every third is there already. */
void copies_make(struct soak *s, const char *dst)
{
	assert_int_equal(mkdir(dst, 0700), 0);
	for (unsigned int i = 0; i < FILES; i += 3)
		make(in_dir(s, "%s/%s", strrchr(dst, '/') + 1, s->name[i]), OLD);
}

void copies_check(const struct soak *s, const char *dst, bool all)
{
	static char a[FILE_MOST], b[FILE_MOST];
	char path[2 * PATH_ROOM];
	unsigned int names = 0, found = 0;
	const struct dirent *entry;
	DIR *dir;

	for (unsigned int i = 0; i < FILES; i++) {
		ssize_t len = content(s->path[i], a, sizeof(a)), got;
		bool whole, old;

		snprintf(path, sizeof(path), "%s/%s", dst, s->name[i]);
		got = content(path, b, sizeof(b));
		whole = got == len && !memcmp(a, b, (size_t)len);
		old = i % 3 ? got < 0 : got == sizeof(OLD) - 1 && !memcmp(b, OLD, (size_t)got);
		soak_say(s, whole || (old && !all), "neither whole nor as it was", path);
		names += got >= 0;
	}
	dir = opendir(dst);
	while (dir && (entry = readdir(dir)))
		found += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	soak_say(s, found == names, "something else is left", dst);
}

void copies_remove(const struct soak *s, const char *dst)
{
	char path[2 * PATH_ROOM];

	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", dst, s->name[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dst), 0);
}

void soak_copy(struct soak *s)
{
	static const char *const kinds[] = {"--atomic", "--verify", "--reflink=never", "--sync"};
	const bool digests = s->seed % 5;
	char dst[PATH_ROOM];

	snprintf(dst, sizeof(dst), "%s", in_dir(s, "copies"));
	copies_make(s, dst);
	things_clear(s);
	soak_args(s, "copy");
	if (digests) {
		soak_arg(s, "--hash=sha256");
		soak_arg(s, kinds[s->seed % 4]);
	}
	for (unsigned int i = 0; i < FILES; i++) {
		thing_add(s, "copy", s->path[i], digests ? s->digest[i] : NULL);
		soak_arg(s, s->path[i]);
	}
	soak_arg(s, dst);
	soak_run(s, true);
	soak_check(s, "copy", ALL);
	copies_check(s, dst, false);
	soak_run(s, false);
	soak_check(s, "copy without faults", ALL);
	copies_check(s, dst, true);
	copies_remove(s, dst);
}
