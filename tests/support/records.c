/* SPDX-License-Identifier: MIT */
/*
 * records - a strict JSON parser, and what records must add up to
 */
#include "support/records.h"

#define DEPTH_MOST 8

struct parser {
	const unsigned char *at, *end;
	/* Told of each member of the outermost object; NULL: nobody is. */
	bool (*member)(void *ctx, const char *key, const struct text *value, char type);
	void *ctx;
};

static bool value(struct parser *p, struct text *text, char *type, int depth);

static void blanks(struct parser *p)
{
	while (p->at < p->end && strchr(" \t\r\n", *p->at) && *p->at)
		p->at++;
}

static bool take(struct parser *p, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len))
		return false;
	p->at += len;
	return true;
}

static void add_utf8(struct text *text, unsigned int c)
{
	char bytes[3];

	if (c < 0x80) {
		bytes[0] = (char)c;
		text_add(text, bytes, 1);
	} else if (c < 0x800) {
		bytes[0] = (char)(0xc0 | c >> 6);
		bytes[1] = (char)(0x80 | (c & 0x3f));
		text_add(text, bytes, 2);
	} else {
		bytes[0] = (char)(0xe0 | c >> 12);
		bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (c & 0x3f));
		text_add(text, bytes, 3);
	}
}

/* The command writes no surrogates: what is not ASCII stands as it is. */
static bool escape(struct parser *p, struct text *text)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	const char *name;
	unsigned int c = 0;

	if (p->at == p->end)
		return false;
	name = *p->at ? strchr(names, *p->at) : NULL;
	if (name) {
		text_add(text, &bytes[name - names], 1);
		p->at++;
		return true;
	}
	if (!take(p, "u") || p->end - p->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = *p->at ? strchr(digits, *p->at | 0x20) : NULL;

		if (!digit)
			return false;
		c = c << 4 | (unsigned int)(digit - digits);
		p->at++;
	}
	if (c >= 0xd800 && c < 0xe000)
		return false;
	add_utf8(text, c);
	return true;
}

/* Length of the UTF-8 character at @s, 0 for none: no overlong forms, surrogates, or beyond. */
static size_t character(const unsigned char *s, size_t left)
{
	size_t len = s[0] < 0x80 ? 1 :
		     s[0] < 0xc2 ? 0 :
		     s[0] < 0xe0 ? 2 :
		     s[0] < 0xf0 ? 3 :
		     s[0] < 0xf5 ? 4 :
				   0;
	unsigned int c = len < 2 ? s[0] : s[0] & (0x7fu >> len);

	if (!len || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

static bool string(struct parser *p, struct text *text)
{
	if (!take(p, "\""))
		return false;
	while (p->at < p->end && *p->at != '"') {
		size_t len = character(p->at, (size_t)(p->end - p->at));

		if (!len || *p->at < 0x20)
			return false;
		if (*p->at == '\\') {
			p->at++;
			if (!escape(p, text))
				return false;
			continue;
		}
		text_add(text, p->at, len);
		p->at += len;
	}
	return take(p, "\"");
}

static bool digits(struct parser *p)
{
	const unsigned char *from = p->at;

	while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
		p->at++;
	return p->at > from;
}

static bool number(struct parser *p, struct text *text)
{
	const unsigned char *from = p->at;

	take(p, "-");
	if (!take(p, "0") && !digits(p))
		return false;
	if (take(p, ".") && !digits(p))
		return false;
	if (take(p, "e") || take(p, "E")) {
		if (!take(p, "-"))
			take(p, "+");
		if (!digits(p))
			return false;
	}
	text_add(text, from, (size_t)(p->at - from));
	return true;
}

static bool array(struct parser *p, int depth)
{
	struct text text = {0};
	bool good = true;
	char type;

	blanks(p);
	if (take(p, "]"))
		return true;
	do {
		good = value(p, &text, &type, depth);
	} while (good && take(p, ","));
	text_free(&text);
	return good && take(p, "]");
}

static bool member(struct parser *p, struct text *all_keys, int depth)
{
	struct text key = {0}, text = {0};
	bool good;
	char type, mark[200];

	text_add(&key, "", 0);
	text_add(&text, "", 0);
	blanks(p);
	good = string(p, &key);
	snprintf(mark, sizeof(mark), "\n%s\n", key.data);
	good = good && !text_count(all_keys, mark);
	text_add(all_keys, mark, strlen(mark));
	blanks(p);
	good = good && take(p, ":") && value(p, &text, &type, depth);
	if (good && depth == 1 && p->member)
		good = p->member(p->ctx, key.data, &text, type);
	text_free(&key);
	text_free(&text);
	return good;
}

/* An object within another is given to its member as it stands. */
static bool object(struct parser *p, struct text *text, int depth)
{
	struct text keys = {0};
	const unsigned char *from = p->at;
	bool good = true;

	text_add(&keys, "", 0);
	blanks(p);
	if (!take(p, "}")) {
		do {
			good = member(p, &keys, depth);
		} while (good && take(p, ","));
		good = good && take(p, "}");
	}
	if (good && depth > 1)
		text_add(text, from, (size_t)(p->at - from));
	text_free(&keys);
	return good;
}

static bool value(struct parser *p, struct text *text, char *type, int depth)
{
	bool good;

	blanks(p);
	if (p->at == p->end || depth > DEPTH_MOST)
		return false;
	*type = (char)*p->at;
	if (*type == '"')
		good = string(p, text);
	else if (*type == '{')
		good = take(p, "{") && object(p, text, depth + 1);
	else if (*type == '[')
		good = take(p, "[") && array(p, depth + 1);
	else if (*type == 't' || *type == 'f' || *type == 'n')
		good = take(p, "true") || take(p, "false") || take(p, "null");
	else
		good = number(p, text);
	blanks(p);
	return good;
}

static bool parse(struct parser *p)
{
	struct text text = {0};
	char type = 0;
	bool good = value(p, &text, &type, 0) && type == '{' && p->at == p->end;

	text_free(&text);
	return good;
}

bool is_json(const char *line, size_t len)
{
	struct parser p = {.at = (const unsigned char *)line,
			   .end = (const unsigned char *)line + len};

	return parse(&p);
}

/* ---------------------------------------------------------------- records */

static bool decode_base64(struct text *to, const char *from)
{
	static const char digits64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned int bits = 0, have = 0;
	size_t len = strcspn(from, "\"");

	if (len % 4)
		return false;
	for (size_t i = 0; i < len && from[i] != '='; i++) {
		const char *digit = strchr(digits64, from[i]);
		char byte;

		if (!digit)
			return false;
		bits = bits << 6 | (unsigned int)(digit - digits64);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		byte = (char)(bits >> have & 0xff);
		text_add(to, &byte, 1);
	}
	return true;
}

static bool copy(char *to, size_t size, const struct text *from)
{
	snprintf(to, size, "%s", from->data);
	return from->len < size;
}

static bool natural(uint64_t *to, const struct text *from, char type)
{
	char *end;

	*to = strtoull(from->data, &end, 10);
	return type >= '0' && type <= '9' && !*end;
}

#define TEXT_FIELD(name, field)                                                                    \
	if (!strcmp(key, name))                                                                    \
	return type == '"' && copy(field, sizeof(field), text)
#define NUMBER_FIELD(name, field)                                                                  \
	if (!strcmp(key, name))                                                                    \
	return natural(&(field), text, type)

static bool file_name(struct text *to, const struct text *text, char type)
{
	static const char begin[] = "\"base64\":\"";

	if (type == '"')
		text_add(to, text->data, text->len);
	else if (type == '{' && !strncmp(text->data, begin, sizeof(begin) - 1))
		return decode_base64(to, text->data + sizeof(begin) - 1);
	return type == '"';
}

/* What only probe has is looked at by its own tests. */
static bool member_of_probe(const char *key, const struct text *text, char type)
{
	static const char *const numbers[] = {"code",	    "samples",	     "failed_samples",
					      "queue_us",   "name_us",	     "tls_us",
					      "connect_us", "first_byte_us", "total_us",
					      "p50_us",	    "p90_us",	     "p99_us",
					      "max_us"};
	uint64_t number;

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (!strcmp(key, numbers[i]))
			return natural(&number, text, type);
	return (!strcmp(key, "address") && type == '"') || (!strcmp(key, "tls") && type == '{');
}

static bool record_member(void *ctx, const char *key, const struct text *text, char type)
{
	struct record *r = ctx;
	char ignored[200];
	uint64_t one;

	if (!strcmp(key, "v"))
		return natural(&one, text, type) && one == 1;
	if (!strcmp(key, "src") || !strcmp(key, "url") || !strcmp(key, "endpoint")) {
		r->base64 = type == '{';
		return file_name(&r->src, text, type);
	}
	if (!strcmp(key, "dst"))
		return file_name(&r->dst, text, type);
	if (!strcmp(key, "resumed") || !strcmp(key, "unannounced")) {
		*(*key == 'r' ? &r->resumed : &r->unannounced) = true;
		return type == 't';
	}
	if (!strcmp(key, "start"))
		r->has_start = true;
	NUMBER_FIELD("code", r->code);
	NUMBER_FIELD("redirects", r->redirects);
	NUMBER_FIELD("seq", r->seq);
	NUMBER_FIELD("bytes", r->bytes);
	NUMBER_FIELD("attempts", r->attempts);
	NUMBER_FIELD("dur_us", r->dur_us);
	TEXT_FIELD("op", r->op);
	TEXT_FIELD("status", r->status);
	TEXT_FIELD("errno", r->error_name);
	TEXT_FIELD("error", r->error);
	TEXT_FIELD("digest", r->digest);
	TEXT_FIELD("start", r->start);
	TEXT_FIELD("alg", ignored);
	TEXT_FIELD("verdict", ignored);
	TEXT_FIELD("expected", ignored);
	return member_of_probe(key, text, type);
}

static bool summary_member(void *ctx, const char *key, const struct text *text, char type)
{
	struct records *s = ctx;
	char op[16];
	uint64_t number_seen;

	NUMBER_FIELD("items", s->items);
	NUMBER_FIELD("ok", s->ok);
	NUMBER_FIELD("failed", s->failed);
	NUMBER_FIELD("timeout", s->timeout);
	NUMBER_FIELD("cancelled", s->cancelled);
	NUMBER_FIELD("rejected", s->rejected);
	NUMBER_FIELD("not_started", s->not_started);
	NUMBER_FIELD("skipped", s->skipped);
	NUMBER_FIELD("bytes", s->bytes);
	NUMBER_FIELD("limit", s->limit);
	TEXT_FIELD("limit_reason", s->limit_reason);
	NUMBER_FIELD("peak", s->peak);
	NUMBER_FIELD("loops", s->loops);
	NUMBER_FIELD("exit", s->exit);
	NUMBER_FIELD("v", number_seen);
	NUMBER_FIELD("wall_us", s->wall_us);
	TEXT_FIELD("op", op);
	TEXT_FIELD("backend", s->backend);
	TEXT_FIELD("reason", s->reason);
	TEXT_FIELD("stopped", s->stopped);
	TEXT_FIELD("shard", s->shard);
	NUMBER_FIELD("unannounced", s->unannounced);
	NUMBER_FIELD("samples_answered", s->samples_answered);
	NUMBER_FIELD("p50_us", number_seen);
	NUMBER_FIELD("p90_us", number_seen);
	NUMBER_FIELD("p99_us", number_seen);
	NUMBER_FIELD("max_us", number_seen);
	return (!strcmp(key, "summary") || !strcmp(key, "inputs_cut")) && type == 't';
}

static bool started(const struct record *r)
{
	return strcmp(r->status, "not_started") && strcmp(r->status, "rejected");
}

/* What a status must and must not have beside it. */
static bool consistent(const struct record *r)
{
	bool ok = !strcmp(r->status, "ok"), failed = !strcmp(r->status, "failed");
	bool reads = !strcmp(r->op, "hash") || !strcmp(r->op, "verify");

	if (r->has_start && (r->attempts < 1 || strlen(r->start) != 24))
		return false;
	if (!started(r) && (r->has_start || r->attempts || r->bytes))
		return false;
	/* Of what reads a file its digest is the result. */
	if (ok && (!r->has_start || *r->error || (reads && !*r->digest)))
		return false;
	return !failed || (*r->error_name && *r->error);
}

static struct keeper {
	struct keeper *next;
	struct records records;
} * kept;

void records_forget(void)
{
	struct keeper *keeper;

	while ((keeper = kept)) {
		kept = keeper->next;
		for (size_t i = 0; i < keeper->records.room; i++) {
			text_free(&keeper->records.all[i].src);
			text_free(&keeper->records.all[i].dst);
		}
		free(keeper->records.all);
		free(keeper);
	}
}

static void check_sums(const struct records *s, const struct run *run, const char *file, int line)
{
	static const char *const names[] = {"ok",	"failed",      "timeout", "cancelled",
					    "rejected", "not_started", "skipped"};
	const uint64_t said[] = {s->ok,	      s->failed,      s->timeout, s->cancelled,
				 s->rejected, s->not_started, s->skipped};
	char *seen = calloc(s->count + 2, 1);
	uint64_t count[COUNT_OF(names)] = {0}, bytes = 0, known = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct record *r = &s->all[i];

		bytes += r->bytes;
		for (size_t k = 0; k < COUNT_OF(names); k++)
			if (!strcmp(r->status, names[k]) && ++known)
				count[k]++;
		if (r->seq < 1 || r->seq > s->count || seen[r->seq]++)
			record_failure("%s:%d: %s: number %ju is there twice, or too large", file,
				       line, run->line, (uintmax_t)r->seq);
		if (!consistent(r))
			record_failure("%s:%d: %s: the fields of number %ju do not go together",
				       file, line, run->line, (uintmax_t)r->seq);
	}
	for (size_t k = 0; k < COUNT_OF(names); k++)
		expect_eq_((intmax_t)said[k], (intmax_t)count[k], names[k], run->line, file, line);
	expect_eq_((intmax_t)known, (intmax_t)s->count, "records of a known status", run->line,
		   file, line);
	expect_eq_((intmax_t)s->items, (intmax_t)s->count, "items", run->line, file, line);
	expect_eq_((intmax_t)s->bytes, (intmax_t)bytes, "bytes", run->line, file, line);
	expect_eq_((intmax_t)s->exit, run->status, "exit", run->line, file, line);
	expect_((bool)(s->peak <= s->limit || s->limit_reason[0]), "the peak is within the limit",
		file, line);
	free(seen);
}

struct records *expect_records_(const struct run *run, size_t inputs, const char *file, int line)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct records *s = &keeper->records;
	const char *at = run->out.data, *end = at + run->out.len, *stop;
	bool summary = false;

	keeper->next = kept;
	kept = keeper;
	s->room = text_count(&run->out, "\n") + 1;
	s->all = calloc(s->room, sizeof(*s->all));
	assert_non_null(s->all);
	for (; at < end && (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1) {
		struct parser p = {.at = (const unsigned char *)at,
				   .end = (const unsigned char *)stop};

		summary = memmem(at, (size_t)(stop - at), ",\"summary\":true,", 16);
		p.member = summary ? summary_member : record_member;
		p.ctx = summary ? (void *)s : &s->all[s->count];
		text_add(&s->all[s->count].src, "", 0);
		if (!parse(&p))
			record_failure("%s:%d: %s: this is no record: %.*s", file, line, run->line,
				       (int)(stop - at), at);
		s->count += !summary;
		if (summary && stop + 1 != end)
			record_failure("%s:%d: %s: more behind the summary", file, line, run->line);
	}
	if (at < end || !summary)
		record_failure("%s:%d: %s: the output does not end with a summary; err: %.200s",
			       file, line, run->line, run->err.data);
	else
		check_sums(s, run, file, line);
	expect_eq_((intmax_t)s->count, (intmax_t)inputs, "records", run->line, file, line);
	return s;
}

const struct record *record_of(const struct records *records, const char *src)
{
	const struct record *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < records->count; i++) {
		if (text_is(&records->all[i].src, src)) {
			found = &records->all[i];
			count++;
		}
	}
	if (count != 1)
		record_failure("%s has %zu records, not one", src, count);
	return count == 1 ? found : NULL;
}

const char *status_of(const struct records *records, const char *src)
{
	const struct record *r = record_of(records, src);

	return r ? r->status : "none";
}
