/* SPDX-License-Identifier: MIT */
/*
 * beside - lines that cp and the command run beside each other
 */
#include "support/beside.h"
#include "support/copies.h"

static const char source[] =
	"mkdir -p d/sub d/empty && echo one >d/f && echo two >d/sub/g && ln -s f d/link && "
	"ln -s sub d/tosub && ln d/f d/hard && echo plain >p && ln -s p plink && ln -s d dlink && "
	"chmod 750 d/sub && chmod 640 d/f && chmod 4711 p && touch -d '2001-02-03 04:05:06' d/f p "
	"d/sub && touch -h -d '2002-02-03' d/link plink && mkfifo fifo && echo new >n && "
	"head -c 20000 /dev/zero >zeros && echo x >>zeros && head -c 9000 /dev/zero >>zeros";

/* What is where, without what a clock or an order decides; the names of the two are one. */
static const char listing[] =
	"cd $1 && find . -mindepth 1 -printf '%y %m %U:%G %n %p -> %l\\n' | sort | "
	"sed 's,/[cb]p/,/.p/,'";

struct run *beside_list(const char *dir)
{
	return SH(listing, dir);
}

/* $1 prepares, $2 is the line, $3 whether times count. */
static const char both[] =
	"rm -rf cp bp; cp -a tree cp && cp -a tree bp || exit 3; a=0 b=0\n"
	"(cd cp && eval \"$1\" && eval cp \"$2\") 2>cp.err || a=1\n"
	"(cd bp && eval \"$1\" && eval \"$BATCHPROC copy $2\") >/dev/null 2>bp.err || b=1\n"
	"[ $a = $b ] || { echo cp $a batchproc $b; cat cp.err bp.err; }\n"
	"for i in cp bp; do (cd $i && find . -mindepth 1 -printf '%y %m %U:%G %n %p -> %l\\n' "
	"| sort | sed 's,/[cb]p/,/.p/,'); done >all\n"
	"n=$(($(wc -l <all) / 2)); head -n $n all >cp.all; tail -n +$((n + 1)) all >bp.all\n"
	"cmp -s cp.all bp.all || diff -U1 cp.all bp.all\n"
	"[ $3 = 0 ] || { for i in cp bp; do (cd $i && find . -mindepth 2 "
	"\\( -mmin +600 -printf '%p %TY%Tm%Td%TH%TM\\n' -o -printf '%p now\\n' \\) | sort); "
	"done >all; n=$(($(wc -l <all) / 2)); "
	"head -n $n all >cp.all; tail -n +$((n + 1)) all >bp.all; diff -U1 cp.all bp.all; }\n"
	"diff -r --no-dereference -x fifo -x ff cp bp 2>&1 | grep -v '^Symbolic links' || :";

/* Runs the same line with cp in one directory, and with us in another one. */
static void side_by_side(const struct beside *line, unsigned int what)
{
	struct run *run = SH(both, line->before, line->args, what & SAME_TIMES ? "1" : "0");

	if (run->out.len || run->status)
		record_failure("%s; cp %s (- cp, + batchproc): %s%s", line->before, line->args,
			       run->out.data, run->err.data);
}

void beside_cp(struct test *t, const struct beside *all, size_t count, unsigned int what)
{
	fresh_dir(t);
	run_sh("mkdir tree && cd tree && eval \"$1\"", source);
	for (size_t i = 0; i < count; i++)
		side_by_side(&all[i], what);
}
