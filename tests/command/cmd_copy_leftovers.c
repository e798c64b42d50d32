/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_leftovers - what runs that were killed have left: it goes, before it is in the way
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"

/* Less is free than the file is long, until what was begun of it goes. */
static void a_leftover_gives_its_space_back(struct test *t)
{
	static const char *const ways[] = {"-q", "-u", "--ignore-existing", "--atomic", "--resume"};

	fresh_dir(t);
	mount_at(t, "fs", "mount -t tmpfs -o size=3m none fs");
	make_pattern("src", 2000000);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -f j fs/*; head -c 1900000 src >fs/dst; chmod 1000 fs/dst");
		expect_exit(BP("copy", ways[i], "--journal", "j", "src", "fs/dst"), 0);
		expect_out(SH("cmp src fs/dst; ls -A fs"), "dst\n");
	}
	/* Under its temporary name, by a run that was killed. */
	run_sh("rm -f fs/*; echo old >fs/dst");
	expect_exit(RUN(HOW(.killed_at = SYS_fchmod), "copy", "src", "fs/dst"), 128 + SIGSYS);
	expect_out(SH("ls -A fs | wc -l"), "2\n");
	expect_exit(BP("copy", "src", "fs/dst"), 0);
	expect_out(SH("cmp src fs/dst; ls -A fs"), "dst\n");
	unmount("fs");
}

/* It is in the way of another one that comes first. */
static void leftovers_of_a_tree_give_their_space_back(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "fs", "mount -t tmpfs -o size=5m none fs");
	run_sh("mkdir -p src/a src/b/c; head -c 2000000 /dev/urandom >src/a/f; "
	       "head -c 1900000 /dev/urandom >src/b/c/g");
	for (size_t i = 0; i < 2; i++) {
		/* Whichever of both is copied first, the other's holds what it needs. */
		run_sh("rm -rf fs/*; mkdir -p fs/src/a fs/src/b/c; "
		       "head -c 1800000 src/a/f >fs/src/a/f; "
		       "head -c 1800000 src/b/c/g >fs/src/b/c/g; "
		       "chmod 1000 fs/src/a/f fs/src/b/c/g; "
		       "head -c 1400000 /dev/zero >fs/src/b/.batchproc-0123456789abcdef");
		expect_exit(BP("copy", "-r", "-j1", i ? "-u" : "-q", "src", "fs"), 0);
		expect_same_trees("src", "fs/src", 0);
	}
	/* What is no leftover stays, also where there is no space. */
	run_sh("rm -rf fs/*; mkdir fs/src; head -c 4000000 /dev/zero >fs/src/mine; "
	       "chmod 1600 fs/src/mine");
	expect_exit(BP("copy", "-r", "src", "fs"), 1);
	expect_out(SH("stat -c %s fs/src/mine; find fs -name '.batchproc*'"), "4000000\n");
	unmount("fs");
}

/* Somebody chose that mode: what is there is not what a copy of the source begins with. */
static void a_users_file_of_that_mode_stays(struct test *t)
{
	static const char *const ways[] = {"--no-clobber", "--ignore-existing"};
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir src dst; echo new >src/f; echo longer than that >src/g; ln -s f src/l; "
	       "echo mine >dst/f; echo mine >dst/g; echo mine >dst/l; chmod 1000 dst/?");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = BP("copy", "-r", "--json", ways[i], "src/.", "dst");
		expect_exit(run, 0);
		expect(strstr(run->out.data, "is not the beginning of the source"));
		expect_out(SH("stat -c '%a %s' dst/*"), "1000 5\n1000 5\n1000 5\n");
	}
	/* Where nothing is lost, it is what a killed run has left. */
	run_sh("head -c 3 src/g >tmp && cp tmp dst/g; : >dst/f; chmod 1000 dst/f dst/g");
	expect_exit(BP("copy", "-r", "--no-clobber", "src/.", "dst"), 0);
	expect_out(SH("cat dst/f dst/g; stat -c %a dst/l"), "new\nlonger than that\n1000\n");
}

/* Nor is it asked about as root, whom no mode keeps out. */
static void its_owner_finishes_what_was_begun(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};

	fresh_dir(t);
	need_root(t);
	run_sh("mkdir dst; echo source >f; cp f g; printf sour >dst/f; printf mine >dst/g; "
	       "chmod 1000 dst/?; chown -R 65534 dst; chmod 755 .");
	expect_exit(RUN(&nobody, "copy", "--no-clobber", "f", "g", "dst"), 0);
	expect_out(SH("cat dst/f dst/g; stat -c %a dst/g"), "source\nmine1000\n");
}

/* The further name of a file that is copied already. */
static void a_link_that_was_begun_as_a_copy(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir src dst; echo source >src/a; ln src/a src/b; printf sour >dst/a; "
	       "cp dst/a dst/b; chmod 1000 dst/b");
	expect_exit(BP("copy", "-a", "--ignore-existing", "src/.", "dst"), 0);
	expect_out(SH("cat dst/a dst/b"), "soursource\n");
	run_sh("printf sour >dst/a; rm dst/b; printf sour >dst/b; chmod 1000 dst/a dst/b");
	expect_exit(BP("copy", "-a", "--ignore-existing", "src/.", "dst"), 0);
	expect_out(SH("cat dst/a dst/b; stat -c %h dst/a"), "source\nsource\n2\n");
}

/* Only a run that was killed gives a directory a mode that nobody else does. */
static void a_private_directory_stays_private(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p src/d dst; echo 1 >src/d/1; chmod 755 src src/d; mkdir -m 1700 dst/src "
	       "dst/src/d");
	expect_exit(BP("copy", "-r", "src", "dst"), 0);
	expect_out(SH("stat -c %a dst/src dst/src/d; cat dst/src/d/1"), "1700\n1700\n1\n");
	expect_exit(BP("copy", "-r", "--journal", "j", "--resume", "src", "dst"), 0);
	expect_out(SH("stat -c %a dst/src dst/src/d"), "1700\n1700\n");
	/* It is copied into, since it is no copy that was begun. */
	run_sh("mkdir -m 1700 new");
	expect_exit(BP("copy", "-r", "src", "new"), 0);
	expect_out(SH("ls new; stat -c %a new"), "src\n1700\n");
	/* What a killed run made is finished. */
	make_pattern("src/d/2", 400000);
	expect_exit(RUN(HOW(.killed_at = SYS_copy_file_range), "copy", "-r", "-j1", "src", "begun"),
		    128 + SIGSYS);
	expect_out(SH("stat -c %a begun begun/d"), "5700\n5700\n");
	run_sh("mkdir -m 1400 new/d");
	expect_exit(BP("copy", "-r", "-n", "src", "new/d"), 0);
	expect_out(SH("stat -c %a new/d"), "1400\n");
	/* As one that was killed just when it had made a directory leaves that. */
	run_sh("rm -r begun/d; mkdir -m 1400 begun/d");
	expect_exit(BP("copy", "-r", "-u", "src", "begun"), 0);
	expect_out(SH("stat -c %a begun begun/d"), "755\n755\n");
	expect_same_trees("src", "begun", 0);
}

/* Where no space is left, what was begun of this source goes, and nothing that is a user's. */
static void a_full_disk_costs_nobody_his_files(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	mount_at(t, "fs", "mount -t tmpfs -o size=1m none fs");
	run_sh("mkdir -p src/sub fs/sub fs/other; head -c 2000000 /dev/zero >src/big; "
	       "echo source >src/f; echo source >src/sub/f; echo source >src/sub/g; "
	       "for f in fs/p fs/f fs/sub/p fs/sub/f fs/other/p; do echo precious >$f; done; "
	       "printf sour >fs/sub/g; : >fs/sub/.batchproc-0123456789abcdef; "
	       ": >fs/other/.batchproc-0123456789abcdef; "
	       "chmod 1000 fs/p fs/f fs/sub/[pfg] fs/other/p; sleep 0.1");
	/* Nothing but the large one is copied. */
	run = BP("copy", "-r", "-v", "--exclude=/f", "--exclude=/sub/f", "--exclude=g",
		 "--no-target-directory", "src", "fs");
	expect_exit(run, 1);
	expect_says(run, "removed sub/g, an unfinished copy");
	expect_says(run, "removed sub/.batchproc-0123456789abcdef, an unfinished copy");
	expect_out(SH("cd fs && find . -type f | sort"),
		   "./f\n./other/.batchproc-0123456789abcdef\n./other/p\n./p\n./sub/f\n./sub/p\n");
	/* Of a file alone. */
	expect_exit(BP("copy", "src/big", "fs/sub"), 1);
	expect_out(SH("cat fs/sub/p fs/p"), "precious\nprecious\n");
	unmount("fs");
}

/* That mode means something on FUSE alone; elsewhere somebody chose it. */
static void a_mode_that_is_no_mark_here_is_a_users(struct test *t)
{
	static const char *const ways[] = {"-u", "--ignore-existing"};

	fresh_dir(t);
	make_file("src", "new");
	run_sh("printf mine >dst; chmod 1600 dst; touch -d '1 hour ago' src");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		expect_exit(BP("copy", "-q", ways[i], "src", "dst"), 0);
		expect_out(SH("cat dst; stat -c ' %a' dst"), "mine 1600\n");
	}
}

/* Whatever left it there, it is not whole for a run that is gone on with; a newer file stays. */
static void the_beginning_of_a_file_is_not_the_file(struct test *t)
{
	static const char *const lengths[] = {"0", "5", "300000"};

	fresh_dir(t);
	run_sh("mkdir src; head -c 400000 /dev/urandom >src/f; echo g >src/g; echo h >src/h");
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		run_sh("rm -rf dst j");
		expect_exit(RUN(HOW(.killed_at = SYS_copy_file_range), "copy", "-r", "-u", "-j1",
				"--journal", "j", "src/.", "dst"),
			    128 + SIGSYS);
		run_sh("rm -f dst/*; head -c $1 src/f >dst/f; echo mine, and newer >dst/h; "
		       "chmod 755 dst",
		       lengths[i]);
		expect_exit(BP("copy", "-r", "-u", "--journal", "j", "--resume", "src/.", "dst"),
			    0);
		expect_out(SH("cmp src/f dst/f; cat dst/g dst/h"), "g\nmine, and newer\n");
	}
}

/* Killed with --atomic, gone on with without it. */
static void temporary_names_go_with_a_later_run(struct test *t)
{
	static const char *const ways[] = {"-u", "-q", "-a"};

	fresh_dir(t);
	run_sh("mkdir -p src/d; echo f >src/d/f; echo g >src/g; ln -s f src/l");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf dst");
		expect_exit(RUN(HOW(.killed_at = SYS_renameat2), "copy", "-r", "--atomic", "src",
				"dst"),
			    128 + SIGSYS);
		expect_exit(BP("copy", "-r", ways[i], "--no-target-directory", "src", "dst"), 0);
		expect_same_trees("src", "dst", 0);
	}
}

/* Also where nothing is copied anew, since what is there is newer meanwhile. */
static void temporary_names_go_with_what_is_passed_over(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir src; echo f >src/f; ln -s f src/l");
	for (int link = 0; link < 2; link++) {
		const char *source = link ? "src/l" : "src/f";

		run_sh("rm -rf dst; mkdir dst; echo mine >dst/f; ln -s mine dst/l; "
		       "touch -h -d yesterday dst/f dst/l");
		expect_exit(RUN(HOW(.killed_at = SYS_renameat), "copy", "-r", "--atomic", source,
				"dst"),
			    128 + SIGSYS);
		run_sh("ls -A dst | grep -q batchproc; touch -h -d tomorrow dst/f dst/l");
		expect_exit(BP("copy", "-r", "-u", source, "dst"), 0);
		expect_out(SH("ls -A dst; cat dst/f; readlink dst/l"), "f\nl\nmine\nmine\n");
	}
}

/* As long as a file system takes it, whatever characters a cut would go through. */
static void names_of_any_length(struct test *t)
{
	fresh_dir(t);
	if (SH("n=$(printf '\\303\\251%.0s' $(seq 127)); mkdir src && echo f >src/$n && "
	       "echo g >src/$(printf 'x%.0s' $(seq 255))")
		    ->status)
		skip_because(t, "no such names can be made here");
	expect_exit(BP("copy", "-r", "--atomic", "src", "dst"), 0);
	expect_same_trees("src", "dst", 0);
	if (!have_program("ntfs-3g"))
		skip_because(t, "ntfs-3g is not installed");
	mount_at(t, "fs", "truncate -s 64M image && mkntfs -Fq image && ntfs-3g image fs");
	expect_exit(BP("copy", "-r", "src", "fs/dst"), 0);
	expect_out(SH("cat fs/dst/* | sort; ls -A fs/dst | wc -l"), "f\ng\n2\n");
	unmount("fs");
}

/* Names in gocryptfs and its like are shorter than elsewhere: what fits is copied. */
static void names_where_long_ones_do_not_fit(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "fs",
		 "mkdir lower && gocryptfs -q -init -plaintextnames=false -longnames=false "
		 "-extpass 'echo x' -scryptn 10 lower && gocryptfs -q -extpass 'echo x' lower fs");
	run_sh("n=$(printf 'x%.0s' $(seq 170)); echo f >fs/$n; rm fs/$n; echo f >$n; ln -s $n name");
	expect_exit(SH("exec $1 copy --atomic $(readlink name) fs", getenv("BATCHPROC")), 0);
	expect_out(SH("cat fs/*; ls -A fs | wc -l"), "f\n1\n");
	unmount("fs");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_leftover_gives_its_space_back),
		ONCE(leftovers_of_a_tree_give_their_space_back),
		ONCE(a_users_file_of_that_mode_stays),
		ONCE(its_owner_finishes_what_was_begun),
		ONCE(a_link_that_was_begun_as_a_copy),
		ONCE(a_private_directory_stays_private),
		ONCE(a_full_disk_costs_nobody_his_files),
		ONCE(a_mode_that_is_no_mark_here_is_a_users),
		ONCE(the_beginning_of_a_file_is_not_the_file),
		ONCE(temporary_names_go_with_a_later_run),
		ONCE(temporary_names_go_with_what_is_passed_over),
		ONCE(names_of_any_length),
		ONCE(names_where_long_ones_do_not_fit),
	};

	return RUN_CASES(argc, argv, cases);
}
