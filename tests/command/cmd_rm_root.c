/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm_root - the root directory stays, by whatever name, and all that is in it
 *
 * What is removed here is removed in earnest, in a root directory that was made for it: a fresh
 * tree with the command's own libraries. Who runs the command there is nobody, and the command is
 * not started unless its root directory is that tree (see enter_root() in cmd.c).
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

/* Who may remove what is in the tree, and as good as nothing elsewhere. */
static uid_t removes_as(void)
{
	return geteuid() ? 0 : NOBODY;
}

#define IN_ROOT .root = "root", .uid = removes_as()

static void make_root(struct test *t)
{
	/* Their runtimes read /proc, which is not to be seen from there. */
	if (UNDER_ASAN || UNDER_TSAN)
		skip_because(t, "sanitizers do not start where there is no /proc");
	/*
	 * And those which ldd does not know, where libc is: the one that pthread_cancel() loads, and
	 * what is loaded when it is needed, which stands in a note of the command.
	 */
	if (SH("mkdir root; libs() { ldd \"$1\" | sed -n 's,[^/]*\\(/[^ ]*\\) .*,\\1,p'; };"
	       "libs \"$BATCHPROC\" >libs; dir=$(sed -n 's,/libc[.]so.*,,p' libs);"
	       "for name in libgcc_s.so.1 $(grep -ao '\"soname\":\\[\"[^\"]*' \"$BATCHPROC\" |"
	       "cut -d'\"' -f4); do ls \"$dir/$name\" && libs \"$dir/$name\"; done >>libs;"
	       "sort -u libs | xargs cp -L --parents -t root")
		    ->status)
		skip_because(t, "the libraries of the command are not to be found");
	run_sh("cd root && mkdir -p d/e d/full/x top && echo x >d/f && echo x >d/full/x/f &&"
	       "echo x >keep && ln -s / slash && ln -s d/.. up && ln -s /d/e/../.. far-up &&"
	       ">" ROOT_MARK);
	if (removes_as())
		run_sh("chown -hR $1 root", "65534");
	if (RUN(HOW(IN_ROOT), "rm", "-f")->status)
		skip_because(t, "the command cannot be run in a root directory of its own");
}

static struct run *what_is_there(void)
{
	return SH("find root | sort");
}

static void nothing_of_it_is_removed(struct test *t)
{
	static const char *const names[] = {
		"/",	    "//",	  "///",	  "/.",	       "/..",	 "/./",
		"/../",	    "/../..",	  "/../.",	  "/d/..",     "/d/../", "/d/.",
		"/d/../.",  "/d/e/../..", "//d//..",	  "/../d/..",  ".",	 "./",
		"./.",	    "..",	  "../",	  "../..",     "d/..",	 "d/../",
		"d/.",	    "d/./",	  "d/../.",	  "d/e/../..", "slash/", "slash//",
		"slash/.",  "slash/..",	  "up/",	  "up/.",      "up/..",	 "far-up/",
		"far-up/.", "slash/d/..", "up/d/e/../..",
	};
	static const char *const options[] = {"-r", "-Rf", "-d", "-q"};
	struct run *before;

	fresh_dir(t);
	make_root(t);
	before = what_is_there();
	for (size_t i = 0; i < COUNT_OF(names) * COUNT_OF(options); i++) {
		const char *option = options[i % COUNT_OF(options)];
		const char *name = names[i / COUNT_OF(options)];
		struct run *run = RUN(HOW(IN_ROOT), "rm", option, name);

		expect_exit(run, 1);
		expect_out(run, "");
		if (strcmp(option, "-q"))
			expect_eq(text_count(&run->err, "\n"), 1);
	}
	expect_out(what_is_there(), before->out.data);
}

/* As an operand among others, from a list, as a job of a manifest. */
static void what_is_named_beside_it_goes(struct test *t)
{
	struct run *before, *run;

	fresh_dir(t);
	make_root(t);
	before = what_is_there();
	run = RUN(HOW(IN_ROOT, .input = "/\n//\nd/..\n..\n"), "rm", "-rf", "--json", "-T", "-");
	expect_exit(run, 1);
	expect_eq(expect_records(run, 4)->failed, 4);
	run = RUN(HOW(IN_ROOT, .input = "rm -r /\nrm -rf // /.\nrm -rd d/..\n"
					"{\"op\":\"rm\",\"src\":\"/\",\"recursive\":true}\n"),
		  "run", "--json", "-");
	expect_exit(run, 1);
	expect_eq(expect_records(run, 5)->failed, 5);
	expect_out(what_is_there(), before->out.data);

	run = RUN(HOW(IN_ROOT), "rm", "-r", "/", "d/full", "d/..", "slash", ".", "/keep");
	expect_exit(run, 1);
	expect_gone("root/d/full");
	expect_gone("root/slash");
	expect_gone("root/keep");
	expect_there("root/d/e");
	expect_there("root/d/f");
	expect_there("root/up");
}

/* Mounted once more, it is the root directory there, too. */
static void nor_where_it_is_mounted_once_more(struct test *t)
{
	static const char *const names[] = {"top/m", "/top/m/", "d/../top/m", "top/m/top/m"};
	struct run *before, *run;

	fresh_dir(t);
	make_root(t);
	mount_at(t, "root/top/m", "mount --bind root root/top/m");
	before = SH("cd root && find . -xdev | sort");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		run = RUN(HOW(IN_ROOT), "rm", "-rf", names[i]);
		expect_exit(run, 1);
		if (i < 3)
			expect_says(run, "is the root directory, which is never removed");
	}
	run = RUN(HOW(IN_ROOT), "rm", "-r", "top");
	expect_exit(run, 1);
	expect_err(run, "batchproc: rm: top/m: is the root directory, which is never removed\n");
	expect_out(SH("cd root && find . -xdev | sort"), before->out.data);
	unmount("root/top/m");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(nothing_of_it_is_removed),
		ONCE(what_is_named_beside_it_goes),
		ONCE(nor_where_it_is_mounted_once_more),
	};

	return RUN_CASES(argc, argv, cases);
}
