// Command resize is the workload of that name as a guest.
package main

import (
	"net/http"

	"github.com/vespo-dev/vespo/bench/internal/work/picture"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(http.HandlerFunc(picture.Serve)) }

func main() {}
