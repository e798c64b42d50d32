/* SPDX-License-Identifier: MIT */
/*
 * What a task and a group carry with them: the time that is left, values, the words of a cause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"
#include "group.h"

struct group_value {
	struct group_value *next;
	const void *key;
	void *value;
};

static void sooner(uint64_t *until, uint64_t when)
{
	if (when < *until)
		*until = when;
}

uint64_t bp_time_left(void)
{
	struct bp_task *task = task_need(__func__);
	struct bp_engine *engine = task->op.loop_->engine;
	uint64_t until = BP_NEVER, now = bp_now(engine);
	const struct bp_timeout *scope;
	const struct bp_group *group;

	if (task_reason(task))
		return 0;
	/* In a shield only what was begun inside it ends anything. */
	for (scope = task->scopes; scope; scope = scope->outer_)
		if (scope->shield_ >= task->shield)
			sooner(&until, scope->timer_.when);
	if (!task->shield) {
		if (task->op.flags_ & OPF_TIMED)
			sooner(&until, task->op.timer_.when);
		engine_lock(engine);
		for (group = task->op.group_; group; group = group->parent)
			if (timer_armed(&group->deadline))
				sooner(&until, group->deadline.when);
		engine_unlock(engine);
	}
	if (until == BP_NEVER)
		return BP_TIME_NONE;
	return until > now ? until - now : 0;
}

struct bp_group *bp_task_group(void)
{
	return task_need(__func__)->op.group_;
}

/* ---------------------------------------------------------------- values */

static struct group_value *find(const struct bp_group *group, const void *key)
{
	struct group_value *value = group->values;

	engine_assert_locked(group->engine);
	while (value && value->key != key)
		value = value->next;
	return value;
}

int bp_group_set_value(struct bp_group *group, const void *key, void *value)
{
	struct bp_engine *engine = group_engine(group, __func__);
	struct group_value *entry, *fresh;

	if (!key)
		return -EINVAL;
	engine_check_thread(engine, __func__);
	fresh = malloc(sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	engine_lock(engine);
	entry = find(group, key);
	if (!entry) {
		entry = fresh;
		fresh = NULL;
		entry->key = key;
		entry->next = group->values;
		group->values = entry;
	}
	entry->value = value;
	engine_unlock(engine);
	free(fresh);
	return 0;
}

void *bp_group_value(const struct bp_group *group, const void *key)
{
	struct bp_engine *engine = group_engine(group, __func__);
	const struct group_value *entry = NULL;
	void *value;

	engine_check_thread(engine, __func__);
	engine_lock(engine);
	for (; group && !entry; group = group->parent)
		entry = find(group, key);
	value = entry ? entry->value : NULL;
	engine_unlock(engine);
	return value;
}

void context_forget(struct bp_group *group)
{
	while (group->values) {
		struct group_value *value = group->values;

		group->values = value->next;
		free(value);
	}
	cause_text_put(group->text);
	group->text = NULL;
}

/* ---------------------------------------------------------------- a cause in words */

void cause_text_put(struct cause_text *text)
{
	if (text && --text->refs == 0)
		free(text);
}

int bp_cancel_text(struct bp_group *group, int cause, const char *words)
{
	struct bp_engine *engine = group_engine(group, __func__);
	size_t len = words ? strnlen(words, CAUSE_TEXT_MAX) : 0;
	struct cause_text *text = NULL;
	int err = 0;

	engine_check_thread(engine, __func__);
	if (len) {
		text = malloc(sizeof(*text) + len + 1);
		err = text ? 0 : -ENOMEM;
	}
	if (text) {
		text->refs = 1;
		memcpy(text->words, words, len);
		text->words[len] = '\0';
	}
	engine_lock(engine);
	group_cancel_with(group, cause, text);
	cause_text_put(text);
	engine_unlock(engine);
	return err;
}

size_t bp_cause_text(const struct bp_group *group, char *buf, size_t size)
{
	struct bp_engine *engine = group_engine(group, __func__);
	const char *words = "";
	size_t len;

	engine_check_thread(engine, __func__);
	engine_lock(engine);
	if (group->text)
		words = group->text->words;
	else if (group->cause_set && group->cause)
		words = strerrordesc_np(-group->cause);
	if (!words)
		words = "unknown error";
	len = strlen(words);
	if (buf && size) {
		size_t n = len < size ? len : size - 1;

		memcpy(buf, words, n);
		buf[n] = '\0';
	}
	engine_unlock(engine);
	return len;
}
