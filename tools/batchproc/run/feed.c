/* SPDX-License-Identifier: MIT */
/*
 * feed: a run over the inputs that the options name.
 */
#include <errno.h>
#include <string.h>

#include "cli/inputs.h"
#include "run/feed.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "verb.h"

bool feed_open(struct inputs *inputs, const struct options *options, int *status)
{
	*inputs = (struct inputs){.opt = options};
	return own_files_check(options, status) && inputs_open(inputs, status);
}

int feed_run(const struct options *options, const struct job_ops *ops)
{
	struct inputs inputs;
	int status;

	if (feed_open(&inputs, options, &status))
		status = job_run(options, ops, &inputs);
	inputs_close(&inputs);
	return status;
}

/* For the kernel a name ends at a NUL: what is before it could be another file. */
static void refuse_nul(struct job *job, const char *line, size_t len)
{
	struct item *item = item_new(job, &job->class, NULL, line, len);

	item->why = "has a NUL in its name (-0 reads lists that are NUL-separated)";
	item_finish(item, STATUS_FAILED, -EINVAL);
}

bool feed_next(struct job *job, const char **name, size_t *len)
{
	while (inputs_next(job->inputs, &job->watch, name, len)) {
		if (!memchr(*name, '\0', *len))
			return true;
		refuse_nul(job, *name, *len);
	}
	return false;
}

static const char *only_operand(void *name)
{
	return name;
}

void feed_each(struct job *job)
{
	const char *name;
	size_t len;

	while (feed_next(job, &name, &len))
		job->opt->verb->add(job, &(struct jobspec){.class = &job->class,
							   .count = 1,
							   .next = only_operand,
							   .from = (void *)name});
}
