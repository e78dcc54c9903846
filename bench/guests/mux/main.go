// Command mux is the workload of that name as a guest.
package main

import (
	"github.com/vespo-dev/vespo/bench/internal/work/hello"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(hello.New()) }

func main() {}
