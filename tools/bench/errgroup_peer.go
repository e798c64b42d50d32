/* SPDX-License-Identifier: MIT */

// errgroup_peer is the peer of `bench nop-task`: Go's errgroup with SetLimit, running an empty
// function COUNT times. It prints the nanoseconds that one took.
//
// usage: errgroup-peer COUNT LIMIT
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: errgroup-peer COUNT LIMIT")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil || count < 1 {
		fmt.Fprintln(os.Stderr, "errgroup-peer: bad count")
		os.Exit(2)
	}
	limit, err := strconv.Atoi(os.Args[2])
	if err != nil || limit < 1 {
		fmt.Fprintln(os.Stderr, "errgroup-peer: bad limit")
		os.Exit(2)
	}
	var group errgroup.Group
	group.SetLimit(limit)
	start := time.Now()
	for i := 0; i < count; i++ {
		group.Go(func() error { return nil })
	}
	if err := group.Wait(); err != nil {
		os.Exit(1)
	}
	fmt.Printf("%.3f\n", float64(time.Since(start).Nanoseconds())/float64(count))
}
