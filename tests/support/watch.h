/* SPDX-License-Identifier: MIT */
/*
 * watch - how a run's system calls come to be watched; cmd.h has what tests do with them
 */
#ifndef BATCHPROC_TESTS_WATCH_H
#define BATCHPROC_TESTS_WATCH_H

/**
 * In the child: its calls of this number wait for whoever has the descriptor that goes to @socket.
 */
void watch_calls(int number, int socket);
/** That descriptor; -1: calls cannot be watched here. Closes both sockets. */
int take_watch(const int sockets[2]);

#endif
