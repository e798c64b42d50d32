/* SPDX-License-Identifier: MIT */
/* Whether the compiler, with the flags asked for, makes a program at all. */
int main(void)
{
	return 0;
}
