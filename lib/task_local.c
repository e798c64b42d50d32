/* SPDX-License-Identifier: MIT */
/*
 * Data of a task's own: a few values by key, destroyed at its end. The task's own thread alone.
 */
#include <stdlib.h>

#include "task.h"

struct task_local {
	struct task_local *next;
	const struct bp_local_key *key;
	void *value;
};

static struct task_local *find(const struct bp_task *task, const struct bp_local_key *key)
{
	struct task_local *local = task->locals;

	while (local && local->key != key)
		local = local->next;
	return local;
}

int bp_local_set(const struct bp_local_key *key, void *value)
{
	struct bp_task *task = task_need(__func__);
	struct task_local *local;

	if (!key)
		return -EINVAL;
	local = find(task, key);
	if (!local) {
		local = malloc(sizeof(*local));
		if (!local)
			return -ENOMEM;
		local->key = key;
		local->next = task->locals;
		task->locals = local;
		task->owes = true;
	}
	local->value = value;
	return 0;
}

void *bp_local_get(const struct bp_local_key *key)
{
	const struct task_local *local = find(task_need(__func__), key);

	return local ? local->value : NULL;
}

void task_locals_end(struct bp_task *task)
{
	/* One by one, since what destroys a value may set others, and may suspend. */
	while (task->locals) {
		struct task_local *local = task->locals;

		task->locals = local->next;
		if (local->key->destroy && local->value)
			local->key->destroy(local->value);
		free(local);
	}
}
