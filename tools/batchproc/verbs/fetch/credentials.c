// SPDX-License-Identifier: MIT
/*
 * credentials: the name and the password for a request: the URL's, those of -u, or those of ~/.netrc.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/calls.h"
#include "net/netrc.h"
#include "verbs/fetch/fetch.h"

#define NETRC_BYTES 1048576

/* Of the process: read once. Main thread until the first item starts, read-only then. */
static struct {
	bool read;
	struct netrc entries;
} netrc;

/* ~/.netrc, which may be missing. */
static const char *read_netrc(void)
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
	else if (netrc_parse(&netrc.entries, text.data ? text.data : "", text.len))
		wrong = "~/.netrc makes no sense";
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return wrong;
}

const char *credentials_read(void)
{
	const char *wrong = netrc.read ? NULL : read_netrc();

	netrc.read = !wrong;
	return wrong;
}

void credentials_free(void)
{
	netrc_free(&netrc.entries);
	netrc.read = false;
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
	entry = set->netrc ? netrc_find(&netrc.entries, url->host) : NULL;
	if (!entry || !entry->user)
		return NULL;
	*user = entry->user;
	return entry->password;
}
