/* SPDX-License-Identifier: MIT */
/*
 * any_opcode.c - an operation that has no function here: liburing's helper fills in the SQE, and the task
 * waits for it
 */
#include <sys/mman.h>

#include "example.h"

#define LEN (1 << 20)

static int advise(void *addr)
{
	io_uring_prep_madvise(bp_sqe(), addr, LEN, MADV_WILLNEED);
	return bp_await(); /* its result, as the kernel gives it */
}

int main(void)
{
	void *addr = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bp_engine *engine;
	struct bp_group *group;

	CHECK(addr != MAP_FAILED);
	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, NULL));
	CHECK(!bp_go(group, advise, addr));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	munmap(addr, LEN);
	return 0;
}
