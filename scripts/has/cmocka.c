/* SPDX-License-Identifier: MIT */
/* cmocka 1.1: the first with cmocka_run_group_tests() and cmocka_set_message_output(). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void nothing(void **state)
{
	(void)state;
	assert_int_equal(0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing)};

	cmocka_set_message_output(CM_OUTPUT_STDOUT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
