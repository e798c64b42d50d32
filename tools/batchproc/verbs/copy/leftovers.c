/* SPDX-License-Identifier: MIT */
/*
 * leftovers: what runs that were killed have left in the way of new copies.
 *
 * Each goes when its item is copied anew. Where the file system is full before that, all of them go
 * at once. What another run is at now is not among them: a temporary file is locked, and what is
 * marked as unfinished was changed since this run began.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/calls.h"
#include "run/job.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/leftovers.h"
#include "verbs/copy/marks.h"
#include "walk/tree.h"

#define COARSE_NS 20000000u /* by so much a file's time may be behind the clock */

static bool is_old(const struct job *job, const struct stat *st)
{
	const uint64_t start = job->start_ns + job->real_offset_ns;
	const uint64_t changed =
		(uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;

	return changed + COARSE_NS < start;
}

static void sweep(const struct job *job, int dirfd, bool below)
{
	int fd = call_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISDIR(st.st_mode) && below) {
			int sub = call_openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

			if (sub >= 0) {
				sweep(job, sub, true);
				close(sub);
			}
		} else if (temp_is_one(name)) {
			temp_give_way(dirfd, name);
		} else if (mark_is_file_in(dirfd, &st) && st.st_uid == geteuid() &&
			   is_old(job, &st)) {
			unlinkat(dirfd, name, 0);
		}
	}
	if (dir)
		closedir(dir);
}

void leftovers_give_way(struct item *item, int dirfd)
{
	struct copy_run *run = item->job->copy;

	pthread_mutex_lock(&run->lock);
	if (!run->swept) {
		int top = copy_tree_open(item);

		sweep(item->job, top >= 0 ? top : dirfd, top >= 0);
		if (top >= 0)
			close(top);
		run->swept = true;
	}
	pthread_mutex_unlock(&run->lock);
}
