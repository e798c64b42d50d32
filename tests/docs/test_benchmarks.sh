#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs/benchmarks.md and its pictures are those of docs/bench.json, which is whole, nobody in it failed, and it is
# not one of the tiny counts that tests have. BATCHPROC is the command. Run in the top directory of the source.
set -eu

if [ ! -e docs/bench.json ]; then
	echo "docs/bench.json is not there: make bench ARGS='--json docs/bench.json'"
	exit 77
fi
docs=$(dirname "$BATCHPROC")/bench-docs
O=$(dirname "$BATCHPROC") scripts/bench-docs.sh --check
if "$docs" rows docs/bench.json | grep '	failed	'; then
	echo "docs/bench.json has failures in it" >&2
	exit 1
fi
if "$docs" page docs/bench.json | grep 'Believe no figure'; then
	echo "docs/bench.json is of a --smoke run" >&2
	exit 1
fi
