package main

import (
	"context"
	"os"

	"github.com/vespo-dev/vespo/runtime/compiler"
)

// compileCommand is the argument with which the server
// starts itself to compile a module. It is not for users.
const compileCommand = "internal-compile"

func main() {
	if len(os.Args) == 2 && os.Args[1] == compileCommand {
		os.Exit(compiler.Serve(os.Stdin, os.Stdout, os.Stderr))
	}
	if code, done := superviseServer(os.Args[1:]); done {
		os.Exit(code)
	}
	os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
