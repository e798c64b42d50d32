/* SPDX-License-Identifier: MIT */
/*
 * bodies - one body that a server sends and a fetch shall have written, and what lies beside it
 */
#ifndef BATCHPROC_TESTS_BODIES_H
#define BATCHPROC_TESTS_BODIES_H

#include "support/httpd.h"

#define BODY_BYTES 300000u

extern unsigned char body[BODY_BYTES];

/* Makes the body, an empty working directory, and starts the server. */
void bodies_begin(struct test *t, struct httpd *httpd, answer_fn answer, void *ctx);
/* Whether the file is there and is the body, whole. */
bool is_body(const char *name);
/* How many files are in the working directory and below, without the journal j. */
size_t files_here(void);
/* Skips the test where files cannot have user attributes. */
void need_attributes(struct test *t);

#endif
