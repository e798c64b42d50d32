/* SPDX-License-Identifier: MIT */
/*
 * credentials: the name and the password for a request: the URL's, those of -u, or those of
 * ~/.netrc.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "net/netrc.h"
#include "verbs/fetch/fetch.h"

#define NETRC_BYTES 1048576

/* ~/.netrc, which may be missing. */
static const char *read_netrc(struct netrc *netrc)
{
	const char *home = getenv("HOME"), *wrong = NULL;
	const struct passwd *pw = home ? NULL : getpwuid(geteuid());
	struct buf path = {0}, text = {0};
	ssize_t n = 1;
	int fd;

	buf_printf(&path, "%s/.netrc", home ? home : pw ? pw->pw_dir : "");
	buf_char(&path, '\0');
	fd = call_openat(AT_FDCWD, path.data, O_RDONLY, 0);
	buf_free(&path);
	if (fd < 0)
		return fd == -ENOENT ? NULL : "~/.netrc cannot be read";
	while (n > 0 && text.len < NETRC_BYTES) {
		n = call_pread(fd, buf_room(&text, 4096), 4096, (off_t)text.len);
		text.len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (n)
		wrong = "~/.netrc cannot be read, or is larger than 1 MiB";
	else if (netrc_parse(netrc, text.data ? text.data : "", text.len))
		wrong = "~/.netrc makes no sense";
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return wrong;
}

const char *credentials_read(struct netrc **netrc)
{
	struct netrc entries = {0};
	const char *wrong;

	if (*netrc)
		return NULL;
	wrong = read_netrc(&entries);
	if (wrong)
		return wrong;
	*netrc = xcalloc(1, sizeof(**netrc));
	**netrc = entries;
	return NULL;
}

void credentials_free(struct netrc **netrc)
{
	if (*netrc)
		netrc_free(*netrc);
	free(*netrc);
	*netrc = NULL;
}

const char *fetch_credentials(const struct fetch_settings *set, const struct url *url,
			      const char **user)
{
	const struct netrc_entry *entry;

	*user = NULL;
	if (url->user) {
		*user = url->user;
		return url->password;
	}
	if (*set->user) {
		*user = set->user;
		return set->password;
	}
	entry = set->netrc ? netrc_find(set->credentials, url->host) : NULL;
	if (!entry || !entry->user)
		return NULL;
	*user = entry->user;
	return entry->password;
}
