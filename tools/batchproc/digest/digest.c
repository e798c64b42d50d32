/* SPDX-License-Identifier: MIT */
/*
 * digest: computing over OpenSSL's EVP, libxxhash, zlib's CRC-32, libb2 and libblake3.
 *
 * EVP_get_digestbyname() and the like look an algorithm up again for every computation since
 * OpenSSL 3, and a new EVP_MD_CTX costs as much as hashing some KiB. So each algorithm is fetched
 * once, and contexts are kept and used again. OpenSSL's configuration file is not read: it costs
 * more than hashing a small tree, and digests do not depend on it.
 *
 * To load OpenSSL and to fetch an algorithm from it takes 1.3 ms, all of sha256sum half of that.
 * Nettle has no start: where only few files are to be read, those that are in the buffer at once
 * are digested by it, until one comes that is larger. OpenSSL has the faster loops for long input.
 */
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blake2.h>
#ifdef BP_HAVE_NETTLE
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#endif
#ifdef BP_HAVE_BLAKE3
#include <blake3.h>
#endif
#include <openssl/evp.h>
#include <xxhash.h>
#ifdef BP_HAVE_XXHASH_DISPATCH
/* What is called XXH3 is from here on the way that is best for the processor: AVX2 or AVX-512. */
#include <xxh_x86dispatch.h>
#endif
#include <zlib.h>

#include "digest/digest.h"
#include "base/alloc.h"
#include "base/status.h"

/* Fetched by digest_setup(), also while loops look which ones are there; kept until the end. */
static _Atomic(EVP_MD *) fetched[DIGEST_ALGS];

struct digest {
	const struct digest_alg *alg;
	EVP_MD_CTX *evp;
	XXH32_state_t *xxh32;
	XXH64_state_t *xxh64;
	XXH3_state_t *xxh3; /* of 64 bits and of 128 */
	blake2b_state blake2b; /* of lengths that OpenSSL lacks before 3.2 */
#ifdef BP_HAVE_BLAKE3
	blake3_hasher *blake3;
#endif
	uint32_t crc32;
};

bool digest_is_quick(const struct digest_alg *alg)
{
	return alg->kind >= DIGEST_XXH32;
}

/* See base/lazy.c: any function of it does. */
static void load_library(const struct digest_alg *alg)
{
	blake2b_state blake2b;

	if (alg->kind == DIGEST_BLAKE2B)
		blake2b_init(&blake2b, alg->size);
	else if (alg->kind == DIGEST_CRC32)
		crc32_z(0, NULL, 0);
	else if (alg->kind >= DIGEST_XXH32)
		XXH_versionNumber();
#ifdef BP_HAVE_BLAKE3
	else if (alg->kind == DIGEST_BLAKE3)
		blake3_version();
#endif
}

void digest_load(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	for (size_t i = 0; i < DIGEST_ALGS; i++)
		load_library(&digest_algs[i]);
}

int digest_setup(const struct digest_alg *alg)
{
	EVP_MD *md, *none = NULL;

	load_library(alg);
	if (!alg->evp)
		return digest_is_ready(alg) ? 0 : -ENOTSUP;
	if (fetched[alg - digest_algs])
		return 0;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	md = EVP_MD_fetch(NULL, alg->evp, NULL);
	if (!md)
		return -ENOTSUP;
	if (!atomic_compare_exchange_strong(&fetched[alg - digest_algs], &none, md))
		EVP_MD_free(md);
	return 0;
}

const char *digest_lacks(const struct digest_alg *alg)
{
	return alg->evp ? "this OpenSSL does not offer the algorithm" :
			  "this batchproc was built without libblake3, which BLAKE3 needs";
}

struct digest *digest_new(void)
{
	return xcalloc(1, sizeof(struct digest));
}

/* With an algorithm that was fetched, EVP calls fail only for want of memory. */
static void must(bool good)
{
	if (!good) {
		fputs("batchproc: a digest could not be computed: out of memory\n", stderr);
		_exit(EXIT_TROUBLE);
	}
}

/* Without its library no digest of it is ever begun: digest_setup() refuses. */
static void blake3_begin(struct digest *digest)
{
#ifdef BP_HAVE_BLAKE3
	if (!digest->blake3)
		digest->blake3 = xcalloc(1, sizeof(*digest->blake3));
	blake3_hasher_init(digest->blake3);
#else
	(void)digest;
#endif
}

static void blake3_update(struct digest *digest, const void *data, size_t len)
{
#ifdef BP_HAVE_BLAKE3
	blake3_hasher_update(digest->blake3, data, len);
#else
	(void)digest;
	(void)data;
	(void)len;
#endif
}

static void blake3_finish(struct digest *digest, unsigned char *result)
{
#ifdef BP_HAVE_BLAKE3
	blake3_hasher_finalize(digest->blake3, result, digest->alg->size);
#else
	(void)digest;
	(void)result;
#endif
}

/* ---- few files */

#ifdef BP_HAVE_NETTLE
/* Those that are done by it as long as OpenSSL's was not fetched. */
static _Atomic(const struct nettle_hash *) few[DIGEST_ALGS];

static const struct nettle_hash *nettle_of(const struct digest_alg *alg)
{
	if (!strcmp(alg->name, "sha256"))
		return &nettle_sha256;
	if (!strcmp(alg->name, "sha1"))
		return &nettle_sha1;
	if (!strcmp(alg->name, "sha512"))
		return &nettle_sha512;
	return strcmp(alg->name, "md5") ? NULL : &nettle_md5;
}

int digest_setup_few(const struct digest_alg *alg)
{
	if (!nettle_of(alg))
		return digest_setup(alg);
	atomic_store(&few[alg - digest_algs], nettle_of(alg));
	return 0;
}

static bool is_few(const struct digest_alg *alg)
{
	return few[alg - digest_algs];
}

/* False: it is not to be done by Nettle. */
static bool nettle_once(const struct digest_alg *alg, const void *data, size_t len,
			unsigned char *result)
{
	const struct nettle_hash *hash = few[alg - digest_algs];
	union {
		struct sha256_ctx sha256;
		struct sha512_ctx sha512;
		struct sha1_ctx sha1;
		struct md5_ctx md5;
	} state;

	if (!hash || fetched[alg - digest_algs])
		return false;
	hash->init(&state);
	hash->update(&state, len, data);
	hash->digest(&state, hash->digest_size, result);
	return true;
}
#else
int digest_setup_few(const struct digest_alg *alg)
{
	return digest_setup(alg);
}

static bool is_few(const struct digest_alg *alg)
{
	(void)alg;
	return false;
}

static bool nettle_once(const struct digest_alg *alg, const void *data, size_t len,
			unsigned char *result)
{
	(void)alg;
	(void)data;
	(void)len;
	(void)result;
	return false;
}
#endif

bool digest_is_ready(const struct digest_alg *alg)
{
#ifndef BP_HAVE_BLAKE3
	if (alg->kind == DIGEST_BLAKE3)
		return false;
#endif
	return !alg->evp || fetched[alg - digest_algs] || is_few(alg);
}

/* ---- piece by piece */

static void begin_evp(struct digest *digest)
{
	/* The first of few that is not small. */
	if (!fetched[digest->alg - digest_algs])
		must(!digest_setup(digest->alg));
	if (!digest->evp)
		digest->evp = EVP_MD_CTX_new();
	must(digest->evp &&
	     EVP_DigestInit_ex2(digest->evp, fetched[digest->alg - digest_algs], NULL));
}

static XXH3_state_t *xxh3_state(struct digest *digest)
{
	if (!digest->xxh3)
		digest->xxh3 = XXH3_createState();
	must(digest->xxh3);
	return digest->xxh3;
}

void digest_begin(struct digest *digest, const struct digest_alg *alg)
{
	digest->alg = alg;
	switch (alg->kind) {
	case DIGEST_EVP:
		begin_evp(digest);
		break;
	case DIGEST_BLAKE2B:
		must(!blake2b_init(&digest->blake2b, alg->size));
		break;
	case DIGEST_BLAKE3:
		blake3_begin(digest);
		break;
	case DIGEST_CRC32:
		digest->crc32 = 0;
		break;
	case DIGEST_XXH32:
		if (!digest->xxh32)
			digest->xxh32 = XXH32_createState();
		must(digest->xxh32 && !XXH32_reset(digest->xxh32, 0));
		break;
	case DIGEST_XXH64:
		if (!digest->xxh64)
			digest->xxh64 = XXH64_createState();
		must(digest->xxh64 && !XXH64_reset(digest->xxh64, 0));
		break;
	case DIGEST_XXH3:
		XXH3_64bits_reset(xxh3_state(digest));
		break;
	case DIGEST_XXH128:
		XXH3_128bits_reset(xxh3_state(digest));
		break;
	}
}

void digest_update(struct digest *digest, const void *data, size_t len)
{
	switch (digest->alg->kind) {
	case DIGEST_EVP:
		must(EVP_DigestUpdate(digest->evp, data, len));
		break;
	case DIGEST_BLAKE2B:
		must(!blake2b_update(&digest->blake2b, data, len));
		break;
	case DIGEST_BLAKE3:
		blake3_update(digest, data, len);
		break;
	case DIGEST_CRC32:
		digest->crc32 = (uint32_t)crc32_z(digest->crc32, data, len);
		break;
	case DIGEST_XXH32:
		XXH32_update(digest->xxh32, data, len);
		break;
	case DIGEST_XXH64:
		XXH64_update(digest->xxh64, data, len);
		break;
	case DIGEST_XXH3:
		XXH3_64bits_update(digest->xxh3, data, len);
		break;
	case DIGEST_XXH128:
		XXH3_128bits_update(digest->xxh3, data, len);
		break;
	}
}

/* Big endian is the form that xxhsum prints; its -le has the bytes the other way round. */
static void put_number(const struct digest_alg *alg, uint64_t number, unsigned char *result)
{
	const unsigned int unused = 64 - 8 * (unsigned int)alg->size;

	number = alg->little ? htole64(number) : htobe64(number << unused);
	memcpy(result, &number, alg->size);
}

static void put_xxh128(const struct digest_alg *alg, XXH128_hash_t hash, unsigned char *result)
{
	const uint64_t first = alg->little ? htole64(hash.low64) : htobe64(hash.high64);
	const uint64_t second = alg->little ? htole64(hash.high64) : htobe64(hash.low64);

	memcpy(result, &first, 8);
	memcpy(result + 8, &second, 8);
}

void digest_finish(struct digest *digest, unsigned char *result)
{
	const struct digest_alg *alg = digest->alg;

	switch (alg->kind) {
	case DIGEST_EVP:
		must(EVP_DigestFinal_ex(digest->evp, result, NULL));
		break;
	case DIGEST_BLAKE2B:
		must(!blake2b_final(&digest->blake2b, result, alg->size));
		break;
	case DIGEST_BLAKE3:
		blake3_finish(digest, result);
		break;
	case DIGEST_CRC32:
		put_number(alg, digest->crc32, result);
		break;
	case DIGEST_XXH32:
		put_number(alg, XXH32_digest(digest->xxh32), result);
		break;
	case DIGEST_XXH64:
		put_number(alg, XXH64_digest(digest->xxh64), result);
		break;
	case DIGEST_XXH3:
		put_number(alg, XXH3_64bits_digest(digest->xxh3), result);
		break;
	case DIGEST_XXH128:
		put_xxh128(alg, XXH3_128bits_digest(digest->xxh3), result);
		break;
	}
}

/* Where the library has a way for short input, that. */
void digest_once(struct digest *digest, const struct digest_alg *alg, const void *data, size_t len,
		 unsigned char *result)
{
	if (alg->kind == DIGEST_XXH128) {
		put_xxh128(alg, XXH3_128bits(data, len), result);
	} else if (alg->kind == DIGEST_XXH3) {
		put_number(alg, XXH3_64bits(data, len), result);
	} else if (!nettle_once(alg, data, len, result)) {
		digest_begin(digest, alg);
		digest_update(digest, data, len);
		digest_finish(digest, result);
	}
}
