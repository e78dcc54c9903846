package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/work"
)

const (
	// upstreamDelay is the time that the slow upstream takes for an answer.
	upstreamDelay = 20 * time.Millisecond
	// fetchConnections is the number of clients that wait for it.
	fetchConnections = 64
)

// fetch measures requests that wait for another server, which this process runs.
func (b *bench) fetch(ctx context.Context, s *sheet) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slow := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(upstreamDelay)
		_, _ = io.WriteString(w, "an answer of the upstream\n") // the server handles write errors
	}
	upstream := &http.Server{Handler: http.HandlerFunc(slow), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- upstream.Serve(l) }()
	defer func() {
		_ = upstream.Close() // Serve returns
		<-done
	}()
	addr := l.Addr().String()
	t, err := newTask(task{
		name:        "fetch",
		title:       fmt.Sprintf("Outbound fetch: an upstream that takes %v", upstreamDelay),
		service:     work.Fetch,
		request:     load.Request{Path: "/fetch?upstream=" + addr},
		rivals:      []string{rivalVespo, rivalNative, rivalNode, rivalWorkerd},
		connections: fetchConnections,
		options:     url.Values{"allow": {"http://" + addr}},
		note:        "The client's process runs the upstream. No server can be much faster than the base: all of them wait.",
	})
	if err != nil {
		return err
	}
	return b.raceAll(ctx, s, []*task{t})
}
