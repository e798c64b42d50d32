/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_meet - items of one run that meet in the destination, and what is given back to another
 * run
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

#define CLAIMED "\"another item of this run has the same destination\""
#define SHARED "\"another item of this run has the same source and destination\""

/* All records of a copy, however many. */
static const struct records *records_of_all(struct run *run)
{
	return expect_records(run, text_count(&run->out, "\n") - 1);
}

/* Each copy that was told of is there, is of that source, and was told of once. */
static void expect_what_was_told(const struct records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->all[i];
		struct stat st;

		if (strcmp(r->status, "ok"))
			continue;
		assert_int_equal(stat(r->src.data, &st), 0);
		if (S_ISREG(st.st_mode) &&
		    SH("cmp \"$1\" \"$2\"", r->src.data, r->dst.data)->status)
			record_failure("%s is not %s", r->dst.data, r->src.data);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(records->all[j].status, "ok") &&
			    !strcmp(records->all[j].dst.data, r->dst.data))
				record_failure("%s was copied twice", r->dst.data);
	}
}

/* Two sources with the same names and other content. */
static void make_two(void)
{
	run_sh("for s in a b; do mkdir -p $s/x/y $s/x/z; echo $s >$s/x/f; echo $s >$s/x/y/f; "
	       "echo $s >$s/x/y/g; done; mkdir b/w; echo w >b/w/f");
}

/* However they meet, in either order, whether the directory is there before or not. */
static void of_two_sources_with_one_destination_one_is_copied(struct test *t)
{
	static const char *const ways[][2] = {
		/* a tree, and a file or a tree of another one in it */
		{"a/x", "b/./x/f"},
		{"a/./x", "b/./x/y/f"},
		{"a/./x", "b/./x/y"},
		/* two trees of one name, of which one is found in a third */
		{"a/x", "b/./x"},
		{"a/./x", "b/."},
		{"a/x/.", "b/x/."},
		/* two files */
		{"a/x/f", "b/x/f"},
		{"a/x/./y/f", "b/x/./y/f"},
	};

	fresh_dir(t);
	make_two();
	for (size_t i = 0; i < 4 * COUNT_OF(ways); i++) {
		const char *const *lines = ways[i / 4];
		struct run *run;

		run_sh("rm -rf dst; mkdir dst; printf '%s\n%s\n' \"$1\" \"$2\" >list", lines[i % 2],
		       lines[1 - i % 2]);
		if (i / 2 % 2)
			run_sh("mkdir -p dst/x/y; echo old >dst/x/f; echo old >dst/x/y/f");
		run = BP("copy", "-r", "--json", "-T", "list", "dst");
		expect_exit(run, 1);
		expect_what_was_told(records_of_all(run));
		if (text_count(&run->out, CLAIMED) != 1 ||
		    text_count(&run->out, "\"failed\",") != 1)
			record_failure("%s and %s: %s", lines[i % 2], lines[1 - i % 2],
				       run->out.data);
	}
}

/* With a list that can be read only once it is the same. */
static void a_list_from_a_pipe_may_meet_too(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_two();
	make_dir("dst");
	run = SH("printf 'a/x\nb/./x/f\n' | \"$BATCHPROC\" copy -r --json -T - dst");
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, CLAIMED), 1);
	expect_what_was_told(records_of_all(run));
}

/* What does not meet is none: two trees, and a file that only one of them has. */
static void what_lies_beside_each_other_is_copied(struct test *t)
{
	fresh_dir(t);
	make_two();
	run_sh("echo h >b/x/h; mkdir dst theirs; printf 'a/x\nb/./x/h\nb/w\n' >list");
	expect_exit(BP("copy", "-r", "-T", "list", "dst"), 0);
	run_sh("cp -r a/x b/w theirs; cp b/x/h theirs/x");
	expect_same_trees("dst", "theirs", 0);
}

/* The same source, by whatever name, is copied once, and the others have a record that says so. */
static void a_source_that_is_named_twice_is_copied_once(struct test *t)
{
	static const char *const lists[] = {
		"a/x/f\na/x/f\n./a//x/f\n",
		"a/./x\na/./x/y/f\na/./x/y\na/./x/z\n",
		"a/./x/y/f\na/./x/y\na/./x/z\na/./x\n",
		"a/.\na/x\na/./x/f\n",
	};
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_two();
	run_sh("find a -exec touch -h -d '2001-02-03 04:05:06.789' {} +; cp -a a/x theirs");
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		run_sh("rm -rf dst; mkdir dst");
		make_file("list", lists[i]);
		run = BP("copy", "-a", "--json", "-T", "list", "dst");
		expect_exit(run, 0);
		records = records_of_all(run);
		expect_what_was_told(records);
		expect_eq(records->skipped, text_count(&run->out, SHARED));
		expect_between(records->skipped, i ? 1 : 2, 4);
		if (i)
			expect_same_trees("theirs", "dst/x", SAME_TIMES);
	}
	run = BP("copy", "a/x/f", "a/x/f", "dst");
	expect_exit(run, 0);
	expect_err(run, "");
}

/* In a manifest the way in which it is copied counts as well. */
static void jobs_that_are_the_same_are_done_once(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_two();
	make_dir("dst");
	make_file("jobs", "copy a/x/f dst\ncopy a/x/f dst/f\ncopy -r a/x dst\ncopy -r a/x dst\n"
			  "copy -p b/w/f dst/w\ncopy b/w/f dst/w\n");
	run = BP("run", "--json", "jobs");
	expect_exit(run, 1);
	expect_what_was_told(records_of_all(run));
	expect_eq(text_count(&run->out, SHARED), 2);
	expect_eq(text_count(&run->out, CLAIMED), 1);

	/* Also where nothing is left of the first by the time the second comes. */
	run_sh("rm -r dst; mkdir dst; for i in $(seq 100); do echo copy -p a/x/f dst/$i; "
	       "echo copy b/w/f dst/w; echo copy -p a/x/f dst/$i; echo copy a/x/f dst/$i; done >jobs");
	run = BP("run", "--json", "-j1", "jobs");
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, SHARED), 100 + 99);
	expect_eq(text_count(&run->out, CLAIMED), 100);
}

/* What comes into a directory that is there, and what makes that: found out when it is made. */
static void of_two_trees_that_become_one_directory_one_is_copied(struct test *t)
{
	static const char *const manifests[][2] = {
		{"copy -r --no-target-directory a dst/new",
		 "copy -r --no-target-directory b dst/new"},
		{"copy -r --no-target-directory a dst/new", "copy -r b/. dst/new/x"},
		{"copy -r a/x/. dst/x", "copy -r b/x dst"},
	};

	fresh_dir(t);
	make_two();
	run_sh("mv b/x/f b/x/other");
	for (size_t i = 0; i < COUNT_OF(manifests); i++) {
		struct run *run;

		run_sh("rm -rf dst; mkdir -p dst/x");
		run = SH(
			"(echo \"$1\"; until [ -e dst/new/x ] || [ -e dst/x/f ]; do sleep 0.01; done; "
			"echo \"$2\") | \"$BATCHPROC\" run --json",
			manifests[i][0], manifests[i][1]);
		expect_exit(run, 1);
		expect_what_was_told(records_of_all(run));
		expect_eq(text_count(&run->out, CLAIMED), 1);
	}
}

/* What has not failed is passed over, and stays what it is. */
static void what_is_tried_again_takes_nobodys_place(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_two();
	make_dir("dst");
	make_file("list", "a/./x\nb/./x/f\n");
	/* In this order the tree comes first. */
	expect_exit(BP("copy", "-r", "-k", "--journal", "J", "-T", "list", "dst"), 1);
	expect_out(SH("cat dst/x/f"), "a\n");
	run = BP("copy", "-r", "-k", "--json", "--journal", "J", "--retry-failed", "-T", "list",
		 "dst");
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, CLAIMED), 1);
	expect_out(SH("cat dst/x/f"), "a\n");
}

/* Of a run that was killed: its name is that under which the copy of f is made. */
static void what_was_left_half_made_is_not_copied(struct test *t)
{
	static const char left[] = "src/.batchproc-33c155909ff3ba9a";
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir src dst; echo left >\"$1\"; echo f >src/.batchproc-00000000; "
	       "echo old >dst/f; head -c 40000000 /dev/zero >src/f",
	       left);
	/* Neither is the one taken for a leftover, nor does it get the other's name. */
	for (size_t i = 0; i < 3; i++) {
		const char *const order[] = {"src/f", left, "src/f"};

		run = i < 2 ? BP("copy", "--reflink", "never", order[i], order[i + 1], "dst") :
			      BP("copy", "--reflink", "never", "-r", "src/.", "dst");
		expect_exit(run, 1);
		expect_says(run, "unfinished copy of another file");
		expect_out(SH("cmp src/f dst/f; ls -A dst"),
			   i < 2 ? "f\n" : ".batchproc-00000000\nf\n");
	}
	expect_exit(BP("copy", "src/f", "dst/.batchproc-33c155909ff3ba9a"), 1);
	expect_exit(BP("copy", left, "dst/g"), 0);
}

static void expect_two_jobs(const char *one, const char *two, int shared, int claimed)
{
	struct run *run;

	run_sh("rm -rf dst; mkdir dst; for how in \"$1\" \"$2\"; do "
	       "echo copy $how a/x/f dst/f; done >jobs",
	       one, two);
	run = BP("run", "--json", "jobs");
	expect_what_was_told(records_of_all(run));
	if (text_count(&run->out, SHARED) != (size_t)shared ||
	    text_count(&run->out, CLAIMED) != (size_t)claimed)
		record_failure("copy %s and copy %s: %s", one, two, run->out.data);
}

/* However it is written. What says which destination is meant does not count once that is known. */
static void each_option_makes_another_job_but_what_names_the_place(struct test *t)
{
	static const char *const others[] = {
		"-r",
		"-a",
		"-p",
		"-u",
		"--ignore-existing",
		"--sync",
		"--atomic",
		"--reflink=never",
		"--hash=sha256",
		"--hash=md5",
		"--verify",
	};
	static const char *const same[][2] = {
		{"", "--reflink=auto"},
		{"-p --sync", "--sync -p"},
		{"-a", "-r -p -a"},
		{"--hash=md5", "--hash=sha256 --hash=md5"},
		{"", "--no-target-directory"},
	};

	fresh_dir(t);
	make_two();
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		expect_two_jobs("", others[i], 0, 1);
		expect_two_jobs(others[i], others[(i + 1) % COUNT_OF(others)], 0, 1);
	}
	for (size_t i = 0; i < COUNT_OF(same); i++)
		expect_two_jobs(same[i][0], same[i][1], 1, 0);
}

static void a_dry_run_takes_no_two_new_directories_for_one(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p s/a/x s/b/x; touch s/a/x/f s/b/x/f");
	make_file("jobs", "copy -r s d\n");
	expect_exit(BP("run", "-n", "jobs"), 0);
	make_dir("dst");
	expect_exit(RUN(HOW(.input = "s\ns/./b/x/f\n./s/./a/x/f\n"), "copy", "-n", "-r", "-T", "-",
			"dst"),
		    0);
	expect_out(SH("ls -A dst"), "");
}

/* ---------------------------------------------------------------- names in a list */

/* As with rsync: what a name has in front of it is made like the source's, and has its times. */
static void directories_in_front_of_a_name_are_made(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/d/e dst; echo f >src/d/e/f; chmod 2750 src/d; chmod 1777 src/d/e; "
	       "find src -exec touch -d '2001-02-03 04:05:06.789' {} +");
	make_file("list", "src/./d/e/f\n");
	expect_exit(BP("copy", "-a", "-T", "list", "dst"), 0);
	/* What another directory was made in is as new as that. */
	run_sh("touch -r src dst; touch -r src/d dst/d");
	expect_same_trees("src", "dst", SAME_TIMES);
	/* Without -p they have the mode that they would have in a tree. */
	run_sh("rm -r dst/d; umask 022; exec \"$BATCHPROC\" copy -T list dst");
	expect_out(SH("stat -c %a dst/d dst/d/e"), "750\n1755\n");

	run = RUN(HOW(.input = "src/./no/such/f\nsrc/./d/../e/f\n"), "copy", "-T", "-", "dst");
	expect_exit(run, 1);
	expect_says(run, "src/./no/such/f: No such file or directory");
	expect_out(SH("ls dst dst/d"), "dst:\nd\n\ndst/d:\ne\n");
}

/* ---------------------------------------------------------------- what is given back */

static const struct {
	const char *source, *dst, *copy;
} places[] = {
	{"src", "dst", "dst/src"},
	{"src/", "new", "new"},
	{"src/.", "dst", "dst"},
	{"./src/../src", "dst", "dst/src"},
	{"top/./src/./sub", "dst", "dst/sub"},
	{"./src/./.", "new", "new"},
};

static void make_source(void)
{
	run_sh("mkdir -p src/d/e src/empty src/g/h top/src; echo f >src/f; echo f >src/d/f; "
	       "echo f >src/d/e/f; echo f >src/g/h/f; chmod 750 src/empty; "
	       "find src -exec touch -d '2001-02-03 04:05:06.789' {} +; cp -a src top/src/sub");
}

/* Two files that cannot be replaced: directories are in their way. */
static void put_in_the_way(const char *copy)
{
	run_sh("mkdir -p \"$1\"/f/in \"$1\"/d/e/f/in", copy);
}

static void clear_the_way(const char *copy)
{
	run_sh("rm -r \"$1\"/f \"$1\"/d/e/f", copy);
}

/* Files that failed come to their places, and leave the times of the directories as they were. */
static void what_failed_comes_to_its_place(struct test *t)
{
	fresh_dir(t);
	make_source();
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const char *dst = places[i].dst, *copy = places[i].copy;
		const bool is_new = !strcmp(dst, "new");
		struct run *run;

		run_sh("rm -rf dst new; mkdir dst");
		put_in_the_way(copy);
		run = BP("copy", "-a", is_new ? "--no-target-directory" : "-q", "--failed-to",
			 "list", places[i].source, dst);
		expect_exit(run, 1);
		expect_out(SH("wc -l <list"), "2\n");
		clear_the_way(copy);
		expect_exit(BP("copy", "-a", "--failed-to", "again", "-T", "list", dst), 0);
		if (!expect_same_trees("src", copy, SAME_TIMES))
			print_message("of: %s\n", places[i].source);
		expect_out(SH("stat -c %y \"$1\"", copy), SH("stat -c %y src")->out.data);
	}
}

/* A run that is stopped names the tree that it did not finish, and nothing that is in it. */
static void what_was_stopped_is_named_once(struct test *t)
{
	fresh_dir(t);
	make_source();
	for (size_t i = 0; i < 3 * COUNT_OF(places); i++) {
		const char *dst = places[i / 3].dst, *copy = places[i / 3].copy;
		const bool is_new = !strcmp(dst, "new");
		char halt[32];

		snprintf(halt, sizeof(halt), "%s,done=%zu", i % 2 ? "now" : "soon", 1 + i % 3 * 3);
		run_sh("rm -rf dst new; mkdir dst");
		expect_exit(BP("copy", "-a", "-q", is_new ? "--no-target-directory" : "-j2",
			       "--halt", halt, "--failed-to", "list", places[i / 3].source, dst),
			    3);
		expect_out(SH("wc -l <list"), "1\n");
		/* Only what is a directory can be copied into; a run that made none has none. */
		run_sh("mkdir -p \"$1\"", dst);
		expect_exit(BP("copy", "-a", "--failed-to", "again", "-T", "list", dst), 0);
		if (!expect_same_trees("src", copy, SAME_TIMES))
			print_message("of: %s\n", places[i / 3].source);
	}
}

/* What had failed before is named too, and is copied once all the same. */
static void what_failed_before_a_stop_is_copied_once(struct test *t)
{
	fresh_dir(t);
	make_source();
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const char *dst = places[i].dst, *copy = places[i].copy;
		const bool is_new = !strcmp(dst, "new");
		const struct records *records;
		struct run *run;

		run_sh("rm -rf dst new; mkdir dst");
		put_in_the_way(copy);
		expect_exit(BP("copy", "-a", "-q", is_new ? "--no-target-directory" : "-j1",
			       "--halt", "soon,fail=1", "--failed-to", "list", places[i].source,
			       dst),
			    3);
		clear_the_way(copy);
		run = BP("copy", "-a", "--json", "-T", "list", dst);
		expect_exit(run, 0);
		records = records_of_all(run);
		expect_what_was_told(records);
		expect_between(records->skipped, 1, 2);
		if (!expect_same_trees("src", copy, SAME_TIMES))
			print_message("of: %s\n", places[i].source);
	}
}

/*
 * Directories that were entered are left, whether there is a place or not; what is rejected is
 * files.
 */
static void what_was_rejected_comes_to_its_place(struct test *t)
{
	int status, rounds = 0;

	fresh_dir(t);
	make_source();
	make_dir("dst");
	status = BP("copy", "-a", "-q", "-j1", "--on-full", "reject", "--failed-to", "list", "src",
		    "dst")
			 ->status;
	while (status == 1 && rounds++ < 20) {
		expect_out(SH("grep -v '/f$' list"), "");
		status = SH("mv list more; exec \"$BATCHPROC\" copy -a -q -j1 --on-full reject "
			    "--failed-to list -T more dst")
				 ->status;
	}
	expect_eq(status, 0);
	expect_same_trees("src", "dst/src", SAME_TIMES);
}

/* The manifest that a stopped run of jobs writes names each tree once as well. */
static void jobs_that_were_stopped_are_named_once(struct test *t)
{
	char halt[32];

	fresh_dir(t);
	make_source();
	make_file("jobs", "copy -a src dst\ncopy -a src/. new\nhash src/f\n");
	for (int done = 1; done < 12; done += 3) {
		snprintf(halt, sizeof(halt), "soon,done=%d", done);
		run_sh("rm -rf dst new; mkdir dst");
		expect_exit(BP("run", "-q", "--halt", halt, "--failed-to", "again", "jobs"), 3);
		expect_out(SH("sort again | uniq -d; test $(wc -l <again) -le 3"), "");
		expect_exit(BP("run", "-q", "again"), 0);
		expect_same_trees("src", "dst/src", SAME_TIMES);
		expect_same_trees("src", "new", SAME_TIMES);
	}
}

static const struct test_case cases[] = {
	ONCE(of_two_sources_with_one_destination_one_is_copied),
	ONCE(a_list_from_a_pipe_may_meet_too),
	ONCE(what_lies_beside_each_other_is_copied),
	ONCE(a_source_that_is_named_twice_is_copied_once),
	ONCE(jobs_that_are_the_same_are_done_once),
	ONCE(each_option_makes_another_job_but_what_names_the_place),
	ONCE(of_two_trees_that_become_one_directory_one_is_copied),
	ONCE(what_is_tried_again_takes_nobodys_place),
	ONCE(what_was_left_half_made_is_not_copied),
	ONCE(a_dry_run_takes_no_two_new_directories_for_one),
	ONCE(directories_in_front_of_a_name_are_made),
	ONCE(what_failed_comes_to_its_place),
	ONCE(what_was_stopped_is_named_once),
	ONCE(what_failed_before_a_stop_is_copied_once),
	ONCE(what_was_rejected_comes_to_its_place),
	ONCE(jobs_that_were_stopped_are_named_once),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
