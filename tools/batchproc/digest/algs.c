/* SPDX-License-Identifier: MIT */
/*
 * algs: the table of algorithms, and the names that people and tools call them by. It is constant;
 * any thread.
 *
 * A spelling is the name in letters and digits: case, blanks, hyphens, slashes and underscores are
 * passed over, and so is OpenSSL's "SHA2-" before what is SHA-224 to SHA-512/256. So one table
 * serves -a and the tags of coreutils, BSD, OpenSSL, rhash and xxhsum.
 */
#include <string.h>

#include "digest/digest.h"

#define ALG(name_, tag_, bytes, ...)                                                               \
	{                                                                                          \
		.name = (name_), .tag = (tag_), .size = (bytes),                                   \
		.hint = "the digest does not match; it matches as " name_ ": use -a " name_,       \
		__VA_ARGS__                                                                        \
	}
#define EVP(name_, tag_, bytes, evp_) ALG(name_, tag_, bytes, .kind = DIGEST_EVP, .evp = (evp_))
#define XXH(name_, tag_, bytes, kind_)                                                             \
	ALG(name_, tag_, bytes, .kind = (kind_)),                                                  \
		ALG(name_ "-le", tag_ "_LE", bytes, .kind = (kind_), .little = true,               \
		    .tag_only = true)
#define B2B(bits) ALG("blake2b-" #bits, "BLAKE2b-" #bits, (bits) / 8, .kind = DIGEST_BLAKE2B)

/* Of those with the same length the one that a plain line is taken for stands first. */
const struct digest_alg digest_algs[DIGEST_ALGS] = {
	EVP("sha256", "SHA256", 32, "SHA2-256"), EVP("sha1", "SHA1", 20, "SHA1"),
	EVP("md5", "MD5", 16, "MD5"), EVP("sha512", "SHA512", 64, "SHA2-512"),
	EVP("sha224", "SHA224", 28, "SHA2-224"), EVP("sha384", "SHA384", 48, "SHA2-384"),
	EVP("blake2b", "BLAKE2b", 64, "BLAKE2B-512"), EVP("blake2s", "BLAKE2s", 32, "BLAKE2S-256"),
	EVP("sha512-224", "SHA512/224", 28, "SHA2-512/224"),
	EVP("sha512-256", "SHA512/256", 32, "SHA2-512/256"),
	EVP("sha3-224", "SHA3-224", 28, "SHA3-224"), EVP("sha3-256", "SHA3-256", 32, "SHA3-256"),
	EVP("sha3-384", "SHA3-384", 48, "SHA3-384"), EVP("sha3-512", "SHA3-512", 64, "SHA3-512"),
	EVP("sm3", "SM3", 32, "SM3"), ALG("blake3", "BLAKE3", 32, .kind = DIGEST_BLAKE3),
	EVP("ripemd160", "RMD160", 20, "RIPEMD160"), XXH("xxh32", "XXH32", 4, DIGEST_XXH32),
	XXH("xxh64", "XXH64", 8, DIGEST_XXH64),
	/* xxhsum takes 16 digits for XXH64, so that a line of this one needs its tag. */
	ALG("xxh3", "XXH3", 8, .kind = DIGEST_XXH3, .tag_only = true),
	ALG("xxh3-le", "XXH3_LE", 8, .kind = DIGEST_XXH3, .little = true, .tag_only = true),
	XXH("xxh128", "XXH128", 16, DIGEST_XXH128),
	ALG("crc32", "CRC32", 4, .kind = DIGEST_CRC32, .tag_only = true),
	/* clang-format off */
	B2B(256), B2B(384), B2B(224), B2B(160), B2B(128),
	B2B(8), B2B(16), B2B(24), B2B(32), B2B(40), B2B(48), B2B(56), B2B(64), B2B(72), B2B(80),
	B2B(88), B2B(96), B2B(104), B2B(112), B2B(120), B2B(136), B2B(144), B2B(152), B2B(168),
	B2B(176), B2B(184), B2B(192), B2B(200), B2B(208), B2B(216), B2B(232), B2B(240), B2B(248),
	B2B(264), B2B(272), B2B(280), B2B(288), B2B(296), B2B(304), B2B(312), B2B(320), B2B(328),
	B2B(336), B2B(344), B2B(352), B2B(360), B2B(368), B2B(376), B2B(392), B2B(400), B2B(408),
	B2B(416), B2B(424), B2B(432), B2B(440), B2B(448), B2B(456), B2B(464), B2B(472), B2B(480),
	B2B(488), B2B(496), B2B(504),
	/* clang-format on */
};

#define SPELLING_MOST 24

/* A letter or digit as it counts; NUL where it does not. */
static char counting(char c)
{
	if (c == '-' || c == '/' || c == '_' || c == ' ')
		return '\0';
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What is left of a name; false where that is nothing, or more than any algorithm has. */
static bool spell(char *spelling, const char *name, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		const char c = counting(name[i]);

		if (!name[i])
			return false;
		if (!c)
			continue;
		if (to == SPELLING_MOST - 1)
			return false;
		spelling[to++] = c;
	}
	spelling[to] = '\0';
	return to > 0;
}

static bool is_spelt(const char *name, const char *spelling)
{
	for (; *name; name++) {
		const char c = counting(*name);

		if (c && c != *spelling++)
			return false;
	}
	return !*spelling;
}

/* Whatever an algorithm is called begins with the same letter: most are out at once. */
static bool spells(const struct digest_alg *alg, const char *spelling)
{
	return alg->name[0] == spelling[0] &&
	       (is_spelt(alg->name, spelling) || is_spelt(alg->tag, spelling) ||
		(alg->evp && is_spelt(alg->evp, spelling)));
}

const struct digest_alg *digest_by_spelling(const char *name, size_t len)
{
	/* Lists have the same tag over and over. */
	static _Thread_local const struct digest_alg *last;
	static _Thread_local char last_spelling[SPELLING_MOST];
	char spelling[SPELLING_MOST];

	if (!spell(spelling, name, len))
		return NULL;
	if (last && !strcmp(spelling, last_spelling))
		return last;
	for (size_t i = 0; i < DIGEST_ALGS; i++) {
		if (spells(&digest_algs[i], spelling)) {
			last = &digest_algs[i];
			memcpy(last_spelling, spelling, sizeof(spelling));
			return last;
		}
	}
	return NULL;
}

const struct digest_alg *digest_by_name(const char *name)
{
	return digest_by_spelling(name, strlen(name));
}

const struct digest_alg *digest_by_size(size_t size)
{
	const struct digest_alg *alg = NULL;

	while ((alg = digest_of_size(alg, size)))
		if (!alg->tag_only && alg->kind != DIGEST_BLAKE2B)
			return alg;
	return NULL;
}

const struct digest_alg *digest_of_size(const struct digest_alg *after, size_t size)
{
	for (size_t i = after ? (size_t)(after - digest_algs) + 1 : 0; i < DIGEST_ALGS; i++)
		if (digest_algs[i].size == size)
			return &digest_algs[i];
	return NULL;
}

const char *digest_names(void)
{
	return "one of " DIGEST_NAMES(" ");
}

const char *digest_read(void *to, const char *arg)
{
	const struct digest_alg **alg = to;

	*alg = digest_by_name(arg);
	return *alg ? NULL : digest_names();
}
