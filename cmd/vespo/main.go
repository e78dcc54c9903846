package main

import (
	"context"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/runtime/compiler"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == server.CompileCommand {
		os.Exit(compiler.Serve(os.Stdin, os.Stdout, os.Stderr))
	}
	if code, done := superviseServer(os.Args[1:]); done {
		os.Exit(code)
	}
	os.Exit(run(context.Background(), os.Args[1:], stdio.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
