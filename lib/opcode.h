/* SPDX-License-Identifier: MIT */
/* opcode - names of io_uring's operations, for people */
#ifndef BP_OPCODE_H
#define BP_OPCODE_H

/** "read" for IORING_OP_READ; "" for one that has none here. */
const char *opcode_name(unsigned int opcode);

#endif /* BP_OPCODE_H */
