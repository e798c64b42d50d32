/* SPDX-License-Identifier: MIT */
/*
 * image.c - fresh file systems, each in a file on a loop device
 *
 * ext4 looks in vain at inodes that were freed in the last seconds: creating many files soon after
 * removing many takes up to ten times as long. So what creates and removes files is measured on a
 * file system that has never seen any.
 *
 * The file has no name any more once it is mounted, the loop device goes with the mount, and that
 * is in a mount namespace of this process: however the process ends, two empty directories are all
 * that may be left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/*
 * What it prints is of no use where it fails for lack of a device or a permission. Return: 0 or
 * -EIO.
 */
static int quietly(const char *const *argv)
{
	pid_t pid = fork();
	int status, null;

	if (!pid) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static bool enter_namespace(void)
{
	static bool entered;

	if (!entered)
		entered = !unshare(CLONE_NEWNS) &&
			  !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return entered;
}

static int make_file(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size))
		err = -errno;
	close(fd);
	return err;
}

static const char *set_up(struct image *image, const char *fs, size_t size)
{
	bool ext4 = !strcmp(fs, "ext4");
	char file[sizeof(image->root) + 8];
	const char *const mkfs[] = {ext4 ? "mkfs.ext4" : "mkfs.xfs", "-q", ext4 ? "-F" : "-f", file,
				    NULL};
	const char *const mount[] = {"mount", "-t", fs, "-o", "loop", file, image->mnt, NULL};
	const char *why = NULL;

	snprintf(file, sizeof(file), "%s/file", image->root);
	if (mkdir(image->mnt, 0755) || make_file(file, size))
		why = "the file for it cannot be made";
	else if (quietly(mkfs))
		why = ext4 ? "mkfs.ext4 is not there, or fails" : "mkfs.xfs is not there, or fails";
	else if (quietly(mount))
		why = "a file cannot be mounted here";
	unlink(file);
	return why;
}

const char *image_create(struct image *image, const struct bench *b, size_t size)
{
	return image_create_fs(image, b, "ext4", size);
}

const char *image_create_fs(struct image *image, const struct bench *b, const char *fs, size_t size)
{
	const char *place = find_place(b), *why;

	image->root[0] = '\0';
	if (geteuid())
		return "needs root";
	if (!enter_namespace())
		return "no mount namespace can be made here";
	if (!place)
		return "no directory on a disk";
	snprintf(image->root, sizeof(image->root), "%s/batchproc-bench.XXXXXX", place);
	if (!mkdtemp(image->root)) {
		image->root[0] = '\0';
		return "no directory can be made for it";
	}
	snprintf(image->mnt, sizeof(image->mnt), "%s/mnt", image->root);
	why = set_up(image, fs, size);
	if (why)
		image_remove(image);
	return why;
}

void image_remove(struct image *image)
{
	if (!image->root[0])
		return;
	if (umount2(image->mnt, 0) && errno == EBUSY)
		umount2(image->mnt, MNT_DETACH);
	rmdir(image->mnt);
	rmdir(image->root);
	image->root[0] = '\0';
}
