/* SPDX-License-Identifier: MIT */
/*
 * help: what `batchproc help` tells: the commands, one command, or a topic that is about all of them.
 * Main thread only.
 */
#ifndef BATCHPROC_HELP_H
#define BATCHPROC_HELP_H

/* These return the exit status; @argv has what follows the word help. */
int help_usage(void);
int help(int argc, char **argv);

/* Calls @offer with @word and each topic. */
void help_offer_topics(const char *word,
		       void (*offer)(const char *word, const char *name, const char *summary));

#endif
