/* SPDX-License-Identifier: MIT */
/* http-parser 2.9: Transfer-Encoding and Content-Length in one message are an error there. */
#include <http_parser.h>

#if HTTP_PARSER_VERSION_MAJOR * 100 + HTTP_PARSER_VERSION_MINOR < 209
#error http-parser is older than 2.9
#endif

int main(void)
{
	http_parser parser;

	http_parser_init(&parser, HTTP_RESPONSE);
	return parser.http_errno != HPE_OK;
}
