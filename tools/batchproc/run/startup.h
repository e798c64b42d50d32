/* SPDX-License-Identifier: MIT */
/*
 * startup: --deadline before a run has begun, when the main thread looks at what it was given and
 * may stand in a call to a file server that does not answer. Main thread.
 */
#ifndef BATCHPROC_STARTUP_H
#define BATCHPROC_STARTUP_H

#include <stdint.h>

/* 0: there is no deadline. */
void startup_watch(uint64_t deadline_ns);
/* From here on others see to it, or there is no run. Harmless the second time. */
void startup_over(void);

#endif
