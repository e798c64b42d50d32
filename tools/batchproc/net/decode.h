/* SPDX-License-Identifier: MIT */
/*
 * decode: the content of a body that was asked for compressed: gzip and deflate (RFC 9110, 8.4.1).
 */
#ifndef BATCHPROC_DECODE_H
#define BATCHPROC_DECODE_H

#include <stdbool.h>
#include <stddef.h>

struct head;
struct decoder;

/* Takes content; 0 or -errno, which ends the decoding. */
typedef int decoder_put(void *arg, const char *data, size_t len);

/*
 * Makes *@decoder for the body of a response to a request that took both; NULL where the body is what
 * it is. Return: 0 or -errno, with @why.
 */
int decoder_begin(struct decoder **decoder, const struct head *head, const char **why);

/* The next bytes of the body. Return: 0, -errno with @why, or what @put has returned. */
int decoder_take(struct decoder *decoder, const char *data, size_t len, decoder_put *put, void *arg,
		 const char **why);

/* Whether all of the content is there: else the body was cut short. */
bool decoder_ended(const struct decoder *decoder);

void decoder_free(struct decoder *decoder);

#endif
