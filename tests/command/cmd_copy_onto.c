/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_onto - a copy whose destination is a symbolic link: what is replaced, and what is not
 */
#include "support/cmd.h"
#include "support/copies.h"

/* What is to come to the name b, which is a link to $2. */
static const char *const sources[] = {
	"ln -s f a",
	"ln -s $2 a",
	"ln -s nowhere a",
	"mkfifo a",
};

static const char *const leads_to[] = {"g", "nowhere", "d", "b"};

static const char scene[] = "rm -rf $1 && mkdir -p $1/d && cd $1 && echo f >f && echo g >g && "
			    "echo in d >d/g && ln -s $2 b && ";

/* Everything that is there, and what is in it. */
static struct run *found_in(const char *dir)
{
	return SH("cd \"$1\" && find . -printf '%P %y %l\\n' | sort && cat f g d/g", dir);
}

/* As cp has it: the link itself, never what it leads to. */
static void what_is_no_file_replaces_the_link(struct test *t)
{
	static const char *const ways[] = {"-a", "-a -T"};
	struct text script = {0};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		for (size_t j = 0; j < COUNT_OF(leads_to); j++) {
			for (size_t k = 0; k < 2 * COUNT_OF(ways); k++) {
				struct run *theirs, *ours;
				const bool exact = k / 2;

				script.len = 0;
				text_printf(&script, "%s%s && cp %s a b", scene, sources[i],
					    ways[k / 2]);
				theirs = SH(script.data, "theirs", leads_to[j]);
				script.len = 0;
				text_printf(&script, "%s%s && exec $3 copy -a %s %s a b", scene,
					    sources[i], exact ? "--no-target-directory" : "-q",
					    k % 2 ? "--atomic" : "-q");
				ours = SH(script.data, "ours", leads_to[j], getenv("BATCHPROC"));
				if (!expect_exit(ours, theirs->status) ||
				    !expect_same(found_in("ours"), found_in("theirs")))
					print_message("%s onto %s, %s\n", sources[i], leads_to[j],
						      ways[k / 2]);
			}
		}
	}
	text_free(&script);
}

/* What the user names is where a file is written to; the link stays. */
static void a_file_goes_where_the_link_leads(struct test *t)
{
	fresh_dir(t);
	run_sh("echo f >f; echo g >g; ln -s g b; ln -s nowhere c");
	expect_exit(BP("copy", "-a", "f", "b"), 0);
	expect_exit(BP("copy", "-a", "f", "c"), 1);
	expect_out(SH("cat g; readlink b c; ls nowhere 2>&1 | wc -l"), "f\ng\nnowhere\n1\n");
}

/* Which it would not be any more, and lead to itself. */
static void the_file_that_a_link_leads_to_is_not_replaced_by_it(struct test *t)
{
	fresh_dir(t);
	run_sh("echo f >f; ln -s f a");
	expect_exit(BP("copy", "-a", "a", "f"), 1);
	expect_out(SH("cat f; readlink a"), "f\nf\n");
}

/* Whichever of the two names comes second, and is made from the first one's copy. */
static void a_linked_link_does_not_replace_what_it_leads_to(struct test *t)
{
	static const char *const names[] = {"a", "b"};
	static const char *const ways[] = {"-q", "--atomic", "-u"};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(names) * COUNT_OF(ways); i++) {
		const char *name = names[i % 2];

		run_sh("rm -rf src dst; mkdir src dst; printf precious >dst/$1; "
		       "ln -s ../dst/$1 src/a; touch -h -d tomorrow src/a; ln src/a src/b",
		       name);
		expect_exit(BP("copy", "-a", "-j1", ways[i / 2], "src/.", "dst"), 1);
		expect_out(SH("cat dst/$1; test -L dst/$1 || echo stays", name), "preciousstays\n");
	}
}

/* As with cp -n, and with cp -u where the directory is not older. */
static void a_directory_that_may_stay_is_passed_over(struct test *t)
{
	static const char *const ways[] = {"--no-clobber", "-u"};
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p s d/f/in; echo new >s/f; echo g >s/g; touch -d 2001-01-01 s/f");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = BP("copy", "-r", ways[i], "--json", "s/.", "d");
		expect_exit(run, 0);
		expect(strstr(run->out.data, "\"status\":\"skipped\""));
		expect_exit(BP("copy", "--no-target-directory", ways[i], "s/f", "d/f"), 0);
		expect_exit(SH("test -d d/f/in; cmp s/g d/g"), 0);
	}
	/* A newer file would have to replace it, and does not. */
	run_sh("touch -d '1 hour' s/f");
	run = BP("copy", "-r", "-u", "s/.", "d");
	expect_exit(run, 1);
	expect_says(run, "the destination is a directory");
	expect_exit(BP("copy", "--no-target-directory", "-u", "s/f", "d/f"), 1);
	expect_exit(BP("copy", "-a", "-u", "s/.", "d"), 1);
	expect_exit(SH("test -d d/f/in"), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_linked_link_does_not_replace_what_it_leads_to),
		ONCE(what_is_no_file_replaces_the_link),
		ONCE(a_file_goes_where_the_link_leads),
		ONCE(the_file_that_a_link_leads_to_is_not_replaced_by_it),
		ONCE(a_directory_that_may_stay_is_passed_over),
	};

	return RUN_CASES(argc, argv, cases);
}
