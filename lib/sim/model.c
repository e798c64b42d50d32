/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend's descriptors, and what each operation does to them. See sim_model.h; what
 * goes by a path is in sim_files.c, connections and pipes are in sim_streams.c.
 */
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bufs.h"
#include "compat.h"
#include "sim/sim.h"

/* ---------------------------------------------------------------- files and descriptors */

struct sim_file *sim_file_new(struct sim *sim, enum sim_file_type type, mode_t mode)
{
	struct sim_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->type = type;
	file->mode = mode;
	file->refs = 1;
	file->ino = ++sim->model.inos;
	file->mtime = sim->clock;
	list_init(&file->entries);
	list_init(&file->armed);
	list_init(&file->backlog);
	list_add_tail(&sim->model.files, &file->all);
	return file;
}

static void file_free(struct sim_file *file)
{
	struct bp_link_ *link;

	while ((link = list_pop(&file->entries)))
		free(container_of(link, struct sim_entry, link));
	list_del(&file->all);
	free(file->data);
	free(file);
}

/** The last reference is gone: the other side notices. */
static void file_release(struct sim *sim, struct sim_file *file)
{
	struct bp_link_ *link;

	if (file->peer) {
		file->peer->peer = NULL;
		sim_file_changed(sim, file->peer);
	}
	while ((link = list_pop(&file->backlog)))
		sim_file_put(sim, container_of(link, struct sim_file, pending));
	file_free(file);
}

void sim_file_put(struct sim *sim, struct sim_file *file)
{
	if (--file->refs == 0)
		file_release(sim, file);
}

int sim_file_grow(struct sim_file *file, size_t len)
{
	size_t room = file->room ? file->room : 64;
	char *data;

	if (len <= file->room)
		return 0;
	while (room < len)
		room *= 2;
	data = realloc(file->data, room);
	if (!data)
		return -ENOMEM;
	memset(data + file->room, 0, room - file->room);
	file->data = data;
	file->room = room;
	return 0;
}

struct sim_desc *sim_desc_get(struct sim *sim, int fd)
{
	struct sim_model *m = &sim->model;
	unsigned int i = (unsigned int)fd - SIM_FD_BASE;

	if (fd < SIM_FD_BASE || i >= m->size || !m->table[i])
		return NULL;
	m->table[i]->refs++;
	return m->table[i];
}

void sim_desc_put(struct sim *sim, struct sim_desc *desc)
{
	if (--desc->refs)
		return;
	sim_file_put(sim, desc->file);
	free(desc);
}

int sim_fd_open(struct sim *sim, struct sim_file *file, int flags)
{
	struct sim_model *m = &sim->model;
	struct sim_desc *desc = malloc(sizeof(*desc)), **table;
	unsigned int i = 0;

	while (i < m->size && m->table[i])
		i++;
	if (desc && i == m->size) {
		table = realloc(m->table, (i ? 2 * i : 16) * sizeof(*table));
		if (table) {
			m->table = table;
			m->size = i ? 2 * i : 16;
			memset(&table[i], 0, (m->size - i) * sizeof(*table));
		}
	}
	if (!desc || i == m->size) {
		free(desc);
		sim_file_put(sim, file);
		return -ENOMEM;
	}
	*desc = (struct sim_desc){.refs = 1, .file = file, .flags = flags};
	m->table[i] = desc;
	m->open++;
	return SIM_FD_BASE + (int)i;
}

int sim_fd_close(struct sim *sim, int fd)
{
	struct sim_desc *desc = sim_desc_get(sim, fd);

	if (!desc)
		return -EBADF;
	sim->model.table[fd - SIM_FD_BASE] = NULL;
	sim->model.open--;
	desc->refs--; /* the table's; ours is the last if no request holds one */
	sim_desc_put(sim, desc);
	return 0;
}

/* ---------------------------------------------------------------- reading and writing */

static ssize_t reg_read(struct sim_file *file, char *to, size_t len, uint64_t at)
{
	if (at >= file->len)
		return 0;
	if (len > file->len - at)
		len = file->len - at;
	memcpy(to, file->data + at, len);
	return (ssize_t)len;
}

static ssize_t reg_write(struct sim *sim, struct sim_file *file, const char *from, size_t len,
			 uint64_t at)
{
	if (at > (1u << 30) || len > (1u << 30))
		return -EFBIG;
	if (sim_file_grow(file, at + len))
		return -ENOSPC;
	memcpy(file->data + at, from, len);
	if (at + len > file->len)
		file->len = at + len;
	file->mtime = sim->clock;
	return (ssize_t)len;
}

/** Reads or writes one piece. */
static ssize_t move_piece(struct sim *sim, struct sim_desc *desc, char *buf, size_t len,
			  uint64_t *at, bool out, int flags)
{
	struct sim_file *file = desc->file;
	ssize_t n;

	if ((desc->flags & O_ACCMODE) == (out ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (!buf && len)
		return -EFAULT;
	if (file->type == SIM_STREAM)
		return out ? sim_stream_send(sim, file, buf, len) :
			     sim_stream_recv(sim, file, buf, len, flags);
	if (file->type != SIM_REG)
		return file->type == SIM_DIR ? -EISDIR : -ENOTCONN;
	if (out && (desc->flags & O_APPEND))
		*at = file->len;
	n = out ? reg_write(sim, file, buf, len, *at) : reg_read(file, buf, len, *at);
	if (n > 0)
		*at += (uint64_t)n;
	return n;
}

/** Reads or writes, @most bytes at most; at the descriptor's position when @offset is -1. */
static ssize_t move_bytes(struct sim *sim, struct sim_desc *desc, const struct iovec *iov,
			  size_t count, uint64_t offset, bool out, int flags, size_t most)
{
	uint64_t at = offset == UINT64_MAX ? desc->pos : offset;
	ssize_t total = 0, n;

	if (desc->file->type == SIM_STREAM && offset != UINT64_MAX && offset)
		return -ESPIPE;
	for (size_t i = 0; i < count; i++) {
		size_t len = iov[i].iov_len;

		if (len > most - (size_t)total)
			len = most - (size_t)total;
		n = move_piece(sim, desc, iov[i].iov_base, len, &at, out, flags);
		if (n < 0)
			return total ? total : n;
		total += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	if (offset == UINT64_MAX)
		desc->pos = at;
	return total;
}

/* ---------------------------------------------------------------- operations */

static inline void *ptr(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

int sim_model_target(struct sim *sim, struct sim_req *req)
{
	switch (req->sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
	case IORING_OP_CONNECT:
	case IORING_OP_ACCEPT:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
	case IORING_OP_SHUTDOWN:
	case IORING_OP_POLL_ADD:
	case IORING_OP_FADVISE:
	case IORING_OP_URING_CMD:
	case BP_IORING_OP_FTRUNCATE:
	case BP_IORING_OP_BIND:
	case BP_IORING_OP_LISTEN:
		req->desc = sim_desc_get(sim, req->sqe.fd);
		return req->desc ? 0 : -EBADF;
	default:
		return 0;
	}
}

/** What moves bytes; in one place, because all but the arguments is the same. */
static int run_move(struct sim *sim, struct sim_req *req, size_t most)
{
	const struct io_uring_sqe *sqe = &req->sqe;
	struct iovec one = {.iov_base = ptr(sqe->addr), .iov_len = sqe->len}, *iov = &one;
	uint64_t offset = UINT64_MAX;
	struct msghdr *msg;
	bool out, dont_wait = req->desc->flags & O_NONBLOCK;
	size_t count = 1;
	int flags = 0;
	ssize_t n;

	out = sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_WRITEV ||
	      sqe->opcode == IORING_OP_SEND || sqe->opcode == IORING_OP_SENDMSG ||
	      sqe->opcode == IORING_OP_SEND_ZC;
	switch (sqe->opcode) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		iov = ptr(sqe->addr);
		count = sqe->len;
		/* fall through */
	case IORING_OP_READ:
	case IORING_OP_WRITE:
		offset = sqe->off;
		break;
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
		msg = ptr(sqe->addr);
		if (!msg)
			return -EFAULT;
		iov = msg->msg_iov;
		count = msg->msg_iovlen;
		/* fall through */
	default:
		if (req->desc->file->type == SIM_REG || req->desc->file->type == SIM_DIR ||
		    req->desc->file->pipe)
			return -ENOTSOCK;
		flags = (int)sqe->msg_flags;
		dont_wait |= !!(flags & MSG_DONTWAIT);
	}
	if (!iov && count)
		return -EFAULT;
	n = move_bytes(sim, req->desc, iov, count, offset, out, flags, most);
	return n == SIM_WAIT && dont_wait ? -EAGAIN : (int)n;
}

/** A receive that takes its buffer from a ring. */
static int run_select(struct sim *sim, struct sim_req *req, size_t most)
{
	struct bufs *bufs = bufs_find(req->loop->loop->bufs, req->sqe.buf_group);
	uint16_t number = bufs ? bufs_pop(bufs) : BUFS_NONE;
	int n;

	if (number == BUFS_NONE)
		return -ENOBUFS;
	req->sqe.addr = (uintptr_t)bufs_at(bufs, number);
	req->sqe.len = (uint32_t)bufs->size;
	n = run_move(sim, req, most);
	if (n > 0)
		req->flags = IORING_CQE_F_BUFFER | (unsigned int)number << IORING_CQE_BUFFER_SHIFT;
	else
		bufs_push(bufs, number);
	return n;
}

static int run_openat2(struct sim *sim, const struct io_uring_sqe *sqe)
{
	const struct open_how *how = ptr(sqe->addr2);

	if (!how)
		return -EFAULT;
	if (how->resolve & RESOLVE_CACHED)
		return -EAGAIN;
	return sim_open(sim, sqe->fd, ptr(sqe->addr), (int)how->flags, (mode_t)how->mode);
}

static int run_socket(struct sim *sim, const struct io_uring_sqe *sqe)
{
	struct sim_file *file = sim_file_new(sim, SIM_SOCKET, 0777);

	if (!file)
		return -ENOMEM;
	return sim_fd_open(sim, file, O_RDWR | (sqe->off & SOCK_NONBLOCK ? O_NONBLOCK : 0));
}

static int run_fallocate(struct sim *sim, struct sim_file *file, const struct io_uring_sqe *sqe)
{
	uint64_t end = sqe->off + sqe->addr;

	if (file->type != SIM_REG)
		return -ENODEV;
	if (sqe->len)
		return -EOPNOTSUPP;
	if (end > (1u << 30) || sim_file_grow(file, end))
		return -ENOSPC;
	if (end > file->len)
		file->len = end;
	file->mtime = sim->clock;
	return 0;
}

static int run_ftruncate(struct sim *sim, struct sim_desc *desc, uint64_t len)
{
	struct sim_file *file = desc->file;

	if (file->type != SIM_REG || (desc->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	if (len > (1u << 30) || sim_file_grow(file, len))
		return -EFBIG;
	if (len < file->len)
		memset(file->data + len, 0, file->len - len);
	file->len = len;
	file->mtime = sim->clock;
	return 0;
}

/** Advice is taken, and changes nothing. */
static int run_fadvise(const struct sim_desc *desc, const struct io_uring_sqe *sqe)
{
	if (desc->file->type == SIM_STREAM)
		return -ESPIPE;
	return sqe->fadvise_advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

static int run_accept(struct sim *sim, struct sim_req *req)
{
	const struct io_uring_sqe *sqe = &req->sqe;
	int res = sim_accept(sim, req->desc->file, ptr(sqe->addr), ptr(sqe->addr2),
			     (int)sqe->accept_flags);

	return res == SIM_WAIT && (req->desc->flags & O_NONBLOCK) ? -EAGAIN : res;
}

static int run_poll(struct sim *sim, struct sim_req *req)
{
	int wanted = (int)(req->sqe.poll32_events & 0xffff) | POLLHUP | POLLERR;
	int mask = sim_stream_poll(sim, req->desc->file) & wanted;

	return mask ? mask : SIM_WAIT;
}

int sim_model_run(struct sim *sim, struct sim_req *req, size_t most)
{
	const struct io_uring_sqe *sqe = &req->sqe;

	switch (sqe->opcode) {
	case IORING_OP_NOP:
	case IORING_OP_FSYNC:
		return 0;
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
		return run_move(sim, req, most);
	case IORING_OP_RECV:
		if (sqe->flags & IOSQE_BUFFER_SELECT)
			return run_select(sim, req, most);
		return run_move(sim, req, most);
	case IORING_OP_OPENAT:
		return sim_open(sim, sqe->fd, ptr(sqe->addr), (int)sqe->open_flags, sqe->len);
	case IORING_OP_OPENAT2:
		return run_openat2(sim, sqe);
	case IORING_OP_CLOSE:
		return sim_fd_close(sim, sqe->fd);
	case IORING_OP_STATX:
		return sim_statx(sim, sqe->fd, ptr(sqe->addr), (int)sqe->statx_flags,
				 ptr(sqe->addr2));
	case IORING_OP_FALLOCATE:
		return run_fallocate(sim, req->desc->file, sqe);
	case IORING_OP_UNLINKAT:
		return sim_unlink(sim, sqe->fd, ptr(sqe->addr), (int)sqe->unlink_flags);
	case IORING_OP_RENAMEAT:
		return sim_rename(sim, sqe->fd, ptr(sqe->addr), (int)sqe->len, ptr(sqe->addr2),
				  sqe->rename_flags);
	case IORING_OP_LINKAT:
		return sim_link(sim, sqe->fd, ptr(sqe->addr), (int)sqe->len, ptr(sqe->addr2));
	case IORING_OP_SYMLINKAT:
		return sim_symlink(sim, ptr(sqe->addr), sqe->fd, ptr(sqe->addr2));
	case IORING_OP_MKDIRAT:
		return sim_mkdir(sim, sqe->fd, ptr(sqe->addr), sqe->len);
	case IORING_OP_SOCKET:
		return run_socket(sim, sqe);
	case IORING_OP_CONNECT:
		return sim_connect(sim, req->desc, ptr(sqe->addr), sqe->addr2);
	case IORING_OP_ACCEPT:
		return run_accept(sim, req);
	case IORING_OP_SHUTDOWN:
		return sim_shutdown(sim, req->desc->file, (int)sqe->len);
	case IORING_OP_POLL_ADD:
		return run_poll(sim, req);
	case IORING_OP_MADVISE:
		return 0;
	case IORING_OP_FADVISE:
		return run_fadvise(req->desc, sqe);
	case BP_IORING_OP_FTRUNCATE:
		return run_ftruncate(sim, req->desc, sqe->off);
	case BP_IORING_OP_PIPE:
		return sim_pipe(sim, ptr(sqe->addr), (int)sqe->rw_flags);
	case BP_IORING_OP_BIND:
		return sim_bind(sim, req->desc->file, ptr(sqe->addr), sqe->addr2);
	case BP_IORING_OP_LISTEN:
		return sim_file_listen(req->desc->file, (int)sqe->len);
	case IORING_OP_URING_CMD:
		return sim_sockopt(req->desc->file, sqe);
	default:
		return -EOPNOTSUPP;
	}
}

/* ---------------------------------------------------------------- the whole */

int sim_model_init(struct sim *sim)
{
	struct sim_model *m = &sim->model;
	/* A narrow stream makes senders wait, a wide one does not. */
	static const size_t rooms[] = {16, 256, 65536};

	list_init(&m->files);
	m->inos = 1;
	m->sent = m->received = 0;
	m->stream_room = rooms[sim_random(sim, 3)];
	m->root = sim_file_new(sim, SIM_DIR, 0777);
	if (!m->root)
		return -ENOMEM;
	m->root->parent = m->root;
	return 0;
}

void sim_model_exit(struct sim *sim)
{
	struct sim_model *m = &sim->model;

	for (unsigned int i = 0; i < m->size; i++)
		free(m->table[i]);
	free(m->table);
	m->table = NULL;
	m->size = m->open = 0;
	while (!list_empty(&m->files))
		file_free(container_of(m->files.next, struct sim_file, all));
}
