/* SPDX-License-Identifier: MIT */
/* libuv: event loops. */
#include <uv.h>

int main(void)
{
	return uv_version() >= UV_VERSION_HEX ? 0 : 1;
}
