/* SPDX-License-Identifier: MIT */
/*
 * cmd_merge - the records of shards as one: each item once, nothing lost, nothing made up
 *
 * Records that a run wrote are taken where that is what it is about; the rest is written here, so
 * that each case has just what it needs.
 */
#include <sys/file.h>

#include "support/cmd.h"
#include "support/copies.h"

#define ITEM(seq, op, src, status, more)                                                           \
	"{\"v\":1,\"seq\":" #seq ",\"op\":\"" op "\",\"src\":\"" src "\"" more                     \
	",\"status\":\"" status "\",\"bytes\":10,\"attempts\":1,"                                  \
	"\"start\":\"2026-01-02T03:04:05.678Z\",\"dur_us\":1000}\n"
#define HASHED(seq, src, status) ITEM(seq, "hash", src, status, "")
/* The end of a run: so many items, so many of them failed. */
#define SUMMARY(op, items, failed, more, status)                                                   \
	"{\"v\":1,\"summary\":true,\"op\":\"" op "\",\"items\":" #items ",\"failed\":" #failed     \
	",\"bytes\":0" more ",\"exit\":" #status "}\n"
#define PART(i, n) ",\"shard\":\"" #i "/" #n "\""

/* A member of the summary that is the only line of @run. */
static void expect_member(const struct run *run, const char *member)
{
	char with_comma[128], last[128];

	snprintf(with_comma, sizeof(with_comma), ",%s,", member);
	snprintf(last, sizeof(last), ",%s}", member);
	if (text_count(&run->out, with_comma) + text_count(&run->out, last) != 1)
		record_failure("no %s in %s", member, run->out.data);
}

static void expect_counts(const struct run *run, int items, int ok, int failed)
{
	char member[64];

	expect_eq(text_count(&run->out, "\n"), 1);
	snprintf(member, sizeof(member), "\"items\":%d", items);
	expect_member(run, member);
	snprintf(member, sizeof(member), "\"ok\":%d", ok);
	expect_member(run, member);
	snprintf(member, sizeof(member), "\"failed\":%d", failed);
	expect_member(run, member);
}

/* ---------------------------------------------------------------- what shards have written */

static void make_tree(void)
{
	run_sh("mkdir -p d/e && for i in $(seq 40); do echo $i >d/$i; echo $i >d/e/$i; done");
}

static void shards_become_one_run(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree();
	expect_exit(SH("for i in 1 2 3; do $BATCHPROC hash -qr d nosuch --shard $i/3 --json "
		       ">$i.json; done; $BATCHPROC hash -r d --json >all.json"),
		    0);
	run = BP("merge", "--json", "3.json", "1.json", "2.json");
	expect_exit(run, 1);
	expect_counts(run, 81, 80, 1);
	expect_member(run, "\"op\":\"hash\"");
	expect_member(run, "\"parts\":3");
	expect_member(run, "\"ended\":3");
	expect_member(run, "\"replaced\":0");
	expect_member(run, "\"exit\":1");
	expect_err(run, "batchproc: merge: nosuch: No such file or directory\n");
	expect_err(BP("merge", "-q", "3.json", "1.json", "2.json"), "");
	/* For people. */
	run = BP("merge", "all.json");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "items        80\nok           80\n"), 1);
	expect_eq(text_count(&run->out, "1 of 1 ended\nexit status  0\n"), 1);
	/* As a stream. */
	run = SH("cat 1.json 2.json | $BATCHPROC merge --json - 3.json");
	expect_exit(run, 2);
	expect_says(run, "standard input has records of part 1 and of part 2");
	run = SH("cat 2.json | $BATCHPROC merge -q --json 1.json - 3.json");
	expect_exit(run, 1);
	expect_counts(run, 81, 80, 1);
}

/* Each part makes the directories that it has something in. */
static void what_two_parts_did_is_counted_once(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree();
	expect_exit(SH("for i in 1 2 3 4; do $BATCHPROC copy -a --json --shard $i/4 "
		       "--no-target-directory d c >$i.json || exit; done"),
		    0);
	run = BP("merge", "--json", "1.json", "2.json", "3.json", "4.json");
	expect_exit(run, 0);
	expect_counts(run, 82, 82, 0);
	/* It has failed in one of them, whichever was the last. */
	make_file("a", HASHED(1, "x", "ok") SUMMARY("hash", 1, 0, PART(1, 2), 0));
	make_file("b", HASHED(1, "x", "failed") SUMMARY("hash", 1, 1, PART(2, 2), 1));
	expect_counts(BP("merge", "--json", "a", "b"), 1, 0, 1);
	expect_counts(BP("merge", "--json", "b", "a"), 1, 0, 1);
	make_file("b", HASHED(1, "x", "skipped") SUMMARY("hash", 1, 0, PART(2, 2), 0));
	expect_counts(BP("merge", "--json", "b", "a"), 1, 1, 0);
}

/* ---------------------------------------------------------------- run again */

static void a_killed_run_and_the_next_in_one_file(struct test *t)
{
	struct run *run;
	char cut[16];

	fresh_dir(t);
	make_tree();
	expect_exit(SH("$BATCHPROC hash -r d --journal j --json >first && "
		       "$BATCHPROC hash -r d --journal j --resume --json >second"),
		    0);
	/* However much of it was written. */
	for (int bytes = 0; bytes <= 1200; bytes += 37) {
		snprintf(cut, sizeof(cut), "%d", bytes);
		expect_exit(SH("head -c $1 first >one; cat one second >both", cut), 0);
		run = BP("merge", "--json", "both");
		if (!expect_exit(run, 0))
			print_error("cut at %s\n", cut);
		expect_member(run, "\"items\":80");
		expect_member(run, "\"failed\":0");
		run = BP("merge", "one");
		expect_exit(run, 125);
		expect_says(run, "one: its last run has not come to its end");
	}
	/* What was done by the first is not undone by a second that passes over it. */
	run = SH("cat first second >both; $BATCHPROC merge --json both");
	expect_exit(run, 0);
	expect_counts(run, 80, 80, 0);
	run = BP("merge", "--json", "first", "second");
	expect_exit(run, 0);
	expect_counts(run, 80, 80, 0);
}

static void the_last_record_of_an_item_counts(struct test *t)
{
	static const struct {
		const char *first, *second;
		int ok, failed, status;
	} rows[] = {
		{"failed", "ok", 1, 0, 0},	 {"ok", "failed", 0, 1, 1},
		{"ok", "skipped", 1, 0, 0},	 {"failed", "skipped", 0, 0, 0},
		{"ok", "not_started", 1, 0, 0},	 {"not_started", "ok", 1, 0, 0},
		{"timeout", "ok", 1, 0, 0},	 {"ok", "timeout", 0, 0, 1},
		{"ok", "cancelled", 0, 0, 1},	 {"failed", "failed", 0, 1, 1},
		{"failed", "rejected", 0, 0, 1},
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct run *run =
			SH("item() { printf '{\"v\":1,\"seq\":1,\"op\":\"hash\",\"src\":\"x\","
			   "\"status\":\"%s\",\"bytes\":7}\\n' $1; }\n"
			   "end='{\"v\":1,\"summary\":true,\"op\":\"hash\",\"items\":1,"
			   "\"failed\":1,\"exit\":1}'\n"
			   "{ item $1; echo \"$end\"; item $2; echo \"$end\"; } >both; "
			   "{ item $1; echo \"$end\"; } >a; { item $2; echo \"$end\"; } >b; "
			   "$BATCHPROC merge -q --json a b >apart; "
			   "$BATCHPROC merge -q --json both >joined; status=$?; "
			   "sed 's/\"files\":2,/\"files\":1,/; s/\"ended\":2,/\"ended\":1,/' "
			   "apart | cmp - joined; cat joined; exit $status",
			   rows[i].first, rows[i].second);

		if (!expect_exit(run, rows[i].status))
			print_error("%s, then %s\n", rows[i].first, rows[i].second);
		expect_counts(run, 1, rows[i].ok, rows[i].failed);
		expect_member(run, "\"replaced\":1");
		expect_member(run, strcmp(rows[i].first, rows[i].second) ||
						   !strcmp(rows[i].first, "failed") ?
					   "\"bytes\":7" :
					   "\"bytes\":14");
	}
}

/* The same name is another item with another command, destination or digest. */
static void an_item_is_known_by_all_that_it_is(struct test *t)
{
	fresh_dir(t);
	make_file("r", ITEM(1, "copy", "x", "ok", ",\"dst\":\"a\"") ITEM(2, "copy", "x", "ok",
									 ",\"dst\":\"b\"")
			       ITEM(3, "hash", "x", "ok", "") ITEM(4, "hash", "xx", "ok", "")
				       SUMMARY("run", 4, 0, "", 0));
	expect_counts(BP("merge", "--json", "r"), 4, 4, 0);
	make_file("v", "{\"v\":1,\"op\":\"verify\",\"src\":\"x\",\"status\":\"ok\",\"alg\":\"md5\","
		       "\"expected\":\"00\"}\n"
		       "{\"v\":1,\"op\":\"verify\",\"src\":\"x\",\"status\":\"ok\",\"alg\":\"md5\","
		       "\"expected\":\"01\"}\n" SUMMARY("verify", 2, 0, "", 0));
	expect_counts(BP("merge", "--json", "v"), 2, 2, 0);
	/* It failed before it was known where it would go. */
	make_file("w", ITEM(1, "fetch", "x", "not_started", "") SUMMARY("fetch", 1, 1, "", 143)
			       ITEM(1, "fetch", "x", "ok", ",\"dst\":\"a\"")
				       SUMMARY("fetch", 1, 0, "", 0));
	expect_counts(BP("merge", "--json", "w"), 1, 1, 0);
}

/* ---------------------------------------------------------------- what is missing */

static void what_has_no_end_is_named(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", HASHED(1, "x", "ok") SUMMARY("hash", 1, 0, PART(1, 3), 0));
	make_file("b", HASHED(1, "y", "ok"));
	make_file("c", HASHED(1, "z", "ok") SUMMARY("hash", 1, 0, PART(3, 3), 0));
	make_file("empty", "");
	run = BP("merge", "--json", "a", "b", "c");
	expect_exit(run, 125);
	expect_says(run, "b: its last run has not come to its end\n");
	expect_says(run, "no end of 1 part: 2/3\n");
	expect_counts(run, 3, 3, 0);
	expect_member(run, "\"missing\":\"2/3\"");
	expect_member(run, "\"ended\":2");
	run = BP("merge", "a", "empty");
	expect_exit(run, 125);
	expect_says(run, "no end of 2 parts: 2/3 3/3\n");
	/* Nobody else says how many there are. */
	run = BP("merge", "--parts", "2", "b", "empty");
	expect_exit(run, 125);
	expect_says(run, "no end of 2 parts: 1/2 2/2\n");
	run = BP("merge", "--parts", "2", "a", "c");
	expect_exit(run, 2);
	expect_says(run, "of 3 parts, and others are of 2: not of one job\n");
	run = BP("merge", "--parts", "1");
	expect_exit(run, 125);
	expect_err(run, "batchproc: merge: no end of 1 part: 1/1\n");
	/* One that was run elsewhere once more is what the lost one was. */
	make_file("b2", HASHED(1, "y", "ok") SUMMARY("hash", 1, 0, PART(2, 3), 0));
	expect_exit(BP("merge", "a", "b", "c", "b2"), 0);
	/* It was at its end once, and is at work again. */
	make_file("a",
		  HASHED(1, "x", "ok") SUMMARY("hash", 1, 0, PART(1, 3), 0) HASHED(1, "x", "ok"));
	run = BP("merge", "a", "b2", "c");
	expect_exit(run, 125);
	expect_says(run, "a: its last run has not come to its end\n");
}

static void records_that_are_missing_are_noticed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", HASHED(1, "x",
			      "ok") "{\"v\":1,\"seq\":2,\"op\"\n"
				    "{\"v\":1,\"seq\":3,\"op\":\"hash\",\"src\":\"z\"}\n" SUMMARY(
					    "hash", 3, 0, "", 0));
	run = BP("merge", "--json", "a");
	expect_exit(run, 125);
	expect_says(run, "a: its last run had 3 items, and 1 records are there\n");
	expect_member(run, "\"damaged\":2");
}

static void the_worst_status_counts(struct test *t)
{
	static const struct {
		int a, b, together;
	} rows[] = {{0, 0, 0},	     {0, 1, 1},	      {1, 3, 3},     {3, 124, 124},
		    {124, 143, 143}, {143, 125, 125}, {130, 0, 130}, {2, 1, 2}};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char a[8], b[8];

		snprintf(a, sizeof(a), "%d", rows[i].a);
		snprintf(b, sizeof(b), "%d", rows[i].b);
		expect_exit(SH("for i in 1 2; do echo '{\"v\":1,\"summary\":true,\"op\":\"hash\","
			       "\"items\":0,\"shard\":\"'$i/2'\",\"exit\":'$1'}' >$i; shift; done; "
			       "$BATCHPROC merge 2 1",
			       a, b),
			    rows[i].together);
	}
	/* What one run left undone the next one did. */
	make_file("a", HASHED(1, "x", "not_started") SUMMARY("hash", 1, 0, "", 143)
			       HASHED(1, "x", "ok") SUMMARY("hash", 1, 0, "", 0));
	expect_exit(BP("merge", "a"), 0);
}

static void journals_say_whether_a_run_has_ended(struct test *t)
{
	struct run *run;
	int fd;

	fresh_dir(t);
	make_tree();
	expect_exit(SH("for i in 1 2; do $BATCHPROC hash -r d --shard $i/2 --journal $i.j --json "
		       ">$i.r || exit; done; sed '$d' 2.j >cut.j; cp 2.j before"),
		    0);
	expect_exit(BP("merge", "1.r", "1.j", "2.r", "2.j"), 0);
	run = BP("merge", "1.r", "1.j", "2.r", "cut.j");
	expect_exit(run, 125);
	expect_says(run, "cut.j: its run has not come to its end\n");
	/* The other part is known from the journal alone. */
	run = BP("merge", "1.j", "2.j");
	expect_exit(run, 125);
	expect_says(run, "no end of 2 parts: 1/2 2/2\n");
	/* Only looked at: also while it is somebody else's. */
	fd = open("cut.j", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	run = BP("merge", "1.r", "2.r", "cut.j");
	close(fd);
	expect_exit(run, 125);
	expect_says(run, "cut.j: its run is still at work\n");
	run_sh("cmp 2.j before");
}

/* ---------------------------------------------------------------- what did not succeed */

static void failures_go_back_to_the_command(struct test *t)
{
	fresh_dir(t);
	make_tree();
	/* Names, for the same command. */
	expect_exit(SH("for i in 1 2; do $BATCHPROC hash -q --shard $i/2 --json d/1 no1 no2 'n o' "
		       ">$i.r 2>/dev/null; done; $BATCHPROC merge -q --failed-to f 1.r 2.r"),
		    1);
	expect_same(SH("cat f"), SH("printf '%s\\n' no1 no2 'n o'"));
	expect_exit(SH("touch no1 no2 'n o' && $BATCHPROC hash -q -T f"), 0);
	/* A newline, and bytes that are no UTF-8. */
	expect_exit(SH("$BATCHPROC hash -q --json \"$(printf 'a\\nb')\" \"$(printf '\\377')\" >r; "
		       "$BATCHPROC merge --failed-to f r"),
		    1);
	expect_same(SH("cat f"), SH("printf '\\377\\n'"));
	expect_exit(SH("$BATCHPROC merge -q -0 --failed-to f r; tr '\\0' '!' <f | sort"), 0);
	expect_same_z(SH("cat f"), SH("printf 'a\\nb\\0\\377\\0'"));
	/* Lines with their digests, for verify. */
	expect_exit(SH("sha256sum d/1 d/2 >list; echo x >d/2; $BATCHPROC verify -q --json list >r; "
		       "$BATCHPROC merge -q --failed-to f r"),
		    1);
	expect_eq(text_count(&SH("cat f")->out, "SHA256 (d/2) = "), 1);
	expect_exit(SH("$BATCHPROC verify --quiet f"), 1);
	expect_exit(SH("echo 2 >d/2; $BATCHPROC verify --quiet f"), 0);
	/* Jobs, whose destination is what the copy is called. */
	expect_exit(SH("mkdir -p c/d; $BATCHPROC copy -q --json d/1 later d/e -t c/d >r; "
		       "$BATCHPROC merge -q --failed-to f r"),
		    1);
	expect_exit(SH("echo x >later; grep -v '\"d/e\"' f >jobs; $BATCHPROC run -q jobs && "
		       "cmp later c/d/later"),
		    0);
	/* The list is replaced, also by nothing. */
	expect_exit(SH("$BATCHPROC hash --json d/1 >r; $BATCHPROC merge --failed-to f r; "
		       "test ! -s f"),
		    0);
}

static void a_fetch_is_a_job_with_its_file(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("$BATCHPROC fetch -q --json --retries 0 -P x http://127.0.0.1:1/a/b >r; "
		       "$BATCHPROC merge -q --failed-to f r; stat -c %a f"),
		    0);
	expect_same(SH("cat f"), SH("echo '{\"op\":\"fetch\",\"url\":\"http://127.0.0.1:1/a/b\","
				    "\"output\":\"x/b\"}'"));
	expect_same(SH("stat -c %a f"), SH("echo 600"));
	expect_exit(SH("$BATCHPROC run -n f"), 0);
}

/* ---------------------------------------------------------------- errors */

static void what_is_no_file_of_records_is_refused(struct test *t)
{
	static const struct {
		const char *args, *says;
	} rows[] = {
		{"", "names no file of records"},
		{"good nosuch", "cannot read nosuch: No such file or directory"},
		{".", "cannot read .: Is a directory"},
		{"text", "text is neither a file of records, as --json writes them, nor a journal"},
		{"other", "other is no file of records, as --json writes them"},
		{"half third", "third is of 3 parts, and others are of 2: not of one job"},
		{"--failed-to good good", "--failed-to good is one of the arguments"},
		{"--failed-to /nonexistent/f bad", "cannot write /nonexistent/f: "},
		{"--shard 1/2 good", "option --shard is not known"},
	};

	fresh_dir(t);
	make_file("good", HASHED(1, "x", "ok") SUMMARY("hash", 1, 0, "", 0));
	make_file("bad", HASHED(1, "x", "failed") SUMMARY("hash", 1, 1, "", 1));
	make_file("half", SUMMARY("hash", 0, 0, PART(1, 2), 0));
	make_file("third", SUMMARY("hash", 0, 0, PART(2, 3), 0));
	make_file("text", "hello\n");
	make_file("other", "{\"name\":\"x\"}\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct run *run = SH("$BATCHPROC merge $1", rows[i].args);

		if (!expect_exit(run, 2))
			print_error("merge %s\n", rows[i].args);
		expect_out(run, "");
		expect_says(run, rows[i].says);
	}
	expect_exit(SH("$BATCHPROC merge good >/dev/full"), 125);
	expect_exit(SH("$BATCHPROC merge --failed-to /dev/full bad"), 125);
}

/* Many of them, each twice: what is kept is a table of 16 bytes for a line. */
static void memory_is_that_of_the_table(struct test *t)
{
	const unsigned long count = scaled(300000);
	char text[32];
	struct run *run;

	fresh_dir(t);
	snprintf(text, sizeof(text), "%lu", count);
	expect_exit(SH("awk -v n=$1 'BEGIN { for (k = 0; k < 2; k++) { for (i = 0; i < n; i++) "
		       "printf \"{\\\"v\\\":1,\\\"seq\\\":%d,\\\"op\\\":\\\"hash\\\",\\\"src\\\":"
		       "\\\"some/directory/with/a/name/%d\\\",\\\"status\\\":\\\"ok\\\","
		       "\\\"bytes\\\":1}\\n\", i + 1, i; "
		       "printf \"{\\\"v\\\":1,\\\"summary\\\":true,\\\"op\\\":\\\"hash\\\","
		       "\\\"items\\\":%d,\\\"exit\\\":0}\\n\", n } }' >r",
		       text),
		    0);
	run = BP("merge", "--json", "r");
	expect_exit(run, 0);
	expect_counts(run, (int)count, (int)count, 0);
	snprintf(text, sizeof(text), "\"bytes\":%lu", count);
	expect_member(run, text);
	if (!UNDER_ASAN && !UNDER_TSAN && !under_valgrind())
		expect_between(run->usage.ru_maxrss, 1, 24 * 1024 + 2 * count * 23 / 1024);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(shards_become_one_run),
		ONCE(what_two_parts_did_is_counted_once),
		ONCE(a_killed_run_and_the_next_in_one_file),
		ONCE(the_last_record_of_an_item_counts),
		ONCE(an_item_is_known_by_all_that_it_is),
		ONCE(what_has_no_end_is_named),
		ONCE(records_that_are_missing_are_noticed),
		ONCE(the_worst_status_counts),
		ONCE(journals_say_whether_a_run_has_ended),
		ONCE(failures_go_back_to_the_command),
		ONCE(a_fetch_is_a_job_with_its_file),
		ONCE(what_is_no_file_of_records_is_refused),
		ONCE(memory_is_that_of_the_table),
	};

	return RUN_CASES(argc, argv, cases);
}
