/* SPDX-License-Identifier: MIT */
/*
 * certs - certificates and keys as a test wants them, made on the spot
 */
#ifndef BATCHPROC_TESTS_CERTS_H
#define BATCHPROC_TESTS_CERTS_H

/** A certificate: NAME.pem and NAME.key, in the working directory. */
struct cert {
	const char *name; /* of the files, and the common name of the subject */
	const char *issuer; /* whose NAME.pem and NAME.key sign it; NULL: it signs itself */
	const char *names; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
	int from_days, to_days; /* from today on; to_days 0: 90 */
	int ca; /* it may sign others */
};

void make_cert(const struct cert *cert);

#define CERT(...) make_cert(&(struct cert){__VA_ARGS__})

#endif
