/* SPDX-License-Identifier: MIT */
/*
 * sumline: the lines of sha256sum and its relatives, written and read. Pure functions; the forms
 * are those of coreutils 9, and for the tags of xxHash those of xxhsum.
 */
#include <string.h>

#include "base/buf.h"
#include "digest/sumline.h"
#include "base/chars.h"

static void add_escaped(struct buf *buf, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '\n')
			buf_str(buf, "\\n");
		else if (name[i] == '\r')
			buf_str(buf, "\\r");
		else if (name[i] == '\\')
			buf_str(buf, "\\\\");
		else
			buf_char(buf, name[i]);
	}
}

static bool wants_escape(const char *name, size_t len)
{
	return memchr(name, '\\', len) || memchr(name, '\n', len) || memchr(name, '\r', len);
}

static void add_digest(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		       bool base64)
{
	if (base64)
		buf_base64(buf, digest, alg->size);
	else
		buf_hex(buf, digest, alg->size);
}

static bool has_tag(const struct digest_alg *alg, struct sumstyle style)
{
	return style.tag || alg->tag_only;
}

void sumline_begin(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		   struct sumstyle style)
{
	if (has_tag(alg, style)) {
		buf_str(buf, alg->tag);
		buf_add(buf, " (", 2);
	} else {
		add_digest(buf, alg, digest, style.base64);
		buf_add(buf, style.star ? " *" : "  ", 2);
	}
}

/* An escaped line says so at its beginning. */
static void escape(struct buf *buf, size_t line, size_t name)
{
	struct buf old = {0};

	buf_add(&old, buf->data + line, buf->len - line);
	buf->len = line;
	buf_char(buf, '\\');
	buf_add(buf, old.data, name - line);
	add_escaped(buf, old.data + (name - line), old.len - (name - line));
	buf_free(&old);
}

void sumline_end(struct buf *buf, size_t line, size_t name, const struct digest_alg *alg,
		 const unsigned char *digest, struct sumstyle style)
{
	if (!style.zero && wants_escape(buf->data + name, buf->len - name))
		escape(buf, line, name);
	if (has_tag(alg, style)) {
		buf_add(buf, ") = ", 4);
		add_digest(buf, alg, digest, style.base64);
	}
	buf_char(buf, style.zero ? '\0' : '\n');
}

void sumline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len, struct sumstyle style)
{
	const size_t line = buf->len;
	size_t at;

	sumline_begin(buf, alg, digest, style);
	at = buf->len;
	buf_add(buf, name, len);
	sumline_end(buf, line, at, alg, digest, style);
}

/* ---- reading digests */

static size_t hex_length(const char *text, const char *end)
{
	const char *at = text;

	while (at < end && hex_value(*at) >= 0)
		at++;
	return (size_t)(at - text);
}

bool sumline_unhex(unsigned char *bytes, const char *hex, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

bool sumline_number(uint64_t *value, const char *text, size_t len)
{
	*value = 0;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || *value > (UINT64_MAX - digit) / 10)
			return false;
		*value = 10 * *value + digit;
	}
	return len > 0;
}

/* The strongest is the first; further ones stand beside it. */
bool sumline_digest(struct sumline *line, const struct digest_alg *alg, const char *hex, size_t len)
{
	struct sumdigest got = {.alg = alg}, weaker;

	if (len != 2 * alg->size || !sumline_unhex(got.bytes, hex, alg->size))
		return false;
	weaker = got;
	if (!line->alg || alg->size > line->alg->size) {
		weaker.alg = line->alg;
		memcpy(weaker.bytes, line->digest, sizeof(weaker.bytes));
		line->alg = alg;
		memcpy(line->digest, got.bytes, sizeof(line->digest));
	}
	if (weaker.alg && line->more_count < SUMLINE_MORE)
		line->more[line->more_count++] = weaker;
	return true;
}

#define DIGITS_LIKELY 32u /* no word, and no number, has so many */

static size_t base64_length(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

static bool is_base64(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '+' || c == '/' || c == '=';
}

static size_t base64_run(const char *text, const char *end)
{
	const char *at = text;

	while (at < end && is_base64(*at))
		at++;
	return (size_t)(at - text);
}

static bool unbase64(unsigned char *bytes, const char *text, size_t len, size_t size)
{
	struct buf buf = {0};
	bool good = len == base64_length(size) && buf_unbase64(&buf, text, len) && buf.len == size;

	if (good)
		memcpy(bytes, buf.data, size);
	buf_free(&buf);
	return good;
}

/* Pairs of digits, or those with colons between them as openssl dgst -c prints them. */
static bool uncolon(unsigned char *bytes, const char *text, size_t len, size_t size)
{
	if (len != 3 * size - 1)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((i && text[3 * i - 1] != ':') || !sumline_unhex(bytes + i, text + 3 * i, 1))
			return false;
	return true;
}

/* The digest of a line with a tag, as any of the tools writes it. */
static bool read_digest(unsigned char *bytes, const char *text, size_t len, size_t size)
{
	return (len == 2 * size && sumline_unhex(bytes, text, size)) ||
	       unbase64(bytes, text, len, size) || uncolon(bytes, text, len, size);
}

/* Whether a text of a line whose tag nobody knows may be a digest: no word of a sentence is. */
static bool like_digest(const char *text, const char *end)
{
	size_t len = (size_t)(end - text);

	return (len >= 8 && hex_length(text, end) == len) ||
	       (len >= 22 && base64_run(text, end) == len);
}

/* ---- reading lines */

/* SHA256 (NAME) = DIGEST: blanks as one likes before the bracket and around the sign. */
struct tagged {
	const char *tag;
	size_t tag_len;
	char *name;
	size_t len;
	char *digest;
};

/* With @words the tag may be several of them. */
static bool split_tagged(struct tagged *part, char *text, char *end, bool words)
{
	char *at = text, *close;

	while (at < end && *at != '(' && (words || !is_blank(*at)))
		at++;
	while (words && at > text && is_blank(at[-1]))
		at--;
	part->tag = text;
	part->tag_len = (size_t)(at - text);
	while (at < end && is_blank(*at))
		at++;
	if (at == end || *at != '(')
		return false;
	part->name = at + 1;
	close = memrchr(at, ')', (size_t)(end - at));
	if (!close || close == part->name)
		return false;
	part->len = (size_t)(close - part->name);
	for (at = close + 1; at < end && is_blank(*at); at++)
		;
	if (at == end || *at++ != '=')
		return false;
	while (at < end && is_blank(*at))
		at++;
	part->digest = at;
	return true;
}

/* A known algorithm's name with more behind it: BLAKE2b-25. */
static bool is_of_family(const char *tag, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (strchr("-/_", tag[i]) && digest_by_spelling(tag, i))
			return true;
	return false;
}

/* Whether a line with a tag that nobody knows is an entry all the same. */
static bool is_unknown(const struct tagged *part, const char *end)
{
	const size_t digits = hex_length(part->digest, end);

	return like_digest(part->digest, end) ||
	       (digits && part->digest + digits == end && is_of_family(part->tag, part->tag_len));
}

enum sumline_kind sumline_unchecked(struct sumline *line, const char *why)
{
	line->alg = NULL;
	line->why = why;
	return SUMLINE_UNCHECKED;
}

static const char unknown_length[] =
	"no algorithm is known by the length of its digest (-a says which)";

static const char wrong_length[] = "its line has no digest of that algorithm";

/* (NAME) = DIGEST, which says as little of the algorithm as a plain line. */
static enum sumline_kind parse_bracketed(struct sumline *line, const struct tagged *part,
					 const struct sumrules *rules, const char *end)
{
	const size_t digits = hex_length(part->digest, end);

	if (digits < DIGITS_LIKELY || part->digest + digits != end)
		return SUMLINE_NONE;
	line->alg = rules->forced ? rules->forced : digest_by_size(digits / 2);
	line->name = part->name;
	line->len = part->len;
	if (!line->alg || digits != 2 * line->alg->size)
		return sumline_unchecked(line, rules->forced ? wrong_length : unknown_length);
	sumline_unhex(line->digest, part->digest, line->alg->size);
	return SUMLINE_ENTRY;
}

static enum sumline_kind parse_tagged(struct sumline *line, const struct digest_alg *alg,
				      const struct tagged *part, const struct sumrules *rules,
				      const char *end)
{
	line->alg = alg;
	line->name = part->name;
	line->len = part->len;
	line->tagged = true;
	if (rules->forced && alg != rules->forced)
		return SUMLINE_NONE;
	if (!alg) {
		if (!is_unknown(part, end))
			return SUMLINE_NONE;
		line->tag = part->tag;
		line->tag_len = part->tag_len;
		return sumline_unchecked(line, "its algorithm is not known");
	}
	if (!read_digest(line->digest, part->digest, (size_t)(end - part->digest), alg->size))
		return sumline_unchecked(line, wrong_length);
	return SUMLINE_ENTRY;
}

/* What a plain line begins with. Returns how long it is, 0 where it is no digest. */
static size_t parse_digest(struct sumline *line, const struct digest_alg *forced, const char *text,
			   const char *end)
{
	size_t digits = hex_length(text, end), run;

	line->alg = forced ? forced : digits % 2 ? NULL : digest_by_size(digits / 2);
	if (line->alg && digits == 2 * line->alg->size &&
	    sumline_unhex(line->digest, text, line->alg->size))
		return digits;
	run = base64_run(text, end);
	for (size_t i = 0; i < DIGEST_ALGS && run > digits; i++) {
		const struct digest_alg *alg = &digest_algs[i];

		/* Those whose digests nobody writes so have other words of that length. */
		if (run != base64_length(alg->size) ||
		    (forced ? alg != forced : alg->size < 16 || alg != digest_by_size(alg->size)))
			continue;
		line->alg = alg;
		return unbase64(line->digest, text, run, alg->size) ? run : 0;
	}
	line->alg = NULL;
	return !forced && digits >= DIGITS_LIKELY && digits % 2 == 0 ? digits : 0;
}

/* DIGEST, then the gap that this list has, NAME. */
static enum sumline_kind parse_plain(struct sumline *line, struct sumrules *rules, char *text,
				     char *end)
{
	static const char xxh3[] = "XXH3_"; /* newer xxhsum tells it from XXH64 so */
	const struct digest_alg *forced = rules->forced;
	size_t len;

	line->tagged = false;
	if ((size_t)(end - text) > sizeof(xxh3) && !memcmp(text, xxh3, sizeof(xxh3) - 1)) {
		text += sizeof(xxh3) - 1;
		forced = digest_by_name("xxh3");
		if (rules->forced && rules->forced != forced)
			return SUMLINE_NONE;
		line->tagged = true;
	}
	len = parse_digest(line, forced, text, end);
	text += len;
	if (!len || text == end || !is_blank(*text++) || text == end)
		return SUMLINE_NONE;
	if (end - text == 1 || (*text != ' ' && *text != '*')) {
		/*
		 * A name that begins with a blank must not be taken for another. And a few digits
		 * before one blank are a date or a number rather than what xxhsum writes.
		 */
		if (rules->gap == SUMGAP_TWO || (len < 32 && !forced))
			return SUMLINE_NONE;
		rules->gap = SUMGAP_ONE;
	} else if (rules->gap != SUMGAP_ONE) {
		rules->gap = SUMGAP_TWO;
		text++;
	}
	line->name = text;
	line->len = (size_t)(end - text);
	return line->alg ? SUMLINE_ENTRY : sumline_unchecked(line, unknown_length);
}

static bool is_escape(const char *text, const char *end)
{
	return text + 1 < end && (text[1] == 'n' || text[1] == 'r' || text[1] == '\\');
}

/* In place; false, and nothing done, where a backslash is followed by what it never is. */
static bool unescape(char *name, size_t *len)
{
	size_t to = 0;

	for (size_t i = 0; i < *len; i++) {
		if (name[i] != '\\')
			continue;
		if (!is_escape(name + i, name + *len))
			return false;
		i++;
	}
	for (size_t i = 0; i < *len; i++) {
		char c = name[i];

		if (c == '\\') {
			c = name[++i];
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		name[to++] = c;
	}
	*len = to;
	return true;
}

enum sumline_kind sumline_parse(struct sumline *line, struct sumrules *rules, char *text,
				size_t len)
{
	char *end = text + len;
	const struct digest_alg *named = NULL;
	enum sumline_kind kind = SUMLINE_NONE;
	struct tagged part = {0};
	bool escaped, tagged;

	*line = (struct sumline){0};
	while (text < end && is_blank(*text))
		text++;
	escaped = !rules->zero && text < end && *text == '\\';
	text += escaped;
	if (memchr(text, '\0', (size_t)(end - text)))
		return SUMLINE_NONE;
	tagged = split_tagged(&part, text, end, false);
	if (tagged && part.tag_len)
		named = digest_by_spelling(text, part.tag_len);
	if (!named)
		kind = parse_plain(line, rules, text, end);
	/* A digest is no algorithm's name: what could be both is a plain line. */
	if (kind == SUMLINE_NONE && tagged)
		kind = part.tag_len ? parse_tagged(line, named, &part, rules, end) :
				      parse_bracketed(line, &part, rules, end);
	/* Whatever it is called in words; but no plain line that is not as its list has them. */
	if (kind == SUMLINE_NONE && !tagged && hex_length(text, end) < DIGITS_LIKELY &&
	    split_tagged(&part, text, end, true) && hex_length(part.digest, end) >= DIGITS_LIKELY)
		kind = parse_tagged(line, NULL, &part, rules, end);
	if (kind == SUMLINE_ENTRY && escaped && !unescape(line->name, &line->len))
		return sumline_unchecked(line, "its name has an escape that is not known");
	return kind;
}

/* ---- parts of something else */

void sumfield_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest)
{
	buf_str(buf, alg->name);
	buf_char(buf, ':');
	buf_hex(buf, digest, alg->size);
}

bool sumfield_parse(unsigned char *digest, const struct digest_alg *alg, const char *text,
		    size_t len)
{
	size_t name = strlen(alg->name);

	return len == name + 1 + 2 * alg->size && !memcmp(text, alg->name, name) &&
	       text[name] == ':' && sumline_unhex(digest, text + name + 1, alg->size);
}
