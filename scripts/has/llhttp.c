/* SPDX-License-Identifier: MIT */
/* llhttp 8 or newer. It is asked for heads alone, so what it thinks of chunks does not matter. */
#include <llhttp.h>

#if LLHTTP_VERSION_MAJOR < 8
#error llhttp is older than 8
#endif

int main(void)
{
	llhttp_settings_t settings;
	llhttp_t parser;

	llhttp_settings_init(&settings);
	llhttp_init(&parser, HTTP_RESPONSE, &settings);
	return llhttp_execute(&parser, "", 0) != HPE_OK;
}
