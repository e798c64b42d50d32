/* SPDX-License-Identifier: MIT */
/*
 * shard: --shard, one of several processes that divide the same items among themselves.
 *
 * An array job that does not say how many tasks it has is refused: to guess would be to leave items
 * out, or to do all of them in every task. The same goes for two that disagree.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/parse.h"
#include "cli/shard.h"
#include "base/array.h"

#define PARTS_MOST 1000000000u

/* The variables of an array job: those that a task's number and the number of tasks follow from. */
struct array {
	const char *system;
	const char *index;
	const char *none; /* what index is outside of an array */
	const char *first; /* NULL: arrays begin with base */
	uint64_t base;
	const char *step; /* NULL: 1 */
	const char *last;
	const char *count;
};

static const struct array arrays[] = {
	{"Slurm", "SLURM_ARRAY_TASK_ID", .first = "SLURM_ARRAY_TASK_MIN",
	 .step = "SLURM_ARRAY_TASK_STEP", .last = "SLURM_ARRAY_TASK_MAX",
	 .count = "SLURM_ARRAY_TASK_COUNT"},
	{"Grid Engine", "SGE_TASK_ID", "undefined", .first = "SGE_TASK_FIRST",
	 .step = "SGE_TASK_STEPSIZE", .last = "SGE_TASK_LAST"},
	/* The count is what the job's author puts into the pod's environment. */
	{"Kubernetes", "JOB_COMPLETION_INDEX", .base = 0, .count = "JOB_COMPLETIONS"},
	{"AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", .base = 0, .count = "AWS_BATCH_JOB_ARRAY_SIZE"},
	{"Google Batch", "BATCH_TASK_INDEX", .base = 0, .count = "BATCH_TASK_COUNT"},
	{"Cloud Run", "CLOUD_RUN_TASK_INDEX", .base = 0, .count = "CLOUD_RUN_TASK_COUNT"},
	/* These say where a task is, and not among how many. */
	{"PBS", "PBS_ARRAY_INDEX", .base = 1},
	{"LSF", "LSB_JOBINDEX", "0", .base = 1},
};

bool shard_parse(struct shard *shard, const char *text)
{
	const char *slash = strchr(text, '/');
	char part[24];

	if (!slash || (size_t)(slash - text) >= sizeof(part))
		return false;
	memcpy(part, text, (size_t)(slash - text));
	part[slash - text] = '\0';
	return parse_count(slash + 1, 1, PARTS_MOST, &shard->parts) &&
	       parse_count(part, 1, shard->parts, &shard->part);
}

bool shard_owns(const struct shard *shard, const char *name, size_t len)
{
	return !shard->parts || XXH3_64bits(name, len) % shard->parts == shard->part - 1;
}

/* ---- auto */

static const char *index_of(const struct array *array)
{
	const char *index = getenv(array->index);

	return index && *index && (!array->none || strcmp(index, array->none)) ? index : NULL;
}

static bool number(const char *variable, uint64_t least, uint64_t *value, struct buf *why)
{
	const char *text = variable ? getenv(variable) : NULL;

	if (!text || parse_count(text, least, UINT64_MAX / 2, value))
		return true;
	buf_printf(why, "%s is not a number%c", variable, '\0');
	return false;
}

static bool take_array(const struct array *array, struct shard *shard, struct buf *why)
{
	uint64_t index = 0, first = array->base, step = 1, last = 0, count = 0, tasks = 0;

	if (!number(array->index, 0, &index, why) || !number(array->first, 0, &first, why) ||
	    !number(array->step, 1, &step, why) || !number(array->last, 0, &last, why) ||
	    !number(array->count, 1, &count, why))
		return false;
	if (array->last && getenv(array->last) && last >= first)
		tasks = (last - first) / step + 1;
	if (!tasks)
		tasks = count;
	if (!tasks) {
		buf_printf(why, "%s is %s, but %s%s: give --shard I/N%c", array->index,
			   getenv(array->index), array->count ? array->count : array->system,
			   array->count ? " is not set" : " does not tell of how many", '\0');
		return false;
	}
	if (index < first || (index - first) % step || (index - first) / step >= tasks ||
	    (count && count != tasks) || tasks > PARTS_MOST) {
		buf_printf(why,
			   "the numbers of this %s array are not evenly spaced, or do not agree: "
			   "give --shard I/N%c",
			   array->system, '\0');
		return false;
	}
	*shard = (struct shard){(index - first) / step + 1, tasks};
	return true;
}

bool shard_from_environment(struct shard *shard, struct buf *why)
{
	const struct array *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(arrays); i++) {
		if (!index_of(&arrays[i]))
			continue;
		if (found) {
			buf_printf(why, "both %s and %s are set: give --shard I/N%c", found->index,
				   arrays[i].index, '\0');
			return false;
		}
		found = &arrays[i];
	}
	if (found)
		return take_array(found, shard, why);
	buf_str(why, "this is no task of an array job: none of");
	for (size_t i = 0; i < ARRAY_SIZE(arrays); i++)
		buf_printf(why, "%s %s", i ? "," : "", arrays[i].index);
	buf_printf(why, " is set%c", '\0');
	return false;
}
