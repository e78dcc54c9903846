// Command fetch is the workload of that name as a guest.
package main

import (
	"net/http"

	"github.com/vespo-dev/vespo/bench/internal/work/outbound"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

func init() { nethttp.Serve(outbound.Handler(&http.Client{Transport: vespohttp.Transport{}})) }

func main() {}
