/* SPDX-License-Identifier: MIT */
/*
 * copy: copies files and trees, and loses nothing. The verb: its items and its options; see copy.h
 * for the other files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "walk/walk.h"
#include "journal/journal.h"
#include "run/feed.h"
#include "base/alloc.h"
#include "batchproc.h"
#include "base/buf.h"
#include "base/device.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/hardlinks.h"
#include "digest/digest.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "run/steer.h"
#include "cli/options.h"
#include "run/ownfiles.h"
#include "base/message.h"
#include "base/path.h"
#include "digest/sumline.h"
#include "digest/hasher.h"
#include "walk/tree.h"
#include "verb.h"

/* ---- items */

static int skip(struct item *item, const char *why)
{
	item->status = STATUS_SKIPPED;
	item->skipped_named = !item->dir;
	item->why = why;
	return 0;
}

enum device_kind copy_source_kind(const struct item *item)
{
	const struct dirnode *in = item->self ? item->self : item->dir;

	return in ? in->kind : ((const struct copy_item *)item_priv_const(item))->kind;
}

enum device_kind copy_kind(const struct item *item, const struct dest *dest, int dirfd)
{
	enum device_kind kind = copy_source_kind(item);

	return kind == DEVICE_OTHER ? kind : device_kind(dest->dev, dirfd);
}

/* The type of what was named itself; one found in a walk is known. */
static int look_at(struct item *item, const struct at_name *from)
{
	const bool follows = copy_follows(item->settings, true);
	unsigned int mode = 0;
	int err;

	if (item->type != DT_UNKNOWN)
		return 0;
	err = (follows ? device_look_through : device_look_at)(DEVICE_OTHER, from->dirfd,
							       from->name, &mode);
	if (!err)
		item->type = IFTODT(mode);
	return err;
}

static int copy_by_type(struct item *item, const struct at_name *from, const struct at_name *to,
			struct dest *dest)
{
	const struct copy_settings *set = item->settings;
	int err = look_at(item, from);

	if (err)
		return err;
	/*
	 * What is made under it meanwhile would be mixed up with this, or this be taken for a
	 * leftover.
	 */
	if (item->type != DT_DIR && temp_is_one(to->name)) {
		item->why = "would be called as the unfinished copy of another file";
		return -EINVAL;
	}
	if (item->type != DT_DIR && set->makes != MAKES_COPIES)
		return special_instead(item, from, to, dest);
	if (set->contents &&
	    (item->type == DT_FIFO || item->type == DT_CHR || item->type == DT_BLK))
		return copy_file(item, from, to, dest);
	switch (item->type) {
	case DT_REG:
		return copy_file(item, from, to, dest);
	case DT_LNK:
		return special_copy(item, from, to, dest);
	case DT_DIR:
		if (!set->recursive)
			item->why = "is a directory (-r copies it)";
		return -EISDIR;
	case DT_FIFO:
		return set->archive ? special_copy(item, from, to, dest) :
				      skip(item, "is a FIFO (-a makes one like it)");
	case DT_SOCK:
		return set->archive ? special_copy(item, from, to, dest) :
				      skip(item, "is a socket (-a makes one like it)");
	default:
		return set->archive ? special_copy(item, from, to, dest) :
				      skip(item, "is a device (-a makes one like it)");
	}
}

struct above {
	const struct item *item;
	int to;
};

static int set_above(void *arg)
{
	const struct above *a = arg;

	meta_set_above(a->item->settings, a->item->name.data, a->to);
	return 0;
}

/* What the copy was made in was changed by that, even where it came to nothing. */
static void keep_above(const struct item *item, const struct dest *dest, int to)
{
	const struct copy_item *own = item_priv_const(item);
	const struct copy_settings *set = item->settings;

	if (!own->keeps_above || !set->keep_times)
		return;
	bp_shield_begin();
	device_call(copy_kind(item, dest, to), set_above, &(struct above){item, to});
	bp_shield_end();
}

static int copy_attempt(struct item *item)
{
	struct at_name from = {AT_FDCWD, item->name.data}, to;
	struct dirnode *dir;
	unsigned int tries = 0;
	int opened = -1, err;

	if (item->self)
		return copy_leave(item);
	dir = copy_place(item, &to.name);
	do {
		err = dirnode_open(dir);
	} while (steer_await_descriptor(item->job, err, &tries));
	if (err)
		return err;
	to.dirfd = dirnode_fd(dir);
	if (item->dir)
		from.dirfd = dirnode_fd(item->dir);
	else
		err = path_shorten(&from.dirfd, &from.name, &opened);
	if (!err)
		err = copy_by_type(item, &from, &to, dir->data);
	keep_above(item, dir->data, to.dirfd);
	if (opened >= 0)
		close(opened);
	dirnode_put_open(dir);
	return err;
}

/* The copy is there, with all of its content, where something else of the source is lost. */
static int copy_work(struct item *item)
{
	struct copy_item *own = item_priv(item);
	int err;

	lost_forget(&own->lost);
	err = copy_attempt(item);
	if (err || !own->lost.err)
		return err;
	item->why = own->lost.text.data;
	return own->lost.err;
}

/* Of directories those alone that were not there, as with cp -v. */
static bool is_told(const struct item *item)
{
	const struct copy_settings *set = item->settings;

	if (set->alg || !item->job->opt->verbose || item->status != STATUS_OK)
		return false;
	return !item->self ||
	       ((const struct dest *)((struct dirnode *)item->self->data)->data)->fresh;
}

static void tell(const struct item *item, struct buf *buf)
{
	const struct copy_item *own = item_priv_const(item);
	struct buf path = {0};

	item_path(item, &path);
	buf_char(buf, '\'');
	buf_visible(buf, path.data, path.len);
	path.len = 0;
	copy_add_place(item, &path);
	buf_str(buf, "' -> '");
	buf_visible(buf, path.data, path.len);
	if (own->backup) {
		while (path.len && path.data[path.len - 1] != '/')
			path.len--;
		buf_str(&path, own->backup);
		buf_str(buf, "' (backup: '");
		buf_visible(buf, path.data, path.len);
		buf_str(buf, "')\n");
	} else {
		buf_str(buf, "'\n");
	}
	buf_free(&path);
}

static void copy_text(const struct item *item, struct buf *buf)
{
	const struct copy_item *own = item_priv_const(item);
	const struct copy_settings *set = item->settings;
	struct buf path = {0};

	if (is_told(item))
		tell(item, buf);
	if (!item_done(item) || !own->has_digest)
		return;
	copy_add_place(item, &path);
	sumline_add(buf, set->alg, own->digest, path.data, path.len,
		    (struct sumstyle){.zero = item->job->opt->null});
	buf_free(&path);
}

static void copy_json(const struct item *item, struct buf *buf)
{
	const struct copy_item *own = item_priv_const(item);
	const struct copy_settings *set = item->settings;

	if (own->has_digest && item_done(item)) {
		buf_printf(buf, ",\"alg\":\"%s\",\"digest\":\"", set->alg->name);
		buf_hex(buf, own->digest, set->alg->size);
		buf_char(buf, '"');
	}
	if (own->backup) {
		buf_str(buf, ",\"backup\":");
		buf_json(buf, own->backup, strlen(own->backup));
	}
}

static void copy_plan(const struct item *item, struct buf *buf)
{
	struct buf path = {0};

	item_path(item, &path);
	buf_str(buf, "copy ");
	buf_visible(buf, path.data, path.len);
	path.len = 0;
	if (copy_add_place(item, &path)) {
		buf_str(buf, " -> ");
		buf_visible(buf, path.data, path.len);
	}
	buf_char(buf, '\n');
	buf_free(&path);
}

static void copy_release(struct item *item)
{
	struct copy_item *own = item_priv(item);

	if (own->dir)
		dirnode_put(own->dir);
	free(own->name);
	free(own->backup);
	lost_forget(&own->lost);
	own->dir = NULL;
	own->name = NULL;
	own->backup = NULL;
}

static const struct item_ops copy_items = {
	.op = "copy",
	.priv_size = sizeof(struct copy_item),
	.descriptors = 5, /* source, copy, what it replaces, a duplicate, its directory */
	.outlives_source = true,
	.roots_last = true,
	.work = copy_work,
	.text = copy_text,
	.json = copy_json,
	.dst = copy_add_place,
	.plan = copy_plan,
	.list_path = copy_list_path,
	.release = copy_release,
	.journal_options = copy_journal_options,
	.journal_adopt = copy_journal_adopt,
	.journal_key = copy_journal_key,
	.journal_result = copy_journal_result,
	.journal_restore = copy_journal_restore,
	.journal_pass = copy_journal_pass,
	.journal_always = copy_journal_always,
};

static const char *copy_check(const struct jobspec *spec)
{
	const struct copy_settings *set = spec->class->settings;

	if (set->target)
		return "names its destination last, not with -t";
	if (set->mirror)
		return "--delete is for a command of its own";
	if (set->exact && spec->count > 2)
		return "takes one source with --no-target-directory";
	return spec->count >= 2 ? NULL : "takes a source and a destination";
}

/* ---- the command */

/* What the run writes besides the copies must not be one of them. Returns as own_files_apart(). */
static bool stand_apart(const struct options *opt, const struct copy_settings *set, int *status)
{
	static const char what[] = "the destination";
	struct buf path = {0};
	struct stat st;
	bool apart = true;

	if (set->exact || stat(set->dst, &st) || !S_ISDIR(st.st_mode))
		return own_files_apart(opt, set->dst, what, status);
	for (size_t i = 0; i < opt->arg_count && apart; i++) {
		path.len = 0;
		if (set->parents)
			buf_printf(&path, "%s/%s%c", set->dst, opt->args[i], '\0');
		if (set->parents || copy_add_destination(&path, set->dst, opt->args[i]))
			apart = own_files_apart(opt, path.data, what, status);
	}
	buf_free(&path);
	return apart;
}

/* What cp says with these letters, and batchproc with others. */
static void tell_of_cp(const struct options *opt, const struct copy_settings *set)
{
	struct stat st;

	if (opt->dry_run && !opt->quiet && !opt->list_count && opt->arg_count == 1 &&
	    !stat(set->dst, &st) && !S_ISDIR(st.st_mode))
		message("-n is a dry run, and copies nothing; what cp -n does is "
			"--no-clobber");
}

static int no_directory(const struct options *opt, const struct copy_settings *set)
{
	/* Of "-T a b" a was taken for a list. */
	if (opt->list_count == 1 && !set->target && !opt->arg_count)
		return usage_error(opt->verb,
				   "%s is not a directory to copy into (-T reads names of sources "
				   "from %s; what cp -T does is --no-target-directory)",
				   set->dst, opt->lists[0]);
	return usage_error(opt->verb, "%s is not a directory to copy into", set->dst);
}

/* False: *@status is the exit status. */
static bool lists_are_lists(const struct options *opt, int *status)
{
	struct stat st;

	for (size_t i = 0; i < opt->list_count; i++) {
		if (!strcmp(opt->lists[i], "-") || stat(opt->lists[i], &st) || !S_ISDIR(st.st_mode))
			continue;
		*status = usage_error(opt->verb,
				      "-T: %s is a directory, not a list of names (what cp -T does "
				      "is --no-target-directory)",
				      opt->lists[i]);
		return false;
	}
	return true;
}

/*
 * What is merged from several sources has no single one that tells what is to be there. False:
 * *@status is the exit status.
 */
static bool may_mirror(const struct options *opt, int *status)
{
	struct buf path = {0};
	bool named = true;

	for (size_t i = 0; i < opt->arg_count && named; i++)
		named = opt->arg_count == 1 || copy_add_destination(&path, "", opt->args[i]);
	buf_free(&path);
	if (opt->shard.parts || opt->list_count)
		*status = usage_error(opt->verb, "--delete and %s exclude each other",
				      opt->list_count ? "-T" : "--shard");
	else if (!named)
		*status = usage_error(opt->verb, "--delete takes one source where its content is "
						 "copied into the destination itself");
	else
		return true;
	return false;
}

static const char needs_target[] = "--shard with one source needs -t or --no-target-directory";

/* Before the parts run, what each of them would refuse. */
static const char *copy_divide(const struct options *options)
{
	const struct copy_settings *set = options->settings;
	const size_t operands = options->arg_count + (set->target != NULL);
	const char *dst = set->target;
	struct stat st;

	if (set->mirror)
		return "--delete and --shard exclude each other";
	if (operands + options->list_count < 2)
		return "takes a source and a destination";
	if (!dst)
		dst = options->arg_count ? options->args[options->arg_count - 1] : NULL;
	if (!dst)
		return "no destination was given";
	if (set->exact)
		return operands > 2 || options->list_count ?
			       "--no-target-directory takes one source" :
			       NULL;
	if (!set->target && operands == 2 && !options->list_count)
		return needs_target;
	return stat(dst, &st) || !S_ISDIR(st.st_mode) ? "the destination is no directory" : NULL;
}

static int copy_run(const struct options *options)
{
	struct copy_settings *set = options->settings;
	struct options own = *options;
	const struct job_ops ops = {
		.walk = set->recursive ? &walk_hooks : NULL,
		.journal = &journal_hooks,
		.one_each = !set->recursive,
		.feed = copy_feed,
		.then = set->mirror ? mirror_run : NULL,
	};
	struct stat st;
	int status;

	set->dst = set->target;
	if (!set->dst) {
		if (!own.arg_count)
			return usage_error(options->verb, "no destination was given");
		set->dst = own.args[--own.arg_count];
	}
	if (set->mirror && !may_mirror(&own, &status))
		return status;
	if (!lists_are_lists(&own, &status))
		return status;
	if ((set->target || own.arg_count > 1 || own.list_count || set->parents) &&
	    (stat(set->dst, &st) || !S_ISDIR(st.st_mode)))
		return no_directory(&own, set);
	if (set->exact && (own.arg_count > 1 || own.list_count))
		return usage_error(options->verb, "--no-target-directory takes one source");
	/* Into it or as it, depending on whether it exists: each part would find another answer. */
	if (own.shard.parts > 1 && !set->target && !set->exact && own.arg_count == 1 &&
	    !own.list_count)
		return usage_error(options->verb, "%s", needs_target);
	if (!stand_apart(&own, set, &status))
		return status;
	set->into_or_as = !set->target && !set->exact && own.arg_count == 1 && !own.list_count;
	if (set->into_or_as)
		set->new_name = stat(set->dst, &st) || !S_ISDIR(st.st_mode);
	tell_of_cp(&own, set);
	return feed_run(&own, &ops);
}

struct copy_run *copy_run_of(struct job *job)
{
	if (!job->copy) {
		job->copy = xcalloc(1, sizeof(*job->copy));
		job->copy->dest = dest_run_new();
		job->copy->links = hardlinks_new();
		job->copy->claims = claims_new();
		pthread_mutex_init(&job->copy->lock, NULL);
	}
	return job->copy;
}

static void copy_cleanup(struct job *job)
{
	if (job->copy) {
		hardlinks_free(job->copy->links);
		claims_free(job->copy->claims);
		mirror_free(job->copy->mirror);
		dest_run_free(job->copy->dest);
		pthread_mutex_destroy(&job->copy->lock);
		free(job->copy);
		job->copy = NULL;
	}
}

static bool copy_walks(const void *settings)
{
	return ((const struct copy_settings *)settings)->recursive;
}

const struct verb copy_verb = {
	.name = "copy",
	.synopsis = "[options] SOURCE... DESTINATION",
	.summary = "Copies files and trees",
	.details =
		"DESTINATION is a directory to copy into, or for one source a new name, as with cp.\n"
		"With -T the sources come from a list, and DESTINATION is a directory. A file that\n"
		"is there is replaced when its new content is complete; it keeps its mode and owner\n"
		"unless -p or -a is given.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.options = copy_options,
	.items = &copy_items,
	.settings_size = sizeof(struct copy_settings),
	.settle = copy_settle,
	.check = copy_check,
	.has_dst = true,
	.add = copy_add,
	.walks = copy_walks,
	.cleanup = copy_cleanup,
	.divide = copy_divide,
	.run = copy_run,
};
