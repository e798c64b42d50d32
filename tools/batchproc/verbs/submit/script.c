/* SPDX-License-Identifier: MIT */
/*
 * script: the scripts of the parts and of what merges them, for sh. Pure functions.
 *
 * A part is one process for one file of records and one journal. It ends before its time is over,
 * since Slurm says so early enough (USR2), and goes on as the same task once more, as long as it
 * gets anything done. The number of the part and of parts stand there as they are: what Slurm tells
 * of an array that is submitted again in part would be another division.
 */
#include <string.h>

#include "verb.h"
#include "verbs/submit/submit.h"

/* sbatch takes no script with the line ends of another world. */
#define RETURN_WORD "'\"$cr\"'"

void script_add_word(struct buf *buf, const char *word)
{
	buf_char(buf, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_str(buf, "'\\''");
		else if (*word == '\r')
			buf_str(buf, RETURN_WORD);
		else
			buf_char(buf, *word);
	}
	buf_char(buf, '\'');
}

static void add_variable(struct buf *buf, const char *name, const char *value)
{
	buf_printf(buf, "%s=", name);
	script_add_word(buf, value);
	buf_char(buf, '\n');
}

static void add_head(struct buf *buf, const struct submission *sub, const char *what)
{
	buf_printf(buf, "#!/bin/sh\n# Made by batchproc submit: %s.\n", what);
	buf_str(buf, "cr=$(printf '\\r')\n");
	add_variable(buf, "dir", sub->dir);
	add_variable(buf, "program", sub->program);
	buf_printf(buf, "parts=%llu\n", (unsigned long long)sub->set->shards);
}

/* How a part ends early. */
static const char signals[] =
	"child= early= stopped= status=127\n"
	"stop()\n"
	"{\n"
	"\tcaught=1\n"
	"\t[ -z \"$child\" ] || kill -TERM \"$child\"\n"
	"}\n"
	"trap 'early=1; stop' USR2\n"
	"trap 'stopped=1; stop' TERM INT\n\n"
	"# A signal ends the wait, and not what is waited for.\n"
	"await()\n"
	"{\n"
	"\tcaught=1\n"
	"\twhile [ -n \"$caught\" ]; do\n"
	"\t\tcaught=\n"
	"\t\twait \"$child\"\n"
	"\t\tended=$?\n"
	"\t\t[ $ended -eq 127 ] || status=$ended\n"
	"\tdone\n"
	"\tchild=\n"
	"}\n\n"
	"size()\n"
	"{\n"
	"\tif [ -e \"$dir/$part.journal\" ]; then wc -c <\"$dir/$part.journal\"; else "
	"echo 0; fi\n"
	"}\n\n";

/* When a part runs once more. */
static const char again[] =
	"before=$(size)\n"
	"run\n"
	"# A node that was cut off may still have this part, and its journal.\n"
	"busy()\n"
	"{\n"
	"\t[ $status -eq 2 ] && [ \"${SLURM_RESTART_COUNT:-0}\" -gt 0 ] &&\n"
	"\t\ttail -n 3 \"$dir/$part.log\" | grep -q 'in use by another process'\n"
	"}\n"
	"tries=0\n"
	"while [ $tries -lt 60 ] && [ -z \"$early$stopped\" ] && busy; do\n"
	"\ttries=$((tries + 1))\n"
	"\tsleep 5 &\n"
	"\tchild=$!\n"
	"\tawait\n"
	"\t[ -n \"$early$stopped\" ] || run\n"
	"done\n"
	"# Its time was over, and it has got something done: the same once more.\n"
	"if [ -n \"$early\" ] && [ -z \"$stopped\" ] && [ $status -eq 143 ] &&\n"
	"\t[ \"$(size)\" -gt \"$before\" ]; then\n"
	"\tscontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"\n"
	"fi\n"
	"exit $status\n";

void script_add_part(struct buf *buf, const struct submission *sub)
{
	const struct target *target = &sub->target;

	add_head(buf, sub, "one part");
	buf_str(buf, "part=${SLURM_ARRAY_TASK_ID:?}\n"
		     "exec >>\"$dir/$part.log\" 2>&1 </dev/null\n"
		     "cd ");
	script_add_word(buf, sub->cwd);
	buf_str(buf, " || exit 125\n\n");
	buf_str(buf, signals);
	buf_str(buf, "run()\n"
		     "{\n"
		     "\t\"$program\" ");
	script_add_word(buf, target->verb->name);
	buf_str(buf, " --shard \"$part/$parts\" --journal \"$dir/$part.journal\" --resume \\\n"
		     "\t\t--json --progress none");
	for (size_t i = 1; i < target->count; i++) {
		buf_char(buf, ' ');
		script_add_word(buf, target->words[i]);
	}
	buf_str(buf, " \\\n"
		     "\t\t>>\"$dir/$part.records\" &\n"
		     "\tchild=$!\n"
		     "\t[ -z \"$early$stopped\" ] || kill -TERM \"$child\"\n"
		     "\tawait\n"
		     "}\n\n");
	buf_str(buf, again);
}

void script_add_merge(struct buf *buf, const struct submission *sub)
{
	add_head(buf, sub, "all parts as one");
	buf_str(buf, "array=${1:?}\n"
		     "exec >>\"$dir/merge.log\" 2>&1 </dev/null\n"
		     "cd ");
	script_add_word(buf, sub->cwd);
	buf_str(buf,
		" || exit 125\n\n"
		"set --\n"
		"part=0\n"
		"while [ $part -lt $parts ]; do\n"
		"\tpart=$((part + 1))\n"
		"\t# One that never began has no records: it is missed.\n"
		"\t[ ! -e \"$dir/$part.records\" ] || set -- \"$@\" \"$dir/$part.records\"\n"
		"\t[ ! -s \"$dir/$part.journal\" ] || set -- \"$@\" \"$dir/$part.journal\"\n"
		"done\n"
		"\"$program\" merge --json --parts $parts --failed-to \"$dir/failed\" -- \"$@\" "
		">\"$dir/summary.new\"\n"
		"status=$?\n"
		"mv \"$dir/summary.new\" \"$dir/summary\" || status=125\n"
		"echo \"$array $status\" >\"$dir/status.new\" && "
		"mv \"$dir/status.new\" \"$dir/status\"\n"
		"exit $status\n");
}

/* ---- all of it as one script */

static void add_command(struct buf *buf, const struct command *command, const char *last)
{
	for (size_t i = 0; i < command->count; i++) {
		if (i)
			buf_char(buf, ' ');
		script_add_word(buf, command->words[i]);
	}
	if (last)
		buf_printf(buf, " %s", last);
}

/* Appends a file, up to a line that is none of it. */
static void add_file(struct buf *buf, const char *name, const struct buf *text)
{
	struct buf mark = {0};

	buf_str(&mark, "END");
	while (memmem(text->data, text->len, mark.data, mark.len))
		buf_char(&mark, '_');
	buf_printf(buf, "cat >\"$dir/%s\" <<'%.*s'\n", name, (int)mark.len, mark.data);
	buf_add(buf, text->data, text->len);
	buf_printf(buf, "%.*s\n", (int)mark.len, mark.data);
	buf_free(&mark);
}

void script_add_all(struct buf *buf, const struct submission *sub)
{
	struct command command = {0};
	struct buf text = {0};

	buf_str(buf, "#!/bin/sh\n# What batchproc submit does.\nset -eu\ncr=$(printf '\\r')\n");
	add_variable(buf, "dir", sub->dir);
	buf_str(buf, "mkdir -p -m 700 \"$dir\"\n");
	script_add_part(&text, sub);
	add_file(buf, "part.sh", &text);
	text.len = 0;
	script_add_merge(&text, sub);
	add_file(buf, "merge.sh", &text);
	buf_str(buf, "array=$(");
	slurm_array(&command, sub);
	add_command(buf, &command, ")\narray=${array%%;*}\nmerge=$(");
	command_free(&command);
	/* What a shell puts in stands at the end of a word that it takes as it is. */
	slurm_merge(&command, sub, "");
	command.count -= 3;
	add_command(buf, &command,
		    "--dependency=afterany:\"$array\" \"$dir/merge.sh\" \"$array\")\n"
		    "merge=${merge%%;*}\n"
		    "echo \"$array $merge\" >\"$dir/submitted\"\n"
		    "echo \"$array $merge\"\n");
	command_free(&command);
	buf_free(&text);
}
