package peer

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/work"
)

const helloText = "hello from vespo\n"

// The services besides those of package work: native versions of the guests.
const (
	Hello     = "hello"     // testdata/guests/wat/hello.wat
	SDKHello  = "sdkhello"  // guest-sdk/examples/hello
	GoNetHTTP = "gonethttp" // testdata/guests/src/gonethttp
	Spin      = "spin"      // hello, and a path that burns a processor for SpinTime
)

// SpinTime is the duration of a request to /spin of the service Spin.
const SpinTime = time.Second

func native(service string) (http.Handler, error) {
	mux := http.NewServeMux()
	switch service {
	case Hello:
		return http.HandlerFunc(hello), nil
	case SDKHello:
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, "hello from "+r.URL.EscapedPath()+"\n")
		}), nil
	case GoNetHTTP:
		mux.HandleFunc("GET /gonethttp/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "hello %s\n", r.PathValue("name"))
		})
	case Spin:
		mux.HandleFunc("GET /hello", hello)
		mux.HandleFunc("GET /spin/", func(http.ResponseWriter, *http.Request) {
			for start := time.Now(); time.Since(start) < SpinTime; {
			}
		})
	default:
		if h, ok := work.Handler(service); ok {
			return h, nil
		}
		return nil, fmt.Errorf("no service is called %q", service)
	}
	return mux, nil
}

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, helloText)
}
