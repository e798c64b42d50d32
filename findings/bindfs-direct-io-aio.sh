#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bindfs 1.14.7 with -o direct_io over a file whose size is said to be 0, on Linux 6.18: an
# asynchronous read (Linux AIO here; io_uring is the same) of the file says 0, the end of the
# file, at once. pread() of the same descriptor returns the content. FUSE cuts an asynchronous
# direct read at the size that the server reported, and a synchronous one not at all. Seen: aio 0,
# pread 6 for kernel/ostype ("Linux\n").

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs gcc fusermount
[ -e /dev/fuse ] || cannot "no /dev/fuse"
install bindfs=1.14.7-1 libfuse2=2.9.9-6+b1
cat >both.c <<'END'
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buf[4096];
	int fd = open(argv[argc - 1], O_RDONLY);
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
			  .aio_buf = (uintptr_t)buf, .aio_nbytes = sizeof(buf)};
	struct iocb *list = &cb;
	struct io_event event = {0};
	aio_context_t context = 0;

	if (fd < 0 || syscall(SYS_io_setup, 1, &context) || syscall(SYS_io_submit, context, 1, &list) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
		return 1;
	printf("aio %lld, pread %zd\n", (long long)event.res, pread(fd, buf, sizeof(buf), 0));
	return 0;
}
END
gcc -o both both.c
mkdir m
bindfs -o direct_io /proc/sys/kernel m || cannot "bindfs does not mount"
mounted m
said=$(./both m/ostype)
shows "$said" [ "$said" = "aio 0, pread 6" ]
