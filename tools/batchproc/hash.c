/* SPDX-License-Identifier: MIT */
/*
 * hash: digests of files, in sha256sum's format.
 */
#include <sys/stat.h>

#include "buf.h"
#include "digest.h"
#include "hashfile.h"
#include "inputs.h"
#include "job.h"
#include "options.h"
#include "sumline.h"
#include "util.h"
#include "verb.h"
#include "walk.h"

enum {
	OPT_TAG = OPT_VERB
};

/* Set while options are parsed, read-only afterwards. */
static struct {
	const struct digest_alg *alg;
	bool recursive;
	bool tag;
	bool zero;
	struct inputs inputs;
} hash;

struct hash_item {
	unsigned char digest[DIGEST_SIZE_MAX];
};

static int hash_work(struct item *item)
{
	struct hash_item *own = item_priv(item);

	return hash_file(item, hash.alg, true, own->digest);
}

static void hash_text(const struct item *item, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);
	struct buf path = {0};

	if (item->status != STATUS_OK)
		return;
	item_path(item, &path);
	sumline_add(buf, hash.alg, own->digest, path.data, path.len, hash.tag, hash.zero);
	buf_free(&path);
}

static void hash_json(const struct item *item, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);

	buf_str(buf, ",\"alg\":\"");
	buf_str(buf, hash.alg->name);
	buf_char(buf, '"');
	if (item->status == STATUS_OK) {
		buf_str(buf, ",\"digest\":\"");
		buf_hex(buf, own->digest, hash.alg->size);
		buf_char(buf, '"');
	}
}

/* One argument or line of a list: a tree to walk, or an item. */
static void feed_one(struct job *job, const char *name, size_t len)
{
	struct item *item;
	struct stat st;
	bool known = hash.recursive && !job_stopping(job) && strcmp(name, "-") && !stat(name, &st);

	if (known && S_ISDIR(st.st_mode)) {
		job->empty_is_fine = true;
		walk_add(job->walk, name, len);
		return;
	}
	item = job_item(job, NULL, name, len);
	item->checked = known && S_ISREG(st.st_mode);
	job_submit(item);
}

static void hash_feed(struct job *job)
{
	const char *name;
	size_t len;

	while (inputs_next(&hash.inputs, job, &name, &len))
		feed_one(job, name, len);
}

static bool hash_option(int id, const char *arg)
{
	switch (id) {
	case 'a':
		hash.alg = digest_by_name(arg);
		if (!hash.alg)
			usage_error(&hash_verb, "-a: '%s' is not one of %s", arg, digest_names());
		return hash.alg;
	case 'r':
		hash.recursive = true;
		return true;
	case 'z':
		hash.zero = true;
		return true;
	default: /* OPT_TAG */
		hash.tag = true;
		return true;
	}
}

static int hash_run(const struct options *options)
{
	struct job_ops ops = {
		.op = "hash",
		.priv_size = sizeof(struct hash_item),
		.walks = hash.recursive,
		.directory_hint = "is a directory (-r hashes what is in it)",
		.work = hash_work,
		.text = hash_text,
		.json = hash_json,
		.feed = hash_feed,
	};
	int status;

	if (!hash.alg)
		hash.alg = digest_by_name("sha256");
	if (digest_setup(hash.alg)) {
		say("this OpenSSL does not offer %s", hash.alg->name);
		return EXIT_TROUBLE;
	}
	status = inputs_open(&hash.inputs, options);
	if (status < 0)
		status = job_run(options, &ops);
	inputs_close(&hash.inputs);
	hash_file_cleanup();
	return status;
}

static const struct opt hash_options[] = {
	{'a', "algorithm", "NAME",
	 "sha256 (the default), sha1, md5, sha512, blake2b, xxh3, xxh128"},
	{'r', "recursive", NULL,
	 "walk directories; symbolic links in them are passed over, FIFOs,\n"
	 "sockets and devices are skipped with a record"},
	{OPT_TAG, "tag", NULL, "BSD-style lines: SHA256 (NAME) = DIGEST"},
	{'z', "zero", NULL, "end lines with NUL, and escape no names"},
	OPT_END,
};

const struct verb hash_verb = {
	.name = "hash",
	.synopsis = "[options] PATH...",
	.summary = "Digests of files, in sha256sum's format",
	.details =
		"PATH - is standard input. FIFOs and devices are not read, by whatever name; a\n"
		"PATH that is a symbolic link is followed. Lines come as files are finished; sort\n"
		"them, or use -k. With --tag, xxhsum -c takes the lines of xxh3.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = hash_options,
	.option = hash_option,
	.run = hash_run,
};
