/* SPDX-License-Identifier: MIT */
/*
 * probe: what the files of this folder share.
 *
 *	probe.c		the verb, and how often an item is sampled
 *	settings.c	its options
 *	sample.c	one sample: connect, handshake, ask, look at the answer
 *	answer.c	the HTTP response of a sample
 *	report.c	what is written about an item
 *	target.c, histogram.c	texts, and times
 */
#ifndef BATCHPROC_PROBE_H
#define BATCHPROC_PROBE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/hosts.h"
#include "net/options.h"
#include "net/statuses.h"
#include "verb.h"

struct histogram;
struct item;

struct probe_target;

/* More of a body is not read: it is enough for a health check, and for a wrong address. */
#define PROBE_BODY_MOST 1048576u

struct probe_settings {
	struct net_options net;
	const struct tls_conf *tls_offering_h2; /* for tls:// */
	struct statuses expected;
	const char *body_text; /* of --expect-body; NULL: none */
	const regex_t *body;
	bool compressed;
	bool has_cert_days;
	int64_t cert_days;
	uint64_t repeat; /* samples of each item */
	bool interval_given;
	uint64_t interval_ns;
	bool until_up;
	uint64_t until_up_ns; /* 0: for ever */
};

/* What one sample found out; times are durations, 0 where nothing of the kind was done. */
struct sample {
	struct dialed dialed;
	uint64_t first_byte_ns; /* from the request on */
	uint64_t total_ns; /* without the wait in the queue */
	union address address;
	int status; /* of HTTP; 0: none */
	uint64_t bytes; /* of the body */
	bool has_tls;
	bool has_expiry;
	int64_t days_left; /* of the certificate; has_expiry */
	const char *why; /* of an error, where it is not errno's text; constant, or text */
	char text[80];
};

struct probe_item {
	char *given; /* the target as it was given, where its name must not show all of it; NULL: it does */
	struct sample last;
	struct buf tls; /* the last handshake as a JSON object */
	struct histogram
		*times; /* of the samples that succeeded, in microseconds; NULL: one sample */
	uint64_t samples, failed;
};

/* Of struct verb. */
extern const struct opt probe_options[];
const char *probe_settle(void *settings, struct common *common);
void probe_drop(void *settings);
void probe_unshare(struct common *common);

/* Takes a sample; 0 or -errno. The target's text stays as it is meanwhile. Task only. */
int sample_take(struct item *item, const struct probe_target *target);

/*
 * Sends the request and reads the response, whose status is not judged. 0 or -errno, with
 * sample->why. Task only.
 */
int answer_get(struct item *item, const struct probe_target *target);

/* Of struct item_ops. */
void report_text(const struct item *item, struct buf *buf);
void report_json(const struct item *item, struct buf *buf);
/* Of times in microseconds, each with a comma in front. */
void report_percentiles(const struct histogram *times, struct buf *buf);
/* The line above all others. */
void report_title(bool repeats, struct buf *buf);
/*
 * Notes the address of a connection and what TLS agreed on; @wrong: with the certificate, NULL:
 * nothing.
 */
void report_conn(const struct conn *conn, const char *wrong, struct probe_item *own);
/* A duration for people: 1.23ms. */
void report_time(struct buf *buf, uint64_t ns);

#endif
