#!/bin/sh
# SPDX-License-Identifier: MIT
#
# As test_denied.sh, where a filter hides io_uring: ENOSYS. Not under sanitizers, for beyond the choice of
# the backend it is the same program again.
set -eu

# shellcheck source=tests/blocked.sh
. "$(dirname "$0")/blocked.sh"
if sanitized; then
	echo "test_denied.sh does as much under sanitizers"
	exit 77
fi
filtered ENOSYS
