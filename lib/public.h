/* SPDX-License-Identifier: MIT */
/*
 * The public headers, as lib/ itself includes them.
 *
 * lib/ is compiled with -fvisibility=hidden; what they declare is the exception. This must
 * be the first of the library's headers that a file includes: a function that was declared
 * elsewhere before would stay hidden, and the test of the symbol map would fail.
 */
#ifndef BP_PUBLIC_H
#define BP_PUBLIC_H

#pragma GCC visibility push(default)
#include "batchproc.h"
#include "batchproc_sim.h"
#pragma GCC visibility pop

#endif /* BP_PUBLIC_H */
