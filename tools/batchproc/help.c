/* SPDX-License-Identifier: MIT */
/*
 * help: what `batchproc help` tells, and the texts of its topics, which are here alone. See help.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/message.h"
#include "cli/options.h"
#include "help.h"
#include "verb.h"

struct topic {
	const char *name;
	const char *summary;
	const char *text;
};

/* A row of a topic is two blanks, what it is about, two or more blanks, and the rest. */
static const struct topic topics[] = {
	{"status", "What the exit status says",
	 "  0      every item succeeded; with --race or --quorum: that was reached\n"
	 "  1      some items failed, and each of them has a record\n"
	 "  2      usage error: nothing was started\n"
	 "  3      stopped early by the halt policy: something was left undone\n"
	 "  124    the deadline passed\n"
	 "  125    the program itself could not go on: no memory, no descriptors, output\n"
	 "         that cannot be written\n"
	 "  128+N  ended by signal N: 130 after ^C\n"
	 "\n"
	 "No items at all is status 2, since an empty list is most often a broken pipeline;\n"
	 "with --allow-empty it is a success.\n"},
	{"lists", "Items from lists, and lists of what is left to do",
	 "Items are operands, or the lines of lists:\n"
	 "\n"
	 "  -T FILE           one item a line; - is standard input; may be given again\n"
	 "  -0                a NUL stands behind each item instead of the end of a line\n"
	 "  --failed-to FILE  what did not succeed, as a list for the same command\n"
	 "  --journal FILE    what is done; with --resume the same line goes on with the rest\n"
	 "  --shard I/N       the I-th of N parts of the items, divided by name\n"
	 "\n"
	 "  find . -name '*.iso' -print0 | batchproc hash -0 -T -\n"
	 "  batchproc fetch -P mirror -T urls --failed-to again\n"
	 "  batchproc fetch -P mirror -T again\n"
	 "\n"
	 "A line of fetch may be URL, URL TAB PATH, or URL TAB PATH TAB ALGORITHM:HEX. 'batchproc\n"
	 "list' makes lists, and manifests, which are the lists of 'batchproc run'.\n"},
	{"limits", "How much at once, how fast, how long",
	 "  -j N               items in flight at once; without it fetch, probe and run look for\n"
	 "                     the best number, and the others have 64 for each loop\n"
	 "  --on-full reject   an item that finds no place fails at once, instead of waiting\n"
	 "  --max-per-host N   connections in use at one host (fetch, probe)\n"
	 "  --rate N/s         items started in a second; N/m, N/h: a minute, an hour\n"
	 "  --bwlimit BYTES    bytes moved in a second, by all items together\n"
	 "  --timeout T        for an item, all its attempts together\n"
	 "  --deadline T       for the whole run\n"
	 "  --retries N        further attempts after the first; not after permanent errors\n"
	 "  --retry-delay T    before the second attempt; doubled each time, with jitter\n"
	 "  --loops N          threads with a ring each\n"
	 "\n"
	 "A time is 1.5s, 200ms, 2m, 1h, 1d; a bare number is seconds. Bytes are 500, 500K,\n"
	 "10M, 1.5G, by 1024; KB, MB and GB are by 1000.\n"},
	{"stopping", "When a run ends early",
	 "By default all items are done and every failure is reported.\n"
	 "\n"
	 "  -e           the first failure ends the run: --halt now,fail=1\n"
	 "  --race       the first success does: --halt now,success=1\n"
	 "  --quorum K   K successes do, or that K can no longer be reached\n"
	 "  --halt WHEN,WHY\n"
	 "               soon: nothing more starts; now: what runs is cancelled, too;\n"
	 "               fail, success or done, = and a number or a percentage\n"
	 "\n"
	 "The first ^C (or TERM) starts nothing more, lets running items finish and writes every\n"
	 "record. The second cancels them and removes what is half done. USR1 has a line of status\n"
	 "printed. What was cancelled or not started is in --failed-to.\n"},
	{"patterns", "What walks leave out",
	 "Patterns are rsync's: they are tried in the order in which they were given, the first that\n"
	 "fits decides, and what none fits is kept.\n"
	 "\n"
	 "  --exclude '*.o'     names that end so, wherever they are\n"
	 "  --exclude /build/   the directory build right below each PATH, which is not read\n"
	 "  --exclude '**/tmp'  tmp below anything\n"
	 "  --include '*.c'     kept, whatever a later pattern says\n"
	 "  --exclude-from FILE\n"
	 "                      patterns, one a line; # and ; begin comments\n"
	 "\n"
	 "Only C sources: --include '*/' --include '*.c' --exclude '*'. --min-size, --max-size,\n"
	 "--newer, --older, --max-depth and --no-hidden leave out more. What is named itself is never\n"
	 "left out.\n"},
	{"records", "What --json prints",
	 "One line for each input, whatever became of it, and one for the run:\n"
	 "\n"
	 "  {\"v\":1,\"seq\":17,\"op\":\"copy\",\"src\":\"a/b\",\"dst\":\"x/b\",\"status\":\"ok\",\"bytes\":8192,...}\n"
	 "  {\"v\":1,\"summary\":true,...}\n"
	 "\n"
	 "  ok           it is done\n"
	 "  failed       errno has the name of the error, error a text, code the HTTP status\n"
	 "  timeout      --timeout ended it\n"
	 "  cancelled    it ran when the run was ended\n"
	 "  rejected     it found no place: --on-full reject\n"
	 "  not_started  the run was ended before its turn\n"
	 "  skipped      there was nothing to do, and error says why\n"
	 "\n"
	 "A name that is no UTF-8 is {\"base64\":\"...\"}. 'batchproc merge' makes one summary of the\n"
	 "records of several runs.\n"},
	{"environment", "Variables that are looked at",
	 "  NO_COLOR         nothing is coloured\n"
	 "  TERM             dumb or nothing: no bar\n"
	 "  TMPDIR           where tables are kept that are too large for memory\n"
	 "  HOME             where .netrc is looked for\n"
	 "  http_proxy, https_proxy, all_proxy, no_proxy\n"
	 "                   as curl has them (fetch, probe)\n"
	 "  VERSION_CONTROL, SIMPLE_BACKUP_SUFFIX\n"
	 "                   as cp has them (copy -b)\n"
	 "  SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and others\n"
	 "                   which part this is: --shard auto\n"},
};

int help_usage(void)
{
	printf("Usage: batchproc COMMAND [options] [ITEM...]\n"
	       "Very many file and network operations at once, on io_uring, ended together.\n\nCommands:\n");
	for (size_t i = 0; verb_at(i); i++)
		printf("  %-8s %s\n", verb_at(i)->name, verb_at(i)->summary);
	printf("\nWhat they share, by 'batchproc help TOPIC':\n");
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		printf("  %-11s %s\n", topics[i].name, topics[i].summary);
	printf("\n'batchproc COMMAND --help' tells the options of a command; --version the version.\n");
	return flush_stdout();
}

static const struct topic *topic_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		if (!strcmp(topics[i].name, name))
			return &topics[i];
	return NULL;
}

int help(int argc, char **argv)
{
	const struct verb *verb = argc > 0 ? verb_by_name(argv[0]) : NULL;
	const struct topic *topic = argc > 0 ? topic_by_name(argv[0]) : NULL;

	if (!argc)
		return help_usage();
	if (argc > 1)
		return usage_error(NULL, "help takes one command or topic");
	if (verb)
		return options_print_help(verb);
	if (!topic)
		return usage_error(NULL, "'%s' is no command and no topic", argv[0]);
	printf("%s.\n\n%s", topic->summary, topic->text);
	return flush_stdout();
}

void help_offer_topics(const char *word,
		       void (*offer)(const char *word, const char *name, const char *summary))
{
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		offer(word, topics[i].name, topics[i].summary);
}
