/* SPDX-License-Identifier: MIT */
/*
 * registered.c - copy a file piece by piece through registered buffers and files
 *
 * The two files and eight buffers are made known to the rings once. Then tasks copy a piece each: eight at a
 * time, since a buffer is one task's. Where the rings will not keep them all works the same.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "example.h"

#define PIECE 65536
#define BUFFERS 8
#define PIECES 40

enum {
	FROM,
	TO
};

static char *memory;
static int free_buffers[BUFFERS], nfree;

static int copy_piece(void *arg)
{
	off_t at = *(int *)arg * (off_t)PIECE;
	int buffer = free_buffers[--nfree]; /* one loop: nobody else runs now */
	char *buf = memory + (size_t)buffer * PIECE;
	ssize_t n = bp_read_fixed(FROM, buf, PIECE, at, buffer, BP_FIXED_FILE);

	if (n > 0)
		n = bp_write_fixed(TO, buf, (size_t)n, at, buffer, BP_FIXED_FILE);
	free_buffers[nfree++] = buffer;
	return n < 0 ? (int)n : 0;
}

static int temporary(void)
{
	char name[] = "/tmp/registered-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	unlink(name);
	return fd;
}

int main(void)
{
	struct iovec buffers[BUFFERS];
	struct bp_engine *engine;
	struct bp_group *group;
	int files[2], i, kept;
	char a, b;

	memory = mmap(NULL, BUFFERS * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	CHECK(memory != MAP_FAILED);
	for (i = 0; i < BUFFERS; i++) {
		buffers[i] = (struct iovec){memory + (size_t)i * PIECE, PIECE};
		free_buffers[nfree++] = i;
	}
	files[FROM] = temporary();
	files[TO] = temporary();
	for (i = 0; i < PIECES; i++) {
		memset(memory, 'a' + i % 26, PIECE);
		CHECK(write(files[FROM], memory, PIECE) == PIECE);
	}

	CHECK(!bp_engine_create(&engine, NULL));
	kept = bp_register_buffers(engine, buffers, BUFFERS);
	CHECK(kept >= 0);
	printf("the ring %s the buffers\n", kept ? "keeps" : "does not keep");
	kept = bp_register_files(engine, files, 2);
	CHECK(kept >= 0);
	printf("the ring %s the files\n", kept ? "keeps" : "does not keep");

	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = BUFFERS)));
	for (i = 0; i < PIECES; i++)
		CHECK(!bp_go_copy(group, copy_piece, &i, sizeof(i)));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	bp_engine_destroy(engine);

	for (i = 0; i < PIECES * PIECE; i += 4099) {
		CHECK(pread(files[FROM], &a, 1, i) == 1 && pread(files[TO], &b, 1, i) == 1);
		CHECK(a == b);
	}
	printf("%d pieces copied\n", PIECES);
	close(files[FROM]);
	close(files[TO]);
	munmap(memory, BUFFERS * PIECE);
	return 0;
}
