/* SPDX-License-Identifier: MIT */
/*
 * list: what a walk finds: as lines, with NULs, as records, or as a manifest for run.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/device.h"
#include "cli/options.h"
#include "journal/journal.h"
#include "run/feed.h"
#include "run/job.h"
#include "run/steer.h"
#include "verb.h"
#include "walk/tree.h"
#include "walk/walk.h"

struct settings {
	bool recursive;
	unsigned int types; /* 1 << DT_x; 0: all but directories */
	const struct verb *manifest; /* NULL: names are listed */
	const char *to; /* the destination of its jobs, or NULL */
};

struct list_item {
	unsigned char type;
};

static const struct {
	char letter;
	unsigned char type;
	const char *name;
} types[] = {
	{'f', DT_REG, "file"},	       {'d', DT_DIR, "directory"},
	{'l', DT_LNK, "link"},	       {'p', DT_FIFO, "fifo"},
	{'s', DT_SOCK, "socket"},      {'c', DT_CHR, "character device"},
	{'b', DT_BLK, "block device"},
};

static const char *read_types(void *to, const char *arg)
{
	unsigned int *wanted = to;
	size_t i;

	for (*wanted = 0; *arg; arg++) {
		if (*arg == ',')
			continue;
		for (i = 0; i < ARRAY_SIZE(types) && types[i].letter != *arg; i++)
			;
		if (i == ARRAY_SIZE(types))
			return "some of f, d, l, p, s, c, b";
		*wanted |= 1u << types[i].type;
	}
	return *wanted ? NULL : "some of f, d, l, p, s, c, b";
}

static const char *read_manifest(void *to, const char *arg)
{
	const struct verb **verb = to;

	*verb = verb_by_name(arg);
	return *verb && (*verb)->add && verb_source(*verb) == SOURCE_PATH ?
		       NULL :
		       "a command whose jobs are about one path: copy, hash or rm";
}

static int list_work(struct item *item)
{
	const struct settings *set = item->settings;
	struct list_item *own = item_priv(item);
	const bool lines = !item->job->opt->json && !item->job->opt->null && !set->manifest;
	unsigned int mode = 0;
	int err = 0;

	item->source.kind = ORIGIN_NAME;
	own->type = item->type;
	if (own->type == DT_UNKNOWN) {
		err = device_look_at(DEVICE_OTHER, AT_FDCWD, item->name.data, &mode);
		own->type = IFTODT(mode);
	}
	if (err)
		return err;
	if (!item->self && own->type == DT_DIR && !set->recursive) {
		item->why = "is a directory (-r lists what is in it)";
		return -EISDIR;
	}
	if (!(set->types >> own->type & 1)) {
		item->status = STATUS_SKIPPED;
		item->why = "is of another type";
		return 0;
	}
	if (lines && memchr(item->name.data, '\n', item->name.len)) {
		item->why = "has a newline in its name (-0 ends names with NUL)";
		return -EINVAL;
	}
	return 0;
}

/* The name of an operand that others take for standard input is said so that they do not. */
static void add_path(const struct item *item, struct buf *buf)
{
	if (!item->dir && !strcmp(item->name.data, "-"))
		buf_str(buf, "./");
	item_path(item, buf);
}

/* Copies keep their paths, and links are copied as links: as a copy of the tree has them. */
static void add_job(const struct item *item, struct buf *buf)
{
	const struct settings *set = item->settings;
	const struct list_item *own = item_priv_const(item);
	struct buf path = {0};

	add_path(item, &path);
	buf_printf(buf, "{\"op\":\"%s\",\"src\":", set->manifest->name);
	buf_json(buf, path.data, path.len);
	if (set->to) {
		buf_str(buf, ",\"dst\":");
		buf_json(buf, set->to, strlen(set->to));
		buf_str(buf, ",\"parents\":true");
		if (own->type == DT_LNK)
			buf_str(buf, ",\"no-dereference\":true");
	}
	buf_char(buf, '}');
	buf_free(&path);
}

static void list_text(const struct item *item, struct buf *buf)
{
	const struct settings *set = item->settings;

	if (!item_done(item))
		return;
	if (set->manifest)
		add_job(item, buf);
	else
		add_path(item, buf);
	buf_char(buf, item->job->opt->null ? '\0' : '\n');
}

static void list_json(const struct item *item, struct buf *buf)
{
	const struct list_item *own = item_priv_const(item);

	for (size_t i = 0; i < ARRAY_SIZE(types) && item_done(item); i++)
		if (types[i].type == own->type)
			buf_printf(buf, ",\"type\":\"%s\"", types[i].name);
}

static const struct item_ops list_items = {
	.op = "list",
	.priv_size = sizeof(struct list_item),
	.descriptors = 1,
	.work = list_work,
	.text = list_text,
	.json = list_json,
};

static void add_one(struct job *job, const struct item_class *class, const char *name)
{
	static const struct tree_ops all = {.follows = true,
					    .takes = ~0u,
					    .leaves = true,
					    .sized = true};
	static const struct tree_ops files = {.follows = true, .takes = ~0u, .sized = true};
	const struct settings *set = class->settings;
	struct walk_root root = {.class = class};
	struct stat st;

	if (!set->recursive || steer_stopping(job) || call_stat(name, &st) ||
	    !S_ISDIR(st.st_mode)) {
		item_submit(item_new(job, class, NULL, name, strlen(name)));
		return;
	}
	job->empty_is_fine = true;
	root.ops = set->types >> DT_DIR & 1 ? &all : &files;
	root.kind = device_kind_of_path(st.st_dev, name);
	walk_add(job->walk, &root, name, strlen(name));
}

static const char *list_check(const struct jobspec *spec)
{
	return spec->count ? NULL : "names no file";
}

static void list_add(struct job *job, const struct jobspec *spec)
{
	for (size_t i = 0; i < spec->count; i++)
		add_one(job, spec->class, jobspec_next(spec));
}

static const char *list_settle(void *settings, struct common *common)
{
	struct settings *set = settings;

	(void)common;
	if (!set->types)
		set->types = ~(1u << DT_DIR);
	if (set->to && !*set->to)
		return "--to is the name of a directory";
	if (!set->to != !(set->manifest && set->manifest->has_dst))
		return set->to ?
			       "--to is for --manifest copy" :
			       "--manifest copy needs --to: the directory that its jobs copy into";
	if (set->to && set->types >> DT_DIR & 1)
		return "--manifest copy is for what is in directories, not for directories";
	return NULL;
}

static int list_run(const struct options *options)
{
	const struct settings *set = options->settings;
	const struct job_ops ops = {
		.walk = set->recursive ? &walk_hooks : NULL,
		.journal = &journal_hooks,
		.one_each = !set->recursive,
		.feed = feed_each,
	};

	if (set->manifest && options->json)
		return usage_error(options->verb, "--manifest and --json exclude each other");
	return feed_run(options, &ops);
}

static bool list_walks(const void *settings)
{
	return ((const struct settings *)settings)->recursive;
}

static const struct opt list_options[] = {
	{'r', "recursive", NULL, "walk directories; symbolic links in them are not followed",
	 OPT_FLAG(struct settings, recursive)},
	{0, "type", "f,d,l,p,s,c,b",
	 "only these, as find -type has them; all but\n"
	 "directories by default",
	 read_types, OPT_AT(struct settings, types, unsigned int)},
	{0, "manifest", "copy|hash|rm", "jobs for batchproc run, one of each", read_manifest,
	 OPT_AT(struct settings, manifest, const struct verb *)},
	{0, "to", "DIR", "what is copied by the jobs of --manifest copy has its path below DIR",
	 OPT_TEXT(struct settings, to)},
	OPT_END,
};

const struct verb list_verb = {
	.name = "list",
	.synopsis = "[options] PATH...",
	.summary = "What a walk finds, as a list or a manifest",
	.details = "Names are printed as lines, with -0 with a NUL behind each, with --json as\n"
		   "records. A directory comes after what is in it.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.options = list_options,
	.items = &list_items,
	.settings_size = sizeof(struct settings),
	.settle = list_settle,
	.check = list_check,
	.add = list_add,
	.walks = list_walks,
	.run = list_run,
};
