/* SPDX-License-Identifier: MIT */
/*
 * deny - system calls that a seccomp filter refuses, for this process and its children from here on
 *
 * deny.so (deny_late.c) is made of this file too, so it stands on nothing of the tests.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "support/deny.h"

static unsigned int answer_to(const struct denied *denied)
{
	return denied->err == DENY_KILLS ? SECCOMP_RET_KILL_PROCESS :
					   SECCOMP_RET_ERRNO | (unsigned int)denied->err;
}

/* Each is looked at with the number loaded anew: the one before may have loaded an argument. */
static size_t add_call(struct sock_filter *code, const struct denied *denied)
{
	const struct sock_filter always[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)denied->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer_to(denied)),
	};
	const struct sock_filter at_times[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)denied->call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args) + 8 * denied->arg),
		BPF_JUMP(BPF_JMP | (denied->when == DENY_EQUAL ? BPF_JEQ : BPF_JSET) | BPF_K,
			 denied->value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer_to(denied)),
	};

	if (denied->when == DENY_ALWAYS) {
		memcpy(code, always, sizeof(always));
		return sizeof(always) / sizeof(always[0]);
	}
	memcpy(code, at_times, sizeof(at_times));
	return sizeof(at_times) / sizeof(at_times[0]);
}

int deny_calls(const struct denied *denied)
{
	struct sock_filter code[5 * DENY_MAX + 1];
	struct sock_fprog program = {.filter = code};
	size_t count = 0;

	for (; denied->err; denied++) {
		if (++count > DENY_MAX)
			return -E2BIG;
		program.len += (unsigned short)add_call(code + program.len, denied);
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}

int refuse_uring(int err)
{
	const struct denied denied[] = {DENY(SYS_io_uring_setup, err), DENY_END};

	return deny_calls(denied);
}

int die_at(long call)
{
	const struct denied denied[] = {DENY(call, DENY_KILLS), DENY_END};

	return deny_calls(denied);
}
