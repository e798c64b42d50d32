/* SPDX-License-Identifier: MIT */
/*
 * nops.c - NOPs in one way alone, on one thread, for valgrind to count
 *
 * usage: nops bare|op|op-again|task|task-loop COUNT DEPTH
 *
 * Prints the nanoseconds of CPU time that one took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nop.h"

int main(int argc, char **argv)
{
	static const char *const names[] = {
		[OP_EACH] = "op",
		[OP_AGAIN] = "op-again",
		[TASK_EACH] = "task",
		[TASK_LOOP] = "task-loop",
	};
	struct nops nops = {0};
	struct measure m;
	size_t i = 0;
	int err;

	if (argc == 4) {
		nops.count = strtoul(argv[2], NULL, 10);
		nops.depth = (unsigned int)strtoul(argv[3], NULL, 10);
		while (i < sizeof(names) / sizeof(names[0]) && strcmp(argv[1], names[i]))
			i++;
		nops.shape = (enum nop_shape)i;
	}
	if (!nops.count || !nops.depth || nops.depth > 4096 ||
	    (i == sizeof(names) / sizeof(names[0]) && strcmp(argv[1], "bare"))) {
		fputs("usage: nops bare|op|op-again|task|task-loop COUNT DEPTH\n", stderr);
		return 2;
	}
	err = strcmp(argv[1], "bare") ? nop_ours(&nops, &m) : nop_bare(&nops, &m);
	if (err) {
		fprintf(stderr, "nops: %s\n", strerror(-err));
		return 1;
	}
	printf("%.1f\n", m.cpu);
	return 0;
}
