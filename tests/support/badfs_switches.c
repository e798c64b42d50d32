/* SPDX-License-Identifier: MIT */
/*
 * badfs_switches - what badfs is told to do wrong
 *
 *	error CALL ERRNO [NAME]	calls end so (a number; 38 is ENOSYS: not there); 0: as usual
 *	delay CALL MS [NAME]	calls are answered that much later; 0: at once
 *	hang CALL [NAME]	calls are not answered ...
 *	release CALL [NAME]	... until then
 *	interrupts on|off	whether a call that hangs ends with EINTR when its caller is interrupted
 *	await CALL N		answers when so many calls hang
 *	count CALL		answers how many there were
 *	size real|zero|half|rounded|unknown	the size that files claim: rounded is up to a page,
 *				unknown is zero with direct I/O
 *	direct on|off		files are opened for direct I/O
 *	nonseekable on|off	files are opened as what cannot seek
 *	modes real|777|ignored	777: whatever is there says 0777; with both, chmod does nothing and says 0
 *	owners real|ignored	chown does nothing and says 0
 *	times NS		times are multiples of that, rounded down
 *	inodes real|changing	changing: a directory has another number each time
 *	poll real|never		whether poll ever says ready
 *	fold on|off		names that differ in case only are the same
 *	aliases on|off		long names have short ones too, which no list shows: LONGNA~1.TXT
 *	names N			longer names are ENAMETOOLONG
 *	closed on|off		a file that its owner may not read and write is EACCES to who opens or
 *				cuts it by name, as where the server is an ordinary user
 *	revive on|off		an open file that was removed is there again once it is closed
 *	mistakes on|off		what mknod cannot make is there as an empty file, and the call fails (EIO)
 *	cache SECONDS		how long the kernel may keep names and attributes (0)
 *
 * NAME is the last part of a path, or an extended attribute: only calls for it. A call is one of
 * the names in BADFS_CALLS. One lock guards rules and counts; who waits gives it back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/badfs.h"

struct switches switches;

enum kind {
	KIND_ERROR,
	KIND_DELAY,
	KIND_HANG
};

struct rule {
	bool set;
	enum kind kind;
	enum call call;
	char name[256]; /* empty: all */
	unsigned int value;
};

static struct rule rules[64];
static unsigned long counts[CALLS], hung[CALLS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static const char *const call_names[CALLS] = {
#define NAME_OF(name) #name,
	BADFS_CALLS(NAME_OF)
#undef NAME_OF
};

static const struct rule *rule_for(enum kind kind, enum call call, const char *name,
				   const char *other)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (!rule->set || rule->kind != kind || rule->call != call)
			continue;
		if (!rule->name[0] || (name && !strcmp(rule->name, name)) ||
		    (other && !strcmp(rule->name, other)))
			return rule;
	}
	return NULL;
}

int enter(enum call call, const char *name, const char *other, bool (*interrupted)(void *arg),
	  void *arg)
{
	const struct rule *rule;
	unsigned int delay;
	int err = 0;

	pthread_mutex_lock(&lock);
	counts[call]++;
	rule = rule_for(KIND_DELAY, call, name, other);
	delay = rule ? rule->value : 0;
	hung[call]++;
	while (!err && rule_for(KIND_HANG, call, name, other)) {
		pthread_cond_broadcast(&changed);
		if (switches.interrupts && interrupted && interrupted(arg))
			err = EINTR;
		else
			pthread_cond_wait(&changed, &lock);
	}
	hung[call]--;
	rule = rule_for(KIND_ERROR, call, name, other);
	if (rule && !err)
		err = (int)rule->value;
	pthread_mutex_unlock(&lock);
	if (delay)
		nanosleep(&(struct timespec){delay / 1000, delay % 1000 * 1000000L}, NULL);
	return err;
}

void wake_hung(void)
{
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---------------------------------------------------------------- lines */

static int number_of(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

static long set_rule(enum kind kind, const char *call_name, const char *name, unsigned int value)
{
	size_t at = 0, count = sizeof(rules) / sizeof(rules[0]);
	struct rule rule = {.set = value, .kind = kind, .value = value};

	while (rule.call < CALLS && strcmp(call_names[rule.call], call_name))
		rule.call++;
	if (rule.call == CALLS || strlen(name) >= sizeof(rule.name))
		return -1;
	snprintf(rule.name, sizeof(rule.name), "%s", name);
	while (at < count && !(rules[at].set && rules[at].kind == kind &&
			       rules[at].call == rule.call && !strcmp(rules[at].name, name)))
		at++;
	for (size_t i = 0; at == count && i < count; i++)
		if (!rules[i].set)
			at = i;
	if (at == count)
		return -1;
	rules[at] = rule;
	pthread_cond_broadcast(&changed);
	return 0;
}

/* Counts, or waits until enough hang. */
static long ask(const char *call_name, bool await, unsigned long many)
{
	enum call call = 0;

	while (call < CALLS && strcmp(call_names[call], call_name))
		call++;
	if (call == CALLS)
		return -1;
	while (await && hung[call] < many)
		pthread_cond_wait(&changed, &lock);
	return (long)(await ? hung[call] : counts[call]);
}

static long set_word(const char *key, const char *word)
{
	static const char *const onoff[] = {"off", "on", NULL};
	static const char *const sizes[] = {"real", "zero", "half", "rounded", "unknown", NULL};
	static const char *const modes[] = {"real", "777", "ignored", NULL};
	static const char *const owners[] = {"real", "ignored", NULL};
	static const char *const inodes[] = {"real", "changing", NULL};
	static const char *const polls[] = {"real", "never", NULL};
	const struct {
		const char *key;
		const char *const *words;
		bool *value;
	} flags[] = {
		{"direct", onoff, &switches.direct},
		{"nonseekable", onoff, &switches.nonseekable},
		{"interrupts", onoff, &switches.interrupts},
		{"fold", onoff, &switches.fold},
		{"closed", onoff, &switches.closed},
		{"revive", onoff, &switches.revive},
		{"mistakes", onoff, &switches.mistakes},
		{"aliases", onoff, &switches.aliases},
		{"owners", owners, &switches.owners_ignored},
		{"inodes", inodes, &switches.inodes_change},
		{"poll", polls, &switches.poll_never},
	};
	int value;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].key, key))
			continue;
		value = number_of(flags[i].words, word);
		*flags[i].value = value > 0;
		return value < 0 ? -1 : 0;
	}
	value = number_of(!strcmp(key, "size") ? sizes : modes, word);
	if (value < 0)
		return -1;
	if (!strcmp(key, "size"))
		switches.size = (enum sizes)value;
	else if (!strcmp(key, "modes"))
		switches.modes = (enum modes)value;
	else
		return -1;
	return 0;
}

static long obey_locked(const char *line)
{
	char key[32], word[32], third[256] = "", fourth[256] = "", *end = "";
	int words = sscanf(line, "%31s %31s %255s %255s", key, word, third, fourth);
	unsigned long number = words > 2 ? strtoul(third, &end, 10) : 0;

	if (words < 2)
		return -1;
	if (!strcmp(key, "hang"))
		return set_rule(KIND_HANG, word, third, 1);
	if (!strcmp(key, "release"))
		return set_rule(KIND_HANG, word, third, 0);
	if (!strcmp(key, "count"))
		return ask(word, false, 0);
	if (words > 2 && !*end) {
		if (!strcmp(key, "error"))
			return set_rule(KIND_ERROR, word, fourth, (unsigned int)number);
		if (!strcmp(key, "delay"))
			return set_rule(KIND_DELAY, word, fourth, (unsigned int)number);
		if (!strcmp(key, "await"))
			return ask(word, true, number);
		return -1;
	}
	number = strtoul(word, &end, 10);
	if (!strcmp(key, "times") && !*end)
		switches.times = number;
	else if (!strcmp(key, "names") && !*end)
		switches.names = number;
	else if (!strcmp(key, "cache"))
		switches.cache = strtod(word, NULL);
	else
		return set_word(key, word);
	return 0;
}

long obey(const char *line)
{
	long answer;

	pthread_mutex_lock(&lock);
	answer = obey_locked(line);
	pthread_mutex_unlock(&lock);
	return answer;
}
