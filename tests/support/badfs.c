/* SPDX-License-Identifier: MIT */
/*
 * badfs BACKING MOUNTPOINT [LINE...] - a FUSE file system over a directory, that misbehaves on
 * demand
 *
 * Without being told otherwise it is as good as the file system below it. What it does wrong is
 * said in lines (badfs_switches.c), as arguments, and on standard input while it runs; each line
 * there is answered on standard output: "ok NUMBER", or "bad". The first line that it prints is
 * "mounted", or "cannot mount: " with the reason. At the end of standard input, so also when
 * whoever started it dies, it unmounts and ends; the line "die" ends it with the mount left behind.
 *
 * Each of WORKERS threads carries out one call at a time, so that those that hang or are slow hold
 * up nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/badfs_nodes.h"

enum {
	WORKERS = 48
};

static struct fuse_session *session;

static const struct fuse_lowlevel_ops ops = {
	.lookup = bad_lookup,
	.forget = bad_forget,
	.forget_multi = bad_forget_multi,
	.getattr = bad_getattr,
	.setattr = bad_setattr,
	.readlink = bad_readlink,
	.mknod = bad_mknod,
	.mkdir = bad_mkdir,
	.unlink = bad_unlink,
	.rmdir = bad_rmdir,
	.symlink = bad_symlink,
	.rename = bad_rename,
	.link = bad_link,
	.open = bad_open,
	.read = bad_read,
	.write = bad_write,
	.flush = bad_flush,
	.release = bad_release,
	.fsync = bad_fsync,
	.opendir = bad_opendir,
	.readdir = bad_readdir,
	.releasedir = bad_releasedir,
	.fsyncdir = bad_fsyncdir,
	.statfs = bad_statfs,
	.setxattr = bad_setxattr,
	.getxattr = bad_getxattr,
	.listxattr = bad_listxattr,
	.removexattr = bad_removexattr,
	.create = bad_create,
	.flock = bad_flock,
	.poll = bad_poll,
	.fallocate = bad_fallocate,
	.copy_file_range = bad_copy_file_range,
	.lseek = bad_lseek,
};

/* ---------------------------------------------------------------- running */

static void *work(void *unused)
{
	struct fuse_buf buf = {0};

	(void)unused;
	while (!fuse_session_exited(session)) {
		int len = fuse_session_receive_buf(session, &buf);

		if (len > 0)
			fuse_session_process_buf(session, &buf);
		else if (len != -EINTR && len != -EAGAIN)
			break;
	}
	return NULL;
}

static void say_nothing(enum fuse_log_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
}

static int cannot_mount(const char *what)
{
	printf("cannot mount: %s: %s\n", what, strerror(errno));
	return 1;
}

static void as_told(void)
{
	char line[600];

	while (fgets(line, sizeof(line), stdin)) {
		long answer;

		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "die"))
			_exit(0);
		answer = obey(line);
		if (answer < 0)
			puts("bad");
		else
			printf("ok %ld\n", answer);
	}
}

#ifdef __SANITIZE_THREAD__
/* Its switches are words that are turned while its threads look at them. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_bugs=0";
}
#endif

int main(int argc, char **argv)
{
	char *options[] = {argv[0], "-osubtype=badfs,default_permissions,allow_other,dev,suid"};
	struct fuse_args args = FUSE_ARGS_INIT(geteuid() ? 1 : 2, options);
	struct rlimit files;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 3; i < argc; i++) {
		if (obey(argv[i]) < 0) {
			fprintf(stderr, "badfs: %s: no such line\n", argv[i]);
			return 2;
		}
	}
	if (argc < 3)
		return 2;
	/* Who started it says when it ends, also after Ctrl-C. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	umask(0);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	root.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0)
		return cannot_mount(argv[1]);
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session || fuse_session_mount(session, argv[2]))
		return cannot_mount("libfuse");
	for (int i = 0; i < WORKERS; i++)
		if (pthread_create(&thread, NULL, work, NULL))
			abort();
	puts("mounted");
	as_told();
	/*
	 * Threads that read find it gone. Calls that hang are given up by the kernel when all have
	 * ended.
	 */
	fuse_set_log_func(say_nothing);
	fuse_session_unmount(session);
	_exit(0);
}
