/* SPDX-License-Identifier: MIT */
/* libcrypto of OpenSSL 1.1.1 or newer, with the EVP interface to digests. */
#include <openssl/evp.h>

int main(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	return EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
	       EVP_DigestInit_ex(ctx, EVP_blake2b512(), NULL) != 1;
}
