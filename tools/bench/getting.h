/* SPDX-License-Identifier: MIT */
/*
 * getting.h - what the peers of `batchproc fetch` share: where from, where to, and how a file is
 * made
 *
 * Both GET http://127.0.0.1:PORT/PATH?I for I from 0 to COUNT - 1, and make DIR/I of each body.
 */
#ifndef GETTING_H
#define GETTING_H

#include <stddef.h>

/* Takes PORT PATH COUNT. Return: COUNT. */
size_t getting_from(char *const *args);
/* Takes DIR or none. Return: 0 or -errno. */
int getting_to(const char *dir);

/* A connected socket, or -errno. */
int getting_connect(void);
/* The request for one of them. Return: its length. */
size_t getting_request(size_t number, char *to, size_t size);
/*
 * Makes its file, as the command does: it has no name until it is whole. Any thread. 0 or -errno.
 */
int getting_make(size_t number, const char *data, size_t len);

#endif /* GETTING_H */
