/* SPDX-License-Identifier: MIT */
/*
 * trees - files and directories for the tests of the command
 *
 * Names are relative to the working directory, which is the test's own.
 */
#include <dirent.h>
#include <malloc.h>
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

void fresh_dir(struct test *t)
{
	const char *dir = temp_dir(t);

	t->end = runs_end;
	runs_forget();
	records_forget();
	malloc_trim(0);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(chmod(dir, 0755), 0);
}

void make_bytes(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

void make_file(const char *name, const char *content)
{
	make_bytes(name, content, strlen(content));
}

void make_pattern(const char *name, size_t size)
{
	unsigned char *data = malloc(size + 1);

	assert_non_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = file_byte(i);
	make_bytes(name, data, size);
	free(data);
}

void make_sparse(const char *name, off_t size)
{
	make_file(name, "");
	assert_int_equal(truncate(name, size), 0);
}

void make_dir(const char *name)
{
	assert_int_equal(mkdir(name, 0755), 0);
}

char *make_deep(const char *top, unsigned int levels, const char *content)
{
	struct text path = {0};
	char name[201];
	int dir, fd;

	make_dir(top);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	text_printf(&path, "%s/", top);
	for (unsigned int i = 0; i < levels; i++) {
		memset(name, 'a' + (int)(i % 26), sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		assert_int_equal(mkdirat(dir, name, 0755), 0);
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = fd;
		text_printf(&path, "%s/", name);
	}
	fd = openat(dir, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	close(dir);
	text_printf(&path, "bottom");
	return path.data;
}

static void remove_below(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0))
			remove_below(fd, entry->d_name);
	}
	if (dir)
		closedir(dir);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

void remove_deep(const char *top)
{
	remove_below(AT_FDCWD, top);
}

bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void *stir_on(void *arg)
{
	struct unrest *unrest = arg;

	for (unsigned long i = 0; !atomic_load(&unrest->stop); i++)
		unrest->stir(i);
	return NULL;
}

void unrest_begin(struct unrest *unrest, void (*stir)(unsigned long round))
{
	*unrest = (struct unrest){.stir = stir};
	assert_int_equal(pthread_create(&unrest->thread, NULL, stir_on, unrest), 0);
}

void unrest_end(struct unrest *unrest)
{
	atomic_store(&unrest->stop, true);
	pthread_join(unrest->thread, NULL);
}

bool have_program(const char *name)
{
	return RUN(HOW(.program = "sh"), "-c", "command -v \"$1\"", "sh", name)->status == 0;
}

void need_root(struct test *t)
{
	if (geteuid())
		skip_because(t, "only root can become another user or make a device");
}
