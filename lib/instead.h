/* SPDX-License-Identifier: MIT */
/*
 * Operation items that the kernel gave back untried, since it had no thread to carry them out with.
 */
#ifndef BP_INSTEAD_H
#define BP_INSTEAD_H

#include "loop.h"

/**
 * Carries out an operation of an item by an ordinary call, as its prep() fills it in once more. @res:
 * -ECANCELED that nobody has asked for; becomes the result.
 * Return: false: a helper thread has it, and its result is delivered later. Own thread.
 */
bool instead_call(struct bp_loop *loop, struct bp_op *op, int *res);

#endif /* BP_INSTEAD_H */
