/* SPDX-License-Identifier: MIT */
/*
 * Faults: a wrapper around any backend that makes operations go wrong, by seed.
 *
 * For tests alone. In a build with DEBUG=1 the environment variable BATCHPROC_FAULTS puts it around
 * the backend of every engine; in other builds only bp_faults does, which no public function sets.
 */
#ifndef BP_FAULT_H
#define BP_FAULT_H

#include "backend/backend.h"

/** What to inject, as in "seed=7,short=10,eio=1"; NULL: nothing. See fault.c. */
extern const char *bp_faults;

/**
 * Puts faults around engine->backend, whose destroy() takes them off again.
 * Return: 0, -EINVAL (not understood), or -ENOMEM.
 */
int faults_wrap(struct bp_engine *engine, const char *spec);

/** How many faults of all kinds an engine has seen. */
unsigned long faults_injected(const struct bp_engine *engine);

#endif /* BP_FAULT_H */
