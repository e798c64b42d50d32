/* SPDX-License-Identifier: MIT */
/*
 * ownfiles: the files that a run writes besides its output, and that nothing else of it may touch.
 *
 * Two names are one file where device and inode say so; where neither is there yet, they are if it
 * would be made in the same directory under the same name, whatever symbolic links lead there. What
 * is no regular file (a terminal, /dev/null, a FIFO) may be all of it at once.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "run/job.h"
#include "cli/options.h"
#include "run/ownfiles.h"
#include "base/array.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define LINKS_MOST 40

static const char *const options_of[OWN_FILES] = {
	[OWN_FAILED_TO] = "--failed-to",
	[OWN_JOURNAL] = "--journal",
};

static const char *given(const struct options *opt, enum own_file which)
{
	return which == OWN_FAILED_TO ? opt->failed_to : opt->journal;
}

/* ---- names */

/* What a name stands for; where it is not there, what it would be. */
struct place {
	bool there;
	struct stat st; /* of the directory that it would be made in, where it is not there */
	char name[NAME_MAX + 1];
};

/* Takes the last part off @path, which becomes the directory that it is in. */
static bool split(char *path, char name[NAME_MAX + 1])
{
	size_t len = strlen(path), start;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (start = len; start && path[start - 1] != '/'; start--)
		;
	if (len - start > NAME_MAX)
		return false;
	memcpy(name, path + start, len - start);
	name[len - start] = '\0';
	path[start] = '\0';
	if (!start)
		strcpy(path, ".");
	return true;
}

/* Where the symbolic link @name in the directory @path leads: the path of that, in its place. */
static bool follow(char path[PATH_MAX], const char *name)
{
	char link[2 * PATH_MAX], target[PATH_MAX];
	ssize_t len;

	if ((size_t)snprintf(link, sizeof(link), "%s/%s", path, name) >= sizeof(link))
		return false;
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	if ((size_t)snprintf(link, sizeof(link), "%s%s%s", *target == '/' ? "" : path,
			     *target == '/' ? "" : "/", target) >= PATH_MAX)
		return false;
	strcpy(path, link);
	return true;
}

/* The directory and the name where a path leads, through symbolic links. */
static bool resolve(const char *path, char dir[PATH_MAX], char name[NAME_MAX + 1])
{
	if (!*path || strlen(path) >= PATH_MAX)
		return false;
	strcpy(dir, path);
	for (int links = 0; links < LINKS_MOST; links++) {
		if (!split(dir, name))
			return false;
		if (!follow(dir, name))
			return true;
	}
	return false;
}

/* False: neither it nor its directory is there. */
static bool find_place(const char *path, struct place *place)
{
	char dir[PATH_MAX];

	place->there = !stat(path, &place->st);
	return place->there || (resolve(path, dir, place->name) && !stat(dir, &place->st));
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_place(const struct place *a, const char *path)
{
	struct place b;

	if (!find_place(path, &b) || a->there != b.there || !same_inode(&a->st, &b.st))
		return false;
	return a->there ? S_ISREG(b.st.st_mode) : !strcmp(a->name, b.name);
}

static bool is_standard_input(const struct place *place)
{
	struct stat st;

	return place->there && !fstat(STDIN_FILENO, &st) && S_ISREG(st.st_mode) &&
	       same_inode(&place->st, &st);
}

/* Whether it is one of these; '-' is standard input. */
static bool is_among(const struct place *place, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (same_place(place, names[i]) ||
		    (!strcmp(names[i], "-") && is_standard_input(place)))
			return true;
	return false;
}

/* ---- standard output and error */

int own_file_standard(const char *path)
{
	static const struct {
		const char *name;
		int fd;
	} names[] = {
		{"/dev/stdout", STDOUT_FILENO},	    {"/dev/stderr", STDERR_FILENO},
		{"/dev/fd/1", STDOUT_FILENO},	    {"/dev/fd/2", STDERR_FILENO},
		{"/proc/self/fd/1", STDOUT_FILENO}, {"/proc/self/fd/2", STDERR_FILENO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(path, names[i].name))
			return names[i].fd;
	return -1;
}

/* What the file is that standard output or error is written to, if it is one of these. */
static const char *standard_name(const struct place *place)
{
	static const char *const names[] = {
		[STDOUT_FILENO] = "what standard output is written to",
		[STDERR_FILENO] = "what standard error is written to",
	};
	struct stat st;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO && place->there; fd++)
		if (!fstat(fd, &st) && S_ISREG(st.st_mode) && same_inode(&place->st, &st))
			return names[fd];
	return NULL;
}

/* ---- before the run */

static bool refuse(const struct options *opt, enum own_file which, const char *what, int *status)
{
	message("%s %s is %s", options_of[which], given(opt, which), what);
	*status = EXIT_USAGE;
	return false;
}

static bool args_are_paths(const struct options *opt)
{
	return verb_source(opt->verb) == SOURCE_PATH;
}

bool own_files_check(const struct options *opt, int *status)
{
	const char *const *args = (const char *const *)opt->args;
	struct place place;

	for (enum own_file i = 0; i < OWN_FILES; i++) {
		if (!given(opt, i) || !find_place(given(opt, i), &place))
			continue;
		if (is_among(&place, opt->lists, opt->list_count))
			return refuse(opt, i, "one of the lists to read", status);
		if (args_are_paths(opt) && is_among(&place, args, opt->arg_count))
			return refuse(opt, i, "one of the arguments", status);
		if (i == OWN_FAILED_TO && opt->journal && same_place(&place, opt->journal))
			return refuse(opt, i, "the journal", status);
		/* Two that write into one file at places of their own destroy each other's text. */
		if (standard_name(&place) &&
		    (i == OWN_JOURNAL || own_file_standard(given(opt, i)) < 0))
			return refuse(opt, i, standard_name(&place), status);
	}
	return true;
}

bool own_files_apart(const struct options *opt, const char *path, const char *what, int *status)
{
	struct place place;

	for (enum own_file i = 0; i < OWN_FILES; i++)
		if (given(opt, i) && find_place(given(opt, i), &place) && same_place(&place, path))
			return refuse(opt, i, what, status);
	return true;
}

/* ---- directories around a file */

struct chain {
	struct stat *dirs; /* device and inode of what it is in, and of what that is in ... */
	size_t count;
};

static void find_chain(struct chain *chain, const char *path)
{
	char dir[PATH_MAX], name[NAME_MAX + 1];
	int fd = resolve(path, dir, name) ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	*chain = (struct chain){0};
	while (fd >= 0) {
		int up = -1;

		chain->dirs = xrealloc(chain->dirs, (chain->count + 1) * sizeof(*chain->dirs));
		if (!fstat(fd, &chain->dirs[chain->count]) &&
		    (!chain->count ||
		     !same_inode(&chain->dirs[chain->count], &chain->dirs[chain->count - 1]))) {
			chain->count++;
			up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		close(fd);
		fd = up;
	}
}

static bool has(const struct chain *chain, const struct stat *dir)
{
	for (size_t i = 0; i < chain->count; i++)
		if (same_inode(&chain->dirs[i], dir))
			return true;
	return false;
}

bool own_files_outside(const struct options *opt, const char *path, const char *what, int *status)
{
	struct chain chain;
	struct stat st;
	bool within;

	for (enum own_file i = 0; i < OWN_FILES; i++) {
		if (!given(opt, i) || lstat(path, &st) || !S_ISDIR(st.st_mode))
			continue;
		find_chain(&chain, given(opt, i));
		within = has(&chain, &st);
		free(chain.dirs);
		if (within)
			return refuse(opt, i, what, status);
	}
	return true;
}

/* ---- during the run */

struct own {
	bool open;
	dev_t dev;
	ino_t ino;
	char name[NAME_MAX + 1];
	struct chain chain;
};

struct own_files {
	struct own of[OWN_FILES];
};

struct own_files *own_files_new(void)
{
	return xcalloc(1, sizeof(struct own_files));
}

mode_t own_file_mode(const struct job *job)
{
	return job->class.ops && job->class.ops->source == SOURCE_PATH ? 0666 : 0600;
}

void own_file_opened(struct own_files *own, enum own_file which, int fd, const char *name)
{
	struct own *file = &own->of[which];
	char dir[PATH_MAX];
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !resolve(name, dir, file->name))
		return;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	find_chain(&file->chain, name);
	file->open = true;
}

void own_files_free(struct own_files *own)
{
	for (enum own_file i = 0; i < OWN_FILES; i++)
		free(own->of[i].chain.dirs);
	free(own);
}

bool own_file_called(const struct own_files *own, const char *path)
{
	const char *name;
	size_t len;

	if (!own->of[OWN_FAILED_TO].open && !own->of[OWN_JOURNAL].open)
		return false;
	name = path_name(path, &len);
	for (enum own_file i = 0; i < OWN_FILES; i++) {
		const struct own *file = &own->of[i];

		if (file->open && strlen(file->name) == len && !memcmp(file->name, name, len))
			return true;
	}
	return false;
}

static const char *why(const struct own_files *own, const struct stat *st,
		       const char *const texts[OWN_FILES])
{
	for (enum own_file i = 0; i < OWN_FILES; i++) {
		const struct own *file = &own->of[i];

		if (file->open && file->ino == st->st_ino && file->dev == st->st_dev)
			return texts[i];
	}
	return NULL;
}

const char *own_file_as_destination(const struct own_files *own, const struct stat *st)
{
	static const char *const texts[OWN_FILES] = {
		[OWN_FAILED_TO] = "the destination is what --failed-to is written to",
		[OWN_JOURNAL] = "the destination is the journal of this run",
	};

	return why(own, st, texts);
}

const char *own_file_as_source(const struct own_files *own, const struct stat *st)
{
	static const char *const texts[OWN_FILES] = {
		[OWN_FAILED_TO] = "is what --failed-to is written to",
		[OWN_JOURNAL] = "is the journal of this run",
	};

	return why(own, st, texts);
}

const char *own_file_within(const struct own_files *own, const struct stat *dir)
{
	if (has(&own->of[OWN_FAILED_TO].chain, dir))
		return "what --failed-to is written to is in it";
	return has(&own->of[OWN_JOURNAL].chain, dir) ? "the journal of this run is in it" : NULL;
}

bool own_file_skips(struct item *item, const struct stat *st)
{
	const char *text = own_file_as_source(item->job->own, st);

	if (!text)
		return false;
	item->status = STATUS_SKIPPED;
	item->skipped_named = !item->dir;
	item->why = text;
	return true;
}
