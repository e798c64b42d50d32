/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks for aarch64, AAPCS64: x19 to x30, d8 to d15 and FPCR are saved on the
 * stack that is left, and loaded from the one that is entered.
 *
 *	void bp_switch(void **from_sp, void *to_sp);
 *	void *bp_switch_prepare(void *top, void (*entry)(void *), void *arg);
 */
	.text

	.globl	bp_switch
	.hidden	bp_switch
	.type	bp_switch, %function
	.p2align 4
bp_switch:
	.cfi_startproc
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	.cfi_offset 29, -96
	.cfi_offset 30, -88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldr	x9, [sp, #160]
	msr	fpcr, x9
	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x29, x30, [sp, #80]
	ldp	x27, x28, [sp, #64]
	ldp	x25, x26, [sp, #48]
	ldp	x23, x24, [sp, #32]
	ldp	x21, x22, [sp, #16]
	ldp	x19, x20, [sp, #0]
	add	sp, sp, #176
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	bp_switch, .-bp_switch

/* First code on a new stack: x19 is the entry, x20 its argument. */
	.type	start, %function
	.p2align 4
start:
	.cfi_startproc
	.cfi_undefined 30
	mov	x29, xzr
	mov	x0, x20
	blr	x19
	brk	#1
	.cfi_endproc
	.size	start, .-start

	.globl	bp_switch_prepare
	.hidden	bp_switch_prepare
	.type	bp_switch_prepare, %function
	.p2align 4
bp_switch_prepare:
	.cfi_startproc
	and	x0, x0, #-16
	sub	x0, x0, #176
	stp	x1, x2, [x0, #0]
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	adr	x9, start
	stp	xzr, x9, [x0, #80]
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	mrs	x9, fpcr
	stp	x9, xzr, [x0, #160]
	ret
	.cfi_endproc
	.size	bp_switch_prepare, .-bp_switch_prepare

	.section .note.GNU-stack, "", %progbits
