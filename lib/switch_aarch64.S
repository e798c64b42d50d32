/* SPDX-License-Identifier: MIT */
/*
 * First code on a new stack for aarch64, AAPCS64; see switch.h and switch_x86_64.S.
 */
	.text
	.globl	bp_switch_start
	.hidden	bp_switch_start
	.type	bp_switch_start, %function
	.p2align 4
bp_switch_start:
	.cfi_startproc
	.cfi_undefined 30
	ldp	x0, x16, [sp], #16
	adr	x30, 1f
	br	x16
1:	brk	#1
	.cfi_endproc
	.size	bp_switch_start, .-bp_switch_start

	.section .note.GNU-stack, "", %progbits
