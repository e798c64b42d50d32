/* SPDX-License-Identifier: MIT */
/*
 * records - reads what --json prints, and holds it to what it promises
 *
 * The parser is strict: JSON as RFC 8259 has it, in UTF-8, no key twice in a record.
 */
#ifndef BATCHPROC_TESTS_RECORDS_H
#define BATCHPROC_TESTS_RECORDS_H

#include "support/cmd.h"

struct record {
	uint64_t seq, bytes, attempts, dur_us;
	bool has_start;
	bool base64; /* src is not UTF-8 */
	struct text src; /* or url */
	struct text dst; /* of copy, fetch */
	uint64_t code, redirects; /* of fetch; likewise what follows */
	bool resumed, unannounced;
	char op[16], status[16], error_name[24], digest[132], start[32];
	char error[200];
};

struct records {
	struct record *all;
	size_t count, room;

	/* The summary, which is the last line. */
	uint64_t items, ok, failed, timeout, cancelled, rejected, not_started, skipped;
	uint64_t bytes, wall_us, limit, peak, loops, exit;
	uint64_t unannounced; /* of fetch */
	uint64_t samples_answered; /* of probe */
	char backend[16], reason[256], stopped[16], shard[24], limit_reason[16];
};

/**
 * Reads the records of a run and checks that each line is JSON, that numbers 1 to N stand on one
 * record each, that a status goes with the fields that it must have, and that the summary says what
 * the records add up to. @inputs of them are expected. Kept until the next test begins.
 */
#define expect_records(run, inputs) expect_records_(run, inputs, __FILE__, __LINE__)
struct records *expect_records_(const struct run *run, size_t inputs, const char *file, int line);

void records_forget(void);

/** The one record of a name; NULL, and a failure, when there is not exactly one. */
const struct record *record_of(const struct records *records, const char *src);
/** The status of a name's one record, "none" without one. */
const char *status_of(const struct records *records, const char *src);
#define expect_status(records, src, expected)                                                      \
	expect_(!strcmp(status_of(records, src), expected), src " is " expected, __FILE__, __LINE__)

/** Whether @line is one JSON object and nothing else. */
bool is_json(const char *line, size_t len);

#endif
