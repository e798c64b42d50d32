/* SPDX-License-Identifier: MIT */
/*
 * tool: a buffer and a digest state, kept for the next file. See tool.h.
 */
#include <pthread.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "digest/hasher.h"
#include "base/util.h"

/*
 * Buffers that all begin at the same place within a page and a cache way would push one another
 * out of the cache where small files are read side by side. Each begins a page and a line further
 * on than the one before (measured: the copy of 8 KiB files out of the page cache costs a third).
 * None begins 16 bytes behind a page or a line, as malloc() has it: that makes the copy slower yet.
 */
#define PAGE_BYTES 4096u
#define COLOURS 16u
#define COLOUR_BYTES (PAGE_BYTES + 64u)

static _Thread_local struct tool *idle;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tool *all_tools; /* these two under all_lock */
static unsigned int tool_count;

struct tool *tool_get(void)
{
	struct tool *tool = idle;

	if (tool) {
		idle = tool->next;
		return tool;
	}
	tool = xcalloc(1, sizeof(*tool));
	tool->digest = digest_new();
	tool->memory = xaligned(PAGE_BYTES, TOOL_BYTES + COLOURS * COLOUR_BYTES);
	pthread_mutex_lock(&all_lock);
	tool->buffer = tool->memory + tool_count++ % COLOURS * COLOUR_BYTES;
	tool->all = all_tools;
	all_tools = tool;
	pthread_mutex_unlock(&all_lock);
	return tool;
}

void tool_put(struct tool *tool)
{
	tool->next = idle;
	idle = tool;
}

void tools_free(void)
{
	struct tool *tool;

	while ((tool = all_tools)) {
		all_tools = tool->all;
		digest_free(tool->digest);
		free(tool->memory);
		free(tool);
	}
	digest_cleanup();
}
