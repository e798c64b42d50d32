/* SPDX-License-Identifier: MIT */
/*
 * lazy: libraries that are loaded when one of their functions is called for the first time.
 *
 * To load libcrypto takes longer than to hash a small file, and most runs need no libssl, no
 * libidn2 and no zlib. So the program is not linked to those libraries. For each of their
 * functions that its objects call, scripts/lazy.sh has found a line LAZY_CALL() for lazy.list, and
 * here a function of that name is made of it: a jump through a slot, and where that is empty still,
 * through lazy_resolve(), which fills it. Nothing else knows: callers call SSL_new(), and tests of
 * single parts are linked as ever.
 *
 * A run must not find out in its midst that a library is missing: what sets things up calls a
 * function of each library that may be needed (digest_setup(), net_share()). A library that cannot
 * be loaded ends the program with status 125; where a descriptor is lacking, one is waited for.
 *
 * lazy.list is empty where nothing is to be lazy: see scripts/lazy.sh. Names of the libraries stand
 * in the program for tools that make packages, as the specification of ELF dlopen metadata has it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"

enum {
#define LAZY_LIBRARY(id, soname) LAZY_LIBRARY_##id,
#define LAZY_CALL(id, function)
#include <lazy.list>
#undef LAZY_LIBRARY
#undef LAZY_CALL
	LAZY_LIBRARIES
};

enum {
#define LAZY_LIBRARY(id, soname)
#define LAZY_CALL(id, function) LAZY_CALL_##function,
#include <lazy.list>
#undef LAZY_LIBRARY
#undef LAZY_CALL
	LAZY_CALLS
};

static const char *const sonames[] = {
#define LAZY_LIBRARY(id, soname) soname,
#define LAZY_CALL(id, function)
#include <lazy.list>
#undef LAZY_LIBRARY
#undef LAZY_CALL
	NULL,
};

static const struct {
	int library;
	const char *function;
} calls[] = {
#define LAZY_LIBRARY(id, soname)
#define LAZY_CALL(id, function) {LAZY_LIBRARY_##id, #function},
#include <lazy.list>
#undef LAZY_LIBRARY
#undef LAZY_CALL
	{0, NULL},
};

static _Atomic(void *) libraries[LAZY_LIBRARIES + 1];

/* Known to the assembly below by these names. */
extern _Atomic(void *) lazy_slots[];
extern void *lazy_find(unsigned int call);
__attribute__((visibility("hidden"))) _Atomic(void *) lazy_slots[LAZY_CALLS + 1];

static _Noreturn void fail(void)
{
	fprintf(stderr, "batchproc: a library cannot be loaded: %s\n", dlerror());
	_exit(EXIT_TROUBLE);
}

#define TRIES 1000
#define TRIES_LEAST 3 /* one may have become free between the try and the look */
#define NAP_NS 10000000

static bool lacks_descriptor(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

static void *open_library(const char *soname)
{
	void *library;

	for (int tries = 1;; tries++) {
		library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
		if (library)
			return library;
		if (tries == TRIES || (tries > TRIES_LEAST && !lacks_descriptor()))
			fail();
		nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
	}
}

/* Twice at once does no harm: both find the same. */
__attribute__((visibility("hidden"), used)) void *lazy_find(unsigned int call)
{
	const int id = calls[call].library, saved = errno;
	void *library = atomic_load(&libraries[id]), *function;

	if (!library) {
		library = open_library(sonames[id]);
		atomic_store(&libraries[id], library);
	}
	function = dlsym(library, calls[call].function);
	if (!function)
		fail();
	atomic_store(&lazy_slots[call], function);
	errno = saved;
	return function;
}

#if defined(__x86_64__)
/* All registers that arguments may be in are kept; %r11 is free to use between functions. */
#define JUMPS                                                                                      \
	".macro lazy_call name\n"                                                                  \
	"	.globl	\\name\n	.hidden	\\name\n	.type	\\name, @function\n"                              \
	"	.p2align 4\n"                                                                            \
	"\\name:\n"                                                                                \
	"	.cfi_startproc\n"                                                                        \
	"	endbr64\n"                                                                               \
	"	movq	lazy_slots+8*lazy_index(%rip), %r11\n"                                              \
	"	testq	%r11, %r11\n"                                                                      \
	"	je	1f\n"                                                                                 \
	"	jmpq	*%r11\n"                                                                            \
	"1:	movl	$lazy_index, %r11d\n"                                                             \
	"	jmp	lazy_resolve\n"                                                                      \
	"	.cfi_endproc\n"                                                                          \
	"	.size	\\name, .-\\name\n"                                                                \
	"	.set	lazy_index, lazy_index+1\n"                                                         \
	".endm\n"                                                                                  \
	"	.set	lazy_index, 0\n"                                                                    \
	"	.type	lazy_resolve, @function\n"                                                         \
	"lazy_resolve:\n"                                                                          \
	"	.cfi_startproc\n"                                                                        \
	"	pushq	%rbp\n"                                                                            \
	"	.cfi_def_cfa_offset 16\n"                                                                \
	"	.cfi_offset %rbp, -16\n"                                                                 \
	"	movq	%rsp, %rbp\n"                                                                       \
	"	.cfi_def_cfa_register %rbp\n"                                                            \
	"	subq	$192, %rsp\n"                                                                       \
	"	movq	%rax, (%rsp)\n	movq	%rdi, 8(%rsp)\n	movq	%rsi, 16(%rsp)\n"                          \
	"	movq	%rdx, 24(%rsp)\n	movq	%rcx, 32(%rsp)\n	movq	%r8, 40(%rsp)\n"                        \
	"	movq	%r9, 48(%rsp)\n	movq	%r10, 56(%rsp)\n"                                              \
	"	movaps	%xmm0, 64(%rsp)\n	movaps	%xmm1, 80(%rsp)\n"                                       \
	"	movaps	%xmm2, 96(%rsp)\n	movaps	%xmm3, 112(%rsp)\n"                                      \
	"	movaps	%xmm4, 128(%rsp)\n	movaps	%xmm5, 144(%rsp)\n"                                     \
	"	movaps	%xmm6, 160(%rsp)\n	movaps	%xmm7, 176(%rsp)\n"                                     \
	"	movl	%r11d, %edi\n"                                                                      \
	"	call	lazy_find\n"                                                                        \
	"	movq	%rax, %r11\n"                                                                       \
	"	movq	(%rsp), %rax\n	movq	8(%rsp), %rdi\n	movq	16(%rsp), %rsi\n"                          \
	"	movq	24(%rsp), %rdx\n	movq	32(%rsp), %rcx\n	movq	40(%rsp), %r8\n"                        \
	"	movq	48(%rsp), %r9\n	movq	56(%rsp), %r10\n"                                              \
	"	movaps	64(%rsp), %xmm0\n	movaps	80(%rsp), %xmm1\n"                                       \
	"	movaps	96(%rsp), %xmm2\n	movaps	112(%rsp), %xmm3\n"                                      \
	"	movaps	128(%rsp), %xmm4\n	movaps	144(%rsp), %xmm5\n"                                     \
	"	movaps	160(%rsp), %xmm6\n	movaps	176(%rsp), %xmm7\n"                                     \
	"	leave\n"                                                                                 \
	"	.cfi_def_cfa %rsp, 8\n"                                                                  \
	"	jmpq	*%r11\n"                                                                            \
	"	.cfi_endproc\n"                                                                          \
	"	.size	lazy_resolve, .-lazy_resolve\n"
#elif defined(__aarch64__)
/* x16 and x17 are free to use between functions; x8 is where a structure is returned to. */
#define JUMPS                                                                                      \
	".macro lazy_call name\n"                                                                  \
	"	.globl	\\name\n	.hidden	\\name\n	.type	\\name, %function\n"                              \
	"	.p2align 4\n"                                                                            \
	"\\name:\n"                                                                                \
	"	.cfi_startproc\n"                                                                        \
	"	hint	#34\n"                                                                              \
	"	adrp	x16, lazy_slots+8*lazy_index\n"                                                     \
	"	ldr	x16, [x16, #:lo12:lazy_slots+8*lazy_index]\n"                                        \
	"	cbz	x16, 1f\n"                                                                           \
	"	br	x16\n"                                                                                \
	"1:	mov	w17, #lazy_index\n"                                                                \
	"	b	lazy_resolve\n"                                                                        \
	"	.cfi_endproc\n"                                                                          \
	"	.size	\\name, .-\\name\n"                                                                \
	"	.set	lazy_index, lazy_index+1\n"                                                         \
	".endm\n"                                                                                  \
	"	.set	lazy_index, 0\n"                                                                    \
	"	.type	lazy_resolve, %function\n"                                                         \
	"lazy_resolve:\n"                                                                          \
	"	.cfi_startproc\n"                                                                        \
	"	stp	x29, x30, [sp, #-224]!\n"                                                            \
	"	.cfi_def_cfa_offset 224\n"                                                               \
	"	.cfi_offset 29, -224\n	.cfi_offset 30, -216\n"                                           \
	"	mov	x29, sp\n"                                                                           \
	"	stp	x0, x1, [sp, #16]\n	stp	x2, x3, [sp, #32]\n"                                         \
	"	stp	x4, x5, [sp, #48]\n	stp	x6, x7, [sp, #64]\n"                                         \
	"	str	x8, [sp, #80]\n"                                                                     \
	"	stp	q0, q1, [sp, #96]\n	stp	q2, q3, [sp, #128]\n"                                        \
	"	stp	q4, q5, [sp, #160]\n	stp	q6, q7, [sp, #192]\n"                                       \
	"	mov	w0, w17\n"                                                                           \
	"	bl	lazy_find\n"                                                                          \
	"	mov	x16, x0\n"                                                                           \
	"	ldp	x0, x1, [sp, #16]\n	ldp	x2, x3, [sp, #32]\n"                                         \
	"	ldp	x4, x5, [sp, #48]\n	ldp	x6, x7, [sp, #64]\n"                                         \
	"	ldr	x8, [sp, #80]\n"                                                                     \
	"	ldp	q0, q1, [sp, #96]\n	ldp	q2, q3, [sp, #128]\n"                                        \
	"	ldp	q4, q5, [sp, #160]\n	ldp	q6, q7, [sp, #192]\n"                                       \
	"	ldp	x29, x30, [sp], #224\n"                                                              \
	"	.cfi_def_cfa_offset 0\n	.cfi_restore 29\n	.cfi_restore 30\n"                             \
	"	br	x16\n"                                                                                \
	"	.cfi_endproc\n"                                                                          \
	"	.size	lazy_resolve, .-lazy_resolve\n"
#endif

#ifdef JUMPS
#define LAZY_LIBRARY(id, soname)
#define LAZY_CALL(id, function) "	lazy_call " #function "\n"
/* clang-format off */
__asm__("	.text\n"
	JUMPS
#include <lazy.list>
);
/* clang-format on */
#undef LAZY_LIBRARY
#undef LAZY_CALL

/* A note for each library: owner FDO, type 0x407c0c0a, and JSON. */
#define LAZY_LIBRARY(id, soname)                                                                   \
	"	.long	4, 2f-1f, 0x407c0c0a\n"                                                            \
	"	.asciz	\"FDO\"\n"                                                                        \
	"1:	.asciz	\"[{\\\"soname\\\":[\\\"" soname                                           \
	"\\\"],\\\"priority\\\":\\\"required\\\"}]\"\n"                                            \
	"2:	.balign	4\n"
#define LAZY_CALL(id, function)
/* clang-format off */
__asm__("	.pushsection .note.dlopen, \"a\", %note\n	.balign	4\n"
#include <lazy.list>
	"	.popsection\n");
/* clang-format on */
#endif
