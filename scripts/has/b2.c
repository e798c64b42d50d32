/* SPDX-License-Identifier: MIT */
/* libb2: BLAKE2b of any length. */
#include <blake2.h>

int main(void)
{
	blake2b_state state;

	return blake2b_init(&state, 20);
}
