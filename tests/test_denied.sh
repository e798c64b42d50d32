#!/bin/sh
# SPDX-License-Identifier: MIT
#
# All tests of the command, and the conformance cases, where a seccomp filter denies io_uring with EPERM,
# as the usual profile of containers does; see blocked.sh.
set -eu

# shellcheck source=tests/blocked.sh
. "$(dirname "$0")/blocked.sh"
filtered EPERM
