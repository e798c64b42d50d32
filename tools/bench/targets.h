/* SPDX-License-Identifier: MIT */
/*
 * targets.h - what the peers of `batchproc probe` share: whom they ask, and how it is told
 */
#ifndef TARGETS_H
#define TARGETS_H

#include <netinet/in.h>
#include <stddef.h>

struct target {
	struct sockaddr_in addr;
	char text[64]; /* as it was given */
	int err; /* errno; 0: it answered */
};

extern struct target *targets;
extern size_t target_count;

/* The request, and whether @answer is that of who is well. 0 or errno. */
extern const char target_request[];
extern const size_t target_request_len;
int target_judge(const char *answer, size_t len);

/* Each line of the file is ADDRESS:PORT. As many descriptors as may be are allowed. 0 or -errno. */
int targets_read(const char *name);
/* One line for each; and the end. */
void targets_print(void);

#endif /* TARGETS_H */
