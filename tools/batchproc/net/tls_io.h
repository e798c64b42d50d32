/* SPDX-License-Identifier: MIT */
/*
 * tls_io: what stream.c and tls.c need of each other.
 */
#ifndef BATCHPROC_TLS_IO_H
#define BATCHPROC_TLS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct stream;

/* The bytes of the socket itself. @sent counts up, whatever happens. Task only. */
ssize_t socket_read(struct stream *stream, void *buf, size_t len);
int socket_write(struct stream *stream, const void *data, size_t len, size_t *sent);

/* As stream_read(), stream_write(), stream_idle(), for one with tls. */
ssize_t tls_read(struct stream *stream, void *buf, size_t len);
int tls_write(struct stream *stream, const void *data, size_t len, size_t *sent);
bool tls_idle(struct stream *stream);

/* Says goodbye where that can be done at once, and frees stream->tls. */
void tls_end(struct stream *stream);

#endif
