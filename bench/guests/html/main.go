// Command html is the workload of that name as a guest.
package main

import (
	"github.com/vespo-dev/vespo/bench/internal/work/page"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(page.New()) }

func main() {}
