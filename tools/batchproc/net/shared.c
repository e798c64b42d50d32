/* SPDX-License-Identifier: MIT */
/*
 * shared: see shared.h.
 */
#include <stdlib.h>

#ifdef BP_HAVE_IDN2
#include <idn2.h>
#endif
#include <openssl/ssl.h>
#include <zlib.h>

#include "base/alloc.h"
#include "net/hosts.h"
#include "net/netrc.h"
#include "net/parser.h"
#include "net/shared.h"
#include "net/tls.h"

/* What a run may come to need later, at a worse time: see base/lazy.c. */
static void load_libraries(void)
{
	parser_name();
	zlibVersion();
	TLS_client_method();
#ifdef BP_HAVE_IDN2
	(void)idn2_check_version(NULL);
#endif
}

const char *net_share(struct net_shared **shared, struct net_conf *conf,
		      const struct tls_settings *tls)
{
	struct proxies proxies;
	const char *wrong;

	if (!*shared) {
		wrong = proxies_read(&proxies);
		if (wrong)
			return wrong;
		load_libraries();
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
