// Command echo is the workload of that name as a guest.
package main

import (
	"net/http"

	"github.com/vespo-dev/vespo/bench/internal/work/echo"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(http.HandlerFunc(echo.Serve)) }

func main() {}
