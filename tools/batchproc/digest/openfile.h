/* SPDX-License-Identifier: MIT */
/*
 * openfile: opens the file of an item to be read, if it is a regular one. Task only.
 */
#ifndef BATCHPROC_OPENFILE_H
#define BATCHPROC_OPENFILE_H

#include <stdint.h>

#include "base/device.h"

struct item;

/*
 * A descriptor of what is most likely a regular file, in the mode that does not wait; or -errno. A
 * skipped item gives -ENXIO and its status. *@kind is that of the device that its name is on.
 */
int openfile_open(struct item *item, enum device_kind *kind);

/*
 * Looks at what was opened, of which nothing was read, and has its reads wait. Returns 0; 1 where
 * the item is skipped, which item->why explains; or -errno. *@kind is now that of its own device.
 */
int openfile_check(struct item *item, int fd, enum device_kind *kind, uint64_t *size);

#endif
