/* SPDX-License-Identifier: MIT */
/*
 * digest: one table of algorithms over OpenSSL's EVP and libxxhash.
 *
 * A struct digest is the state of one computation. It is made once, used for many files one
 * after the other by one thread, and freed. digest_setup() must have been called for the
 * algorithm before, once, by the main thread.
 */
#ifndef BATCHPROC_DIGEST_H
#define BATCHPROC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_SIZE_MAX 64

struct digest;

struct digest_alg {
	const char *name; /* as in -a */
	const char *tag; /* as in the lines of --tag */
	size_t size; /* bytes of the result */
	const char *evp; /* OpenSSL's name; NULL: one of libxxhash's */
	bool wide; /* of those: the one of 128 bits */
};

/* By name, tag or number of hexadecimal digits (the most common one of that length), or NULL. */
const struct digest_alg *digest_by_name(const char *name);
const struct digest_alg *digest_by_tag(const char *tag, size_t len);
const struct digest_alg *digest_by_length(size_t digits);

/* The names, separated by commas. */
const char *digest_names(void);

/* Whether its computing takes no longer than copying the data once does. */
bool digest_is_quick(const struct digest_alg *alg);

/* Readies an algorithm; 0, or -ENOTSUP where this OpenSSL does not offer it. */
int digest_setup(const struct digest_alg *alg);
void digest_cleanup(void);

struct digest *digest_new(void);
void digest_free(struct digest *digest);

/* All at once, or piece by piece. Results of digest_finish() are alg->size bytes. */
void digest_begin(struct digest *digest, const struct digest_alg *alg);
void digest_update(struct digest *digest, const void *data, size_t len);
void digest_finish(struct digest *digest, unsigned char *result);
void digest_once(struct digest *digest, const struct digest_alg *alg, const void *data, size_t len,
		 unsigned char *result);

#endif
