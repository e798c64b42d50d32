/* SPDX-License-Identifier: MIT */

// errgroup_get is the peer of `bench in-flight`: Go's errgroup with SetLimit, each function a GET of
// net/http. One line is printed for each.
//
// usage: errgroup-get LIMIT FILE
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
)

func get(client *http.Client, target string) string {
	answer, err := client.Get("http://" + target + "/")
	if err != nil {
		return "failed"
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
		return "failed"
	}
	return "ok"
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: errgroup-get LIMIT FILE")
		os.Exit(2)
	}
	limit, err := strconv.Atoi(os.Args[1])
	if err != nil || limit < 1 {
		fmt.Fprintln(os.Stderr, "errgroup-get: bad limit")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "errgroup-get:", err)
		os.Exit(1)
	}
	var targets []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		targets = append(targets, lines.Text())
	}
	said := make([]string, len(targets))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: limit}}
	var group errgroup.Group
	group.SetLimit(limit)
	for i := range targets {
		i := i
		group.Go(func() error {
			said[i] = get(client, targets[i])
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for i, target := range targets {
		fmt.Fprintln(out, said[i], target)
	}
}
