/* SPDX-License-Identifier: MIT */
/*
 * fuzz_manifest: a job that was read from a line is read again from the JSON that is written of it.
 *
 * fuzzes: tools/batchproc/cli/manifest.c tools/batchproc/cli/words.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "fuzz.h"
#include "cli/manifest.h"
#include "verb.h"

static void add_name(struct buf *line, const char *key, const char *name)
{
	buf_printf(line, ",\"%s\":", key);
	buf_json(line, name, strlen(name));
}

static void must_be_same(const struct manifest_job *a, struct buf *names, struct manifest_job *b)
{
	struct buf options[2] = {{0}};
	const char *name = names->data;

	must(a->verb == b->verb && a->count == b->count);
	for (size_t i = 0; i < a->count; i++, name += strlen(name) + 1)
		must(!strcmp(name, manifest_next(b)));
	must(!manifest_next(b));
	manifest_add_options(a, &options[0]);
	manifest_add_options(b, &options[1]);
	must(options[0].len == options[1].len);
	must(!options[0].len || !memcmp(options[0].data, options[1].data, options[0].len));
	buf_free(&options[0]);
	buf_free(&options[1]);
}

static void written_and_read(struct manifest_job *job)
{
	struct manifest_job again = {0};
	struct buf line = {0}, names = {0};
	const char *name;

	buf_printf(&line, "{\"op\":\"%s\"", job->verb->name);
	while ((name = manifest_next(job))) {
		add_name(&line, names.len ? "dst" : source_key(verb_source(job->verb)), name);
		buf_add(&names, name, strlen(name) + 1);
	}
	if (job->verb->has_dst)
		must(!strcmp(names.data + strlen(names.data) + 1, job->last.data));
	manifest_add_options(job, &line);
	buf_char(&line, '}');
	must(manifest_parse(&again, line.data, line.len) == MANIFEST_JOB);
	must_be_same(job, &names, &again);
	manifest_free(&again);
	buf_free(&line);
	buf_free(&names);
}

int fuzz_manifest(const uint8_t *data, size_t size)
{
	struct manifest_job job = {0};
	enum manifest_line kind;

	/* Twice: a job is used again for the next line. */
	for (int i = 0; i < 2; i++) {
		kind = manifest_parse(&job, (const char *)data, size);
		must((kind == MANIFEST_BAD) == (job.error.len > 0));
	}
	/* JSON has as many operands as a verb needs, words may have any number. */
	if (kind == MANIFEST_JOB && job.count == 1u + job.verb->has_dst)
		written_and_read(&job);
	manifest_free(&job);
	return 0;
}
