// Command store keeps the state of the example notes: a key-value store over HTTP, for one machine. It is not WebAssembly;
// it stands for the database that an application has.
//
//	GET /keys/KEY                           the value, with its version as ETag; 404
//	PUT /keys/KEY                           writes the value (JSON) under a condition: If-Match: VERSION, or If-None-Match: *
//	                                        for a new key; 204, or 412 if another request was faster
//	GET /keys?prefix=P&after=KEY&limit=N    the next entries in the order of their keys
//
// Every request needs the token in $STORE_TOKEN. A PUT is answered when the value is on disk.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const minTokenBytes = 32

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: store ADDRESS FILE, such as 127.0.0.1:9100 notes.json")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Getenv("STORE_TOKEN")); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, address, file, token string) error {
	if len(token) < minTokenBytes {
		return fmt.Errorf("$STORE_TOKEN has %d bytes: set it to at least %d", len(token), minTokenBytes)
	}
	values, err := open(file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler(values, token),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	slog.Info("listening", "address", listener.Addr().String())
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- server.Shutdown(limit)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}
