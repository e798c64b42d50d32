/* SPDX-License-Identifier: MIT */
/*
 * sumlist: a list of digests, line by line, in whichever form it is. See sumlist.h.
 */
#include <string.h>

#include "base/buf.h"
#include "base/chars.h"
#include "digest/sumlist.h"

static bool starts(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && !memcmp(text, with, strlen(with));
}

void sumlist_free(struct sumlist *list)
{
	mtree_free(&list->mtree);
}

/* ---- SFV */

/* NAME, a blank, eight digits: everything before that blank is the name. */
static enum sumline_kind parse_sfv(struct sumline *line, const struct sumrules *rules, char *text,
				   size_t len)
{
	const struct digest_alg *crc32 = digest_by_name("crc32");
	const size_t digits = 2 * crc32->size;

	*line = (struct sumline){.alg = crc32, .tagged = true};
	if (rules->zero || (rules->forced && rules->forced != crc32) || len < digits + 2 ||
	    !is_blank(text[len - digits - 1]) ||
	    !sumline_unhex(line->digest, text + len - digits, crc32->size))
		return SUMLINE_NONE;
	line->name = text;
	line->len = len - digits - 1;
	return SUMLINE_ENTRY;
}

/* ---- hashdeep */

#define HASHDEEP_HEAD "%%%% "
#define HASHDEEP HASHDEEP_HEAD "HASHDEEP-"

/* The length of what stands before the next comma. */
static size_t field_length(const char *text, size_t len)
{
	const char *comma = memchr(text, ',', len);

	return comma ? (size_t)(comma - text) : len;
}

/* size,md5,sha256,filename */
static enum sumline_kind take_columns(struct sumlist *list, const char *text, size_t len)
{
	static const char first[] = "size,", last[] = "filename";

	list->columns = 0;
	if (!starts(text, len, first))
		return SUMLINE_NONE;
	text += strlen(first);
	len -= strlen(first);
	for (;;) {
		size_t field = field_length(text, len);

		if (field == len)
			break;
		if (list->columns == SUMLIST_COLUMNS) {
			list->columns = 0;
			return SUMLINE_NONE;
		}
		list->column[list->columns++] = digest_by_spelling(text, field);
		text += field + 1;
		len -= field + 1;
	}
	if (len != strlen(last) || memcmp(text, last, len)) {
		list->columns = 0;
		return SUMLINE_NONE;
	}
	return SUMLINE_SKIPPED;
}

static enum sumline_kind parse_hashdeep(const struct sumlist *list, struct sumline *line,
					char *text, size_t len)
{
	const char *why = NULL;
	size_t field = field_length(text, len);

	*line = (struct sumline){.tagged = true};
	line->sized = field < len && sumline_number(&line->size, text, field);
	if (!line->sized)
		return SUMLINE_NONE;
	for (size_t i = 0; i < list->columns; i++) {
		text += field + 1;
		len -= field + 1;
		field = field_length(text, len);
		if (field == len)
			return SUMLINE_NONE;
		if (list->column[i] &&
		    (!list->rules.forced || list->rules.forced == list->column[i]) &&
		    !sumline_digest(line, list->column[i], text, field))
			why = "its line has no digest of a column's algorithm";
	}
	line->name = text + field + 1;
	line->len = len - field - 1;
	if (!line->len || memchr(line->name, '\0', line->len))
		return SUMLINE_NONE;
	if (!why && !line->alg)
		why = "no algorithm of its line is known";
	if (!why)
		return SUMLINE_ENTRY;
	return sumline_unchecked(line, why);
}

/* ---- PGP */

/* "Hash: SHA512" */
static bool is_header(const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len), *blank = memchr(text, ' ', len);

	return colon && blank == colon + 1;
}

/*
 * What is signed stands between a heading that ends with an empty line and the signature, which has
 * no blanks. Whatever else stands there is a line as any other: no entry hides in either.
 */
static bool is_pgp(struct sumlist *list, char **text, size_t *len)
{
	if (starts(*text, *len, "-----BEGIN PGP SIGNED MESSAGE-----")) {
		list->pgp = SUMPGP_HEAD;
		list->is_signed = true;
		return true;
	}
	switch (list->pgp) {
	case SUMPGP_NONE:
		return false;
	case SUMPGP_HEAD:
		if (is_header(*text, *len))
			return true;
		list->pgp = SUMPGP_TEXT;
		return !*len;
	case SUMPGP_TEXT:
		if (starts(*text, *len, "-----BEGIN PGP SIGNATURE-----")) {
			list->pgp = SUMPGP_SIGNATURE;
			return true;
		}
		if (starts(*text, *len, "- ")) {
			*text += 2;
			*len -= 2;
		}
		return false;
	case SUMPGP_SIGNATURE:
		if (starts(*text, *len, "-----END PGP SIGNATURE-----")) {
			list->pgp = SUMPGP_NONE;
			return true;
		}
		return is_header(*text, *len) ||
		       (!memchr(*text, ' ', *len) && !memchr(*text, '\t', *len));
	}
	return false;
}

/* ---- any list */

/*
 * The first entry says what the list is; parse_sfv() refuses what is asked to be another than
 * crc32.
 */
static enum sumline_kind take_first(struct sumlist *list, struct sumline *line, char *text,
				    size_t len)
{
	enum sumline_kind kind = SUMLINE_NONE;

	if (*text == ';') {
		list->may_be_sfv = true;
		return SUMLINE_SKIPPED;
	}
	if (starts(text, len, HASHDEEP)) {
		list->form = SUMFORM_HASHDEEP;
		return SUMLINE_SKIPPED;
	}
	if (!list->may_be_sfv)
		kind = sumline_parse(line, &list->rules, text, len);
	if (kind == SUMLINE_NONE && (list->may_be_sfv || list->rules.forced) &&
	    parse_sfv(line, &list->rules, text, len) == SUMLINE_ENTRY) {
		list->form = SUMFORM_SFV;
		return SUMLINE_ENTRY;
	}
	if (list->may_be_sfv)
		kind = sumline_parse(line, &list->rules, text, len);
	if (kind == SUMLINE_NONE && !list->rules.zero && mtree_begins(text, len)) {
		list->form = SUMFORM_MTREE;
		return mtree_take(&list->mtree, line, list->rules.forced, text, len);
	}
	if (kind != SUMLINE_NONE)
		list->form = SUMFORM_LINES;
	return kind;
}

/* What --failed-to has of lists of both forms is one list. */
static enum sumline_kind take_mixed(struct sumlist *list, struct sumline *line, char *text,
				    size_t len)
{
	const bool is_mtree = list->form == SUMFORM_MTREE;
	enum sumline_kind kind;

	if (is_mtree) {
		kind = mtree_take(&list->mtree, line, list->rules.forced, text, len);
		return kind == SUMLINE_NONE ? sumline_parse(line, &list->rules, text, len) : kind;
	}
	kind = sumline_parse(line, &list->rules, text, len);
	if (kind == SUMLINE_NONE && !list->rules.zero && starts(text, len, "./") &&
	    mtree_begins(text, len))
		kind = mtree_take(&list->mtree, line, list->rules.forced, text, len);
	return kind;
}

static enum sumline_kind take_text(struct sumlist *list, struct sumline *line, char *text,
				   size_t len)
{
	switch (list->form) {
	case SUMFORM_OPEN:
		return take_first(list, line, text, len);
	case SUMFORM_LINES:
	case SUMFORM_MTREE:
		return take_mixed(list, line, text, len);
	case SUMFORM_SFV:
		return *text == ';' ? SUMLINE_SKIPPED : parse_sfv(line, &list->rules, text, len);
	case SUMFORM_HASHDEEP:
		/* Two lists, one behind the other. */
		if (starts(text, len, HASHDEEP))
			return SUMLINE_SKIPPED;
		if (starts(text, len, HASHDEEP_HEAD))
			return take_columns(list, text + strlen(HASHDEEP_HEAD),
					    len - strlen(HASHDEEP_HEAD));
		return list->columns ? parse_hashdeep(list, line, text, len) : SUMLINE_NONE;
	}
	return SUMLINE_NONE;
}

enum sumline_kind sumlist_take(struct sumlist *list, struct sumline *line, char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";

	if (!list->begun && starts(text, len, mark)) {
		text += strlen(mark);
		len -= strlen(mark);
	}
	list->begun = true;
	if (!list->rules.zero) {
		/* A list from a DOS machine; names have their carriage returns escaped. */
		if (len && text[len - 1] == '\r')
			len--;
		if (is_pgp(list, &text, &len))
			return SUMLINE_SKIPPED;
		if (memchr(text, '\0', len)) {
			list->has_nul = true;
			return SUMLINE_NONE;
		}
	}
	if (list->form == SUMFORM_OPEN && !list->rules.zero && starts(text, len, "#mtree")) {
		list->form = SUMFORM_MTREE;
		return SUMLINE_SKIPPED;
	}
	/* An entry may go on in a line of whatever kind. */
	if (list->mtree.line.len)
		return mtree_take(&list->mtree, line, list->rules.forced, text, len);
	/* SFV has names that begin so. */
	if (!len || (*text == '#' && list->form != SUMFORM_SFV && !list->may_be_sfv))
		return SUMLINE_SKIPPED;
	return take_text(list, line, text, len);
}

/* ---- writing */

const char *sumformat_refuses(enum sumformat format, const struct digest_alg *alg,
			      struct sumstyle style)
{
	if (format == SUMFORMAT_LINES)
		return NULL;
	if (style.tag || style.zero || style.base64)
		return "--format is another than that of --tag, --base64 and -z";
	if (format == SUMFORMAT_MTREE)
		return NULL;
	if (format == SUMFORMAT_SFV)
		return strcmp(alg->name, "crc32") ? "--format sfv has digests of crc32 alone" :
						    NULL;
	return strcmp(alg->name, "md5") && strcmp(alg->name, "sha1") &&
			       strcmp(alg->name, "sha256") ?
		       "--format hashdeep has digests of md5, sha1 and sha256" :
		       NULL;
}

/* It begins at the root, or a part of it leads upwards. */
static bool is_elsewhere(const char *name, size_t len)
{
	bool found = len && *name == '/';

	for (size_t i = 0; i + 1 < len && !found; i++)
		found = name[i] == '.' && name[i + 1] == '.' && (!i || name[i - 1] == '/') &&
			(i + 2 == len || name[i + 2] == '/');
	return found;
}

const char *sumformat_lacks(enum sumformat format, const char *name, size_t len)
{
	if (format == SUMFORMAT_LINES)
		return NULL;
	if (format == SUMFORMAT_MTREE)
		return is_elsewhere(name, len) ? "is not below the working directory, so that a "
						 "list in this format cannot hold it" :
						 NULL;
	return memchr(name, '\n', len) || memchr(name, '\r', len) ?
		       "has a line's end in its name, which a list in this format cannot hold" :
		       NULL;
}

void sumformat_begin(struct buf *buf, enum sumformat format, const struct digest_alg *const *algs,
		     size_t count)
{
	if (format == SUMFORMAT_HASHDEEP) {
		buf_str(buf, HASHDEEP "1.0\n" HASHDEEP_HEAD "size,");
		for (size_t i = 0; i < count; i++)
			buf_printf(buf, "%s,", algs[i]->name);
		buf_str(buf, "filename\n");
	} else if (format == SUMFORMAT_MTREE) {
		buf_str(buf, "#mtree\n. type=dir\n");
	}
}

void sumformat_add(struct buf *buf, enum sumformat format, const struct sumline *line)
{
	const struct digest_alg *alg = line->alg;

	if (format == SUMFORMAT_MTREE) {
		mtree_add(buf, line);
		return;
	}
	if (format == SUMFORMAT_HASHDEEP) {
		buf_u64(buf, line->size);
		buf_char(buf, ',');
		buf_hex(buf, line->digest, alg->size);
		buf_char(buf, ',');
		for (size_t i = 0; i < line->more_count; i++) {
			buf_hex(buf, line->more[i].bytes, line->more[i].alg->size);
			buf_char(buf, ',');
		}
		buf_add(buf, line->name, line->len);
	} else {
		/* A comment, or what readers strip, begins so. */
		if (line->len && strchr(" \t*;#", line->name[0]))
			buf_str(buf, "./");
		buf_add(buf, line->name, line->len);
		buf_char(buf, ' ');
		buf_hex(buf, line->digest, alg->size);
	}
	buf_char(buf, '\n');
}
