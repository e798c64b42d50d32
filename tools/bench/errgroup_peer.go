/* SPDX-License-Identifier: MIT */

// errgroup_peer is the peer of `bench nop-task` and `bench sleeping`: Go's errgroup.
//
// usage: errgroup-peer COUNT LIMIT
//
// runs an empty function COUNT times with SetLimit, and prints the nanoseconds that one took.
//
// usage: errgroup-peer sleep COUNT
//
// lets COUNT goroutines sleep for an hour or until they are cancelled, lets one fail, and prints what
// sleepers.c prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func usage() {
	fmt.Fprintln(os.Stderr, "usage: errgroup-peer COUNT LIMIT\n       errgroup-peer sleep COUNT")
	os.Exit(2)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		usage()
	}
	return n
}

func empty(count, limit int) {
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

// status is a line of /proc/self/status, which is in KiB, in bytes.
func status(what string) float64 {
	data, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, what) {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib * 1024
		}
	}
	return 0
}

type times struct {
	wall time.Time
	cpu  int64
}

func now() times {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return times{time.Now(), ru.Utime.Nano() + ru.Stime.Nano()}
}

// since returns nanoseconds and those of CPU time.
func since(t times) (float64, float64) {
	n := now()
	return float64(n.wall.Sub(t.wall).Nanoseconds()), float64(n.cpu - t.cpu)
}

func sleep(count int) {
	var asleep int64
	failure := errors.New("the last one fails")
	group, ctx := errgroup.WithContext(context.Background())
	rss, tables := status("VmRSS:"), status("VmPTE:")
	begin := now()
	for i := 0; i < count; i++ {
		group.Go(func() error {
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			atomic.AddInt64(&asleep, 1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				return nil
			}
		})
	}
	for atomic.LoadInt64(&asleep) < int64(count) {
		runtime.Gosched()
	}
	start, startCPU := since(begin)
	rss, tables = status("VmRSS:")-rss, status("VmPTE:")-tables
	begin = now()
	group.Go(func() error { return failure })
	err := group.Wait()
	cancel, cancelCPU := since(begin)
	if err != failure {
		os.Exit(1)
	}
	n := float64(count)
	fmt.Printf("%.1f %.1f %.1f %.1f %.1f %.1f\n", rss/n, tables/n, start/n, startCPU/n, cancel/n, cancelCPU/n)
}

func main() {
	if len(os.Args) != 3 {
		usage()
	}
	if os.Args[1] == "sleep" {
		sleep(number(os.Args[2]))
	} else {
		empty(number(os.Args[1]), number(os.Args[2]))
	}
}
