/* SPDX-License-Identifier: MIT */
/*
 * main: finds the verb and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "batchproc.h"
#include "cli/options.h"
#include "complete.h"
#include "help.h"
#include "base/message.h"
#include "base/status.h"
#include "run/startup.h"
#include "verb.h"

/*
 * A closed standard descriptor would be given to the next file that is opened, and output would
 * land in it. The stand-ins are open the wrong way round, so that using one is still an error.
 */
static void fill_standard_descriptors(void)
{
	static const int wrong_way[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd <= 2; fd++)
		/* Where it cannot be asked nobody can tell, and it is taken to be open. */
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", wrong_way[fd]) != fd)
			_exit(EXIT_TROUBLE);
}

static int print_version(void)
{
	printf("batchproc %s\n", bp_version());
	return flush_stdout();
}

static int call_verb(const struct verb *verb, int argc, char **argv)
{
	struct options options;
	int status;

	message_set_verb(verb->name);
	if (options_parse(&options, verb, argc, argv, &status)) {
		startup_watch(options.deadline_ns);
		status = verb->run(&options);
		startup_over();
	}
	options_free(&options);
	return status;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	fill_standard_descriptors();
	verbs_begin();
	if (argc < 2)
		return usage_error(NULL, "no command given");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help_usage();
	if (!strcmp(argv[1], "help"))
		return help(argc - 2, argv + 2);
	if (!strcmp(argv[1], "--complete") && argc > 2)
		return complete(argv + 2, (size_t)argc - 2);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return print_version();
	verb = verb_by_name(argv[1]);
	if (verb) {
		const struct verb *other;

		argc--;
		argv++;
		other = verb->stands_for ? verb->stands_for(&argc, argv) : NULL;
		return call_verb(other ? other : verb, argc, argv);
	}
	return usage_error(NULL, argv[1][0] == '-' ? "unknown option '%s'" : "unknown command '%s'",
			   argv[1]);
}
