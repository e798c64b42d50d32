#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The public header in the languages and compilers that a user may bring: strict C11 and newer C,
# C++ from 11 on, with the options used as the header shows them. Any warning is a failure. Skipped,
# exit status 77, where there is no C++ compiler.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
header=$(CDPATH='' cd -- "$(dirname -- "$0")/../../lib" && pwd)
flags="-fsyntax-only -Wall -Wextra -Werror -D_GNU_SOURCE -I$header"
tried=0
failed=0

cat >"$dir/use.c" <<'END'
#include <batchproc_sim.h>
#include <batchproc.h>
#include <batchproc_sim.h>

static int task(void *arg)
{
	return *(int *)arg;
}

static const struct bp_group_opts kept = BP_GROUP_OPTS_INIT(64, 1, .stack_size = 1 << 20);
static struct bp_group_opts bare = BP_GROUP_OPTS_INIT(BP_LIMIT_NONE, 0);

static void prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

static int done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

static struct bp_op nop = BP_OP_INIT(prep, done);

int more(struct bp_group **group, struct bp_engine *engine)
{
	struct {
		struct bp_op op;
		int n;
	} mine = {.op = BP_OP_INIT(prep, done), .n = 1};

	if (bp_group_create(group, engine, &kept) || bp_group_create(group, engine, &bare) ||
	    bp_group_create(group, engine, &BP_GROUP_OPTS(BP_RACE, .limit = 3)) ||
	    bp_group_create(group, engine, &BP_GROUP_OPTS(BP_QUORUM(2, 3))))
		return -1;
	return bp_go_op(*group, &nop) + bp_go_op(*group, &mine.op);
}

static int program(struct bp_engine *engine, void *arg)
{
	(void)engine;
	bp_sim_note("%d", *(int *)arg);
	return 0;
}

static void invariant(void *arg)
{
	bp_sim_check(*(int *)arg > 0);
}

int use(struct bp_engine **engine, struct bp_group **group, int *number)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS(.depth = 64, .loops = 2);
	struct bp_sim_result result = BP_SIM_RESULT();

	if (bp_sim_run(program, number, &BP_SIM_OPTS(.seeds = 5, .invariant = invariant), &result))
		return -1;

	if (bp_engine_create(engine, &opts) ||
	    bp_group_create(group, *engine, &BP_GROUP_OPTS(.limit = 64, .stop_after_failures = 3)))
		return -1;
	return bp_go(*group, task, number);
}
END

cat >"$dir/use.cc" <<'END'
#include <batchproc_sim.h>
#include <batchproc.h>
#include <batchproc_sim.h>

static int task(void *arg)
{
	return *static_cast<int *>(arg);
}

static void prep(struct bp_op *, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
}

static int done(struct bp_op *, int res)
{
	return res;
}

static struct bp_op nop = BP_OP_INIT(prep, done);

struct item {
	struct bp_op op;
	int n;

	item() : op(BP_OP_INIT(prep, done)), n(1) {}
};

int more(struct bp_group *group, item *mine);
int more(struct bp_group *group, item *mine)
{
	return bp_go_op(group, &nop) + bp_go_op(group, &mine->op);
}

static int program(struct bp_engine *, void *arg)
{
	bp_sim_check(*static_cast<int *>(arg) > 0);
	return 0;
}

int use(struct bp_engine **engine, struct bp_group **group, int *number);
int use(struct bp_engine **engine, struct bp_group **group, int *number)
{
	struct bp_engine_opts engine_opts = bp_engine_opts_default();
	struct bp_group_opts opts = bp_group_opts_default();
	struct bp_sim_opts sim_opts = bp_sim_opts_default();
	struct bp_go_opts go_opts = bp_go_opts_default();
	struct bp_ordered_opts ordered_opts = bp_ordered_opts_default();
	struct bp_sim_result result = bp_sim_result_init();

	if (bp_sim_run(program, number, &sim_opts, &result))
		return -1;

	engine_opts.loops = 2;
	opts.limit = 64;
	ordered_opts.window = 8;
	go_opts.weight = ordered_opts.window;
	if (bp_engine_create(engine, &engine_opts) || bp_group_create(group, *engine, &opts))
		return -1;
	return bp_go_with(*group, task, number, &go_opts);
}
END

# try COMPILER FLAG... FILE
try()
{
	command -v "$1" >/dev/null || return 0
	tried=$((tried + 1))
	# The flags are words.
	# shellcheck disable=SC2086
	if ! "$@" $flags 2>"$dir/err"; then
		failed=$((failed + 1))
		echo "$*:"
		cat "$dir/err"
	fi
}

for cc in gcc clang; do
	for std in c11 gnu11 gnu17 gnu2x; do
		try "$cc" -std=$std "$dir/use.c"
	done
done
for cxx in g++ clang++; do
	for std in c++11 c++17 c++20; do
		try "$cxx" -std=$std "$dir/use.cc"
	done
done
command -v g++ >/dev/null || command -v clang++ >/dev/null || exit 77
echo "$tried combinations of compiler and standard, $failed failed"
[ "$failed" -eq 0 ]
