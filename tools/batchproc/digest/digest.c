/* SPDX-License-Identifier: MIT */
/*
 * digest: one table of algorithms over OpenSSL's EVP and libxxhash.
 *
 * EVP_get_digestbyname() and the like look an algorithm up again for every computation since
 * OpenSSL 3, and a new EVP_MD_CTX costs as much as hashing some KiB. So each algorithm is fetched
 * once, and contexts are kept and used again. OpenSSL's configuration file is not read: it costs
 * more than hashing a small tree, and digests do not depend on it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <xxhash.h>

#include "digest/digest.h"
#include "base/alloc.h"
#include "base/array.h"
#include "base/status.h"

static const struct digest_alg algs[] = {
	{.name = "sha256", .tag = "SHA256", .size = 32, .evp = "SHA2-256"},
	{.name = "sha1", .tag = "SHA1", .size = 20, .evp = "SHA1"},
	{.name = "md5", .tag = "MD5", .size = 16, .evp = "MD5"},
	{.name = "sha512", .tag = "SHA512", .size = 64, .evp = "SHA2-512"},
	{.name = "blake2b", .tag = "BLAKE2b", .size = 64, .evp = "BLAKE2B-512"},
	{.name = "xxh3", .tag = "XXH3", .size = 8},
	{.name = "xxh128", .tag = "XXH128", .size = 16, .wide = true},
};

/* Fetched by digest_setup(), read-only while a run lasts. */
static EVP_MD *fetched[ARRAY_SIZE(algs)];

struct digest {
	const struct digest_alg *alg;
	EVP_MD_CTX *evp;
	XXH3_state_t *xxh;
};

const struct digest_alg *digest_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (!strcmp(algs[i].name, name))
			return &algs[i];
	return NULL;
}

const struct digest_alg *digest_by_tag(const char *tag, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (strlen(algs[i].tag) == len && !memcmp(algs[i].tag, tag, len))
			return &algs[i];
	return NULL;
}

const struct digest_alg *digest_by_length(size_t digits)
{
	/* Where two have the same length, the table has the more common one first. */
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (2 * algs[i].size == digits)
			return &algs[i];
	return NULL;
}

const char *digest_names(void)
{
	return "one of sha256, sha1, md5, sha512, blake2b, xxh3, xxh128";
}

bool digest_is_quick(const struct digest_alg *alg)
{
	return !alg->evp;
}

int digest_setup(const struct digest_alg *alg)
{
	EVP_MD **md = &fetched[alg - algs];

	if (!alg->evp || *md)
		return 0;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	*md = EVP_MD_fetch(NULL, alg->evp, NULL);
	return *md ? 0 : -ENOTSUP;
}

void digest_cleanup(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		EVP_MD_free(fetched[i]);
		fetched[i] = NULL;
	}
}

struct digest *digest_new(void)
{
	return xcalloc(1, sizeof(struct digest));
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->evp);
	XXH3_freeState(digest->xxh);
	free(digest);
}

/* With an algorithm that was fetched, EVP calls fail only for want of memory. */
static void must(bool good)
{
	if (!good) {
		fputs("batchproc: a digest could not be computed: out of memory\n", stderr);
		_exit(EXIT_TROUBLE);
	}
}

void digest_begin(struct digest *digest, const struct digest_alg *alg)
{
	digest->alg = alg;
	if (alg->evp) {
		if (!digest->evp)
			digest->evp = EVP_MD_CTX_new();
		must(digest->evp && EVP_DigestInit_ex2(digest->evp, fetched[alg - algs], NULL));
		return;
	}
	if (!digest->xxh)
		digest->xxh = XXH3_createState();
	must(digest->xxh);
	if (alg->wide)
		XXH3_128bits_reset(digest->xxh);
	else
		XXH3_64bits_reset(digest->xxh);
}

void digest_update(struct digest *digest, const void *data, size_t len)
{
	if (digest->alg->evp)
		must(EVP_DigestUpdate(digest->evp, data, len));
	else if (digest->alg->wide)
		XXH3_128bits_update(digest->xxh, data, len);
	else
		XXH3_64bits_update(digest->xxh, data, len);
}

/* Big endian is the form that xxhsum prints. */
static void put_xxh64(XXH64_hash_t hash, unsigned char *result)
{
	XXH64_canonical_t canonical;

	XXH64_canonicalFromHash(&canonical, hash);
	memcpy(result, canonical.digest, sizeof(canonical.digest));
}

static void put_xxh128(XXH128_hash_t hash, unsigned char *result)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(result, canonical.digest, sizeof(canonical.digest));
}

void digest_finish(struct digest *digest, unsigned char *result)
{
	if (digest->alg->evp)
		must(EVP_DigestFinal_ex(digest->evp, result, NULL));
	else if (digest->alg->wide)
		put_xxh128(XXH3_128bits_digest(digest->xxh), result);
	else
		put_xxh64(XXH3_64bits_digest(digest->xxh), result);
}

void digest_once(struct digest *digest, const struct digest_alg *alg, const void *data, size_t len,
		 unsigned char *result)
{
	if (alg->evp) {
		digest_begin(digest, alg);
		digest_update(digest, data, len);
		digest_finish(digest, result);
	} else if (alg->wide) {
		put_xxh128(XXH3_128bits(data, len), result);
	} else {
		put_xxh64(XXH3_64bits(data, len), result);
	}
}
