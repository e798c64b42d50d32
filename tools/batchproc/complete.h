/* SPDX-License-Identifier: MIT */
/*
 * complete: what may stand where a shell completes a word. Main thread only.
 */
#ifndef BATCHPROC_COMPLETE_H
#define BATCHPROC_COMPLETE_H

#include <stddef.h>

/*
 * Prints it for the last of these @words, one or more, which stand behind the command's name; returns
 * the exit status.
 */
int complete(char **words, size_t count);

#endif
