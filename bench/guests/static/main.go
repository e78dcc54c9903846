// Command static is the workload of that name as a guest.
package main

import (
	"github.com/vespo-dev/vespo/bench/internal/work/nea"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(nea.Static(nea.File())) }

func main() {}
