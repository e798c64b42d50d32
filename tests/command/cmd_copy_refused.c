/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_refused - copies where a filter refuses a system call: by another way, or an error that
 * is said; never a hang, a copy that is wrong, or a file that is taken for whole
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"

/* The first two are what filters say, the others what a security module may say. */
#define FILTERS 2
static const int errors[] = {EPERM, ENOSYS, EACCES, EINVAL, ENOTTY, EBADF};

static void make_source(void)
{
	run_sh("mkdir -p src/d/e; echo f >src/f; head -c 400000 /dev/urandom >src/large; "
	       "truncate -s 3M src/holes; echo x >>src/holes; ln src/f src/d/hard; "
	       "ln -s f src/link; mkfifo src/d/fifo; chmod 640 src/f; chmod 750 src/d/e; "
	       "touch -d '2001-02-03 04:05:06' src/f src/large src/d");
}

struct refusal {
	long call;
	const char *name;
	enum {
		OTHER_WAY,
		WHATEVER_ERROR, /* likewise, whatever the error */
		NEEDED, /* there is none: an error is right */
	} what;
};

/* clang-format off */
#define CALL(name, what) {SYS_##name, #name, what}
/* clang-format on */

static const struct refusal refusals[] = {
	CALL(copy_file_range, WHATEVER_ERROR),
	CALL(ioctl, WHATEVER_ERROR),
	CALL(lseek, WHATEVER_ERROR),
	CALL(flock, WHATEVER_ERROR),
	CALL(fadvise64, WHATEVER_ERROR),
	CALL(faccessat2, OTHER_WAY),
	CALL(openat2, OTHER_WAY),
	CALL(statx, OTHER_WAY),
	CALL(renameat2, OTHER_WAY),
	CALL(fstatfs, OTHER_WAY),
	CALL(flistxattr, OTHER_WAY),
	CALL(fgetxattr, OTHER_WAY),
	CALL(getxattr, OTHER_WAY),
	CALL(listxattr, OTHER_WAY),
	CALL(fchmod, NEEDED),
	CALL(ftruncate, NEEDED),
	CALL(utimensat, NEEDED),
	CALL(symlinkat, NEEDED),
	CALL(mknodat, NEEDED),
	CALL(linkat, NEEDED),
	CALL(mkdirat, NEEDED),
	CALL(pwrite64, NEEDED),
	CALL(fchown, NEEDED),
};

/* What has its name and a mode of its own is whole. */
static void expect_nothing_half(const char *call)
{
	struct run *run =
		SH("[ ! -d dst ] || { cd dst && find . -type f ! -perm -1000 ! -name '.batchproc*' "
		   "-exec sh -c 'cmp \"$1\" \"../src/$1\" || echo \"$1\"' sh {} \\;; }");

	if (run->out.len || run->err.len)
		record_failure("%s refused: %s%s", call, run->out.data, run->err.data);
}

static void refused(const struct refusal *refusal, int err)
{
	const struct denied denied[] = {DENY(refusal->call, err), DENY_END};
	struct run *run;

	run_sh("rm -rf dst");
	run = RUN(HOW(.denied = denied), "copy", "-a", "src", "dst");
	if (run->status && (refusal->what != NEEDED || !run->err.len))
		record_failure("%s is %s: %d, %s", refusal->name, strerrorname_np(err), run->status,
			       run->err.data ? run->err.data : "");
	if (!run->status)
		expect_same_trees("src", "dst", SAME_TIMES | SAME_LINKS);
	expect_nothing_half(refusal->name);
}

static void whatever_is_refused(struct test *t)
{
	need_denial(t);
	fresh_dir(t);
	make_source();
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		const size_t count = refusals[i].what == WHATEVER_ERROR ? COUNT_OF(errors) :
									  FILTERS;

		for (size_t j = 0; j < count; j++)
			refused(&refusals[i], errors[j]);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(whatever_is_refused),
	};

	return RUN_CASES(argc, argv, cases);
}
