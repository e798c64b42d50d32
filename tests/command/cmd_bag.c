/* SPDX-License-Identifier: MIT */
/*
 * cmd_bag - whole bags of BagIt checked, and files that no list names
 */
#include <sys/stat.h>

#include "support/badmount.h"
#include "support/cmd.h"

/* Made by sha256sum and the like, as RFC 8493 has it. */
static const char make_bag[] =
	"mkdir -p bag/data/sub; cd bag; printf hello >data/a; printf x >\"data/sub/n\nl\"\n"
	"printf y >data/p%c; printf z >data/raw%25; printf '' >'data/ b*'\n"
	"printf 'BagIt-Version: %s\\nTag-File-Character-Encoding: UTF-8\\n' \"$1\" >bagit.txt\n"
	"printf 'Source: here\\nPayload-Oxum: 8.5\\n' >bag-info.txt\n"
	"for alg in md5 sha512; do for f in 'a|a' 'sub/n\nl|sub/n%0Al' 'p%c|p%25c' 'raw%25|raw%25' "
	"' b*| b*'; do\n"
	"printf '%s  data/%s\\n' \"$(${alg}sum <\"data/${f%|*}\" | cut -d ' ' -f 1)\" \"${f#*|}\"\n"
	"done >manifest-$alg.txt; done\n"
	"sha1sum bagit.txt bag-info.txt manifest-*.txt >tagmanifest-sha1.txt\n";

static void a_whole_bag_is_whole(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	expect_exit(SH(make_bag, "1.0"), 0);
	run = BP("verify", "--bag", "bag");
	expect_exit(run, 0);
	expect_err(run, "");
	expect_same(
		run,
		SH("for f in a 'sub/n\\nl' p%c raw%25 ' b*'; do case $f in "
		   "*\\\\*) printf '\\\\';; esac; printf '%s: OK\\n' \"bag/data/$f\"; done; "
		   "for f in bagit bag-info manifest-md5 manifest-sha512; do echo bag/$f.txt: OK; "
		   "done"));
	expect_exit(BP("verify", "--bag", "--quiet", "bag/"), 0);
	expect_exit(SH("sed -i 's/$/\\r/' bag/*manifest-*.txt; cd bag; sed -i '/manifest/d' tagm*; "
		       "exec \"$BATCHPROC\" verify --bag ."),
		    0);
}

/* Whoever opens a FIFO waits for a writer: a bag has files. */
static void a_bag_of_fifos_holds_up_nobody(struct test *t)
{
	static const char *const all[] = {"bagit.txt", "bag-info.txt", "fetch.txt",
					  "manifest-md5.txt", "tagmanifest-sha1.txt"};
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		expect_exit(SH(make_bag, "1.0"), 0);
		expect_exit(SH("cd bag && rm -f $1 && mkfifo $1", all[i]), 0);
		run = BP("verify", "--bag", "bag");
		expect_exit(run, 1);
		expect_says(run, all[i]);
		expect_says(run, "is not a regular file");
		expect_exit(SH("rm -r bag"), 0);
	}
}

/* However many there are, none is left out in silence. */
static void each_manifest_is_accounted_for(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	expect_exit(SH(make_bag, "1.0"), 0);
	expect_exit(SH("cd bag && for i in $(seq 100 139); do : >tagmanifest-x$i.txt; done"), 0);
	run = BP("verify", "--bag", "bag");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "its algorithm is not known"), 40);
	expect_eq(text_count(&run->out, ": OK"), 9);
	expect_exit(SH("cd bag && rm tagmanifest-x* && sed -n 1p manifest-md5.txt >m && "
		       "for i in $(seq 100 139); do : >manifest-a$i.txt; done"),
		    0);
	run = BP("verify", "--bag", "bag");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "its algorithm is not known"), 32);
	expect_eq(text_count(&run->err, "no more than 32 manifests"), 10);
	expect_says(run, "bag/manifest-md5.txt: not checked");
	/* A directory that cannot be listed is no empty one. */
	need_root(t);
	expect_exit(SH("rm -r bag"), 0);
	expect_exit(SH(make_bag, "1.0"), 0);
	expect_exit(SH("chmod 711 bag && chown 65534 . bag/data bag/*"), 0);
	run = RUN(HOW(.uid = NOBODY), "verify", "--bag", "bag");
	expect_exit(run, 1);
	expect_says(run, "bag/: cannot be listed whole");
}

/* Each is seen, named, and told from the others. */
static void what_is_wrong_with_a_bag_is_named(struct test *t)
{
	static const struct {
		const char *change, *printed, *says, *verdict;
	} changes[] = {
		{"printf hallo >data/a", "bag/data/a: FAILED\n", NULL, "changed"},
		{"rm data/a", "bag/data/a: FAILED open or read\n", "No such file", "missing"},
		{"echo new >data/sub/new", "bag/data/sub/new: FAILED not listed\n",
		 "bag/data/sub/new: is in no manifest", "unlisted"},
		{"ln -s /etc data/link", "bag/data/link: FAILED not listed\n", "in no manifest",
		 "unlisted"},
		{"sed -i '/  data.a$/d' manifest-md5.txt", "bag/data/a: FAILED not listed\n",
		 "bag/data/a: is not in each manifest", "unlisted"},
		{"echo Extra: x >>bag-info.txt", "bag/bag-info.txt: FAILED\n", NULL, "changed"},
		{"sed -i 's/8.5/9.5/' bag-info.txt", "bag/bag-info.txt: FAILED\n",
		 "bag/bag-info.txt: its Payload-Oxum is not", "changed"},
		{"sed -i 's/8.5/x/' bag-info.txt", "bag/bag-info.txt: FAILED not checked\n",
		 "Payload-Oxum that is none", "unchecked"},
		{"rm data/a; echo 'http://h/a 5 data/a' >fetch.txt",
		 "bag/data/a: FAILED open or read\n", "fetch.txt says from where", "missing"},
		{"echo 'http://h/a 5 data/other' >fetch.txt", "bag/data/other: FAILED not listed\n",
		 "is in fetch.txt, and in no manifest", "unlisted"},
		{"echo 'http://h/a 5 ../x' >fetch.txt", "bag/fetch.txt: FAILED not checked\n", NULL,
		 "unchecked"},
		{"rm bagit.txt", "bag/bagit.txt: FAILED open or read\n", "this is no bag",
		 "missing"},
		{"rm manifest-*", "bag/manifest-sha256.txt: FAILED open or read\n",
		 "any other manifest", "missing"},
		{"echo x >bagit.txt", "bag/bagit.txt: FAILED not checked\n", "no BagIt-Version",
		 "unchecked"},
		{"echo junk >>manifest-md5.txt", "bag/manifest-md5.txt: FAILED not checked\n",
		 "lines that are none", "unchecked"},
		{"sed 's/data.a/..\\/x/' manifest-md5.txt >m; mv m manifest-md5.txt",
		 "bag/../x: FAILED not checked\n", "below data/ alone", "unchecked"},
		{"mv manifest-md5.txt manifest-tiger.txt",
		 "bag/manifest-tiger.txt: FAILED not checked\n", "algorithm is not known",
		 "unchecked"},
		{"rm -r data", "bag/data: FAILED open or read\n", NULL, "missing"},
	};
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		expect_exit(SH(make_bag, "1.0"), 0);
		expect_exit(SH("cd bag; eval \"$1\"", changes[i].change), 0);
		run = BP("verify", "--bag", "--quiet", "bag");
		expect_exit(run, 1);
		if (!strstr(run->out.data, changes[i].printed))
			record_failure("%s: not '%s' in '%s'", changes[i].change,
				       changes[i].printed, run->out.data);
		if (changes[i].says)
			expect_says(run, changes[i].says);
		run = SH("\"$BATCHPROC\" verify --bag --json bag | grep -F '\"verdict\":\"'$1'\"'",
			 changes[i].verdict);
		expect_exit(run, 0);
		expect_exit(SH("rm -r bag"), 0);
	}
	/* Before version 1.0 one manifest is enough for each file. */
	expect_exit(SH(make_bag, "0.97"), 0);
	expect_exit(SH("sed -i '/  data.a$/d' bag/manifest-md5.txt; rm bag/tagmanifest-sha1.txt"),
		    0);
	expect_exit(BP("verify", "--bag", "bag"), 0);
	expect_exit(BP("verify", "--bag"), 2);
	expect_exit(BP("verify", "--bag", "--unlisted", "x", "bag"), 2);
}

/*
 * However the manifests are ordered; what one of them says twice, or alone, is checked as well, and
 * each that does not match is found.
 */
static void each_digest_of_a_bag_counts(struct test *t)
{
	static const struct {
		const char *change;
		int status;
		const char *printed;
	} changes[] = {
		{"sort -r manifest-md5.txt >m; mv m manifest-md5.txt", 0, NULL},
		{"sort -r manifest-md5.txt >m; sed 's/^./g/' m >manifest-md5.txt", 1, NULL},
		{"sed -i '/  data.a$/s/^..../0000/' manifest-sha512.txt", 1,
		 "bag/data/a: FAILED\n"},
		{"sed -i '/  data.a$/s/^..../0000/' manifest-md5.txt", 1, "bag/data/a: FAILED\n"},
		/* Twice, the second time another. */
		{"grep '  data.a$' manifest-sha512.txt | sed 's/^..../0000/' >>manifest-sha512.txt",
		 1, "bag/data/a: FAILED\n"},
		{"grep '  data.a$' manifest-md5.txt | sed 's/^..../0000/' >>manifest-md5.txt", 1,
		 "bag/data/a: FAILED\n"},
		/* In the second alone. */
		{"sed -i '/  data.a$/d' manifest-md5.txt; "
		 "sed -i '/  data.a$/s/^..../0000/' manifest-sha512.txt",
		 1, "bag/data/a: FAILED\n"},
		{"sed -i 's,  data,  ./data,' manifest-md5.txt", 0, NULL},
		/* An algorithm more, which nobody knows, says nothing of the others. */
		{"cp manifest-md5.txt manifest-tiger.txt", 1,
		 "bag/manifest-tiger.txt: FAILED not checked\n"},
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct run *run;

		expect_exit(SH(make_bag, "0.97"), 0);
		expect_exit(SH("cd bag; rm tag*; eval \"$1\"", changes[i].change), 0);
		run = BP("verify", "--bag", "--quiet", "bag");
		expect_exit(run, changes[i].status);
		if (changes[i].printed)
			expect_out(run, changes[i].printed);
		expect_exit(SH("rm -r bag"), 0);
	}
}

/* However many digests there are of it. */
static void a_file_is_read_once(struct test *t)
{
	const size_t size = 3000001;
	unsigned long reads[2];
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_dir("b/data");
	make_pattern("b/data/f", size);
	expect_exit(
		SH("cd b && md5sum data/f >one && sha512sum data/f >two && sha1sum data/f >three"),
		0);
	bad = BADMOUNT(t, "b", "m", "direct on");
	expect_exit(SH("sed 's,data/f,m/data/f,' b/one >list"), 0);
	reads[0] = badmount_say(bad, "count read");
	expect_exit(BP("verify", "--quiet", "list"), 0);
	reads[1] = badmount_say(bad, "count read");
	reads[0] = reads[1] - reads[0];
	/* In lists of both kinds, and in a bag. */
	expect_exit(BP("hash", "-a", "md5", "-a", "sha512", "-a", "sha1", "m/data/f"), 0);
	expect_eq(badmount_say(bad, "count read") - reads[1], reads[0]);
	if (have_program("hashdeep")) {
		expect_exit(
			SH("hashdeep -l -c md5,sha1,sha256 b/data/f | sed s,b/data,m/data, >list"),
			0);
		reads[1] = badmount_say(bad, "count read");
		expect_exit(BP("verify", "--quiet", "list"), 0);
		expect_eq(badmount_say(bad, "count read") - reads[1], reads[0]);
	}
	expect_exit(SH("cd b && mv one manifest-md5.txt && mv two manifest-sha512.txt && "
		       "mv three manifest-sha1.txt && echo BagIt-Version: 1.0 >bagit.txt && "
		       "echo Tag-File-Character-Encoding: UTF-8 >>bagit.txt"),
		    0);
	reads[1] = badmount_say(bad, "count read");
	expect_exit(BP("verify", "--quiet", "--bag", "m"), 0);
	/* And the four other files. */
	expect(badmount_say(bad, "count read") - reads[1] < 2 * reads[0]);
	badmount_end(bad);
}

static void bagit_python_s_bags_are_whole(struct test *t)
{
	if (SH("python3 -c 'import bagit' 2>/dev/null")->status)
		skip_because(t, "no bagit-python here");
	fresh_dir(t);
	make_dir("bag");
	make_file("bag/new\nline", "a");
	make_file("bag/per%41%25cent", "b");
	make_file("bag/ blank ", "c");
	expect_exit(SH("python3 -m bagit --md5 --sha512 bag"), 0);
	expect_exit(BP("verify", "--bag", "bag"), 0);
	expect_exit(SH("echo x >>bag/data/*cent"), 0);
	expect_exit(BP("verify", "--bag", "bag"), 1);
}

/* ---- files that no list names */

static void what_no_list_names_is_named(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("tree");
	make_dir("tree/sub");
	make_file("tree/a", "1");
	make_file("tree/sub/b", "2");
	make_file("tree/sub/n\nl", "3");
	assert_int_equal(symlink("a", "tree/link"), 0);
	expect_exit(
		SH("sha256sum tree/a tree/sub/n* >one; sha256sum --tag \"$PWD/tree/./sub//b\" >two"),
		0);
	run = BP("verify", "--quiet", "--unlisted", "tree", "one", "two");
	expect_exit(run, 1);
	expect_out(run, "tree/link: FAILED not listed\n");
	expect_says(run, "tree/link: is in no list");
	expect_says(run, "WARNING: 1 file is in no list");
	assert_int_equal(unlink("tree/link"), 0);
	expect_exit(BP("verify", "--unlisted", "tree", "one", "two"), 0);
	expect_out(BP("verify", "--quiet", "--unlisted", "tree/sub", "one"),
		   "tree/sub/b: FAILED not listed\n");
	expect(strstr(BP("verify", "--json", "--unlisted", "tree/sub", "one")->out.data,
		      "\"src\":\"tree/sub/b\",\"status\":\"failed\",\"error\":\"is in no list\","
		      "\"verdict\":\"unlisted\""));
	/* The lists themselves, and what the run writes, are no strangers. */
	run = BP("verify", "--quiet", "--unlisted", ".", "--journal", "j", "--failed-to", "f",
		 "one", "two");
	expect_exit(run, 0);
	expect_out(run, "");
	/* From elsewhere; and where nothing was listed. */
	expect_exit(
		SH("cd tree; exec \"$BATCHPROC\" verify --status --ignore-missing --unlisted ../tree "
		   "../one ../two"),
		1);
	run = BP("verify", "--status", "--unlisted", "nothing", "one");
	expect_exit(run, 1);
	run = BP("verify", "--quiet", "--unlisted", "tree", "one", "gone");
	expect_exit(run, 1);
	expect_out(run, "");
	expect_says(run, "tree: not looked through: a list could not be read");
	expect_exit(BP("verify", "--unlisted", "", "one"), 2);
}

/* What a filter leaves out is no stranger, and what a list names is none whatever filters say. */
static void filters_choose_among_what_no_list_names(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	expect_exit(SH("mkdir -p tree/obj/deep tree/.git; echo 1 >tree/a; echo 22 >tree/b.o; "
		       "echo 333 >tree/obj/c; echo 4 >tree/obj/deep/d; echo 5 >tree/.git/HEAD; "
		       "sha256sum tree/a tree/b.o >list"),
		    0);
	run = BP("verify", "-v", "--quiet", "--unlisted", "tree", "--exclude", "obj", "--exclude",
		 ".git", "list");
	expect_exit(run, 0);
	expect_says(run, "2 ok");
	expect_says(run, "2 excluded");
	run = BP("verify", "--quiet", "--unlisted", "tree", "--include=*/", "--include=c",
		 "--exclude=*", "list");
	expect_exit(run, 1);
	expect_out(run, "tree/obj/c: FAILED not listed\n");
	run = BP("verify", "--quiet", "--unlisted", "tree/", "--no-hidden", "--max-depth=2",
		 "--exclude=*.o", "list");
	expect_exit(run, 1);
	expect_out(run, "tree/obj/c: FAILED not listed\n");
	run = BP("verify", "--quiet", "--unlisted", "tree", "--max-size=3", "--no-hidden", "list");
	expect_exit(run, 1);
	expect_out(run, "tree/obj/deep/d: FAILED not listed\n");
	/* They have nothing to choose from. */
	run = BP("verify", "--exclude=obj", "list");
	expect_exit(run, 2);
	expect_says(run, "need --unlisted");
	expect_exit(BP("verify", "--bag", "--max-depth=1", "tree"), 2);
}

/* Walked by several, in many directories: each once, and by each part of --shard its own. */
static void many_strangers_are_named_once(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("for d in $(seq 40); do mkdir -p tree/$d/x; for f in $(seq 25); do "
		       "echo $f >tree/$d/$f; echo $f >tree/$d/x/$f; done; done; "
		       "find tree -type f | sort >all; awk 'NR % 3' all | xargs sha256sum >list; "
		       "awk '!(NR % 3)' all >expected"),
		    0);
	expect_exit(
		SH("\"$BATCHPROC\" verify --quiet --unlisted tree list 2>err | sed 's/: FAILED not listed//' | sort | diff - expected"),
		0);
	expect_exit(
		SH("for i in 1 2 3; do \"$BATCHPROC\" verify --quiet --shard $i/3 --unlisted tree list "
		   "2>err; done | sed 's/: FAILED not listed//' | sort | diff - expected"),
		0);
	expect_exit(
		SH("\"$BATCHPROC\" verify -k --quiet --unlisted tree list 2>err | sed 's/: FAILED not listed//' | sort | diff - expected"),
		0);
	/* What is not looked at any more is not passed over in silence. */
	expect_exit(BP("verify", "--halt", "now,fail=1", "--status", "--unlisted", "tree", "list"),
		    3);
}

static void a_directory_that_cannot_be_read_is_no_proof(struct test *t)
{
	struct run *run;

	need_root(t);
	fresh_dir(t);
	expect_exit(SH("mkdir -p tree/no; echo 1 >tree/a; sha256sum tree/a >list; chmod 0 tree/no"),
		    0);
	run = RUN(HOW(.uid = NOBODY), "verify", "--quiet", "--unlisted", "tree", "list");
	expect_exit(run, 1);
	expect_out(run, "tree/no: FAILED open or read\n");
	expect_says(run, "Permission denied");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_whole_bag_is_whole),
		ONCE(a_bag_of_fifos_holds_up_nobody),
		ONCE(each_manifest_is_accounted_for),
		ONCE(what_is_wrong_with_a_bag_is_named),
		ONCE(each_digest_of_a_bag_counts),
		ONCE(a_file_is_read_once),
		ONCE(bagit_python_s_bags_are_whole),
		ONCE(what_no_list_names_is_named),
		ONCE(filters_choose_among_what_no_list_names),
		ONCE(many_strangers_are_named_once),
		ONCE(a_directory_that_cannot_be_read_is_no_proof),
	};

	return RUN_CASES(argc, argv, cases);
}
