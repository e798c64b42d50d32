/* SPDX-License-Identifier: MIT */
/*
 * mtree: the lines of mtree(5). See mtree.h.
 */
#include <string.h>

#include "base/chars.h"
#include "digest/mtree.h"

void mtree_free(struct mtree *mtree)
{
	buf_free(&mtree->line);
	buf_free(&mtree->dir);
	buf_free(&mtree->path);
	buf_free(&mtree->link);
}

/* ---- names */

/* Up to three octal digits; how many there are. */
static size_t octal(const char *text, size_t len, unsigned int *value)
{
	size_t i = 0;

	*value = 0;
	while (i < len && i < 3 && text[i] >= '0' && text[i] <= '7')
		*value = *value * 8 + (unsigned int)(text[i++] - '0');
	return i;
}

/* What one letter behind a backslash stands for; 0: none of these. */
static char by_letter(char c)
{
	static const char letters[] = "nrbavtfsE", meant[] = "\n\r\b\a\v\t\f \033";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? meant[at - letters] : '\0';
}

/* ^X, where a caret stands for a control character; -1: it is none. */
static int control(char c)
{
	if (c == '?')
		return 0177;
	return c >= '@' && c <= '_' ? c & 037 : c >= 'a' && c <= 'z' ? c & 037 : -1;
}

/* "M-c" is c with the highest bit set, "M^c" the same of a control character. */
static size_t unvis_meta(const char *text, size_t len, int *c)
{
	if (len < 3)
		return 0;
	if (text[1] == '-')
		*c = (unsigned char)text[2] | 0200;
	else if (text[1] == '^' && control(text[2]) >= 0)
		*c = control(text[2]) | 0200;
	else
		return 0;
	return 3;
}

/* What stands behind a backslash: its length, 0 where that is nothing of vis(3). *@c: -1 for none. */
static size_t unvis_one(const char *text, size_t len, int *c)
{
	unsigned int value;
	size_t digits = octal(text, len, &value);

	*c = (int)value;
	if (digits)
		return value > 0377 ? 0 : digits;
	if (!len)
		return 0;
	*c = by_letter(*text);
	if (*c)
		return 1;
	switch (*text) {
	case '$':
		*c = -1;
		return 1;
	case 'M':
		return unvis_meta(text, len, c);
	case '^':
		*c = len > 1 ? control(text[1]) : -1;
		return *c < 0 ? 0 : 2;
	case 'x':
		if (len < 3 || hex_value(text[1]) < 0 || hex_value(text[2]) < 0)
			return 0;
		*c = hex_value(text[1]) << 4 | hex_value(text[2]);
		return 3;
	default:
		/* A character that the writer took for a special one. */
		*c = (unsigned char)*text;
		return *text > ' ' && *text < 0177 && !(*text >= '0' && *text <= '9') ? 1 : 0;
	}
}

/* Appends it decoded; false where it has an escape that is none, or a NUL. */
static bool unvis(struct buf *buf, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		int c = (unsigned char)text[i++];

		if (c == '\\') {
			size_t used = unvis_one(text + i, len - i, &c);

			if (!used)
				return false;
			i += used;
		}
		if (!c)
			return false;
		if (c > 0)
			buf_char(buf, (char)c);
	}
	return true;
}

/* In octal what any reader takes for more than itself. */
static void vis(struct buf *buf, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c > ' ' && c < 0177 && !strchr("\\#=*?[]\"", c))
			buf_char(buf, (char)c);
		else
			buf_printf(buf, "\\%03o", c);
	}
}

void mtree_add_name(struct buf *buf, const char *name, size_t len)
{
	if (!(len > 1 && name[0] == '.' && name[1] == '/') && !(len == 1 && name[0] == '.'))
		buf_str(buf, "./");
	vis(buf, name, len);
}

/* ---- keywords */

struct word {
	const char *text;
	size_t len;
};

/* The next one; false at the end. */
static bool next_word(struct word *word, const char **at, const char *end)
{
	while (*at < end && is_blank(**at))
		++*at;
	word->text = *at;
	while (*at < end && !is_blank(**at))
		++*at;
	word->len = (size_t)(*at - word->text);
	return word->len > 0;
}

static bool is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.text, text, word.len);
}

/* KEY=VALUE; without a sign the value is empty. */
static void split(struct word word, struct word *key, struct word *value)
{
	const char *sign = memchr(word.text, '=', word.len);

	*key = word;
	*value = (struct word){word.text + word.len, 0};
	if (sign) {
		key->len = (size_t)(sign - word.text);
		value->text = sign + 1;
		value->len = word.len - key->len - 1;
	}
}

static bool read_type(struct sumfacts *facts, struct word value)
{
	static const char *const names[] = {"file", "dir",  "link",  "block",
					    "char", "fifo", "socket"};
	static const char letters[] = "fdlbcps";

	for (size_t i = 0; i < sizeof(letters) - 1; i++)
		if (is(value, names[i])) {
			facts->type = letters[i];
			return true;
		}
	return false;
}

/* In octal. What is written in letters, as chmod(1) has it, is not compared. */
static bool read_mode(struct sumfacts *facts, struct word value)
{
	unsigned int mode = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.text[i] < '0' || value.text[i] > '7')
			return i == 0;
		mode = mode * 8 + (unsigned int)(value.text[i] - '0');
		if (mode > 07777)
			return false;
	}
	facts->has_mode = value.len > 0;
	facts->mode = mode;
	return value.len > 0;
}

/* SECONDS.NANOSECONDS, the latter a number of its own. */
static bool read_time(struct sumfacts *facts, struct word value)
{
	const bool negative = value.len && *value.text == '-';
	const char *text = value.text + negative;
	size_t len = value.len - negative, whole;
	const char *dot = memchr(text, '.', len);
	uint64_t sec, nsec = 0;

	whole = dot ? (size_t)(dot - text) : len;
	if (!sumline_number(&sec, text, whole) || sec > INT64_MAX ||
	    (dot && !sumline_number(&nsec, dot + 1, len - whole - 1)) || nsec > 999999999)
		return false;
	facts->has_time = true;
	facts->sec = negative ? -(int64_t)sec : (int64_t)sec;
	facts->nsec = (uint32_t)nsec;
	return true;
}

/* sha256, sha256digest; NULL: none that is known. */
static const struct digest_alg *digest_of(struct word key)
{
	static const char suffix[] = "digest";
	const size_t len = strlen(suffix);

	if (key.len > len && !memcmp(key.text + key.len - len, suffix, len))
		key.len -= len;
	return key.len > 2 ? digest_by_spelling(key.text, key.len) : NULL;
}

static bool ends_as_digest(struct word key)
{
	return key.len > 6 && !memcmp(key.text + key.len - 6, "digest", 6);
}

/* What is known and not compared. */
static bool is_other(struct word key)
{
	static const char *const keys[] = {
		"cksum", "contents", "device",	 "flags",    "gid",   "gname",	   "ignore",
		"inode", "nlink",    "tags",	 "uid",	     "uname", "time",	   "size",
		"type",	 "mode",     "optional", "nochange", "link",  "resdevice",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is(key, keys[i]))
			return true;
	return false;
}

static bool is_known(struct word word)
{
	struct word key, value;

	split(word, &key, &value);
	return is_other(key) || (value.len && (digest_of(key) || ends_as_digest(key)));
}

/* Whether it may be a keyword, known or not: what else stands there makes a line no entry. */
static bool is_keyword(struct word key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.text[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (i == 0 || !strchr("._-", c)))
			return false;
	}
	return key.len > 0;
}

/* A keyword beside digests; false where its value is none. What is not known says nothing. */
static bool read_fact(struct sumline *line, struct mtree *mtree, struct word key, struct word value)
{
	struct sumfacts *facts = &line->facts;

	if (is(key, "type"))
		return read_type(facts, value);
	if (is(key, "mode"))
		return read_mode(facts, value);
	if (is(key, "time"))
		return read_time(facts, value);
	if (is(key, "size")) {
		line->sized = sumline_number(&line->size, value.text, value.len);
		return line->sized;
	}
	if (is(key, "optional"))
		facts->optional = true;
	else if (is(key, "nochange"))
		facts->nochange = true;
	else if (is(key, "link")) {
		mtree->link.len = 0;
		if (!value.len || !unvis(&mtree->link, value.text, value.len))
			return false;
		facts->link = mtree->link.data;
		facts->link_len = mtree->link.len;
	}
	return true;
}

/* All keywords of an entry. */
static enum sumline_kind read_keywords(struct mtree *mtree, struct sumline *line,
				       const struct digest_alg *forced, const char *at,
				       const char *end)
{
	const char *why = NULL;
	bool passed_over = false;
	struct word word, key, value;

	while (next_word(&word, &at, end)) {
		const struct digest_alg *alg;

		split(word, &key, &value);
		if (!is_keyword(key))
			return SUMLINE_NONE;
		alg = is_other(key) ? NULL : digest_of(key);
		if (alg && forced && alg != forced)
			passed_over = true;
		else if (alg && !sumline_digest(line, alg, value.text, value.len))
			why = "its line has no digest of a keyword's algorithm";
		else if (!alg && ends_as_digest(key) && !why) {
			passed_over = true;
			line->tag = key.text;
			line->tag_len = key.len;
		} else if (!alg && !read_fact(line, mtree, key, value))
			why = "its line has a keyword with a value that it cannot have";
	}
	if (line->alg || why)
		line->tag = NULL;
	if (!why && passed_over && !line->alg)
		why = line->tag ? "its algorithm is not known" :
				  "it has no digest of that algorithm";
	return why ? sumline_unchecked(line, why) : SUMLINE_ENTRY;
}

/* ---- lines */

/* /set KEY=VALUE..., /unset KEY... */
static enum sumline_kind take_command(struct mtree *mtree, const char *text, size_t len)
{
	struct sumline line = {.facts = mtree->set,
			       .sized = mtree->set_sized,
			       .size = mtree->set_size};
	const char *at = text, *end = text + len;
	struct word word, key, value;
	bool sets;

	next_word(&word, &at, end);
	sets = is(word, "/set");
	if (!sets && !is(word, "/unset"))
		return SUMLINE_NONE;
	while (next_word(&word, &at, end)) {
		split(word, &key, &value);
		/* The digest of all, or where all links lead to, is nothing that anyone says. */
		if (sets &&
		    (digest_of(key) || is(key, "link") || !read_fact(&line, mtree, key, value)))
			return SUMLINE_NONE;
		if (!sets && (is(key, "type") || is(key, "all")))
			line.facts.type = 0;
		if (!sets && (is(key, "mode") || is(key, "all")))
			line.facts.has_mode = false;
		if (!sets && (is(key, "time") || is(key, "all")))
			line.facts.has_time = false;
		if (!sets && (is(key, "size") || is(key, "all")))
			line.sized = false;
		if (!sets && (is(key, "optional") || is(key, "all")))
			line.facts.optional = false;
		if (!sets && (is(key, "nochange") || is(key, "all")))
			line.facts.nochange = false;
	}
	mtree->set = line.facts;
	mtree->set_sized = line.sized;
	mtree->set_size = line.size;
	return SUMLINE_SKIPPED;
}

/* Out of the directory that is open. */
static enum sumline_kind leave(struct mtree *mtree)
{
	struct buf *dir = &mtree->dir;

	if (!dir->len)
		return SUMLINE_NONE;
	do
		dir->len--;
	while (dir->len && dir->data[dir->len - 1] != '/');
	return SUMLINE_SKIPPED;
}

/* Its path, and the directory that it opens. False: it is no name. */
static bool name_entry(struct mtree *mtree, struct sumline *line, struct word name)
{
	const bool full = memchr(name.text, '/', name.len);
	struct buf *path = &mtree->path;
	size_t above;

	path->len = 0;
	if (!full)
		buf_add(path, mtree->dir.data, mtree->dir.len);
	above = path->len;
	if (!unvis(path, name.text, name.len) || path->len == above)
		return false;
	/* A slash in other clothes would lead elsewhere. */
	if (!full && memchr(path->data + above, '/', path->len - above))
		return false;
	line->name = path->data;
	line->len = path->len;
	return true;
}

static enum sumline_kind take_entry(struct mtree *mtree, struct sumline *line,
				    const struct digest_alg *forced, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	enum sumline_kind kind;
	struct word name;

	if (*text == '/')
		return take_command(mtree, text, len);
	next_word(&name, &at, end);
	if (is(name, ".."))
		return leave(mtree);
	*line = (struct sumline){.tagged = true,
				 .facts = mtree->set,
				 .sized = mtree->set_sized,
				 .size = mtree->set_size};
	line->facts.given = true;
	if (!name_entry(mtree, line, name))
		return SUMLINE_NONE;
	kind = read_keywords(mtree, line, forced, at, end);
	if (line->facts.type && line->facts.type != 'f')
		line->sized = false;
	if (line->facts.type == 'd' && !memchr(name.text, '/', name.len)) {
		mtree->dir.len = 0;
		buf_add(&mtree->dir, mtree->path.data, mtree->path.len);
		buf_char(&mtree->dir, '/');
	}
	return kind;
}

/* Whether an entry goes on: it ends with a backslash that is no part of an escape. */
static bool goes_on(const char *text, size_t len)
{
	size_t count = 0;

	while (count < len && text[len - 1 - count] == '\\')
		count++;
	return count % 2;
}

enum sumline_kind mtree_take(struct mtree *mtree, struct sumline *line,
			     const struct digest_alg *forced, const char *text, size_t len)
{
	struct buf *joined = &mtree->line;
	enum sumline_kind kind;

	while (len && is_blank(*text)) {
		text++;
		len--;
	}
	if (!joined->len && (!len || *text == '#'))
		return SUMLINE_SKIPPED;
	if (goes_on(text, len)) {
		buf_add(joined, text, len - 1);
		buf_char(joined, ' ');
		return SUMLINE_SKIPPED;
	}
	if (!joined->len)
		return take_entry(mtree, line, forced, text, len);
	buf_add(joined, text, len);
	for (text = joined->data, len = joined->len; len && is_blank(*text); len--)
		text++;
	joined->len = 0;
	kind = len ? take_entry(mtree, line, forced, text, len) : SUMLINE_SKIPPED;
	return kind;
}

bool mtree_begins(const char *text, size_t len)
{
	static const char mark[] = "#mtree";
	const char *at = text, *end = text + len;
	bool says = false;
	struct word word;

	while (at < end && is_blank(*at))
		at++;
	if (end - at >= (ptrdiff_t)strlen(mark) && !memcmp(at, mark, strlen(mark)))
		return true;
	if (!next_word(&word, &at, end))
		return false;
	if (is(word, "/set"))
		return true;
	if (*word.text == '#' || *word.text == '/')
		return false;
	while (next_word(&word, &at, end)) {
		if (at == end && is(word, "\\"))
			continue;
		if (!is_known(word))
			return false;
		says |= memchr(word.text, '=', word.len) != NULL;
	}
	return says;
}

/* ---- writing */

static const char *type_name(char type)
{
	switch (type) {
	case 'd':
		return "dir";
	case 'l':
		return "link";
	case 'b':
		return "block";
	case 'c':
		return "char";
	case 'p':
		return "fifo";
	case 's':
		return "socket";
	default:
		return "file";
	}
}

/* Letters and digits of the tag: sha512256digest=, rmd160digest=. */
static void add_digest(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest)
{
	buf_char(buf, ' ');
	for (const char *at = alg->tag; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			buf_char(buf, (char)(*at - 'A' + 'a'));
		else if ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9'))
			buf_char(buf, *at);
	}
	buf_str(buf, "digest=");
	buf_hex(buf, digest, alg->size);
}

void mtree_add(struct buf *buf, const struct sumline *line)
{
	const struct sumfacts *facts = &line->facts;

	mtree_add_name(buf, line->name, line->len);
	if (facts->type) {
		buf_str(buf, " type=");
		buf_str(buf, type_name(facts->type));
	}
	if (facts->has_mode)
		buf_printf(buf, " mode=0%o", facts->mode);
	if (line->sized) {
		buf_str(buf, " size=");
		buf_u64(buf, line->size);
	}
	if (facts->has_time)
		buf_printf(buf, " time=%lld.%09u", (long long)facts->sec, facts->nsec);
	if (facts->link) {
		buf_str(buf, " link=");
		vis(buf, facts->link, facts->link_len);
	}
	if (facts->optional)
		buf_str(buf, " optional");
	if (facts->nochange)
		buf_str(buf, " nochange");
	if (line->alg)
		add_digest(buf, line->alg, line->digest);
	for (size_t i = 0; i < line->more_count; i++)
		add_digest(buf, line->more[i].alg, line->more[i].bytes);
	buf_char(buf, '\n');
}
