/* SPDX-License-Identifier: MIT */
/*
 * shared: what all settings of one run have in common of the network: the proxies that the
 * environment names, the configurations of TLS, and ~/.netrc. Made with the first settings; whoever made it
 * frees it after the run.
 */
#ifndef BATCHPROC_NET_SHARED_H
#define BATCHPROC_NET_SHARED_H

#include "net/proxy.h"

struct net_conf;
struct netrc;
struct tls_confs;
struct tls_settings;

struct net_shared {
	struct proxies proxies;
	struct tls_confs *tls;
	struct netrc *netrc; /* of ~/.netrc; NULL: nobody has asked for it yet */
};

/* Gives @conf its proxies and its TLS. NULL, or what is wrong with the environment. Main thread. */
const char *net_share(struct net_shared **shared, struct net_conf *conf,
		      const struct tls_settings *tls);
void net_unshare(struct net_shared **shared);

#endif
