/* SPDX-License-Identifier: MIT */
/*
 * pool_hash.c - the peer of `batchproc hash -r`: a pthread pool that uses blocking calls
 *
 * usage: pool-hash [-t THREADS] DIR...
 *
 * Prints SHA-256 digests of all regular files below the directories in sha256sum's format. It is
 * written to be fast, so that the comparison is fair: directories are walked by the pool too,
 * files travel in chunks so that the queue's mutex is hardly seen, openat() is relative to the
 * directory, digest contexts and buffers are reused, output is written in large pieces.
 *
 * A directory is freed by whoever drops its last reference.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool.h"

#define CHUNK_BYTES 2048u /* names of one chunk, NUL-separated */
#define READ_BYTES (128u << 10)
#define OUT_BYTES (64u << 10)

struct dir {
	_Atomic unsigned int refs;
	int fd;
	char path[];
};

/* A directory to list, or a chunk of the names of files in one. */
struct piece {
	struct unit unit; /* first */
	struct dir *dir;
	bool list;
	unsigned int len;
	char names[];
};

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static EVP_MD *sha256;

struct worker {
	EVP_MD_CTX *ctx;
	unsigned char *buf;
	char *out;
	size_t out_len;
};

static void dir_put(struct dir *d)
{
	if (atomic_fetch_sub(&d->refs, 1) > 1)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

static void push_dir(const char *parent, const char *name)
{
	size_t len = strlen(parent) + strlen(name) + 2;
	struct dir *d = must(malloc(sizeof(*d) + len));
	struct piece *p = must(malloc(sizeof(*p)));

	snprintf(d->path, len, "%s%s%s", parent, parent[0] ? "/" : "", name);
	d->refs = 1;
	d->fd = -1;
	p->dir = d;
	p->list = true;
	pool_push(&p->unit);
}

static void push_chunk(struct dir *d, const char *names, unsigned int len)
{
	struct piece *p = must(malloc(sizeof(*p) + len));

	atomic_fetch_add(&d->refs, 1);
	p->dir = d;
	p->list = false;
	p->len = len;
	memcpy(p->names, names, len);
	pool_push(&p->unit);
}

/* ---------------------------------------------------------------- walking */

static int type_of(DIR *dirp, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dirfd(dirp), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static void list_dir(struct dir *d)
{
	char names[CHUNK_BYTES];
	unsigned int len = 0;
	struct dirent *e;
	DIR *dirp;
	int fd;

	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* readdir gets a descriptor of its own, d->fd serves the openat() calls of the chunks. */
	fd = d->fd < 0 ? -1 : fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	dirp = fd < 0 ? NULL : fdopendir(fd);
	if (!dirp) {
		complain(d->path, "", errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dirp))) {
		size_t n = strlen(e->d_name) + 1;
		int type;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		type = type_of(dirp, e);
		if (type == DT_DIR)
			push_dir(d->path, e->d_name);
		if (type != DT_REG)
			continue;
		if (len + n > sizeof(names)) {
			push_chunk(d, names, len);
			len = 0;
		}
		memcpy(names + len, e->d_name, n);
		len += (unsigned int)n;
	}
	closedir(dirp);
	if (len)
		push_chunk(d, names, len);
}

/* ---------------------------------------------------------------- hashing */

static void flush(struct worker *w)
{
	size_t at = 0;

	pthread_mutex_lock(&out_lock);
	while (at < w->out_len) {
		ssize_t n = write(STDOUT_FILENO, w->out + at, w->out_len - at);

		if (n < 0 && errno != EINTR) {
			perror("pool-hash: stdout");
			exit(125);
		}
		at += n > 0 ? (size_t)n : 0;
	}
	pthread_mutex_unlock(&out_lock);
	w->out_len = 0;
}

static char *put_escaped(char *at, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n' || *s == '\r' || *s == '\\')
			*at++ = '\\';
		*at++ = *s == '\n' ? 'n' : *s == '\r' ? 'r' : *s;
	}
	return at;
}

static void put_line(struct worker *w, const unsigned char *digest, const char *dir,
		     const char *name)
{
	static const char hex[] = "0123456789abcdef";
	size_t most = 64 + 2 * (strlen(dir) + strlen(name)) + 8;
	bool escape = strpbrk(dir, "\n\r\\") || strpbrk(name, "\n\r\\");
	char *at;
	int i;

	if (w->out_len + most > OUT_BYTES)
		flush(w);
	at = w->out + w->out_len;
	if (escape)
		*at++ = '\\';
	for (i = 0; i < 32; i++) {
		*at++ = hex[digest[i] >> 4];
		*at++ = hex[digest[i] & 15];
	}
	*at++ = ' ';
	*at++ = ' ';
	at = put_escaped(at, dir);
	*at++ = '/';
	at = put_escaped(at, name);
	*at++ = '\n';
	w->out_len = (size_t)(at - w->out);
}

static void hash_file(struct worker *w, const struct dir *d, const char *name)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	ssize_t n;
	int fd;

	fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		complain(d->path, name, errno);
		return;
	}
	EVP_DigestInit_ex2(w->ctx, sha256, NULL);
	while ((n = read(fd, w->buf, READ_BYTES)) > 0)
		EVP_DigestUpdate(w->ctx, w->buf, (size_t)n);
	if (n < 0) {
		complain(d->path, name, errno);
	} else {
		EVP_DigestFinal_ex(w->ctx, digest, NULL);
		put_line(w, digest, d->path, name);
	}
	close(fd);
}

static void *work(void *arg)
{
	struct worker w = {
		.ctx = must(EVP_MD_CTX_new()),
		/* Page-aligned: malloc()'s page + 16 makes the kernel's copy three times slower. */
		.buf = must(aligned_alloc(4096, READ_BYTES)),
		.out = must(malloc(OUT_BYTES)),
	};
	struct unit *u;
	unsigned int at;

	(void)arg;
	for (u = pool_pop(false); u; u = pool_pop(true)) {
		struct piece *p = (struct piece *)u;

		if (p->list)
			list_dir(p->dir);
		for (at = 0; !p->list && at < p->len; at += strlen(p->names + at) + 1)
			hash_file(&w, p->dir, p->names + at);
		dir_put(p->dir);
		free(p);
	}
	flush(&w);
	free(w.out);
	free(w.buf);
	EVP_MD_CTX_free(w.ctx);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int threads = pool_threads(argc, argv);

	if (!threads || optind == argc) {
		fprintf(stderr, "usage: pool-hash [-t THREADS] DIR...\n");
		return 2;
	}
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256) {
		fprintf(stderr, "pool-hash: no SHA256\n");
		return 125;
	}
	for (; optind < argc; optind++)
		push_dir("", argv[optind]);
	pool_run(threads, work);
	EVP_MD_free(sha256);
	return complained();
}
