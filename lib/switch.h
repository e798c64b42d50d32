/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks: the machine's part of it.
 *
 * It is inline assembly that declares every register as overwritten, so the compiler keeps on the
 * stack what it will need. What is left to keep is where the stack and its frame stand, where to go
 * on, and the floating-point modes.
 *
 * Why inline: a processor predicts that a return goes to behind the last call that has not
 * returned. With a call or a return on either side of the switch, that would be a call of the other
 * side, and each operation of a task would pay for two wrong predictions, 20 ns. The loop's side
 * goes from one task to the next without any (see resume() in item.c), so the last call is the one
 * in which the task before suspended: as a rule at the same place as the one that goes on.
 *
 * The modes belong to a task, as they would to a thread. To read them takes as long as all the rest
 * of a switch, so it is done on the way out of a task alone: see context_leave().
 */
#ifndef BP_SWITCH_H
#define BP_SWITCH_H

#include "base.h"

#if defined(BP_SWITCH_UCONTEXT)

struct bp_regs {
	void *context; /* a ucontext_t on the stack that it describes; the modes are in it */
};

void bp_switch(struct bp_regs *from, struct bp_regs *to);
void bp_regs_prepare(struct bp_regs *regs, void *top, void (*entry)(void *), void *arg,
		     const struct bp_regs *modes);

static inline void bp_modes_note(struct bp_regs *regs)
{
	(void)regs;
}

static inline void bp_modes_change(const struct bp_regs *from, const struct bp_regs *to)
{
	(void)from, (void)to;
}

#else

/*
 * For one instruction the stack is the other one already: an unwinder shall find no caller there.
 */
#ifdef __GCC_HAVE_DWARF2_CFI_ASM
#define NO_WAY_BACK(reg) ".cfi_remember_state\n\t.cfi_undefined " reg "\n\t"
#define WAY_BACK ".cfi_restore_state\n"
#else
#define NO_WAY_BACK(reg) ""
#define WAY_BACK ""
#endif

/* In switch_*.S: first code on a new stack, where it finds the entry and its argument. */
void bp_switch_start(void);

#if defined(__x86_64__)

struct bp_regs {
	void *sp, *fp, *pc; /* bp_switch() counts on their places */
	uint32_t mxcsr;
	uint16_t fpucw;
};

#ifdef __AVX512F__
#define OVERWRITTEN_512                                                                            \
	"xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",  \
		"xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3",      \
		"k4", "k5", "k6", "k7",
#else
#define OVERWRITTEN_512
#endif

/** Notes in @from where the running stack stands, and goes on with @to until a switch back. */
static inline __attribute__((always_inline)) void bp_switch(struct bp_regs *from,
							    struct bp_regs *to)
{
	/* clang-format off */
	__asm__ volatile(
		"leaq	1f(%%rip), %%rax\n\t"
		"movq	%%rsp, 0(%%rdi)\n\t"
		"movq	%%rbp, 8(%%rdi)\n\t"
		"movq	%%rax, 16(%%rdi)\n\t"
		"movq	16(%%rsi), %%rax\n\t"
		NO_WAY_BACK("%%rip")
		"movq	8(%%rsi), %%rbp\n\t"
		"movq	0(%%rsi), %%rsp\n\t"
		"jmpq	*%%rax\n\t"
		WAY_BACK
		"1:"
		: "+D"(from), "+S"(to)
		:
		: "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
		  OVERWRITTEN_512
		  "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
		  "cc", "memory");
	/* clang-format on */
}

static inline void bp_modes_note(struct bp_regs *regs)
{
	__asm__ volatile("stmxcsr %0" : "=m"(regs->mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(regs->fpucw));
}

/* To load them is slow, and nearly always they are the same. */
static inline void bp_modes_change(const struct bp_regs *from, const struct bp_regs *to)
{
	if (unlikely(from->mxcsr != to->mxcsr))
		__asm__ volatile("ldmxcsr %0" : : "m"(to->mxcsr));
	if (unlikely(from->fpucw != to->fpucw))
		__asm__ volatile("fldcw %0" : : "m"(to->fpucw));
}

static inline void bp_modes_copy(struct bp_regs *to, const struct bp_regs *from)
{
	to->mxcsr = from->mxcsr;
	to->fpucw = from->fpucw;
}

#elif defined(__aarch64__)

struct bp_regs {
	void *sp, *fp, *pc; /* bp_switch() counts on their places */
	uint64_t fpcr;
};

#ifdef __ARM_FEATURE_SVE
#define OVERWRITTEN_SVE                                                                            \
	"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",    \
		"p14", "p15",
#else
#define OVERWRITTEN_SVE
#endif

/** Notes in @from where the running stack stands, and goes on with @to until a switch back. */
static inline __attribute__((always_inline)) void bp_switch(struct bp_regs *from,
							    struct bp_regs *to)
{
	register struct bp_regs *x0 __asm__("x0") = from;
	register struct bp_regs *x1 __asm__("x1") = to;

	/* clang-format off */
	__asm__ volatile(
		"mov	x9, sp\n\t"
		"adr	x16, 1f\n\t"
		"stp	x9, x29, [x0]\n\t"
		"str	x16, [x0, #16]\n\t"
		"ldr	x16, [x1, #16]\n\t"
		NO_WAY_BACK("30")
		"ldp	x9, x29, [x1]\n\t"
		"mov	sp, x9\n\t"
		"br	x16\n\t"
		WAY_BACK
		"1:"
		: "+r"(x0), "+r"(x1)
		:
		: "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
		  "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25",
		  "x26", "x27", "x28", "x30",
		  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
		  "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
		  "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
		  OVERWRITTEN_SVE
		  "cc", "memory");
	/* clang-format on */
}

static inline void bp_modes_note(struct bp_regs *regs)
{
	__asm__ volatile("mrs %0, fpcr" : "=r"(regs->fpcr));
}

static inline void bp_modes_change(const struct bp_regs *from, const struct bp_regs *to)
{
	if (unlikely(from->fpcr != to->fpcr))
		__asm__ volatile("msr fpcr, %0" : : "r"(to->fpcr));
}

static inline void bp_modes_copy(struct bp_regs *to, const struct bp_regs *from)
{
	to->fpcr = from->fpcr;
}

#endif

_Static_assert(offsetof(struct bp_regs, sp) == 0 && offsetof(struct bp_regs, fp) == 8 &&
		       offsetof(struct bp_regs, pc) == 16,
	       "the assembly counts on it");

/** Makes the first switch to @regs begin entry(arg) below @top, with the modes of @modes. */
static inline void bp_regs_prepare(struct bp_regs *regs, void *top, void (*entry)(void *),
				   void *arg, const struct bp_regs *modes)
{
	void **sp = (void **)((uintptr_t)top & ~(uintptr_t)15) - 2;

	sp[0] = arg;
	sp[1] = (void *)entry;
	regs->sp = sp;
	regs->fp = NULL;
	regs->pc = (void *)bp_switch_start;
	bp_modes_copy(regs, modes);
}

#endif
#endif /* BP_SWITCH_H */
