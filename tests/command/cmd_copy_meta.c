/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_meta - owner, mode, times, attributes and ACLs: what a copy gets, what a file that is
 * replaced keeps, and in which order, for runs that are killed
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"

static bool have_attributes(void)
{
	return have_program("setfacl") && have_program("setfattr") &&
	       !SH("mkdir probe && cd probe && echo x >f && setfattr -n user.a -v b f && "
		   "setfacl -m u:12:r f")
			->status;
}

/* Everything that stat, getfattr and getfacl tell of what is below @top. */
static struct run *metadata(const char *top, bool attributes)
{
	return SH("cd \"$1\" && find . -printf '%P %y %m %U:%G %T@\\n' && if $2; then "
		  "getfattr -hRd -m - . && getfacl -Rn .; fi",
		  top, attributes ? "true" : "false");
}

/* ---------------------------------------------------------------- killed runs */

static const long steps[] = {
	SYS_fchmod,   SYS_fchmodat,    SYS_fchown,  SYS_fchownat,  SYS_utimensat,
	SYS_setxattr, SYS_removexattr, SYS_mknodat, SYS_renameat2,
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_chmod
	SYS_chmod,
#endif
};

static void need_killing(struct test *t)
{
	if (run_end(run_start(HOW(.program = "true", .killed_at = SYS_mknodat),
			      (const char *const[]){NULL}))
		    ->status)
		skip_because(t, "no seccomp filter can be set here");
}

static void make_source(bool attributes)
{
	run_sh("mkdir -p src/d/closed && cd src && echo f >f && echo g >d/g && "
	       "head -c 300000 /dev/zero >large && "
	       "mkfifo d/fifo && chmod 750 d && chmod 640 f && chmod 500 d/closed && "
	       "chmod 4711 d/g && if $1; then setfattr -n user.a -v b f d && "
	       "setfacl -m u:12:rw f && setfacl -m u:12:rx d && "
	       "setfacl -m d:u:14:r d/closed; fi && "
	       "if [ $(id -u) = 0 ]; then chown -R 12:13 d f; chmod 4711 d/g; fi && "
	       "find . -exec touch -h -d '2003-04-05 06:07:08.9' {} +",
	       attributes ? "true" : "false");
}

/* What has the mode that it is to have has all the rest: no later run has to look at it again. */
static void killed_before_any_step(struct test *t)
{
	static const char *const ways[] = {"-u", "--ignore-existing"};
	bool attributes;

	fresh_dir(t);
	need_killing(t);
	attributes = have_attributes();
	make_source(attributes);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		for (size_t way = 0; way < COUNT_OF(ways); way++) {
			struct run *run;

			run_sh("rm -rf dst");
			run = RUN(HOW(.killed_at = steps[i]), "copy", "-a", "src", "dst");
			expect_(run->status == 0 || run->status == 128 + SIGSYS,
				"it was killed, or had no such step", __FILE__, __LINE__);
			expect_exit(BP("copy", "-a", ways[way], "--no-target-directory", "src",
				       "dst"),
				    0);
			if (!expect_same_trees("src", "dst", SAME_TIMES) ||
			    !expect_same(metadata("src", attributes), metadata("dst", attributes)))
				print_message("killed before call %ld, then %s\n", steps[i],
					      ways[way]);
			expect_out(SH("find dst -name '.*batchproc*'"), "");
		}
	}
}

/* Its owner is somebody else already, but its name is still the new one. */
static void a_root_that_was_begun_is_gone_on_with(struct test *t)
{
	need_root(t);
	fresh_dir(t);
	need_killing(t);
	run_sh("mkdir src && echo f >src/f && chown -R 12:13 src");
	expect_exit(RUN(HOW(.killed_at = SYS_fchmod), "copy", "-a", "src/f", "g"), 128 + SIGSYS);
	expect_out(SH("stat -c '%a %u:%g' g"), "1000 12:13\n");
	expect_exit(BP("copy", "-a", "-u", "src/f", "g"), 0);
	run_sh("cmp src/f g; rm src/f");
	expect_exit(RUN(HOW(.killed_at = SYS_fchmod), "copy", "-a", "src", "dst"), 128 + SIGSYS);
	expect_out(SH("stat -c '%a %u:%g' dst"), "1400 0:0\n");
	expect_exit(BP("copy", "-a", "src", "dst"), 0);
	expect_same_trees("src", "dst", SAME_TIMES);
	if (!have_attributes())
		skip_because(t, "no attributes can be set here");
	run_sh("rm -r dst; setfattr -n user.a -v b src");
	expect_exit(RUN(HOW(.killed_at = SYS_fsetxattr), "copy", "-a", "src", "dst"), 128 + SIGSYS);
	expect_out(SH("stat -c '%a %u:%g' dst"), "5700 12:13\n");
	expect_exit(BP("copy", "-a", "src", "dst"), 0);
	expect_same_trees("src", "dst", SAME_TIMES);
}

/* ---------------------------------------------------------------- replaced files */

/* Two files that are there: with attributes, an ACL and an owner, and with nothing but an owner. */
static const char old_files[] =
	"mkdir $1 && cd $1 && echo old >rich && echo old >poor && if [ $(id -u) = 0 ]; then "
	"chown 12:13 rich poor && setfattr -n trusted.b -v c rich && setfattr -n "
	"security.capability -v 0x0100000200040000000000000000000000000000 rich; fi; "
	"setfattr -n user.a -v b rich && setfacl -m u:15:rw rich && chmod 666 rich && "
	"chmod 604 poor && if $2; then setfacl -d -m u:16:rwx .; fi";

static void what_is_replaced_keeps_what_cp_keeps(struct test *t)
{
	static const char *const ways[] = {"-q", "--atomic", "--reflink=never", "--reflink=always",
					   "-p", "--verify"};
	size_t compared = 0;

	fresh_dir(t);
	if (!have_attributes())
		skip_because(t, "no attributes or ACLs can be set here");
	run_sh("echo new >src; setfacl -m u:17:r src; touch -d '2003-04-05 06:07:08.9' src");
	for (size_t i = 0; i < 2 * COUNT_OF(ways); i++) {
		const char *way = ways[i / 2], *inherits = i % 2 ? "true" : "false";
		struct run *run;

		run_sh("rm -rf ours theirs");
		run_sh(old_files, "ours", inherits);
		run_sh(old_files, "theirs", inherits);
		run = SH("$1 copy $2 src ours/rich && $1 copy $2 src ours/poor",
			 getenv("BATCHPROC"), way);
		if (run->status && !strcmp(way, "--reflink=always"))
			continue;
		expect_exit(run, 0);
		run_sh("cp $1 src theirs/rich && cp $1 src theirs/poor && "
		       "touch -r ours ours theirs && cmp src ours/rich && cmp src ours/poor",
		       !strcmp(way, "-p") ? way : "--");
		if (strcmp(way, "-p"))
			run_sh("touch -r src ours/* theirs/*");
		if (!expect_same(metadata("ours", true), metadata("theirs", true)))
			print_message("%s, inherits: %s\n", way, inherits);
		compared++;
	}
	expect_between(compared, 10, 12);
}

/* With everything it is a copy of the source: what that does not have is not there. */
static void with_everything_it_is_what_its_source_is(struct test *t)
{
	fresh_dir(t);
	if (!have_attributes())
		skip_because(t, "no attributes or ACLs can be set here");
	run_sh("mkdir src && cd src && echo new >rich && echo new >poor && "
	       "setfattr -n user.of-source -v x rich && chmod 640 rich");
	run_sh(old_files, "dst", "false");
	expect_exit(BP("copy", "-a", "src/.", "dst"), 0);
	expect_same(metadata("src", true), metadata("dst", true));
}

/* The source's ACL does not let its owner write: an attribute is written before that. */
static void attributes_of_what_is_not_writable(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	struct run *run;

	need_root(t);
	fresh_dir(t);
	if (!have_attributes())
		skip_because(t, "no attributes or ACLs can be set here");
	assert_int_equal(chmod(".", 0777), 0);
	run_sh("mkdir src && cd src && echo f >f && setfacl -m u:12:r f && "
	       "for i in 1 2 3 4 5 6 7 8 9; do setfattr -n user.number$i-of-many-that-take-room "
	       "-v a-value-that-takes-room-too f; done && chmod 440 f && chown -R 65534:65534 .");
	run = RUN(&nobody, "copy", "-a", "src", "dst");
	expect_exit(run, 0);
	expect_same(metadata("src", true), metadata("dst", true));
}

/* Somebody else's file in one's own directory: who may write it may replace it. */
static void rights_of_a_group_that_cannot_be_kept(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};

	need_root(t);
	fresh_dir(t);
	run_sh("mkdir d && echo new >src && echo a >d/a && echo b >d/b && chmod 662 d/a && "
	       "chmod 666 d/b && chown 65534:65534 d");
	expect_exit(RUN(&nobody, "copy", "src", "d/a"), 0);
	expect_exit(RUN(&nobody, "copy", "src", "d/b"), 0);
	expect_out(SH("cat d/a d/b; stat -c '%a %u:%g' d/a d/b"),
		   "new\nnew\n622 65534:65534\n666 65534:65534\n");
}

/* What an ACL would let others read of the new content was not theirs to read. */
static void a_temporary_file_inherits_no_rights(struct test *t)
{
	fresh_dir(t);
	need_killing(t);
	if (!have_attributes())
		skip_because(t, "no attributes or ACLs can be set here");
	run_sh("echo new >src && chmod 644 src && mkdir d && echo old >d/f && chmod 600 d/f && "
	       "setfacl -d -m u:16:rwx d");
	for (int i = 0; i < 2; i++) {
		expect_exit(RUN(HOW(.killed_at = SYS_fchmod), "copy", i ? "-p" : "-q", "src",
				i ? "d/g" : "d/f"),
			    128 + SIGSYS);
		expect_out(SH("stat -c %a d/.*batchproc* && rm d/.*batchproc*"), "600\n");
	}
	expect_exit(BP("copy", "src", "d/f"), 0);
	expect_out(SH("stat -c %a d/f && cat d/f"), "600\nnew\n");
}

/* A descriptor has no path then, and what the old file has cannot be asked. */
static void a_file_is_replaced_without_proc(struct test *t)
{
	const char *own = geteuid() ? "-rm" : "-m";

	if (UNDER_ASAN || UNDER_TSAN)
		skip_because(t, "sanitizers need /proc");
	fresh_dir(t);
	if (SH("unshare $1 mount -t tmpfs none /proc", own)->status)
		skip_because(t, "nothing can be mounted over /proc here");
	run_sh("echo new >src; echo old >dst; chmod 604 dst");
	expect_exit(SH("unshare $1 sh -ec 'mount -t tmpfs none /proc; exec \"$1\" copy src dst' "
		       "sh \"$2\"",
		       own, getenv("BATCHPROC")),
		    0);
	expect_out(SH("cat dst; stat -c %a dst"), "new\n604\n");
}

static const struct test_case cases[] = {
	ONCE(killed_before_any_step),
	ONCE(a_root_that_was_begun_is_gone_on_with),
	ONCE(what_is_replaced_keeps_what_cp_keeps),
	ONCE(with_everything_it_is_what_its_source_is),
	ONCE(attributes_of_what_is_not_writable),
	ONCE(rights_of_a_group_that_cannot_be_kept),
	ONCE(a_temporary_file_inherits_no_rights),
	ONCE(a_file_is_replaced_without_proc),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
