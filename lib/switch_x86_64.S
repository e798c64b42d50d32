/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks for x86-64, System V ABI: what a callee must preserve is pushed on
 * the stack that is left, and popped from the one that is entered. That includes the control words
 * of the SSE and x87 units, so that a task which changes its rounding mode changes only its own.
 *
 *	void bp_switch(void **from_sp, void *to_sp);
 *	void *bp_switch_prepare(void *top, void (*entry)(void *), void *arg);
 */
	.text

	.globl	bp_switch
	.hidden	bp_switch
	.type	bp_switch, @function
	.p2align 4
bp_switch:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	/* Loading the control words is slow, and nearly always they are the same. */
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx
	movq	%rsi, %rsp
	cmpl	%eax, (%rsp)
	jne	2f
1:	cmpw	%cx, 4(%rsp)
	jne	3f
4:	addq	$8, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	/* An indirect jump predicts better here than a return whose call was on another stack. */
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmpq	*%rcx
	.cfi_restore_state
2:	ldmxcsr	(%rsp)
	jmp	1b
3:	fldcw	4(%rsp)
	jmp	4b
	.cfi_endproc
	.size	bp_switch, .-bp_switch

/* First code on a new stack: rbx is the entry, r12 its argument. A debugger's way back ends here. */
	.type	start, @function
	.p2align 4
start:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	xorl	%ebp, %ebp
	movq	%r12, %rdi
	callq	*%rbx
	ud2
	.cfi_endproc
	.size	start, .-start

	.globl	bp_switch_prepare
	.hidden	bp_switch_prepare
	.type	bp_switch_prepare, @function
	.p2align 4
bp_switch_prepare:
	.cfi_startproc
	andq	$-16, %rdi
	leaq	start(%rip), %rcx
	movq	%rcx, -8(%rdi)
	movq	$0, -16(%rdi)		/* rbp */
	movq	%rsi, -24(%rdi)		/* rbx */
	movq	%rdx, -32(%rdi)		/* r12 */
	movq	$0, -40(%rdi)		/* r13 */
	movq	$0, -48(%rdi)		/* r14 */
	movq	$0, -56(%rdi)		/* r15 */
	stmxcsr	-64(%rdi)
	fnstcw	-60(%rdi)
	leaq	-64(%rdi), %rax
	ret
	.cfi_endproc
	.size	bp_switch_prepare, .-bp_switch_prepare

	.section .note.GNU-stack, "", @progbits
