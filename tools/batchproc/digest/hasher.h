/* SPDX-License-Identifier: MIT */
/*
 * tool: a buffer and a digest state, kept for the next file. A task takes one and gives it back;
 * they are kept in a list for each thread: a task stays on its loop, so that no lock is needed, and the
 * one used last is used first.
 */
#ifndef BATCHPROC_TOOL_H
#define BATCHPROC_TOOL_H

#define TOOL_BYTES 131072u

struct digest;

struct tool {
	struct tool *next;
	struct tool *all; /* in the list of all tools */
	struct digest *digest;
	unsigned char *memory;
	unsigned char *buffer; /* TOOL_BYTES, within memory */
};

struct tool *tool_get(void);
void tool_put(struct tool *tool);

/* Frees all of them; once all tasks have ended. Main thread. */
void tools_free(void);

#endif
