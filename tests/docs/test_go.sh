#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The program in Go that docs/guide/from-go.md holds against ours does the same: it keeps to its limit. Skipped where
# Go or its errgroup are not installed. What is compiled stays beside BATCHPROC, the command, for the next time. Run in the top directory of the source.
set -eu

source=/usr/share/gocode
if ! command -v go >/dev/null || [ ! -d "$source/src/golang.org/x/sync/errgroup" ]; then
	echo "Go and its errgroup are not installed"
	exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
GO111MODULE=off GOPATH=$source GOCACHE=$(dirname "$(realpath "$BATCHPROC")")/gocache go build -o "$tmp/limit" docs/examples/limit.go
"$tmp/limit" 1 50 | tee "$tmp/said"
most=$(sed -n 's/.*at most \([0-9]*\) at once.*/\1/p' "$tmp/said")
[ "$most" -ge 1 ] && [ "$most" -le 50 ]
