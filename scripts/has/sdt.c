/* SPDX-License-Identifier: MIT */
/* Probes that bpftrace and others attach to; each is a nop and a note in the ELF file. */
#include <sys/sdt.h>

int main(int argc, char **argv)
{
	(void)argv;
	DTRACE_PROBE2(batchproc, has, argc, argv);
	return 0;
}
