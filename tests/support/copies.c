/* SPDX-License-Identifier: MIT */
/*
 * copies - what the tests of copy share: trees that are compared, file systems of one's own
 */
#include <sched.h>
#include <sys/mount.h>

#include "support/copies.h"

void run_sh_(const struct run *run, const char *script)
{
	if (run->status) {
		print_message("%s: %s\n", script, run->err.len ? run->err.data : "");
		assert_int_equal(run->status, 0);
	}
}

/* A line for each name, sorted; sizes of directories are the file system's own affair. */
static struct run *listing(const char *top, unsigned int what)
{
	return SH(
		"cd \"$1\" && find . -type d -printf \"%P %y %m $2\\0\" -o "
		"-type l -printf \"%P %y %l $2\\0\" -o -printf \"%P %y %m %s $2 $3\\0\" | sort -z",
		top, what & SAME_TIMES ? "%T@" : "", what & SAME_LINKS ? "%n" : "");
}

bool expect_same_trees_(const char *a, const char *b, unsigned int what, const char *file, int line)
{
	struct run *run;

	if (!expect_same_(listing(a, what), listing(b, what), '\0', file, line))
		return false;
	/* diff reads FIFOs; of what is no file the names were compared. */
	run = SH("cd \"$1\" && find . -type f -exec cmp -- {} ../\"$2\"/{} \\; 2>&1", a, b);
	if (run->out.len) {
		record_failure("%s:%d: %s", file, line, run->out.data);
		return false;
	}
	return true;
}

/* In the working directory of the test; NULL: nothing. */
static const char *mounted;

/* Of a test that failed. */
static void end_all(void)
{
	runs_end();
	if (mounted)
		umount2(mounted, MNT_DETACH | UMOUNT_NOFOLLOW);
	mounted = NULL;
}

void mount_at(struct test *t, const char *dir, const char *script)
{
	static bool own;
	struct run *run;

	need_root(t);
	if (!own && (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		skip_because(t, "nothing may be mounted here");
	own = true;
	make_dir(dir);
	run = SH(script);
	if (run->status) {
		print_message("%s: %s\n", script, run->err.len ? run->err.data : "");
		skip_because(t, "this file system cannot be made or mounted here");
	}
	mounted = dir;
	t->end = end_all;
}

void unmount(const char *dir)
{
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	mounted = NULL;
}
