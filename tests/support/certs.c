/* SPDX-License-Identifier: MIT */
/*
 * certs - see certs.h. Keys are of P-256, which takes no time to make.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "support/certs.h"
#include "support/harness.h"

static FILE *file_of(const char *name, const char *ending, const char *mode)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s.%s", name, ending);
	file = fopen(path, mode);
	assert_non_null(file);
	return file;
}

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
}

static X509 *unsigned_cert(const struct cert *cert, EVP_PKEY *key)
{
	static long serial;
	X509 *x509 = X509_new();
	X509_NAME *name = X509_get_subject_name(x509);

	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x509), cert->from_days * 86400L);
	/* An hour less, so that the days that are left do not change while a test runs. */
	X509_gmtime_adj(X509_getm_notAfter(x509),
			(cert->to_days ? cert->to_days : 90) * 86400L - 3600);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Prüfstand", -1,
				   -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cert->name, -1,
				   -1, 0);
	return x509;
}

void make_cert(const struct cert *cert)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *signer = key;
	X509 *x509 = unsigned_cert(cert, key), *issuer = x509;
	FILE *file;

	if (cert->issuer) {
		file = file_of(cert->issuer, "pem", "r");
		issuer = PEM_read_X509(file, NULL, NULL, NULL);
		fclose(file);
		file = file_of(cert->issuer, "key", "r");
		signer = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		fclose(file);
	}
	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	extend(x509, issuer, NID_basic_constraints, cert->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (cert->names)
		extend(x509, issuer, NID_subject_alt_name, cert->names);
	assert_true(X509_sign(x509, signer, EVP_sha256()) > 0);
	file = file_of(cert->name, "pem", "w");
	PEM_write_X509(file, x509);
	fclose(file);
	file = file_of(cert->name, "key", "w");
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	if (issuer != x509) {
		X509_free(issuer);
		EVP_PKEY_free(signer);
	}
	X509_free(x509);
	EVP_PKEY_free(key);
}
