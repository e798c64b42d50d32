/* SPDX-License-Identifier: MIT */
/* libssl and libcrypto of OpenSSL 3, with its certificates' stores. */
#include <openssl/evp.h>
#include <openssl/ssl.h>

int main(void)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	return EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
	       EVP_DigestInit_ex(md, EVP_blake2b512(), NULL) != 1 ||
	       X509_STORE_load_file(SSL_CTX_get_cert_store(ctx), "/dev/null") == 1;
}
