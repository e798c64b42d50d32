/* SPDX-License-Identifier: MIT */
/*
 * ask: requests to one server after the other, as redirections lead, until there is an answer that
 * is none.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "batchproc.h"
#include "net/fields.h"
#include "run/job.h"
#include "verbs/fetch/fetch.h"

/* By which a date has to be older than the response to be one of a state that is over. */
#define STRONG_SECONDS 60

void ask_prepare(struct asking *a, struct item *item)
{
	const struct fetch_settings *set = item->settings;
	struct request *r = &a->request;

	memset(a, 0, offsetof(struct asking, text));
	a->item = item;
	a->text[0] = '\0';
	*r = (struct request){
		.method = set->net.method,
		.headers = set->net.headers,
		.header_count = set->net.header_count,
		.compressed = set->compressed,
		.range_last = UINT64_MAX,
		.has_body = set->net.has_data,
		.body_len = set->net.data_len,
		.form = set->net.has_data,
	};
	r->expect_continue = r->body_len >= 1048576;
}

bool ask_is_expected(const struct fetch_settings *set, int status)
{
	if (!set->expected.count)
		return status >= 200 && status < 300;
	return statuses_have(&set->expected, status);
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* As browsers and curl do: a 303 asks for another thing, and what was posted is not posted on. */
static void change_method(struct request *r, int status)
{
	bool post = !strcmp(r->method, "POST");

	if ((status == 303 && strcmp(r->method, "HEAD") != 0) ||
	    ((status == 301 || status == 302) && post)) {
		r->method = "GET";
		r->has_body = false;
		r->expect_continue = false;
	}
}

static int redirect(struct asking *a, const char *location)
{
	const struct url *from = a->redirects > 1 ? &a->url : &a->first;
	struct request *r = &a->request;
	struct url next;
	const char *wrong = url_resolve(&next, from, location, strlen(location));
	int status = a->x.head.status;

	exchange_end(&a->x);
	if (wrong) {
		snprintf(a->text, sizeof(a->text), "redirected to a URL that %s", wrong);
		a->why = a->text;
		return -EPROTO;
	}
	if (from->tls && !next.tls) {
		url_free(&next);
		a->why = "redirected from https to http";
		return -EPERM;
	}
	url_free(&a->url);
	a->url = next;
	r->url = &a->url;
	change_method(r, status);
	if (!url_same_origin(&a->first, &a->url)) {
		r->foreign_host = true;
		r->user = r->password = NULL;
	}
	return 0;
}

static void tell_host(struct asking *a)
{
	const struct head *head = &a->x.head;
	const struct job *job = a->item->job;
	const char *text = head_value(head, "Retry-After");
	uint64_t ns = 0;
	int64_t now;

	if (text && (head->status == 429 || head->status == 503)) {
		now = (int64_t)((bp_now(job->engine) + job->real_offset_ns) / 1000000000);
		if (!retry_after_parse(text, now, &ns))
			ns = 0;
	}
	host_answered(a->x.conn, head->status, ns);
}

int ask_follow(struct asking *a)
{
	const struct fetch_settings *set = a->item->settings;
	const char *location;
	int err;

	a->x = (struct exchange){
		.net = a->item->job->net,
		.conf = &set->net.exchange,
		.request = &a->request,
		.body = set->net.data,
		.pace = &a->item->job->fetch->pace,
		.memory = a->memory,
	};
	a->request.url = &a->first;
	a->request.password = net_credentials(&set->net, &a->first, &a->request.user);
	for (;;) {
		err = exchange_begin(&a->x);
		if (err) {
			a->why = a->x.why;
			return err;
		}
		a->code = a->x.head.status;
		tell_host(a);
		location = head_value(&a->x.head, "Location");
		if (!is_redirect(a->code) || !location || !set->max_redirs)
			return 0;
		if (a->redirects == set->max_redirs) {
			a->why = "redirected more often than --max-redirs allows";
			return -ELOOP;
		}
		a->redirects++;
		err = redirect(a, location);
		if (err)
			return err;
	}
}

const char *ask_validator(const struct head *head)
{
	const char *etag = head_value(head, "ETag"), *modified, *date;
	int64_t then, now;

	if (etag)
		return etag_is_strong(etag) ? etag : NULL;
	modified = head_value(head, "Last-Modified");
	date = head_value(head, "Date");
	if (!modified || !date || !http_date_parse(modified, &then) ||
	    !http_date_parse(date, &now) || now - then < STRONG_SECONDS)
		return NULL;
	return modified;
}

void ask_end(struct asking *a)
{
	exchange_end(&a->x);
	url_free(&a->url);
	url_free(&a->first);
}
