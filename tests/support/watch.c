/* SPDX-License-Identifier: MIT */
/*
 * watch - a run's system calls of one number, each of which waits until the test lets it be made
 *
 * A seccomp filter in the child tells of them through a descriptor that the child sends to the
 * test.
 */
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/watch.h"

void watch_calls(int number, int socket)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {COUNT_OF(code), code};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(char[1]){0}, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = -1;

	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				  SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (fd < 0)
		_exit(126);
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) != 1)
		_exit(126);
	close(fd);
}

int take_watch(const int sockets[2])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {(char[1]){0}, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd = -1;

	close(sockets[1]);
	if (recvmsg(sockets[0], &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	close(sockets[0]);
	return fd;
}

static int deny_nothing(void *unused)
{
	(void)unused;
	return deny_calls((const struct denied[]){DENY_END}) ? 1 : 0;
}

void need_denial(struct test *t)
{
	if (in_child(deny_nothing, NULL).status)
		skip_because(t, "no seccomp filter can be set here");
}

void need_watch(struct test *t)
{
	if (run_end(run_start(HOW(.program = "true", .watched = SYS_flock), ARGS(NULL)))->status)
		skip_because(t, "system calls cannot be watched here");
}

bool until_called(struct run *run, char *path)
{
	struct pollfd event = {.fd = run->watch, .events = POLLIN};
	struct seccomp_notif call = {0};
	char fd[64];
	ssize_t len;

	assert_true(run->watch >= 0 && !run->call);
	for (;;) {
		if (poll(&event, 1, -1) < 0)
			continue;
		if (!(event.revents & POLLIN))
			return false;
		if (!ioctl(run->watch, SECCOMP_IOCTL_NOTIF_RECV, &call))
			break;
		/* The thread that called has been ended. */
		memset(&call, 0, sizeof(call));
	}
	run->call = call.id;
	snprintf(fd, sizeof(fd), "/proc/%u/fd/%d", call.pid, (int)call.data.args[0]);
	len = readlink(fd, path, PATH_MAX - 1);
	path[len < 0 ? 0 : len] = '\0';
	return true;
}

void let_call(struct run *run)
{
	struct seccomp_notif_resp answer = {.id = run->call,
					    .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	assert_true(run->call);
	run->call = 0;
	/* It may have been ended. */
	ioctl(run->watch, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
