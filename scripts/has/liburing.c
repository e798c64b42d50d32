/* SPDX-License-Identifier: MIT */
/* liburing 2.3: the first with io_uring_register_sync_cancel(), and with its own version. */
#include <liburing.h>

int main(void)
{
	struct io_uring_sync_cancel_reg reg = {.fd = -1};
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED))
		return 1;
	return io_uring_register_sync_cancel(&ring, &reg);
}
