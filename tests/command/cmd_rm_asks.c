/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm_asks - questions before something is removed, as rm asks them
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"

static const char tree[] =
	"rm -rf d e f g; mkdir -p d/sub d/empty && echo x >d/a && : >d/b && ln -s a d/link && "
	"mkfifo d/fifo && echo y >d/sub/c && echo f >f && mkdir e && echo g >g";

/* The same answers to both: the same questions, and the same is left. */
static void ask_both(const char *args, const char *answers)
{
	struct run *run =
		SH("for rm in rm \"$BATCHPROC rm\"; do eval \"$3\"; "
		   "printf \"$2\" | eval $rm $1 >/dev/null 2>said; echo $? >>said; "
		   "{ tr '?' '\\n' <said | sed -n 's/^ *//; s/^batchproc: //; "
		   "s/^rm: \\(remove\\|descend\\)/\\1/p' | sort; tail -n 1 said | "
		   "sed 's/.*? //'; find d e f g 2>/dev/null | sort; } >all.${#rm}; done; "
		   "diff -U9 all.*",
		   args, answers, tree);

	if (run->out.len || run->status)
		record_failure("rm %s, %s (- rm, + batchproc):\n%s%s", args, answers, run->out.data,
			       run->err.data);
}

static void the_same_questions_as_rm(struct test *t)
{
	static const char *const args[] = {
		"-i f g",
		"-i f nosuch",
		"-ri d",
		"-ri f d e",
		"-id e",
		"-i d",
		"--interactive=always f",
		"-rI d f",
		"-i --interactive=never f",
		"-fi f",
		"-i -f f nosuch",
	};
	static const char *const answers[] = {"", "y\\n",
					      "y\\ny\\ny\\ny\\ny\\ny\\ny\\ny\\ny\\ny\\ny\\ny\\n"};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(args); i++)
		for (size_t j = 0; j < COUNT_OF(answers); j++)
			/* Which one of several is answered depends on the order of the directory. */
			if (j != 1 || !strstr(args[i], "-ri"))
				ask_both(args[i], answers[j]);
}

/* Each question stands after what became of the one before. */
static void one_after_the_other(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh_(SH(tree), "tree");
	run = START(HOW(.feed = true), "rm", "-riv", "d");
	expect_(until_printed(run, 2, "descend into directory 'd'?", 1), "asks", __FILE__,
		__LINE__);
	expect_there("d/a");
	run_feed(run, "y\n", 2);
	for (size_t i = 2; i <= 10; i++) {
		if (!until_printed(run, 2, "? ", i))
			break;
		expect_eq(text_count(&run->err, "? "), i);
		run_feed(run, "yes\n", 4);
	}
	run_end(run);
	expect_exit(run, 0);
	expect_gone("d");
	expect_eq(text_count(&run->out, "removed "), 8);
}

static void what_stays_keeps_what_it_is_in(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p d/s && echo x >d/s/f");
	run = RUN(HOW(.input = "y\ny\nn\n"), "rm", "-ri", "--json", "d");
	expect_exit(run, 0);
	expect_there("d/s/f");
	expect_eq(text_count(&run->out, "\"status\":\"skipped\""), 3);
	expect_eq(text_count(&run->err, "?"), 3);
	/* An interrupt is no yes. */
	run = START(HOW(.feed = true), "rm", "-i", "d/s/f");
	expect_(until_printed(run, 2, "?", 1), "asks", __FILE__, __LINE__);
	run_kill(run, SIGINT);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	expect_there("d/s/f");
}

static void what_cannot_be_asked(struct test *t)
{
	static const char *const others[] = {"--timeout=1", "--retries=1", "--rate=1",
					     "-j4",	    "--shard=1/2", "--on-full=reject"};
	struct run *run;

	fresh_dir(t);
	make_file("f", "f");
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		run = BP("rm", "-i", others[i], "f");
		expect_exit(run, 2);
		expect_says(run, " exclude each other");
	}
	run = SH("echo f | $BATCHPROC rm -i -T -");
	expect_exit(run, 2);
	expect_says(run, "-i reads answers from standard input, which is a list here");
	expect_exit(BP("rm", "--interactive=perhaps", "f"), 2);
	expect_exit(BP("rm", "--preserve-root=some", "f"), 2);
	expect_exit(SH("echo 'rm -i f' | $BATCHPROC run -"), 1);
	expect_there("f");
	run = BP("rm", "-in", "f");
	expect_out(run, "rm f\n");
	expect_err(run, "");
}

/* Whose path no call takes at once is asked about all the same, and kept where it is the run's own. */
static void a_path_longer_than_any_call_takes(struct test *t)
{
	static const char deep[] =
		"rm -rf l; n=$(printf %0200d 1); L=l; mkdir l && cd l && for i in $(seq 25); do "
		"mkdir $n && cd -P $n && L=$L/$n; done && echo f >f && mkdir e && cd $top";
	struct run *run;

	fresh_dir(t);
	run = SH("top=$PWD; eval \"$1\"; $BATCHPROC rm -i $L/f </dev/null; "
		 "echo n | $BATCHPROC rm -i -d $L/e; $BATCHPROC rm -i $L/e </dev/null; "
		 "echo $?; find l -name f -o -name e | sed 's/.*\\///' | sort",
		 deep);
	expect_out(run, "1\ne\nf\n");
	expect_says(run, "remove regular file '");
	expect_says(run, "remove directory '");
	expect_says(run, "is a directory (-r removes it");
	run = SH(
		"top=$PWD; eval \"$1\"; echo y | $BATCHPROC rm -i $L/f; echo y | $BATCHPROC rm -i -d $L/e; "
		"find l -name f -o -name e",
		deep);
	expect_out(run, "");
	/* Above what can be looked at there is nothing that may go. */
	run = SH("top=$PWD; eval \"$1\"; ln -s loop loop; echo y | $BATCHPROC rm -i loop/f", deep);
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "?"), 0);
}

static void what_is_mounted_is_preserved(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "m", "mount -t tmpfs none m");
	run_sh("echo f >m/f");
	run = BP("rm", "-r", "--preserve-root=all", "m");
	expect_exit(run, 1);
	expect_says(run, "m: is on another device than what it is in (--preserve-root=all)");
	expect_there("m/f");
	expect_exit(SH("rm -r --preserve-root=all m"), 1);
	expect_exit(BP("rm", "-r", "--preserve-root=all", "m/f"), 0);
	unmount("m");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_same_questions_as_rm),		 ONCE(one_after_the_other),
		ONCE(what_stays_keeps_what_it_is_in),	 ONCE(what_cannot_be_asked),
		ONCE(a_path_longer_than_any_call_takes), ONCE(what_is_mounted_is_preserved),
	};

	return RUN_CASES(argc, argv, cases);
}
