/* SPDX-License-Identifier: MIT */
/*
 * shared: see shared.h.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "net/hosts.h"
#include "net/netrc.h"
#include "net/shared.h"
#include "net/tls.h"

const char *net_share(struct net_shared **shared, struct net_conf *conf,
		      const struct tls_settings *tls)
{
	struct proxies proxies;
	const char *wrong;

	if (!*shared) {
		wrong = proxies_read(&proxies);
		if (wrong)
			return wrong;
		*shared = xcalloc(1, sizeof(**shared));
		(*shared)->proxies = proxies;
		(*shared)->tls = tls_confs_new();
	}
	conf->proxies = &(*shared)->proxies;
	conf->tls = tls_conf_get((*shared)->tls, tls);
	return NULL;
}

void net_unshare(struct net_shared **shared)
{
	if (!*shared)
		return;
	proxies_free(&(*shared)->proxies);
	tls_confs_free((*shared)->tls);
	if ((*shared)->netrc)
		netrc_free((*shared)->netrc);
	free((*shared)->netrc);
	free(*shared);
	*shared = NULL;
}
