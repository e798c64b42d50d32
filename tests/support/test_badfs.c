/* SPDX-License-Identifier: MIT */
/*
 * test_badfs - the file system that misbehaves does so in each way that it was told to, and in no
 * other
 */
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "support/badmount.h"
#include "support/cmd.h"

enum {
	SIZE = 10000
};

static struct badmount *mounted_with(struct test *t, const char *line)
{
	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_pattern("b/f", SIZE);
	return BADMOUNT(t, "b", "m", line);
}

static struct stat of(const char *path)
{
	struct stat st = {0};

	expect_eq(lstat(path, &st), 0);
	return st;
}

/* How many bytes an ordinary program reads. */
static long read_from(const char *path)
{
	return strtol(SH("cat \"$1\" | wc -c", path)->out.data, NULL, 10);
}

static int open_file(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600);
}

static void untold_it_is_as_good_as_what_it_stands_on(struct test *t)
{
	struct badmount *bad = mounted_with(t, NULL);

	expect_exit(
		SH("mkdir m/d m/d/e && cp -a m/f m/d/e/g && ln -s f m/d/l && "
		   "ln m/d/e/g m/d/h && chmod 640 m/d/h && mv m/d/h m/d/i && sync m/d/i && "
		   "touch -d '2001-02-03 04:05:06.123456789' m/d/i && truncate -s 5000 m/d/i && "
		   "echo more >>m/d/i && diff -r --no-dereference m b && cp -a b/d e && "
		   "diff -r --no-dereference e m/d && mkfifo m/d/p && test -p b/d/p"),
		0);
	expect_eq(of("m/d/i").st_nlink, 2);
	expect_eq(of("m/d/i").st_mode, S_IFREG | 0640);
	expect_exit(
		SH("exec 5<>m/new; rm m/new; echo hi >&5; test \"$(cat /proc/self/fd/5)\" = hi"),
		0);
	expect_exit(SH("flock m/f flock -n m/f true"), 1);
	expect_exit(SH("rm -r m/d m/f && test -z \"$(ls -A b)\""), 0);
	badmount_end(bad);
	expect_exit(SH("test -z \"$(ls -A m)\""), 0);
}

static void sizes(struct test *t)
{
	struct badmount *bad = mounted_with(t, "size half");

	expect_eq(of("m/f").st_size, SIZE / 2);
	badmount_say(bad, "size zero");
	expect_eq(of("m/f").st_size, 0);
	badmount_say(bad, "size rounded");
	expect_eq(of("m/f").st_size, 12288);
	expect_eq(read_from("m/f"), SIZE);
	badmount_say(bad, "size unknown");
	expect_eq(of("m/f").st_size, 0);
	expect_eq(read_from("m/f"), SIZE);
	badmount_say(bad, "size half");
	badmount_say(bad, "direct on");
	expect_eq(read_from("m/f"), SIZE);
	badmount_say(bad, "size real");
	expect_eq(of("m/f").st_size, SIZE);
	badmount_end(bad);
}

static void files_that_cannot_seek(struct test *t)
{
	struct badmount *bad = mounted_with(t, "nonseekable on");
	int fd = open_file("m/f", O_RDONLY);
	char byte;

	expect(lseek(fd, 10, SEEK_SET) < 0 && errno == ESPIPE);
	expect(pread(fd, &byte, 1, 10) < 0 && errno == ESPIPE);
	expect_eq(read_from("m/f"), SIZE);
	close(fd);
	badmount_end(bad);
}

static void modes_and_owners(struct test *t)
{
	struct badmount *bad = mounted_with(t, "modes 777");

	expect_eq(chmod("m/f", 0600), 0);
	expect_eq(of("m/f").st_mode, S_IFREG | 0777);
	expect_eq(of("m").st_mode, S_IFDIR | 0777);
	badmount_say(bad, "modes ignored");
	expect_eq(chmod("m/f", 0600), 0);
	expect_eq(of("m/f").st_mode, S_IFREG | 0644);
	close(open_file("m/new", O_WRONLY | O_CREAT));
	expect_eq(of("m/new").st_mode, S_IFREG | 0600);
	badmount_say(bad, "modes real");
	expect_eq(chmod("m/f", 01000), 0);
	expect_eq(of("m/f").st_mode, S_IFREG | 01000);
	badmount_say(bad, "owners ignored");
	if (!geteuid()) {
		expect_eq(chown("m/f", NOBODY, NOBODY), 0);
		expect_eq(of("m/f").st_uid, 0);
		badmount_say(bad, "owners real");
		expect_eq(chown("m/f", NOBODY, NOBODY), 0);
		expect_eq(of("m/f").st_uid, NOBODY);
	}
	badmount_end(bad);
}

static void errors(struct test *t)
{
	static const struct timespec times[2] = {{1, 0}, {1, 0}};
	struct badmount *bad = mounted_with(t, "error chmod 1");

	expect(chmod("m/f", 0600) < 0 && errno == EPERM);
	badmount_say(bad, "error chmod 0");
	expect_eq(chmod("m/f", 0600), 0);
	badmount_say(bad, "error utimens %d", EIO);
	expect(utimensat(AT_FDCWD, "m/f", times, 0) < 0 && errno == EIO);
	/* Only where the name is this. */
	badmount_say(bad, "error setxattr %d user.x", ENOSPC);
	expect(setxattr("m/f", "user.x", "v", 1, 0) < 0 && errno == ENOSPC);
	expect_eq(setxattr("m/f", "user.y", "v", 1, 0), 0);
	badmount_say(bad, "error unlink %d f", EBUSY);
	close(open_file("m/g", O_WRONLY | O_CREAT));
	expect(unlink("m/f") < 0 && errno == EBUSY);
	expect_eq(unlink("m/g"), 0);
	/* A call that is not there. */
	badmount_say(bad, "error mknod %d", ENOSYS);
	expect(mkfifo("m/p", 0600) < 0 && errno == ENOSYS);
	badmount_end(bad);
}

static void times_and_names(struct test *t)
{
	static const struct timespec times[2] = {{5, 7}, {5, 7}};
	struct badmount *bad = mounted_with(t, "times 2000000000");
	struct statvfs st;

	expect_eq(utimensat(AT_FDCWD, "m/f", times, 0), 0);
	expect_eq(of("m/f").st_mtim.tv_sec, 4);
	expect_eq(of("m/f").st_mtim.tv_nsec, 0);
	badmount_say(bad, "names 10");
	expect_eq(mkdir("m/0123456789", 0755), 0);
	expect(mkdir("m/0123456789a", 0755) < 0 && errno == ENAMETOOLONG);
	expect_eq(statvfs("m", &st), 0);
	expect_eq(st.f_namemax, 10);
	badmount_say(bad, "fold on");
	expect_eq(of("m/F").st_ino, of("b/f").st_ino);
	expect(open_file("m/F", O_WRONLY | O_CREAT | O_EXCL) < 0 && errno == EEXIST);
	expect_eq(unlink("m/F"), 0);
	expect_gone("b/f");
	badmount_end(bad);
}

static void delays_and_counts(struct test *t)
{
	struct badmount *bad = mounted_with(t, "delay open 50 f");
	struct run *run = SH("cat m/f >/dev/null");

	expect_exit(run, 0);
	expect(run->seconds > 0.05);
	expect_eq(badmount_say(bad, "count open"), 1);
	badmount_say(bad, "cache 1000");
	expect_eq(of("m/f").st_size, SIZE);
	badmount_say(bad, "size half");
	expect_eq(of("m/f").st_size, SIZE);
	badmount_end(bad);
}

static void calls_that_hang(struct test *t)
{
	struct badmount *bad = mounted_with(t, "hang read");
	struct run *run = START(HOW(.program = "cat"), "m/f");

	expect_eq(badmount_say(bad, "await read 1"), 1);
	expect_eq(of("m/f").st_size, SIZE);
	badmount_say(bad, "release read");
	expect_exit(run_end(run), 0);
	expect_eq(run->out.len, SIZE);
	badmount_say(bad, "hang unlink");
	badmount_say(bad, "interrupts on");
	run = START(HOW(.program = "rm"), "m/f");
	badmount_say(bad, "await unlink 1");
	run_kill(run, SIGTERM);
	expect_exit(run_end(run), 128 + SIGTERM);
	/* Whoever hangs at the end is let go. */
	badmount_say(bad, "interrupts off");
	run = START(HOW(.program = "rm"), "m/f");
	badmount_say(bad, "await unlink 1");
	badmount_end(bad);
	expect_exit(run_end(run), 1);
}

static void poll_that_never_says_ready(struct test *t)
{
	struct badmount *bad = mounted_with(t, NULL);
	struct pollfd event = {.fd = open_file("m/f", O_RDONLY), .events = POLLIN};

	expect_eq(poll(&event, 1, 0), 1);
	badmount_say(bad, "poll never");
	expect_eq(poll(&event, 1, 0), 0);
	close(event.fd);
	badmount_end(bad);
}

static void a_server_of_an_ordinary_user(struct test *t)
{
	struct badmount *bad = mounted_with(t, "closed on");
	int fd = open_file("m/new", O_RDWR | O_CREAT);

	expect_eq(fchmod(fd, 01000), 0);
	expect(open_file("m/new", O_RDONLY) < 0 && errno == EACCES);
	expect(truncate("m/new", 0) < 0 && errno == EACCES);
	expect_eq(ftruncate(fd, 100), 0);
	expect_eq(fchmod(fd, 0600), 0);
	close(fd);
	expect_eq(truncate("m/new", 0), 0);
	badmount_end(bad);
}

static void what_was_removed_comes_back(struct test *t)
{
	struct badmount *bad = mounted_with(t, "revive on");
	int fd = open_file("m/f", O_RDONLY);

	expect_eq(unlink("m/f"), 0);
	expect_gone("m/f");
	close(fd);
	/* The kernel tells of the last close behind the caller's back. */
	while (access("b/f", F_OK))
		sched_yield();
	expect_eq(of("b/f").st_size, SIZE);
	badmount_end(bad);
}

static void a_file_instead_of_a_fifo(struct test *t)
{
	struct badmount *bad = mounted_with(t, "mistakes on");

	expect_eq(mkfifo("m/p", 0600), -1);
	expect_eq(errno, EIO);
	expect_out(SH("stat -c %F b/p"), "regular empty file\n");
	badmount_say(bad, "mistakes off");
	expect_eq(mkfifo("m/q", 0600), 0);
	badmount_end(bad);
}

static void a_server_that_died(struct test *t)
{
	struct badmount *bad = mounted_with(t, NULL);
	struct stat st;

	badmount_die(bad);
	expect(stat("m", &st) < 0 && errno == ENOTCONN);
	badmount_end(bad);
	expect_eq(stat("m", &st), 0);
}

static int mount_and_die(void *t)
{
	BADMOUNT(t, "b", "m", NULL);
	expect_there("m/f");
	_exit(0);
}

static void the_mount_ends_with_who_made_it(struct test *t)
{
	badmount_end(mounted_with(t, NULL));
	expect_eq(in_child(mount_and_die, t).status, 0);
	/* It unmounts, and that is soon. */
	while (is_there("m/f"))
		usleep(1000);
}

static const struct test_case cases[] = {
	ONCE(untold_it_is_as_good_as_what_it_stands_on),
	ONCE(sizes),
	ONCE(files_that_cannot_seek),
	ONCE(modes_and_owners),
	ONCE(errors),
	ONCE(times_and_names),
	ONCE(delays_and_counts),
	ONCE(calls_that_hang),
	ONCE(poll_that_never_says_ready),
	ONCE(a_server_of_an_ordinary_user),
	ONCE(what_was_removed_comes_back),
	ONCE(a_file_instead_of_a_fifo),
	ONCE(a_server_that_died),
	ONCE(the_mount_ends_with_who_made_it),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
