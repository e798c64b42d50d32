/* SPDX-License-Identifier: MIT */
/*
 * report: what is written about a target: members of its JSON record, and a row of a table.
 */
#include <string.h>
#include <time.h>

#include "net/tls.h"
#include "run/job.h"
#include "verbs/probe/histogram.h"
#include "verbs/probe/probe.h"

#define DAY 86400

/* ---- JSON */

static void add_us(struct buf *buf, const char *name, uint64_t ns)
{
	buf_printf(buf, ",\"%s_us\":", name);
	buf_u64(buf, ns / 1000);
}

static void add_date(struct buf *buf, const char *name, int64_t seconds)
{
	struct tm tm;
	time_t time = (time_t)seconds;

	if (gmtime_r(&time, &tm))
		buf_printf(buf, ",\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", name,
			   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			   tm.tm_sec);
}

/* A certificate of the chain; false: there is none. */
static bool add_certificate(const struct conn *conn, size_t index, struct probe_item *own)
{
	struct buf subject = {0}, issuer = {0};
	struct tls_certificate cert = {.subject = &subject, .issuer = &issuer};
	bool found = tls_certificate(&conn->stream, index, &cert);

	if (found) {
		buf_str(&own->tls, index ? ",{\"subject\":" : "{\"subject\":");
		buf_json(&own->tls, subject.data, subject.len);
		buf_str(&own->tls, ",\"issuer\":");
		buf_json(&own->tls, issuer.data, issuer.len);
		add_date(&own->tls, "not_before", cert.not_before);
		add_date(&own->tls, "not_after", cert.not_after);
		buf_char(&own->tls, '}');
	}
	if (found && !index) {
		int64_t left = cert.not_after - (int64_t)time(NULL);

		own->last.has_expiry = true;
		own->last.days_left = left < 0 ? -((DAY - 1 - left) / DAY) : left / DAY;
	}
	buf_free(&subject);
	buf_free(&issuer);
	return found;
}

/* The handshake as a JSON object, and the days that are left to the certificate. */
static void note_tls(const struct conn *conn, const char *wrong, struct probe_item *own)
{
	const char *alpn = tls_alpn(&conn->stream);
	size_t count = 0;

	own->last.has_tls = true;
	buf_printf(&own->tls, "{\"version\":\"%s\",\"cipher\":\"%s\"", tls_version(&conn->stream),
		   tls_cipher(&conn->stream));
	if (alpn)
		buf_printf(&own->tls, ",\"alpn\":\"%s\"", alpn);
	if (wrong) {
		buf_str(&own->tls, ",\"refused\":");
		buf_json(&own->tls, wrong, strlen(wrong));
	}
	buf_str(&own->tls, ",\"chain\":[");
	while (add_certificate(conn, count, own))
		count++;
	buf_char(&own->tls, ']');
	if (own->last.has_expiry)
		buf_printf(&own->tls, ",\"days_left\":%lld", (long long)own->last.days_left);
	buf_char(&own->tls, '}');
}

void report_conn(const struct conn *conn, const char *wrong, struct probe_item *own)
{
	own->last.address = conn->address;
	if (conn->stream.tls)
		note_tls(conn, wrong, own);
}

void report_percentiles(const struct histogram *times, struct buf *buf)
{
	add_us(buf, "p50", 1000 * histogram_value(times, 0.5));
	add_us(buf, "p90", 1000 * histogram_value(times, 0.9));
	add_us(buf, "p99", 1000 * histogram_value(times, 0.99));
	add_us(buf, "max", 1000 * times->most);
}

static void add_samples_json(const struct probe_item *own, struct buf *buf)
{
	buf_str(buf, ",\"samples\":");
	buf_u64(buf, own->samples);
	buf_str(buf, ",\"failed_samples\":");
	buf_u64(buf, own->failed);
	if (own->times && own->times->count)
		report_percentiles(own->times, buf);
}

void report_json(const struct item *item, struct buf *buf)
{
	const struct probe_item *own = item_priv_const(item);
	const struct sample *sample = &own->last;
	char text[ADDRESS_TEXT_MAX];

	if (!own->samples)
		return;
	address_text(&sample->address, text);
	if (*text)
		buf_printf(buf, ",\"address\":\"%s\"", text);
	add_us(buf, "queue", sample->dialed.queue_ns);
	add_us(buf, "name", sample->dialed.name_ns);
	add_us(buf, "connect", sample->dialed.connect_ns);
	if (sample->dialed.tls_ns)
		add_us(buf, "tls", sample->dialed.tls_ns);
	if (sample->first_byte_ns)
		add_us(buf, "first_byte", sample->first_byte_ns);
	add_us(buf, "total", sample->total_ns);
	if (sample->status)
		buf_printf(buf, ",\"code\":%d", sample->status);
	if (sample->has_tls) {
		buf_str(buf, ",\"tls\":");
		buf_add(buf, own->tls.data, own->tls.len);
	}
	if (own->samples > 1)
		add_samples_json(own, buf);
}

/* ---- the table */

void report_time(struct buf *buf, uint64_t ns)
{
	double ms = (double)ns / 1e6;

	if (ms < 10)
		buf_printf(buf, "%.2fms", ms);
	else if (ms < 1000)
		buf_printf(buf, "%.1fms", ms);
	else
		buf_printf(buf, "%.2fs", ms / 1000);
}

/* A column of @width, right-aligned, and a blank. */
static void add_column(struct buf *buf, size_t width, const struct buf *text)
{
	for (size_t i = text->len; i < width; i++)
		buf_char(buf, ' ');
	buf_add(buf, text->data, text->len);
	buf_char(buf, ' ');
}

static void add_time(struct buf *buf, uint64_t ns, bool known)
{
	struct buf text = {0};

	if (known)
		report_time(&text, ns);
	else
		buf_char(&text, '-');
	add_column(buf, 8, &text);
	buf_free(&text);
}

static void add_number(struct buf *buf, size_t width, int64_t number, bool known)
{
	struct buf text = {0};

	if (known)
		buf_printf(&text, "%lld", (long long)number);
	else
		buf_char(&text, '-');
	add_column(buf, width, &text);
	buf_free(&text);
}

void report_title(bool repeats, struct buf *buf)
{
	if (repeats)
		buf_str(buf, "STATUS  SAMPLES FAILED      P50      P90      P99      MAX TARGET\n");
	else
		buf_str(buf,
			"STATUS      NAME  CONNECT      TLS    FIRST    TOTAL CODE  DAYS TARGET\n");
}

static void add_sample(struct buf *buf, const struct sample *sample, bool well)
{
	add_time(buf, sample->dialed.name_ns, sample->dialed.name_ns);
	add_time(buf, sample->dialed.connect_ns, sample->dialed.connect_ns);
	add_time(buf, sample->dialed.tls_ns, sample->has_tls);
	add_time(buf, sample->first_byte_ns, sample->first_byte_ns);
	add_time(buf, sample->total_ns, well);
	add_number(buf, 4, sample->status, sample->status);
	add_number(buf, 5, sample->days_left, sample->has_expiry);
}

static void add_samples(struct buf *buf, const struct probe_item *own)
{
	const struct histogram *times = own->times;
	bool known = times && times->count;

	add_number(buf, 7, (int64_t)own->samples, true);
	add_number(buf, 6, (int64_t)own->failed, true);
	add_time(buf, known ? 1000 * histogram_value(times, 0.5) : 0, known);
	add_time(buf, known ? 1000 * histogram_value(times, 0.9) : 0, known);
	add_time(buf, known ? 1000 * histogram_value(times, 0.99) : 0, known);
	add_time(buf, known ? 1000 * times->most : 0, known);
}

void report_text(const struct item *item, struct buf *buf)
{
	const struct probe_settings *set = item->settings;
	const struct probe_item *own = item_priv_const(item);

	/* Not of those that an earlier run did, or that were never begun. */
	if (!own->samples)
		return;
	buf_printf(buf, "%-7s ",
		   item->status == STATUS_OK	    ? "ok" :
		   item->status == STATUS_TIMEOUT   ? "timeout" :
		   item->status == STATUS_CANCELLED ? "stopped" :
						      "failed");
	if (set->repeat > 1)
		add_samples(buf, own);
	else
		add_sample(buf, &own->last, item->status == STATUS_OK);
	buf_visible(buf, item->name.data, item->name.len);
	buf_char(buf, '\n');
}
