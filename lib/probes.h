/* SPDX-License-Identifier: MIT */
/*
 * USDT probes: where bpftrace, perf or SystemTap can look at a program that runs, see docs/tracing.md. Each
 * is a nop and a note in the ELF file, and its arguments are where the code has them anyway, so give
 * it nothing that would have to be computed. Without <sys/sdt.h> there are none.
 */
#ifndef BP_PROBES_H
#define BP_PROBES_H

#ifdef BP_HAVE_SDT
#include <sys/sdt.h>

#define PROBE3(name, a, b, c) DTRACE_PROBE3(batchproc, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(batchproc, name, a, b, c, d)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(batchproc, name, a, b, c, d, e)
#else
#define PROBE3(name, a, b, c) ((void)0)
#define PROBE4(name, a, b, c, d) ((void)0)
#define PROBE5(name, a, b, c, d, e) ((void)0)
#endif

#endif /* BP_PROBES_H */
