/* SPDX-License-Identifier: MIT */
/*
 * verify: what mtree lists say of a file beside its digests: type, permissions, size, and where a
 * symbolic link leads. A name is looked at as it is: no link is followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/blocking.h"
#include "base/device.h"
#include "digest/mtree.h"
#include "run/job.h"
#include "run/steer.h"
#include "verbs/verify/verify.h"

static const struct settings *settings_of(const struct item *item)
{
	return item->settings;
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFBLK:
		return 'b';
	case S_IFCHR:
		return 'c';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

struct link_text {
	int fd;
	char *text; /* of PATH_MAX */
	ssize_t len;
};

static int read_link(void *arg)
{
	struct link_text *link = arg;

	link->len = readlinkat(link->fd, "", link->text, PATH_MAX);
	return link->len < 0 ? -errno : 0;
}

/* Whether an open link leads where it should: 0, 1 where it does not, or -errno. */
static int compare_link(int fd, enum device_kind kind, const struct sumfacts *facts)
{
	struct link_text link = {.fd = fd, .text = xrealloc(NULL, PATH_MAX)};
	int err = kind == DEVICE_OTHER ? blocking_long(read_link, &link) : read_link(&link);

	if (!err)
		err = (size_t)link.len != facts->link_len ||
		      memcmp(link.text, facts->link, facts->link_len);
	free(link.text);
	return err;
}

static int differs(struct item *item, const char *why)
{
	item->why = why;
	item->silent = settings_of(item)->status;
	return -EBADMSG;
}

static int compare(struct item *item, int fd, const struct device_file *file)
{
	const struct verify_item *own = item_priv_const(item);
	const struct sumfacts *facts = &own->further->facts;
	const unsigned int keys = settings_of(item)->keys;
	int err;

	if (keys & KEY_TYPE && facts->type && facts->type != type_of(file->mode))
		return differs(item, "its type is not that of the list");
	if (facts->nochange)
		return 0;
	if (keys & KEY_MODE && facts->has_mode && facts->mode != (file->mode & 07777))
		return differs(item, "its permissions are not those of the list");
	if (keys & KEY_SIZE && own->sized && S_ISREG(file->mode) && own->size != file->size)
		return differs(item, "its size is not that of the list");
	if (!(keys & KEY_LINK) || !facts->link || !S_ISLNK(file->mode))
		return 0;
	err = compare_link(fd, device_kind(file->dev, fd), facts);
	return err > 0 ? differs(item, "it does not lead to where the list says") : err;
}

int verify_facts(struct item *item)
{
	const struct verify_item *own = item_priv_const(item);
	const struct sumfacts *facts = &own->further->facts;
	struct device_file file = {0};
	unsigned int tries = 0;
	int fd, err;

	do {
		fd = device_open(DEVICE_TRUSTED, AT_FDCWD, item->name.data, O_PATH | O_NOFOLLOW);
	} while (steer_await_descriptor(item->job, fd, &tries));
	if (fd < 0)
		return fd;
	err = device_look(fd, &file);
	if (!err)
		err = compare(item, fd, &file);
	bp_close(fd);
	if (err)
		return err;
	atomic_store(&own->list->verified, true);
	if (own->alg && !facts->nochange && (!facts->type || facts->type == 'f'))
		return 0;
	if (S_ISREG(file.mode) && !facts->nochange)
		atomic_fetch_add(&settings_of(item)->run->bare, 1);
	return 1;
}

void verify_facts_again(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	const struct further *further = own->further;
	struct sumline line = {
		.alg = own->alg,
		.name = item->name.data,
		.len = item->name.len,
		.sized = own->sized,
		.size = own->size,
	};

	memcpy(line.digest, own->expected, sizeof(line.digest));
	if (further) {
		line.facts = further->facts;
		line.more_count = further->more_count;
		memcpy(line.more, further->more, sizeof(line.more));
	}
	mtree_add(buf, &line);
}

void verify_facts_key(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	const struct sumfacts *facts = own->further ? &own->further->facts : NULL;

	if (!facts || !facts->given)
		return;
	buf_printf(buf, "\t%c:", facts->type ? facts->type : '-');
	if (facts->has_mode)
		buf_printf(buf, "%o", facts->mode);
	if (facts->link) {
		buf_char(buf, ':');
		buf_base64(buf, facts->link, facts->link_len);
	}
}
