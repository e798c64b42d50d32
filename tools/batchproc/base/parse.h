/* SPDX-License-Identifier: MIT */
/*
 * parse: values of options. Each takes the whole text or says false, and is told nothing but the
 * text: no locale, no signs, no hexadecimal, no blanks. No state.
 */
#ifndef BATCHPROC_PARSE_H
#define BATCHPROC_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number within bounds. */
bool parse_count(const char *text, uint64_t least, uint64_t most, uint64_t *value);

/* A time such as 1.5s, 200ms, 2m, 1h; a bare number is seconds. */
bool parse_time(const char *text, uint64_t *ns);

/* A number of things in a time, such as 100, 100/s, 0.5/s, 30/m, 1000/h, as that in a second. */
bool parse_rate(const char *text, double *per_second);

/* Bytes, such as 4096, 500K, 1.5M, 2G, 1MB: K, M, G, T are powers of 1024, KB and so on of 1000. */
bool parse_bytes(const char *text, double *bytes);

#endif
