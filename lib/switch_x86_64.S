/* SPDX-License-Identifier: MIT */
/*
 * First code on a new stack for x86-64, System V ABI; see switch.h. The entry is jumped to, so that
 * the processor counts no call that will not return; a debugger's way back ends here.
 *
 * Without a .note.gnu.property a program that links this gets no shadow stack: that would have to be
 * switched too.
 */
	.text
	.globl	bp_switch_start
	.hidden	bp_switch_start
	.type	bp_switch_start, @function
	.p2align 4
bp_switch_start:
	.cfi_startproc
	.cfi_undefined %rip
	popq	%rdi
	popq	%rax
	leaq	1f(%rip), %rcx
	pushq	%rcx
	jmpq	*%rax
1:	ud2
	.cfi_endproc
	.size	bp_switch_start, .-bp_switch_start

	.section .note.GNU-stack, "", @progbits
