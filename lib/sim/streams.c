/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend's streams: connections, pipes and what accepts them. See sim_model.h.
 */
#include <poll.h>
#include <string.h>

#include "compat.h"
#include "sim/sim.h"

static int make_streams(struct sim *sim, struct sim_file **a, struct sim_file **b)
{
	*a = sim_file_new(sim, SIM_STREAM, 0777);
	*b = sim_file_new(sim, SIM_STREAM, 0777);
	if (!*a || !*b) {
		if (*a)
			sim_file_put(sim, *a);
		if (*b)
			sim_file_put(sim, *b);
		return -ENOMEM;
	}
	(*a)->peer = *b;
	(*b)->peer = *a;
	return 0;
}

ssize_t sim_stream_recv(struct sim *sim, struct sim_file *file, char *to, size_t len, int flags)
{
	if (!file->len) {
		if (!file->peer || file->peer->shut_out || file->shut_in || !len)
			return 0;
		return SIM_WAIT;
	}
	if (len > file->len)
		len = file->len;
	memcpy(to, file->data, len);
	if (flags & MSG_PEEK)
		return (ssize_t)len;
	memmove(file->data, file->data + len, file->len - len);
	file->len -= len;
	sim->model.received += len;
	if (file->peer)
		sim_file_changed(sim, file->peer);
	return (ssize_t)len;
}

ssize_t sim_stream_send(struct sim *sim, struct sim_file *file, const char *from, size_t len)
{
	struct sim_file *peer = file->peer;
	size_t room;

	if (file->shut_out || !peer || peer->shut_in)
		return -EPIPE;
	room = sim->model.stream_room - peer->len;
	if (len > room)
		len = room;
	if (!room)
		return SIM_WAIT;
	if (sim_file_grow(peer, peer->len + len))
		return -ENOMEM;
	memcpy(peer->data + peer->len, from, len);
	peer->len += len;
	sim->model.sent += len;
	sim_file_changed(sim, peer);
	return (ssize_t)len;
}

int sim_stream_poll(struct sim *sim, const struct sim_file *file)
{
	int mask = 0;

	if (file->type == SIM_LISTENER)
		return list_empty(&file->backlog) ? 0 : POLLIN;
	if (file->type == SIM_SOCKET)
		return POLLHUP;
	if (file->type != SIM_STREAM)
		return POLLIN | POLLOUT;
	if (file->len || !file->peer || file->peer->shut_out || file->shut_in)
		mask |= POLLIN;
	if (!file->peer || file->peer->len < sim->model.stream_room)
		mask |= POLLOUT;
	return mask | (file->peer ? 0 : POLLHUP);
}

int sim_connect(struct sim *sim, struct sim_desc *desc, const void *addr, size_t len)
{
	struct sim_file *to, *mine, *theirs;
	struct bp_link_ *link;
	int err;

	if (!addr)
		return -EFAULT;
	if (desc->file->type == SIM_STREAM)
		return -EISCONN;
	if (desc->file->type != SIM_SOCKET)
		return desc->file->type == SIM_LISTENER ? -EINVAL : -ENOTSOCK;
	for (link = sim->model.files.next; link != &sim->model.files; link = link->next) {
		to = container_of(link, struct sim_file, all);
		if (to->type == SIM_LISTENER && to->len == len && !memcmp(to->data, addr, len))
			break;
	}
	if (link == &sim->model.files)
		return -ECONNREFUSED;
	if (to->backlog_len == to->backlog_max)
		return -ECONNREFUSED;
	err = make_streams(sim, &mine, &theirs);
	if (err)
		return err;
	list_add_tail(&to->backlog, &theirs->pending);
	to->backlog_len++;
	sim_file_put(sim, desc->file);
	desc->file = mine;
	sim_file_changed(sim, to);
	return 0;
}

static bool is_socket(const struct sim_file *file)
{
	return file->type == SIM_SOCKET || file->type == SIM_LISTENER ||
	       (file->type == SIM_STREAM && !file->pipe);
}

int sim_bind(struct sim *sim, struct sim_file *file, const void *addr, size_t len)
{
	struct bp_link_ *link;

	if (!is_socket(file))
		return -ENOTSOCK;
	if (!addr)
		return -EFAULT;
	if (file->type != SIM_SOCKET || file->len || !len || len > 128)
		return -EINVAL;
	for (link = sim->model.files.next; link != &sim->model.files; link = link->next) {
		const struct sim_file *other = container_of(link, struct sim_file, all);

		if ((other->type == SIM_LISTENER || other->type == SIM_SOCKET) &&
		    other->len == len && !memcmp(other->data, addr, len))
			return -EADDRINUSE;
	}
	if (sim_file_grow(file, len))
		return -ENOMEM;
	memcpy(file->data, addr, len);
	file->len = len;
	return 0;
}

int sim_file_listen(struct sim_file *file, int backlog)
{
	if (!is_socket(file))
		return -ENOTSOCK;
	if (file->type == SIM_STREAM)
		return -EINVAL;
	file->type = SIM_LISTENER;
	file->backlog_max = backlog > 0 ? (unsigned int)backlog : 1;
	return 0;
}

/** Options are taken, and change nothing; a few can be read. */
int sim_sockopt(const struct sim_file *file, const struct io_uring_sqe *sqe)
{
	const struct sock_cmd cmd = sock_cmd_of(sqe);
	int *value = (int *)(uintptr_t)sqe->addr3;

	if (!is_socket(file))
		return -ENOTSOCK;
	if (!value)
		return -EFAULT;
	if (sqe->cmd_op == BP_SOCKET_URING_OP_SETSOCKOPT)
		return cmd.optlen < sizeof(int) ? -EINVAL : 0;
	if (sqe->cmd_op != BP_SOCKET_URING_OP_GETSOCKOPT)
		return -EOPNOTSUPP;
	if (cmd.optlen < sizeof(int))
		return -EINVAL;
	if (cmd.level != SOL_SOCKET)
		return -ENOPROTOOPT;
	if (cmd.optname == SO_ERROR)
		*value = 0;
	else if (cmd.optname == SO_TYPE)
		*value = SOCK_STREAM;
	else if (cmd.optname == SO_ACCEPTCONN)
		*value = file->type == SIM_LISTENER;
	else
		return -ENOPROTOOPT;
	return sizeof(int);
}

int sim_pipe(struct sim *sim, int *fds, int flags)
{
	int nonblock = flags & O_NONBLOCK, in, out, err;
	struct sim_file *a, *b;

	if (!fds)
		return -EFAULT;
	if (flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	err = make_streams(sim, &a, &b);
	if (err)
		return err;
	a->pipe = b->pipe = true;
	in = sim_fd_open(sim, a, O_RDONLY | nonblock);
	out = sim_fd_open(sim, b, O_WRONLY | nonblock);
	if (in < 0 || out < 0) {
		sim_fd_close(sim, in < 0 ? out : in);
		return -ENOMEM;
	}
	fds[0] = in;
	fds[1] = out;
	return 0;
}

int sim_accept(struct sim *sim, struct sim_file *file, void *addr, socklen_t *len, int flags)
{
	struct bp_link_ *link;

	if (file->type != SIM_LISTENER)
		return file->type == SIM_REG || file->type == SIM_DIR ? -ENOTSOCK : -EINVAL;
	link = list_pop(&file->backlog);
	if (!link)
		return SIM_WAIT;
	file->backlog_len--;
	if (addr && len) {
		memcpy(addr, file->data, *len < file->len ? *len : file->len);
		*len = (socklen_t)file->len;
	}
	return sim_fd_open(sim, container_of(link, struct sim_file, pending),
			   O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0));
}

int sim_shutdown(struct sim *sim, struct sim_file *file, int how)
{
	if (!is_socket(file))
		return -ENOTSOCK;
	if (file->type != SIM_STREAM)
		return -ENOTCONN;
	if (how == SHUT_RD || how == SHUT_RDWR)
		file->shut_in = true;
	if (how == SHUT_WR || how == SHUT_RDWR)
		file->shut_out = true;
	sim_file_changed(sim, file);
	if (file->peer)
		sim_file_changed(sim, file->peer);
	return 0;
}

/* ---------------------------------------------------------------- for tests */

int sim_socketpair(struct bp_engine *engine, int fds[2])
{
	struct sim *sim = engine->backend_data;
	struct sim_file *a, *b;
	int err = make_streams(sim, &a, &b);

	if (err)
		return err;
	fds[0] = sim_fd_open(sim, a, O_RDWR);
	fds[1] = sim_fd_open(sim, b, O_RDWR);
	return fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : 0;
}

int sim_listen(struct bp_engine *engine, const void *addr, socklen_t len, unsigned int backlog)
{
	struct sim_file *file = sim_file_new(engine->backend_data, SIM_LISTENER, 0777);

	if (!file || sim_file_grow(file, len))
		return -ENOMEM;
	memcpy(file->data, addr, len);
	file->len = len;
	file->backlog_max = backlog;
	return sim_fd_open(engine->backend_data, file, O_RDWR);
}

ssize_t sim_write(struct bp_engine *engine, int fd, const void *buf, size_t len)
{
	struct sim_desc *desc = sim_desc_get(engine->backend_data, fd);
	ssize_t n;

	if (!desc)
		return -EBADF;
	n = sim_stream_send(engine->backend_data, desc->file, buf, len);
	sim_desc_put(engine->backend_data, desc);
	return n == SIM_WAIT ? -EAGAIN : n;
}

int sim_close(struct bp_engine *engine, int fd)
{
	return sim_fd_close(engine->backend_data, fd);
}

unsigned int sim_open_fds(struct bp_engine *engine)
{
	return sim_of(engine)->model.open;
}
