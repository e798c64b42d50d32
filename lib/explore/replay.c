/* SPDX-License-Identifier: MIT */
/*
 * A plan as a string, and back: "seed=17,size=2,off=short+late,decisions=3.9-11". See explore.h.
 *
 * Without decisions the seed takes them all; with "decisions=none" it takes none.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/explore.h"

/* Nobody keeps more: the bits of these are two mebibytes. */
#define DECISIONS_MAX (1u << 24)

static bool is_kept(const struct sim_kept *kept, uint64_t i)
{
	return i < kept->count && kept->bits[i / 8] & (1u << i % 8);
}

uint64_t kept_count(const struct sim_kept *kept)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < kept->count; i++)
		n += is_kept(kept, i);
	return n;
}

void tell(int fd, const char *fmt, ...)
{
	va_list ap;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	vdprintf(fd, fmt, ap);
	va_end(ap);
}

/* ---------------------------------------------------------------- printing */

struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text->at, text->left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= text->left) {
		text->left = 0;
		return;
	}
	text->at += n;
	text->left -= (size_t)n;
}

static void add_decisions(struct text *text, const struct sim_kept *kept)
{
	const char *sep = "";

	add(text, ",decisions=");
	if (!kept_count(kept))
		add(text, "none");
	for (uint64_t i = 0, end; i < kept->count && text->left; i = end) {
		end = i + 1;
		if (!is_kept(kept, i))
			continue;
		while (is_kept(kept, end))
			end++;
		add(text, "%s%" PRIu64, sep, i);
		if (end > i + 1)
			add(text, "-%" PRIu64, end - 1);
		sep = ".";
	}
}

bool replay_print(const struct plan *plan, char room[BP_SIM_REPLAY_MAX])
{
	struct text text = {room, BP_SIM_REPLAY_MAX};
	const char *sep = ",off=";

	add(&text, "seed=%" PRIu64, plan->seed);
	if (plan->size != 1)
		add(&text, ",size=%lu", plan->size);
	for (unsigned int i = 0; i < SIM_MISHAPS; i++) {
		if (!(plan->off & (1u << i)))
			continue;
		add(&text, "%s%s", sep, sim_mishap_names[i]);
		sep = "+";
	}
	if (plan->limited)
		add_decisions(&text, &plan->kept);
	return text.left != 0;
}

/* ---------------------------------------------------------------- parsing */

static bool take_number(const char **at, uint64_t *number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*number = strtoull(*at, &end, 10);
	*at = end;
	return errno == 0;
}

static bool take_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len))
		return false;
	*at += len;
	return true;
}

static bool take_off(const char **at, unsigned int *off)
{
	do {
		size_t len = strcspn(*at, "+,");
		unsigned int i = 0;

		while (i < SIM_MISHAPS && (strlen(sim_mishap_names[i]) != len ||
					   strncmp(*at, sim_mishap_names[i], len)))
			i++;
		if (i == SIM_MISHAPS)
			return false;
		*off |= 1u << i;
		*at += len;
	} while (take_word(at, "+"));
	return true;
}

/** Return: 0, -EINVAL or -ENOMEM. */
static int take_decisions(const char **at, struct sim_kept *kept)
{
	unsigned char *bits;
	uint64_t first, last;

	if (take_word(at, "none"))
		return 0;
	bits = calloc(1, DECISIONS_MAX / 8);
	if (!bits)
		return -ENOMEM;
	kept->bits = bits;
	do {
		if (!take_number(at, &first))
			return -EINVAL;
		last = first;
		if (take_word(at, "-") && !take_number(at, &last))
			return -EINVAL;
		if (last < first || last >= DECISIONS_MAX)
			return -EINVAL;
		for (uint64_t i = first; i <= last; i++)
			bits[i / 8] |= (unsigned char)(1u << i % 8);
		if (last >= kept->count)
			kept->count = last + 1;
	} while (take_word(at, "."));
	return 0;
}

int replay_parse(struct plan *plan, const char *text)
{
	bool seed = false;
	uint64_t number;
	int err = 0;

	while (!err && *text) {
		if (take_word(&text, "seed=") && take_number(&text, &plan->seed)) {
			seed = true;
		} else if (take_word(&text, "size=") && take_number(&text, &number) && number &&
			   number <= ULONG_MAX) {
			plan->size = (unsigned long)number;
		} else if (take_word(&text, "off=")) {
			err = take_off(&text, &plan->off) ? 0 : -EINVAL;
		} else if (!plan->limited && take_word(&text, "decisions=")) {
			plan->limited = true;
			err = take_decisions(&text, &plan->kept);
		} else {
			err = -EINVAL;
		}
		if (!err && *text && (!take_word(&text, ",") || !*text))
			err = -EINVAL;
	}
	if (!err && !seed)
		err = -EINVAL;
	if (err) {
		free((void *)(uintptr_t)plan->kept.bits);
		plan->kept = (struct sim_kept){NULL, 0};
	}
	return err;
}
