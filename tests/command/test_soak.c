/* SPDX-License-Identifier: MIT */
/*
 * test_soak - the command under injected faults
 *
 * Needs a command that was built with DEBUG=1, for only that takes BATCHPROC_FAULTS. SOAK_SEEDS
 * says how many seeds (100 by default), for each case as many; see soak.h for what is held to what.
 */
#include "command/soak.h"

void soak_hash(struct soak *s)
{
	things_clear(s);
	soak_args(s, "hash");
	for (unsigned int i = 0; i < FILES; i++) {
		thing_add(s, "hash", s->path[i], s->digest[i]);
		soak_arg(s, s->path[i]);
	}
	soak_run(s, true);
	soak_check(s, "hash", ALL);

	things_clear(s);
	soak_args(s, "verify");
	soak_arg(s, s->list);
	for (unsigned int i = 0; i < FILES; i++)
		thing_add(s, "verify", s->path[i], s->digest[i]);
	soak_run(s, true);
	soak_check(s, "verify", ALL);
}

static void hash_and_verify_survive_faults(struct test *t)
{
	soak_seeds(soak_begin(t), soak_hash);
}

static void copy_survives_faults(struct test *t)
{
	soak_seeds(soak_begin(t), soak_copy);
}

static void rm_survives_faults(struct test *t)
{
	soak_seeds(soak_begin(t), soak_rm);
}

static void run_survives_faults(struct test *t)
{
	soak_seeds(soak_begin(t), soak_manifest);
}

static void fetch_and_probe_survive_faults(struct test *t)
{
	soak_seeds(soak_begin(t), soak_net);
}

static const struct test_case cases[] = {
	ONCE(hash_and_verify_survive_faults),
	ONCE(copy_survives_faults),
	ONCE(rm_survives_faults),
	ONCE(run_survives_faults),
	ONCE(fetch_and_probe_survive_faults),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
