/* SPDX-License-Identifier: MIT */
/*
 * head: the head of a response. A library takes it apart (parser.c); what it means is decided here.
 */
#include <string.h>
#include <strings.h>

#include "base/chars.h"
#include "net/head.h"
#include "net/parser.h"

struct field {
	uint32_t name, value; /* offsets in the text */
};

size_t head_length(const char *data, size_t len, size_t *at)
{
	const char *lf;

	while (*at < len && (lf = memchr(data + *at, '\n', len - *at))) {
		size_t end = (size_t)(lf - data) + 1;

		*at = end;
		if (end >= 2 && lf[-1] == '\n')
			return end;
		if (end >= 3 && lf[-1] == '\r' && lf[-2] == '\n')
			return end;
	}
	if (*at < len)
		*at = len;
	return 0;
}

/* ---- lines and fields */

static bool is_token(char c)
{
	static const struct char_set tokens = {{
		DIGITS_LOW | CHAR_LOW('!') | CHAR_LOW('#') | CHAR_LOW('$') | CHAR_LOW('%') |
			CHAR_LOW('&') | CHAR_LOW('\'') | CHAR_LOW('*') | CHAR_LOW('+') |
			CHAR_LOW('-') | CHAR_LOW('.'),
		LETTERS_HIGH | CHAR_HIGH('^') | CHAR_HIGH('_') | CHAR_HIGH('`') | CHAR_HIGH('|') |
			CHAR_HIGH('~'),
	}};

	return char_is_of(&tokens, c);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP/1.1 200 OK, where the text may be missing, and the blank in front of it too. */
static bool is_status_line(const char *data, size_t len)
{
	static const char begin[] = "HTTP/1.";

	return len > 13 && !memcmp(data, begin, strlen(begin)) && is_digit(data[7]) &&
	       data[8] == ' ' && is_digit(data[9]) && is_digit(data[10]) && is_digit(data[11]) &&
	       (data[12] == ' ' || data[12] == '\r');
}

/* What the parsers do not agree about. */
static const char *check_lines(const char *data, size_t len)
{
	if (!is_status_line(data, len))
		return "the response does not begin with a status line of HTTP/1";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= 0x20 && c != 0x7f)
			continue;
		if (c == '\n' && (!i || data[i - 1] != '\r'))
			return "the response's head has a line that does not end with CR LF";
		if (c == '\r' && (i + 1 == len || data[i + 1] != '\n'))
			return "the response's head has a CR within a line";
		if (c == '\n' && i + 1 < len && is_blank(data[i + 1]))
			return "the response's head has a folded line";
		if (c != '\r' && c != '\n' && c != '\t')
			return "the response's head has a control character";
	}
	return NULL;
}

struct collector {
	struct head *head;
	bool in_value;
	bool too_many;
};

static int collect(void *ctx, bool is_value, const char *at, size_t len)
{
	struct collector *c = ctx;
	struct head *head = c->head;
	struct field *fields = (struct field *)head->fields.data;

	if (!is_value && (c->in_value || !head->count)) {
		struct field field = {.name = (uint32_t)head->text.len};

		if (head->count == HEAD_COUNT_MAX) {
			c->too_many = true;
			return 1;
		}
		if (head->count)
			buf_char(&head->text, '\0');
		field.name = (uint32_t)head->text.len;
		buf_add(&head->fields, &field, sizeof(field));
		head->count++;
	} else if (is_value && !c->in_value) {
		buf_char(&head->text, '\0');
		fields[head->count - 1].value = (uint32_t)head->text.len;
	}
	c->in_value = is_value;
	buf_add(&head->text, at, len);
	return 0;
}

static const struct field *field_at(const struct head *head, size_t i)
{
	return (const struct field *)head->fields.data + i;
}

static const char *name_at(const struct head *head, size_t i)
{
	return head->text.data + field_at(head, i)->name;
}

static const char *value_at(const struct head *head, size_t i)
{
	return head->text.data + field_at(head, i)->value;
}

/* Their first letters tell most apart. */
static bool is_named(const struct head *head, size_t i, const char *name)
{
	const char *its = name_at(head, i);

	return (*its | 0x20) == (*name | 0x20) && !strcasecmp(its, name);
}

/* Cuts blanks off the ends of values; they have none in front. */
static const char *check_fields(struct head *head)
{
	for (size_t i = 0; i < head->count; i++) {
		const char *name = name_at(head, i);
		char *value = head->text.data + field_at(head, i)->value;
		size_t len = strlen(value);

		if (!*name || !field_at(head, i)->value)
			return "the response's head has a line that is no header";
		for (; *name; name++)
			if (!is_token(*name))
				return "the response's head has a header whose name is none";
		while (len && is_blank(value[len - 1]))
			value[--len] = '\0';
	}
	return NULL;
}

const char *head_value(const struct head *head, const char *name)
{
	for (size_t i = 0; i < head->count; i++)
		if (is_named(head, i, name))
			return value_at(head, i);
	return NULL;
}

static bool list_has(const char *list, const char *token)
{
	size_t len = strlen(token);

	while (*list) {
		size_t item = strcspn(list, ",");
		size_t trimmed = item;

		while (trimmed && is_blank(*list)) {
			list++;
			trimmed--;
			item--;
		}
		while (trimmed && is_blank(list[trimmed - 1]))
			trimmed--;
		if (trimmed == len && !strncasecmp(list, token, len))
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

size_t head_count(const struct head *head, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < head->count; i++)
		count += is_named(head, i, name);
	return count;
}

bool head_has_token(const struct head *head, const char *name, const char *token)
{
	for (size_t i = 0; i < head->count; i++)
		if (is_named(head, i, name) && list_has(value_at(head, i), token))
			return true;
	return false;
}

/* ---- what it means */

static bool parse_length(const char *text, uint64_t *length)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!is_digit(*text) || value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	*length = value;
	return true;
}

/* Every one of them has to say the same. */
static const char *take_length(struct head *head, bool *found)
{
	uint64_t length;

	*found = false;
	for (size_t i = 0; i < head->count; i++) {
		if (!is_named(head, i, "Content-Length"))
			continue;
		if (!parse_length(value_at(head, i), &length))
			return "the response's Content-Length is no number";
		if (*found && length != head->length)
			return "the response has two lengths";
		head->length = length;
		*found = true;
	}
	return NULL;
}

static const char *take_encoding(struct head *head, bool has_length)
{
	size_t encodings = 0;

	for (size_t i = 0; i < head->count; i++) {
		if (!is_named(head, i, "Transfer-Encoding"))
			continue;
		encodings++;
		if (strcasecmp(value_at(head, i), "chunked") || encodings > 1)
			return "the response's Transfer-Encoding is another than chunked";
	}
	if (!encodings)
		return NULL;
	if (has_length)
		return "the response has a Content-Length and a Transfer-Encoding";
	if (!head->minor)
		return "the response has a Transfer-Encoding, which HTTP/1.0 does not know";
	head->body = BODY_CHUNKED;
	return NULL;
}

static const char *take_body(struct head *head, bool bodiless)
{
	const char *wrong;
	bool has_length;

	head->body = BODY_NONE;
	if (bodiless || head->status < 200 || head->status == 204 || head->status == 304) {
		/* Only told; a length that makes no sense is none. */
		if (take_length(head, &has_length) || !has_length)
			head->length = UINT64_MAX;
		return NULL;
	}
	wrong = take_length(head, &has_length);
	if (!wrong)
		wrong = take_encoding(head, has_length);
	if (wrong || head->body == BODY_CHUNKED)
		return wrong;
	head->body = has_length ? BODY_LENGTH : BODY_TO_END;
	return NULL;
}

static void take_keep(struct head *head)
{
	head->keep = head->minor ? !head_has_token(head, "Connection", "close") :
				   head_has_token(head, "Connection", "keep-alive");
	if (head->body == BODY_TO_END || head->status == 101)
		head->keep = false;
}

const char *head_read(struct head *head, const char *data, size_t len, bool bodiless)
{
	struct collector collector = {.head = head};
	struct parsed parsed = {.piece = collect, .ctx = &collector};
	const char *wrong = check_lines(data, len);

	head->count = head->fields.len = head->text.len = 0;
	head->length = 0;
	if (wrong)
		return wrong;
	wrong = parser_read(&parsed, data, len);
	if (collector.too_many)
		return "the response's head has more than 200 headers";
	if (wrong)
		return wrong;
	buf_char(&head->text, '\0');
	if (parsed.major != 1 || parsed.minor > 1)
		return "the response is of another HTTP than 1.0 and 1.1";
	if (parsed.status < 100 || parsed.status > 999)
		return "the response has no valid status";
	head->status = parsed.status;
	head->minor = parsed.minor;
	wrong = check_fields(head);
	if (!wrong)
		wrong = take_body(head, bodiless);
	if (!wrong)
		take_keep(head);
	return wrong;
}

void head_free(struct head *head)
{
	buf_free(&head->fields);
	buf_free(&head->text);
	head->count = 0;
}
