/* SPDX-License-Identifier: MIT */
/*
 * digest: the algorithms (algs.c), and their computing over OpenSSL's EVP, libxxhash, zlib, libb2
 * and libblake3 (digest.c).
 *
 * A struct digest is the state of one computation. It is made once, used for many files one
 * after the other by one thread at a time. digest_setup() must have been called for the
 * algorithm before, by any thread.
 */
#ifndef BATCHPROC_DIGEST_H
#define BATCHPROC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_SIZE_MAX 64
#define DIGEST_ALGS 89

/* For people, with @end where a line may end. */
#define DIGEST_NAMES(end)                                                                          \
	"sha256, sha1, md5, sha512, sha224, sha384, sha512-224, sha512-256," end                   \
	"sha3-224, sha3-256, sha3-384, sha3-512, sm3, ripemd160, blake2s," end                     \
	"blake2b, blake2b-8 to blake2b-504 (bits, by 8), xxh32, xxh64, xxh3," end                  \
	"xxh128, these four with -le, crc32; blake3 where libblake3 was there"

struct digest;

enum digest_kind {
	DIGEST_EVP,
	DIGEST_BLAKE2B,
	DIGEST_BLAKE3, /* where this was built with its library */
	DIGEST_CRC32,
	DIGEST_XXH32,
	DIGEST_XXH64,
	DIGEST_XXH3,
	DIGEST_XXH128,
};

struct digest_alg {
	const char *name; /* as in -a */
	const char *tag; /* as in the lines of --tag */
	const char *hint; /* what to say when a digest of another algorithm is one of this */
	size_t size; /* bytes of the result */
	enum digest_kind kind;
	const char *evp; /* OpenSSL's name */
	bool little; /* the bytes of the result in the other order */
	bool tag_only; /* its lines always have the tag: without it they mean another */
};

extern const struct digest_alg digest_algs[DIGEST_ALGS];

/* By what people and tools call it; NULL where it is none. */
const struct digest_alg *digest_by_name(const char *name);
const struct digest_alg *digest_by_spelling(const char *name, size_t len);

/* The one that a digest of so many bytes without a tag is of, or NULL. */
const struct digest_alg *digest_by_size(size_t size);

/* All with that size, one after the other: the first after NULL. */
const struct digest_alg *digest_of_size(const struct digest_alg *after, size_t size);

/* "one of " and the names. */
const char *digest_names(void);

/*
 * The reader of an option: @to is a const struct digest_alg *. NULL, or what @arg should have been.
 */
const char *digest_read(void *to, const char *arg);

/* Whether its computing takes no longer than copying the data once does. */
bool digest_is_quick(const struct digest_alg *alg);

/* Readies an algorithm; 0, or -ENOTSUP where it is not to be had; and why that is. */
int digest_setup(const struct digest_alg *alg);
/* The same where it is for few files, which may be small. */
int digest_setup_few(const struct digest_alg *alg);
/* Loads the libraries of all, for who learns of algorithms during a run. */
void digest_load(void);
const char *digest_lacks(const struct digest_alg *alg);

/* Whether it has been readied. Any thread, once no more are. */
bool digest_is_ready(const struct digest_alg *alg);

struct digest *digest_new(void);

/* All at once, or piece by piece. Results of digest_finish() are alg->size bytes. */
void digest_begin(struct digest *digest, const struct digest_alg *alg);
void digest_update(struct digest *digest, const void *data, size_t len);
void digest_finish(struct digest *digest, unsigned char *result);
void digest_once(struct digest *digest, const struct digest_alg *alg, const void *data, size_t len,
		 unsigned char *result);

#endif
