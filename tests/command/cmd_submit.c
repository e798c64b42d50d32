/* SPDX-License-Identifier: MIT */
/*
 * cmd_submit - a job in parts: its scripts do the whole of it, word for word, and what cannot be divided
 * is refused before anything is submitted
 *
 * Where a cluster is needed, an sbatch of a few lines stands in for it, which does each task at once, on this
 * machine; test_slurm.sh has a real one.
 */
#include "support/cmd.h"
#include "support/copies.h"

/*
 * sbatch says which words it was given, one a line with its number in front, does what an array or a single
 * task does, and prints a number. With the file `held` it only prints it.
 */
static const char fake_sbatch[] =
	"#!/bin/sh\n"
	"number=$(cat number 2>/dev/null || echo 40)\n"
	"number=$((number + 1)); echo $number >number\n"
	"last=1; once=1\n"
	"for word; do\n"
	"	printf '%s!%s\\n' $number \"$word\" >>calls\n"
	"	case $word in\n"
	"	--array=*) once=; last=${word#--array=1-}; last=${last%%%*} ;;\n"
	"	esac\n"
	"done\n"
	"while [ \"${1#--}\" != \"$1\" ]; do shift; done\n"
	"if [ ! -e held ]; then\n"
	"	for task in $(seq $last); do\n"
	"		SLURM_ARRAY_JOB_ID=$number SLURM_ARRAY_TASK_ID=$task sh \"$@\"\n"
	"	done\n"
	"fi\n"
	"echo \"$number;cluster\"\n";

/* What `queue` has, and one call more; a job is cancelled by name. */
static const char fake_squeue[] = "#!/bin/sh\necho \"$@\" >>asked\ncat queue 2>/dev/null\nexit 0\n";
static const char fake_scancel[] = "#!/bin/sh\necho \"$@\" >>cancelled\n";

static void make_cluster(void)
{
	make_dir("bin");
	make_file("bin/sbatch", fake_sbatch);
	make_file("bin/squeue", fake_squeue);
	make_file("bin/scancel", fake_scancel);
	run_sh("chmod +x bin/* && mkdir d && for i in $(seq 40); do echo $i >d/$i; done");
}

#define SUBMIT "PATH=$PWD/bin:$PATH; submit=\"$BATCHPROC submit\"; "

/* ---------------------------------------------------------------- what is done */

static void the_parts_do_the_whole(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_cluster();
	run = SH(SUBMIT "$submit --shards 3 --work-dir w -- copy -a --no-target-directory d c");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out,
			     "job 41 in 3 parts, and job 42 to merge them; records are in "),
		  1);
	run_sh("diff -r d c && test \"$(cat w/status)\" = '41 0' && test ! -s w/failed");
	run_sh("grep -q '\"items\":41,\"ok\":41,.*\"parts\":3,\"ended\":3,' w/summary");
	/* What Slurm was asked for. */
	run_sh("grep -qxF '41!--array=1-3' calls && grep -qxF '41!--requeue' calls && "
	       "grep -qxF '41!--open-mode=append' calls && grep -qxF '41!--signal=B:USR2@60' calls && "
	       "grep -qxF \"41!--chdir=$PWD\" calls && grep -qxF '42!--dependency=afterany:41' calls");
	/* Once more is to go on: nothing is left to do. */
	run = SH(SUBMIT "$submit --shards 3 --work-dir w --wait -q --json -- "
			"copy -a --no-target-directory d c");
	expect_exit(run, 0);
	expect_err(run, "");
	run_sh("test \"$(cat w/status)\" = '43 0' && grep -c 'done according to the journal' "
	       "w/*.records >done");
	expect_eq(text_count(&run->out, "\"items\":41,\"ok\":41,"), 1);
	run_sh("rm -r c; mkdir c");
	/* With another division, directory or command it is another job. */
	run = SH(SUBMIT "$submit --shards 2 --work-dir w -- copy -a --no-target-directory d c");
	expect_exit(run, 2);
	expect_says(run, "/w is of another job: other parts, another command or another working");
	expect_exit(SH(SUBMIT
		       "$submit --shards 3 --work-dir w -- copy -a --no-target-directory d e"),
		    2);
	expect_exit(SH(SUBMIT "cd bin; $submit --shards 3 --work-dir ../w -- hash d"), 2);
	/* Each has a directory of its own where none is named. */
	run_sh(SUBMIT "$submit --shards 2 -- hash -r d >/dev/null && "
		      "$submit --shards 2 -- hash -r d >/dev/null && "
		      "$submit --shards 1 -- hash -r d >/dev/null && "
		      "test $(echo batchproc-hash-* | wc -w) = 2");
}

/* hash -c is verify, wherever its options come to stand. */
static void one_command_stands_for_another(struct test *t)
{
	fresh_dir(t);
	make_cluster();
	run_sh("sha256sum d/* >sums");
	run_sh(SUBMIT "$submit --shards 3 --work-dir w -- hash -c sums >/dev/null && "
		      "grep -q '\"op\":\"verify\",\"items\":40,\"ok\":40,' w/summary");
	run_sh(SUBMIT "$submit --shards 3 --work-dir w -- verify sums >/dev/null && "
		      "grep -q '\"items\":40,\"ok\":40,' w/summary && echo x >d/7 && "
		      "$submit --shards 3 --work-dir v -- verify sums >/dev/null && "
		      "grep -q '^SHA256 (d/7) = ' v/failed && test $(wc -l <v/failed) = 1");
}

static void options_for_sbatch(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_cluster();
	run = SH(SUBMIT "$submit --shards 9 --nodes 4 --time 1-2:30 --partition 'long one' "
			"--sbatch=--mem=4G --sbatch '--comment=a b' --stop-before 2m --json "
			"--program /bin/true --work-dir w -- hash -r d");
	expect_exit(run, 0);
	run_sh("printf '%s\\n' --array=1-9%4 --exclusive --time=1-2:30 '--partition=long one' "
	       "--mem=4G '--comment=a b' --signal=B:USR2@120 | while read -r word; do "
	       "grep -qxF \"41!$word\" calls || exit; done");
	run_sh("grep -qxF '42!--partition=long one' calls && ! grep -q '42!--exclusive' calls && "
	       "! grep -q '42!--array' calls");
	expect_eq(text_count(&run->out,
			     "{\"v\":1,\"array\":41,\"merge\":42,\"parts\":9,\"dir\":\""),
		  1);
	expect_exit(SH(SUBMIT
		       "rm number calls; $submit --shards 9 --at-once 2 --work-dir v -- hash d/1; "
		       "grep -qxF '41!--array=1-9%2' calls && ! grep -q exclusive calls"),
		    0);
}

/* Blanks, quotes, line ends, what a shell or Slurm would take for itself, and bytes that are no text. */
static void every_word_arrives_as_it_was(struct test *t)
{
	static const char make[] =
		"mkdir -p names \"w'k d\" && cd names && touch 'a b' \"it's\" 'x\"y' '$HOME' '`id`' '*' "
		"'a\\b' '%j' ';' '#SBATCH' \"$(printf 'two\\nlines')\" \"$(printf '\\nEND\\nEND_')\" "
		"\"$(printf 'dos\\r\\nline')\" \"$(printf '\\377\\200')\" -- '-r' ' '";

	fresh_dir(t);
	make_cluster();
	run_sh(make);
	run_sh(SUBMIT
	       "cd names && $submit --shards 3 --work-dir \"../w'k d\" -- "
	       "hash -- * >/dev/null && grep -q '\"items\":16,\"ok\":16,' \"../w'k d/summary\"");
	/* Each is in the records as what it is: the names go back into a list. */
	expect_exit(SH("cd names; rm number calls; grep -h seq \"../w'k d\"/?.records | "
		       "sed 's/\"status\":\"ok\"/\"status\":\"failed\"/' >../r; "
		       "$BATCHPROC merge -q -0 --failed-to ../f ../r"),
		    125);
	expect_same_z(SH("cat f"), SH("cd names && printf '%s\\0' *"));
}

static void what_is_printed_does_the_same(struct test *t)
{
	fresh_dir(t);
	make_cluster();
	make_file("d/it's", "x");
	run_sh(SUBMIT
	       "args=\"--shards 3 --time 10 --work-dir w -- hash -r d/40\"; touch d/END; "
	       "$submit --print $args >script && test ! -e w && test ! -e calls && "
	       "$submit $args \"d/it's\" \"$(printf 'd/1\\nEND\\n')\" >/dev/null; "
	       "mv calls calls.first; mv w w.first; rm number; "
	       "$submit --print $args \"d/it's\" \"$(printf 'd/1\\nEND\\n')\" >script && "
	       "sh script >/dev/null && cmp calls calls.first && cmp w/part.sh w.first/part.sh && "
	       "cmp w/merge.sh w.first/merge.sh && cmp w/submitted w.first/submitted");
}

/* A tree that was walked once, instead of by each part. */
static void lists_and_manifests_are_divided(struct test *t)
{
	fresh_dir(t);
	make_cluster();
	run_sh(SUBMIT "$BATCHPROC list -r0 d >list && mkdir archive && "
		      "$BATCHPROC list -r --manifest copy --to archive d >jobs && "
		      "$submit --shards 4 --work-dir w -- hash -0 -T list >/dev/null && "
		      "grep -q '\"items\":40,\"ok\":40,' w/summary && "
		      "$submit --shards 4 --work-dir v -- run jobs >/dev/null && "
		      "grep -q '\"items\":40,\"ok\":40,' v/summary && diff -r d archive/d");
}

/* As Slurm may do it when a node was cut off: one that was started again waits for the other one. */
static void of_two_processes_for_one_part_the_second_is_refused(struct test *t)
{
	fresh_dir(t);
	make_cluster();
	make_file("held", "");
	run_sh(SUBMIT "$submit --shards 1 --work-dir w -- hash -r --rate 20/s d >/dev/null; "
		      "export SLURM_ARRAY_JOB_ID=41 SLURM_ARRAY_TASK_ID=1; sh w/part.sh & part=$!; "
		      "until grep -qs '^ok' w/1.journal; do sleep .02; done; "
		      "sh w/part.sh; test $? = 2 || exit; "
		      "SLURM_RESTART_COUNT=1 sh w/part.sh && wait $part && sh w/merge.sh 41 && "
		      "grep -q '\"items\":40,\"ok\":40,.*\"replaced\":40,' w/summary");
	run_sh("test $(grep -c 'w/1.journal.* is in use by another process' w/1.log) -ge 2 && "
	       "test $(grep -c '\"seq\"' w/1.records) = 80");
}

/* ---------------------------------------------------------------- what became of it */

static void failures_are_merged(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_cluster();
	run = SH(SUBMIT "$submit --shards 3 --work-dir w --wait -- hash d/1 d/2 nosuch d/3");
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, "failed       1\n"), 1);
	expect_says(run, "/w/failed\n");
	run_sh("test \"$(cat w/failed)\" = nosuch && grep -q 'nosuch: No such file' w/merge.log");
	/* It is there now, and is done with the rest of the same job. */
	run = SH(SUBMIT
		 "echo >nosuch; $submit --shards 3 --work-dir w --wait -- hash d/1 d/2 nosuch d/3");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "items        4\nok           4\n"), 1);
	/* A part that does not get as far as to a record. */
	run = SH(SUBMIT
		 "$submit --shards 3 --work-dir v --wait --program /nonexistent -- hash d/1");
	expect_exit(run, 125);
	run_sh("grep -q nonexistent v/2.log");
}

static void it_is_not_submitted_twice(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_cluster();
	make_file("held", "");
	make_file("queue", "41 RUNNING\n41 PENDING\n42 PENDING\n");
	expect_exit(SH(SUBMIT "$submit --shards 2 --work-dir w -- hash d/1"), 0);
	run = SH(SUBMIT "$submit --shards 2 --work-dir w -- hash d/1");
	expect_exit(run, 2);
	expect_says(run, "it is at work already as job 41: --wait waits for it\n");
	run_sh("test $(cat number) = 42 && mv bin/squeue . && printf '#!/bin/sh\nexit 1\n' >bin/squeue && "
	       "chmod +x bin/squeue");
	/* Nobody knows. */
	run = SH(SUBMIT "$submit --shards 2 --work-dir w -- hash d/1");
	expect_exit(run, 125);
	expect_says(run, "squeue does not say whether the last job, 41, is still at work\n");
	run_sh("test $(cat number) = 42 && mv squeue bin");
	/* The one that is at work ends. */
	run_sh("rm held; sh w/merge.sh 41; test -s w/status");
	run = SH(SUBMIT "$submit --shards 2 --work-dir w --wait -- hash d/1");
	expect_exit(run, 125);
	run_sh("test $(cat number) = 42");
	expect_says(run, "it is at work already as job 41, which is waited for\n");
	expect_says(run, "no end of: 1/2,2/2; ");
}

static void an_interrupt_cancels_it(struct test *t)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct run *run;

	fresh_dir(t);
	make_cluster();
	make_file("held", "");
	make_file("queue", "41 RUNNING\n41 PENDING\n42 PENDING\n");
	for (size_t i = 0; i < COUNT_OF(signals); i++) {
		run_sh("rm -rf w number cancelled asked");
		run = START(HOW(.program = "sh"), "-c",
			    SUBMIT "exec $submit --shards 2 --work-dir w --wait -- hash d/1");
		while (!is_there("asked") && !run->ended)
			usleep(20000);
		kill(run->pid, signals[i]);
		run_end(run);
		expect_exit(run, 128 + signals[i]);
		expect_says(run, "job 41 is cancelled; the same command goes on where it was\n");
		run_sh("test \"$(cat cancelled)\" = '41 42'");
	}
}

/* Slurm says early that the time of a part is over: it ends cleanly, and asks to be started again. */
static void a_part_whose_time_is_over_is_started_again(struct test *t)
{
	fresh_dir(t);
	make_cluster();
	make_file("held", "");
	make_file("bin/scontrol", "#!/bin/sh\necho \"$@\" >>controlled\n");
	run_sh(SUBMIT "chmod +x bin/scontrol; "
		      "$submit --shards 1 --work-dir w -- hash -r --rate 20/s d >/dev/null; "
		      "export SLURM_ARRAY_JOB_ID=41 SLURM_ARRAY_TASK_ID=1; "
		      "for signal in USR2 TERM; do sh w/part.sh & part=$!; "
		      "until grep -qs '^ok' w/1.journal; do sleep .02; done; kill -$signal $part; "
		      "wait $part; test $? = 143 || exit; "
		      "tail -n 1 w/1.journal | grep -q ^ended || exit; "
		      "mv w/1.journal w/journal.$signal; done");
	run_sh("test \"$(cat controlled)\" = 'requeue 41_1'");
}

/* ---------------------------------------------------------------- what is refused */

static void what_cannot_be_divided_is_refused(struct test *t)
{
	static const struct {
		const char *args, *says;
	} rows[] = {
		{"--shards 2", "no command was given"},
		{"--shards 2 hash d/1", "put -- in front of the command: ... -- hash ..."},
		{"-- hash d/1", "--shards is not given"},
		{"--shards 0 -- hash d/1", "--shards: '0' is not a number from 1 to 1000000"},
		{"--engine pbs --shards 2 -- hash d/1", "--engine: 'pbs' is not slurm"},
		{"--shards 2 --nodes 2 --at-once 2 -- hash d/1", "exclude each other"},
		{"--shards 2 --print --wait -- hash d/1", "exclude each other"},
		{"--shards 2 --sbatch mem=4 -- hash d/1", "is not an option of sbatch"},
		{"--shards 2 --stop-before 0 -- hash d/1", "is not a time from 1s"},
		{"--shards 2 -- hsah d/1",
		 "'hsah' is not a command that can be divided; there are hash verify copy rm fetch probe run"},
		{"--shards 2 -- list d", "'list' is not a command that can be divided"},
		{"--shards 2 -- submit d", "'submit' is not a command"},
		{"--shards 2 -- hash --nosuch d", "option --nosuch is not known"},
		{"--shards 2 -- hash -a sha3000 d", "'sha3000' is not"},
		{"--shards 2 -- hash", "hash is given no items"},
		{"--shards 2 -- hash -", "only one could read standard input"},
		{"--shards 2 -- hash -T -", "only one could read standard input"},
		{"--shards 2 -- hash -T /dev/null", "/dev/null is no regular file"},
		{"--shards 2 -- run nosuch", "cannot read nosuch on this machine"},
		{"--shards 2 -- run", "run is given no items"},
		{"--shards 2 -- hash --shard 1/2 d", "--shard cannot be given"},
		{"--shards 2 -- hash --journal j d", "--journal cannot be given"},
		{"--shards 2 -- hash --json d", "--json cannot be given"},
		{"--shards 2 -- hash --failed-to f d", "--failed-to cannot be given"},
		{"--shards 2 -- hash -n d", "--dry-run cannot be given"},
		{"--shards 2 -- hash -e d",
		 "--fail-fast cannot be given: a part would stop itself"},
		{"--shards 2 -- hash --race d", "--race cannot be given"},
		{"--shards 2 -- hash --bag d", "cannot make a bag here"},
		{"--shards 2 -- rm -i d", "-i and -I ask, and nobody answers here"},
		{"--shards 2 -- fetch -o - http://localhost/", "cannot write to standard output"},
		{"--shards 2 -- copy -r d", "takes a source and a destination"},
		{"--shards 2 -- copy -r d e", "needs -t or --no-target-directory"},
		{"--shards 2 -- copy -r d/1 d/2 e", "the destination is no directory"},
		{"--shards 2 -- copy -r --delete d/. e", "--delete and --shard exclude each other"},
	};

	fresh_dir(t);
	make_cluster();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct run *run = SH(SUBMIT "eval \"$submit $1\"", rows[i].args);

		if (!expect_exit(run, 2))
			print_error("submit %s\n", rows[i].args);
		expect_out(run, "");
		expect_says(run, rows[i].says);
	}
	expect_gone("calls");
	expect_exit(SH("ls -d batchproc-*"), 2);
}

static void without_slurm_nothing_is_begun(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_cluster();
	run = SH("PATH=/nonexistent; $BATCHPROC submit --shards 2 --work-dir w -- hash d/1");
	expect_exit(run, 125);
	expect_err(run,
		   "batchproc: submit: cannot submit: there is no sbatch on PATH; Slurm is not "
		   "installed here\n");
	expect_gone("w");
	expect_exit(SH("PATH=/nonexistent; $BATCHPROC submit --print --shards 2 -- hash d/1"), 0);
	/* It refuses; of two that belong together none stays. */
	run_sh("printf '#!/bin/sh\\necho no such partition >&2; exit 1\\n' >bin/sbatch");
	run = SH(SUBMIT "$submit --shards 2 --work-dir w -- hash d/1");
	expect_exit(run, 125);
	expect_says(run, "no such partition\n");
	expect_says(run, "sbatch ended with status 1\n");
	run_sh("printf '#!/bin/sh\\ntest ! -e one && touch one && echo 41\\n' >bin/sbatch");
	run = SH(SUBMIT "$submit --shards 2 --work-dir w -- hash d/1");
	expect_exit(run, 125);
	run_sh("test \"$(cat cancelled)\" = 41 && test ! -e w/submitted");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_parts_do_the_whole),
		ONCE(one_command_stands_for_another),
		ONCE(options_for_sbatch),
		ONCE(every_word_arrives_as_it_was),
		ONCE(what_is_printed_does_the_same),
		ONCE(lists_and_manifests_are_divided),
		ONCE(of_two_processes_for_one_part_the_second_is_refused),
		ONCE(failures_are_merged),
		ONCE(it_is_not_submitted_twice),
		ONCE(an_interrupt_cancels_it),
		ONCE(a_part_whose_time_is_over_is_started_again),
		ONCE(what_cannot_be_divided_is_refused),
		ONCE(without_slurm_nothing_is_begun),
	};

	return RUN_CASES(argc, argv, cases);
}
