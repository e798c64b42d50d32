/* SPDX-License-Identifier: MIT */
/* zlib: bodies that were asked for compressed. */
#include <zlib.h>

int main(void)
{
	z_stream stream = {0};

	return inflateInit2(&stream, 15 + 32) != Z_OK || inflateEnd(&stream) != Z_OK;
}
