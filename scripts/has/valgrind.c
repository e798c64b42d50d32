/* SPDX-License-Identifier: MIT */
/* Valgrind's header, by which a program tells it of stacks of its own. */
#include <valgrind/valgrind.h>

int main(void)
{
	char stack[64];
	unsigned int id = VALGRIND_STACK_REGISTER(stack, stack + sizeof(stack));

	VALGRIND_STACK_DEREGISTER(id);
	return 0;
}
