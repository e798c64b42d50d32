/* SPDX-License-Identifier: MIT */
/*
 * submit: what the files of this folder share. Main thread only.
 *
 *	submit.c  the verb: from the options to two jobs of Slurm, or their scripts
 *	target.c  the command that is divided: whether it can be, and what it is
 *	script.c  the scripts of the parts and of what merges them
 *	slurm.c   sbatch, squeue and scancel, called
 *	follow.c  --wait
 *
 * A job has a directory, which each node sees:
 *
 *	job		what it is, so that no other one is taken for it
 *	part.sh		what each task of the array runs
 *	merge.sh	what is run behind them
 *	submitted	the numbers of both as Slurm has them, of the last submission
 *	I.records, I.journal, I.log
 *			of part I: what it prints with --json, what is done, what it says
 *	merge.log, failed, summary
 *			what merge says, --failed-to, the summary as JSON
 *	status		the number of the array and the exit status; the last to be written
 */
#ifndef BATCHPROC_SUBMIT_H
#define BATCHPROC_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct options;
struct verb;

struct submit_settings {
	const char *engine;
	uint64_t shards;
	uint64_t nodes; /* 0: as many as there are; the same for the next */
	uint64_t at_once;
	const char *time;
	const char *partition;
	uint64_t grace_ns;
	const char *program; /* NULL: this one, where it is */
	const char *work_dir;
	const char **extra; /* for sbatch */
	size_t extra_count;
	bool print;
	bool wait;
	bool quiet;
};

/* The command that is divided. */
struct target {
	const struct verb *verb;
	char **words; /* its name, which may be another in @verb, its options and operands */
	size_t count;
	char **own; /* what the words stand in */
};

struct submission {
	const struct submit_settings *set;
	bool json;
	struct target target;
	char *cwd, *program;
	char *dir; /* absolute */
	char array[32], merge[32]; /* numbers of jobs; "": there are none */
};

/* ---- target.c */

/* Whether it can be done in parts. False: *@status is the exit status, and all is said. */
bool target_check(struct target *target, const struct options *options, int *status);
void target_drop(struct target *target);

/* ---- script.c */

/* Appends a word as a shell takes it, whatever bytes are in it. */
void script_add_word(struct buf *buf, const char *word);
void script_add_part(struct buf *buf, const struct submission *sub);
void script_add_merge(struct buf *buf, const struct submission *sub);
/* Appends what does all that a submission does. */
void script_add_all(struct buf *buf, const struct submission *sub);

/* ---- slurm.c */

/* The words of a command; those in @own are freed with it. */
struct command {
	const char **words;
	size_t count;
	char **own;
	size_t own_count;
};

void command_add(struct command *command, const char *word);
void command_printf(struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void command_free(struct command *command);

/*
 * Runs it. What it prints is appended to @out. @quiet: what it says on standard error is nobody's
 * business. Returns its exit status, or -errno where it cannot be run.
 */
int command_run(const struct command *command, bool quiet, struct buf *out);

/* sbatch of the array; of the merge, behind the job @after. */
void slurm_array(struct command *command, const struct submission *sub);
void slurm_merge(struct command *command, const struct submission *sub, const char *after);
/* Calls it: the number of the job. 0, or an exit status, and all is said. */
int slurm_submit(const struct command *command, char number[32]);

/* How many tasks of a job are in which state; those that have ended are in none. */
struct slurm_states {
	uint64_t waiting, running;
};

/* Of both jobs. False: that could not be found out. */
bool slurm_look(const struct submission *sub, struct slurm_states *array,
		struct slurm_states *merge);
void slurm_cancel(const struct submission *sub);

/* ---- follow.c */

/* A file of the submission: its path, to be freed. */
char *submission_path(const struct submission *sub, const char *name);

/* Waits for the end of both jobs, and prints the summary. Returns the exit status. */
int follow(const struct submission *sub);
/* From here on a signal that would end the program is for follow(). */
void follow_begin(void);

#endif
