/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_delete - a copy as a mirror: what goes, what stays, and when nothing goes
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

static const char scene[] =
	"rm -rf src dst rs; mkdir -p src/a/b src/same dst/old/deep/er dst/a/gone dst/same dst/.hid && "
	"cd src && echo f >f && echo g >a/g && echo h >a/b/h && ln -s f link && cd ../dst && "
	"echo x >old/x && echo y >old/deep/er/y && echo z >z && echo o >a/gone/o && echo w >a/w && "
	"echo core >a/core && echo core >old/deep/core && ln -s /etc outside && ln -s ../src/a atoo && "
	"echo h >.hid/h && cd .. && cp -a dst rs";

static void same_as_rsync(const char *before, const char *args)
{
	struct run *run = SH("eval \"$3\" && eval \"$1\" && "
			     "eval rsync -a --delete-after $2 src/ rs/ >/dev/null 2>rs.err; "
			     "eval $BATCHPROC copy -a --delete $2 src/. dst >/dev/null 2>dst.err; "
			     "(cd rs && find . -printf '%y %p %l\\n' | sort) >rs.list; "
			     "(cd dst && find . -printf '%y %p %l\\n' | sort) >dst.list; "
			     "diff -U0 rs.list dst.list && diff -r --no-dereference rs dst || "
			     "cat dst.err",
			     before, args, scene);

	if (run->out.len || run->status)
		record_failure("%s; copy --delete %s (- rsync, + batchproc):\n%s%s", before, args,
			       run->out.data, run->err.data);
}

static void the_same_is_left_as_by_rsync(struct test *t)
{
	static const char *const all[][2] = {
		{"true", ""},
		{"true", "--exclude=core"},
		{"true", "--exclude=/old"},
		{"true", "--exclude='*.o' --exclude=/a/gone/"},
		{"true", "--exclude='.*'"},
		{"true", "--include=core --exclude='c*'"},
		{"rm -r src/a && echo file >src/b", ""},
		{"mkdir src/new && echo n >src/new/n", ""},
		{"rm -rf src/* ", ""},
		{"true", "--max-size=1K"},
	};

	fresh_dir(t);
	if (!have_program("rsync"))
		skip_because(t, "no rsync");
	for (size_t i = 0; i < COUNT_OF(all); i++)
		same_as_rsync(all[i][0], all[i][1]);
}

static void nothing_goes_in_a_dry_run(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh_(SH(scene), "scene");
	run = BP("copy", "-an", "--delete", "src/.", "dst");
	expect_exit(run, 0);
	expect_same(SH("printf '%s' \"$1\" | grep ^delete", run->out.data),
		    SH("printf 'delete dst/%s\\n' old a/gone a/w a/core z outside atoo .hid"));
	run_sh("diff -r --no-dereference rs dst");
}

static void lines_and_records(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh_(SH(scene), "scene");
	run = BP("copy", "-a", "--delete", "--json", "src/.", "dst");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\"op\":\"delete\""), 8);
	run_sh_(SH(scene), "scene");
	run = BP("copy", "-av", "--delete", "src/.", "dst");
	expect_eq(text_count(&run->out, "deleted 'dst/"), 8);
	/* It is the copy of the tree that is a mirror, not what that is in. */
	run_sh("mkdir -p into/src/more into/other");
	expect_exit(BP("copy", "-a", "--delete", "src", "into"), 0);
	expect_gone("into/src/more");
	expect_there("into/other");
}

static void not_more_than_so_many(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src dst/d/e && touch dst/d/e/f dst/d/g src/s");
	run = BP("copy", "-a", "--delete", "--max-delete=3", "src/.", "dst");
	expect_exit(run, 1);
	expect_says(run, "dst/d: not removed: more would go than --max-delete allows");
	expect_there("dst/d/e/f");
	expect_there("dst/s");
	expect_exit(BP("copy", "-a", "--delete", "--max-delete=4", "src/.", "dst"), 0);
	expect_gone("dst/d");
	run_sh("touch dst/a dst/b dst/c");
	expect_exit(BP("copy", "-a", "--delete", "--max-delete=0", "src/.", "dst"), 1);
	expect_exit(BP("copy", "-a", "--delete", "--max-delete=2", "src/.", "dst"), 1);
	expect_out(SH("ls dst | wc -l"), "2\n");
}

/* What could not be listed has lost nothing. */
static void where_the_source_was_not_read(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir -p src/shut src/open dst/shut dst/open && touch dst/shut/f dst/open/f dst/f && "
	       "chmod 711 src/shut && chown -R 65534:65534 dst src && chown 0:0 src/shut && chmod 700 "
	       "src/shut");
	run = RUN(HOW(.uid = NOBODY), "copy", "-r", "--delete", "src/.", "dst");
	expect_exit(run, 1);
	expect_says(run, "--delete: nothing was removed: not all was copied");
	expect_there("dst/shut/f");
	expect_there("dst/open/f");
	expect_there("dst/f");
	/* A source that is not there is no empty one. */
	expect_exit(BP("copy", "-r", "--delete", "--no-target-directory", "nosuch", "dst"), 1);
	expect_there("dst/f");
	/* Nor is what is mounted in it, and left out. */
	mount_at(t, "src/m", "mount -t tmpfs none src/m");
	run_sh("mkdir -p dst/m && touch dst/m/f");
	expect_exit(BP("copy", "-rx", "--delete", "src/.", "dst"), 0);
	expect_there("dst/m/f");
	unmount("src/m");
}

static void links_lead_nowhere(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p src/d outside dst && touch outside/keep src/d/f && ln -s ../outside dst/d && "
	       "ln -s ../outside dst/e");
	expect_exit(BP("copy", "-a", "--delete", "src/.", "dst"), 1);
	expect_there("outside/keep");
	expect_there("dst/d");
	expect_there("dst/e");
	run_sh("rm dst/d && ln -s ../outside dst/h");
	expect_exit(BP("copy", "-a", "--delete", "src/.", "dst"), 0);
	expect_there("outside/keep");
	expect_gone("dst/e");
	expect_gone("dst/h");
}

static void a_run_that_was_stopped_removes_nothing(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src dst && mkfifo src/fifo && touch dst/f");
	run = START(HOW(.feed = false), "copy", "-r", "--copy-contents", "--delete", "--json", "-v",
		    "src/.", "dst");
	run_kill(run, SIGINT);
	run_kill(run, SIGINT);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	expect_there("dst/f");
	expect_exit(BP("copy", "-r", "--copy-contents", "--delete", "--deadline=0.3", "src/.",
		       "dst"),
		    124);
	expect_there("dst/f");
	run_sh("rm src/fifo && touch src/a src/b && ln -s x src/c && mkdir dst/a dst/b");
	/* Whichever comes first, there is more to do. */
	run = BP("copy", "-r", "-j1", "--delete", "-e", "src/.", "dst");
	expect_exit(run, 3);
	expect_eq(text_count(&run->err, "--delete: nothing was removed: the run was stopped"), 1);
	expect_there("dst/f");
}

static void what_this_run_makes_stays(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p src dst && echo new >src/f && echo old >dst/f && touch dst/g");
	expect_exit(BP("copy", "-a", "--delete", "--journal", "dst/j", "src/.", "dst"), 0);
	expect_out(SH("ls dst; cat dst/f"), "f\nj\nnew\n");
	/* A run that goes on has the same to remove. */
	run_sh("touch dst/h");
	expect_exit(BP("copy", "-a", "--delete", "--journal", "dst/j", "--resume", "src/.", "dst"),
		    0);
	expect_out(SH("ls dst"), "f\nj\n");
}

static void what_excludes_each_other(struct test *t)
{
	static const char *const all[][2] = {
		{"--delete src dst", "--delete needs -r or -a"},
		{"-r --max-delete=1 src dst", "--max-delete needs --delete"},
		{"-r --delete --shard 1/2 -t dst src", "--delete and --shard exclude"},
		{"-r --delete -T list dst", "--delete and -T exclude"},
		{"-r --delete --parents src dst", "--delete and --parents exclude"},
		{"-r -b --delete src dst", "--delete and --backup exclude each other"},
		{"-r -S .old --delete src dst", "--delete and --backup exclude each other"},
		{"-r --delete src/. other/. dst", "--delete takes one source where"},
		{"-r --delete --max-delete=x src dst", "--max-delete: 'x' is not a number"},
	};
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir src other dst && touch dst/f && echo src >list");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		run = SH("$BATCHPROC copy $1", all[i][0]);
		expect_exit(run, 2);
		expect_says(run, all[i][1]);
	}
	run = SH("echo 'copy -r --delete src dst' | $BATCHPROC run -");
	expect_exit(run, 1);
	expect_says(run, "--delete is for a command of its own");
	expect_there("dst/f");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_same_is_left_as_by_rsync),
		ONCE(nothing_goes_in_a_dry_run),
		ONCE(lines_and_records),
		ONCE(not_more_than_so_many),
		ONCE(where_the_source_was_not_read),
		ONCE(links_lead_nowhere),
		ONCE(a_run_that_was_stopped_removes_nothing),
		ONCE(what_this_run_makes_stays),
		ONCE(what_excludes_each_other),
	};

	return RUN_CASES(argc, argv, cases);
}
