/* SPDX-License-Identifier: MIT */
/* libidn2: international domain names. */
#include <idn2.h>

int main(void)
{
	char *ascii = NULL;
	int err = idn2_to_ascii_8z("m\xc3\xbcnchen", &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	idn2_free(ascii);
	return err;
}
