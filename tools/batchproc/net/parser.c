/* SPDX-License-Identifier: MIT */
/*
 * parser: llhttp and http-parser, which differ in names alone for what is wanted here. Neither is
 * asked for bodies: http-parser as Debian builds it (not strict) takes any two bytes for the end of
 * a line in chunks.
 */
#include <stdio.h>

#ifdef BP_HAVE_LLHTTP
#include <llhttp.h>
typedef llhttp_t lib_parser;
typedef llhttp_settings_t lib_settings;
#else
#include <http_parser.h>
typedef http_parser lib_parser;
typedef http_parser_settings lib_settings;
#endif

#include "net/parser.h"

#define ENDED 2 /* of on_headers_complete: nothing follows that the parser has to look at */

static int on_field(lib_parser *lib, const char *at, size_t len)
{
	struct parsed *parsed = lib->data;

	return parsed->piece(parsed->ctx, false, at, len);
}

static int on_value(lib_parser *lib, const char *at, size_t len)
{
	struct parsed *parsed = lib->data;

	return parsed->piece(parsed->ctx, true, at, len);
}

static int on_head(lib_parser *lib)
{
	struct parsed *parsed = lib->data;

	parsed->status = (int)lib->status_code;
	parsed->major = lib->http_major;
	parsed->minor = lib->http_minor;
	return ENDED;
}

static const lib_settings settings = {
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
};

#ifdef BP_HAVE_LLHTTP

const char *parser_read(struct parsed *parsed, const char *head, size_t len)
{
	llhttp_t lib;
	llhttp_errno_t err;

	llhttp_init(&lib, HTTP_RESPONSE, &settings);
	/* What these mean is decided by head.c. */
	llhttp_set_lenient_chunked_length(&lib, 1);
	llhttp_set_lenient_transfer_encoding(&lib, 1);
	lib.data = parsed;
	parsed->status = 0;
	err = llhttp_execute(&lib, head, len);
	if (parsed->status)
		return NULL;
	return err == HPE_OK ? "the head has no end" : llhttp_get_error_reason(&lib);
}

const char *parser_name(void)
{
	static char name[32];

	snprintf(name, sizeof(name), "llhttp %d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
		 LLHTTP_VERSION_PATCH);
	return name;
}

#else

const char *parser_read(struct parsed *parsed, const char *head, size_t len)
{
	http_parser lib;

	http_parser_init(&lib, HTTP_RESPONSE);
	/* What both mean is decided by head.c. */
	lib.allow_chunked_length = 1;
	lib.data = parsed;
	parsed->status = 0;
	http_parser_execute(&lib, &settings, head, len);
	if (parsed->status)
		return NULL;
	return lib.http_errno == HPE_OK ? "the head has no end" :
					  http_errno_description((enum http_errno)lib.http_errno);
}

const char *parser_name(void)
{
	static char name[32];
	unsigned long version = http_parser_version();

	snprintf(name, sizeof(name), "http-parser %lu.%lu.%lu", version >> 16 & 255,
		 version >> 8 & 255, version & 255);
	return name;
}

#endif
