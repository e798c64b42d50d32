/* SPDX-License-Identifier: MIT */
/* llhttp 9: the first that takes every valid chunk extension. */
#include <llhttp.h>

#if LLHTTP_VERSION_MAJOR < 9
#error llhttp is older than 9
#endif

int main(void)
{
	llhttp_settings_t settings;
	llhttp_t parser;

	llhttp_settings_init(&settings);
	llhttp_init(&parser, HTTP_RESPONSE, &settings);
	return llhttp_execute(&parser, "", 0) != HPE_OK;
}
