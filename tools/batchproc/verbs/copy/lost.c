/* SPDX-License-Identifier: MIT */
/*
 * lost: what a copy should have kept of its source besides the content, and could not.
 */
#include "base/message.h"
#include "verbs/copy/lost.h"

#define TEXT_MOST 500u /* of many attributes the first ones are told */

void lost_add(struct copy_lost *lost, int err, const char *what)
{
	if (!lost->err)
		buf_str(&lost->text, "copied, but without its ");
	else if (lost->text.len < TEXT_MOST)
		lost->text.data[lost->text.len - 1] = ',';
	else
		return;
	if (lost->err)
		buf_char(&lost->text, ' ');
	else
		lost->err = err;
	buf_printf(&lost->text, "%s (%s)", what, error_text(err));
	buf_char(&lost->text, '\0');
}

void lost_forget(struct copy_lost *lost)
{
	buf_free(&lost->text);
	lost->err = 0;
}
