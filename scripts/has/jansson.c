/* SPDX-License-Identifier: MIT */
/* jansson 2.12: objects keep the order of their members. */
#include <jansson.h>

int main(void)
{
	json_error_t error;
	json_t *json = json_loadb("{}", 2, JSON_REJECT_DUPLICATES, &error);

	return JANSSON_VERSION_HEX < 0x020c00 || !json;
}
