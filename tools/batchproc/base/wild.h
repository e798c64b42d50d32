/* SPDX-License-Identifier: MIT */
/*
 * wild: patterns with *, ? and brackets, as rsync(1) has them. Pure.
 */
#ifndef BATCHPROC_WILD_H
#define BATCHPROC_WILD_H

#include <stdbool.h>

/*
 * Whether all of @text is what @pattern says: * is any text without a slash, ** any text, ? a
 * character but no slash, [a-z], [^a-z], [!a-z] and [[:alpha:]] one of (not of) these and no slash;
 * a backslash takes the meaning from what is behind it. Bytes, not characters of a locale.
 */
bool wild_match(const char *pattern, const char *text);

#endif
