/* SPDX-License-Identifier: MIT */
/*
 * fuzz - the parsers of the command on bytes that nobody thought of
 *
 * fuzz_NAME.c is one parser's harness: a function of some bytes. `make fuzz T=NAME` links it with
 * clang's libFuzzer, which looks for inputs that reach new code; those worth keeping stand in
 * corpus/NAME/ and are replayed by test_corpora, which needs no clang. A harness holds what it
 * parsed to what the parser promises, and ends the program where that does not hold.
 *
 * A new one is a file here, a line below and in test_corpora.c, and some input in corpus/NAME/. To
 * keep what a run of it found:
 *
 *	build/fuzz/NAME/fuzz -merge=1 tests/fuzz/corpus/NAME build/fuzz/NAME/corpus
 */
#ifndef BATCHPROC_TESTS_FUZZ_H
#define BATCHPROC_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int fuzz_bagline(const uint8_t *data, size_t size);
int fuzz_filter(const uint8_t *data, size_t size);
int fuzz_journal(const uint8_t *data, size_t size);
int fuzz_manifest(const uint8_t *data, size_t size);
int fuzz_mtree(const uint8_t *data, size_t size);
int fuzz_response(const uint8_t *data, size_t size);
int fuzz_sumline(const uint8_t *data, size_t size);
int fuzz_url(const uint8_t *data, size_t size);
int fuzz_words(const uint8_t *data, size_t size);

static inline void must(bool holds)
{
	if (!holds)
		abort();
}

#endif
