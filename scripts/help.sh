#!/bin/sh
# SPDX-License-Identifier: MIT
#
# help.sh MAKEFILE...: the targets with their `## text`, and the options.
set -eu

echo 'Targets:'
sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$/\1\t\2/p' "$@" | while IFS="$(printf '\t')" read -r name text; do
	printf '  %-14s %s\n' "$name" "$text"
done

cat <<'END'

Options:
  O=DIR          put the output there; build/ by default
  V=1            show whole commands
  W=1            more warnings
  WERROR=1       warnings are errors
  C=1            look at each source with cppcheck (or CHECK=PROGRAM) before compiling it
  DEBUG=1        -Og -g3, and BP_DEBUG for the library's own checks
  SAN=LIST       sanitizers: address,undefined or thread
  LAZY=0         link the command to all libraries, instead of loading most when they are needed
  SWITCH=ucontext  the portable context switch instead of this machine's assembly
  CC=PROGRAM, CROSS_COMPILE=PREFIX, CFLAGS, CPPFLAGS, LDFLAGS
  prefix=DIR, bindir, libdir, includedir, mandir, DESTDIR   for install
END
