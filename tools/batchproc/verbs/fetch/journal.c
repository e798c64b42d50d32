/* SPDX-License-Identifier: MIT */
/*
 * journal: what the journal is told of a file that was got, and whether it is still there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "digest/sumline.h"
#include "journal/file.h"
#include "journal/journal.h"
#include "verbs/fetch/fetch.h"

void fetch_journal_options(const void *settings, struct buf *buf)
{
	const struct fetch_settings *set = settings;

	net_journal_options(&set->net, buf);
	if (set->compressed)
		buf_str(buf, " compressed");
	if (set->drop)
		buf_str(buf, " drop");
}

/* Where it goes to, and what it has to be. */
void fetch_journal_key(const struct item *item, struct buf *buf)
{
	const struct fetch_item *own = item_priv_const(item);
	const struct fetch_settings *set = item->settings;
	struct buf path = {0};

	if (set->dir) {
		buf_str(&path, set->dir);
		buf_char(&path, '/');
	}
	if (set->output || own->path)
		buf_str(&path, set->output ? set->output : own->path);
	else
		buf_char(&path, '.');
	buf_char(buf, '\t');
	journal_path(item->job, buf, path.data, path.len);
	buf_free(&path);
	if (own->alg) {
		buf_char(buf, '\t');
		sumfield_add(buf, own->alg, own->expected);
	}
}

void fetch_journal_result(const struct item *item, struct buf *buf)
{
	const struct fetch_item *own = item_priv_const(item);

	buf_u64(buf, own->size);
	if (own->dst) {
		buf_char(buf, ' ');
		journal_escape(buf, own->dst, strlen(own->dst));
	}
}

/* Whether the file is there, in the size that it had. */
bool fetch_journal_restore(struct item *item, const char *result, size_t len)
{
	const struct fetch_settings *set = item->settings;
	struct fetch_item *own = item_priv(item);
	struct buf path = {0};
	unsigned long long size;
	struct stat st;
	char *dst;
	bool there;

	if (set->drop || set->to_stdout)
		return !set->to_stdout;
	buf_add(&path, result, len);
	buf_char(&path, '\0');
	/* One blank stands in front of the name, which may begin with another. */
	size = strtoull(path.data, &dst, 10);
	/* An answer that made no file: to HEAD, or one without content. */
	if (dst != path.data && !*dst) {
		buf_free(&path);
		return !size;
	}
	there = dst != path.data && *dst++ == ' ' && *dst && !call_lstat(dst, &st) &&
		S_ISREG(st.st_mode) && (unsigned long long)st.st_size == size;
	if (there) {
		own->size = size;
		own->dst = xstrdup(dst);
	}
	buf_free(&path);
	return there;
}
