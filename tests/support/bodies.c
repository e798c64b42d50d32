/* SPDX-License-Identifier: MIT */
/*
 * bodies - see bodies.h
 */
#include <sys/xattr.h>

#include "support/bodies.h"
#include "support/cmd.h"

unsigned char body[BODY_BYTES];

void bodies_begin(struct test *t, struct httpd *httpd, answer_fn answer, void *ctx)
{
	fresh_dir(t);
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = body_byte(i);
	httpd_start(httpd, answer, ctx);
}

bool is_body(const char *name)
{
	static unsigned char got[BODY_BYTES + 1];
	FILE *file = fopen(name, "r");
	size_t len = file ? fread(got, 1, sizeof(got), file) : 0;

	if (file)
		fclose(file);
	return len == sizeof(body) && !memcmp(got, body, len);
}

size_t files_here(void)
{
	struct run *run = SH("find . -type f ! -name j | wc -l");

	return strtoul(run->out.data, NULL, 10);
}

void need_attributes(struct test *t)
{
	fresh_dir(t);
	make_file("x", "");
	if (setxattr("x", "user.x", "y", 1, 0))
		skip_because(t, "no user attributes on this file system");
	unlink("x");
}
