/* SPDX-License-Identifier: MIT */
/*
 * array: how many elements an array has.
 */
#ifndef BATCHPROC_ARRAY_H
#define BATCHPROC_ARRAY_H

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
