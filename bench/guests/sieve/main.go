// Command sieve is the workload of that name as a guest.
package main

import (
	"net/http"

	"github.com/vespo-dev/vespo/bench/internal/work/sieve"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(http.HandlerFunc(sieve.Serve)) }

func main() {}
