/* SPDX-License-Identifier: MIT */

// limit.go - the same as limit.c, in Go: a thousand requests to a server on loopback that takes its time
//
//	limit MS LIMIT		with requests of MS milliseconds, and this limit (0: none)
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const requests = 1000

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// memory is the most that the process had so far, in KiB.
func memory() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Maxrss
}

var now, most int64

func serve(conn net.Conn) {
	defer conn.Close()
	var request, answer [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return
	}
	n := atomic.AddInt64(&now, 1)
	for m := atomic.LoadInt64(&most); n > m && !atomic.CompareAndSwapInt64(&most, m, n); {
		m = atomic.LoadInt64(&most)
	}
	time.Sleep(time.Duration(binary.LittleEndian.Uint32(request[:4])) * time.Millisecond)
	atomic.AddInt64(&now, -1)
	conn.Write(answer[:4])
}

func ask(addr string, ms uint32) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	var request, answer [8]byte
	binary.LittleEndian.PutUint32(request[:4], ms)
	if _, err := conn.Write(request[:]); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, answer[:4])
	return err
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: limit MS LIMIT")
		os.Exit(2)
	}
	ms, err := strconv.ParseUint(os.Args[1], 10, 32)
	check(err)
	limit, err := strconv.Atoi(os.Args[2])
	check(err)
	if limit == 0 {
		limit = -1
	}

	// Both ends of 1,000 connections are in this process.
	var nofile syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &nofile))
	nofile.Cur = nofile.Max
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &nofile))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()

	before := memory()
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(limit)
	for i := 0; i < requests; i++ {
		g.Go(func() error { return ask(listener.Addr().String(), uint32(ms)) })
	}
	check(g.Wait())
	fmt.Printf("limit %4d: %6.1f ms, at most %d at once, %d KiB more\n", limit,
		float64(time.Since(start))/float64(time.Millisecond), atomic.LoadInt64(&most), memory()-before)
}
