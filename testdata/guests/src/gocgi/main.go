// Command gocgi is a net/http/cgi program. GET returns the path, POST returns the body, /env
// prints the guest's environment, /exit exits with code 3 after a part of the response.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := cgi.Serve(http.HandlerFunc(serve)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	switch {
	case strings.HasSuffix(r.URL.Path, "/env"):
		env := os.Environ()
		slices.Sort(env)
		fmt.Fprintln(w, strings.Join(env, "\n"))
	case strings.HasSuffix(r.URL.Path, "/exit"):
		fmt.Fprintln(w, "part")
		w.(http.Flusher).Flush()
		os.Exit(3)
	case r.Method == http.MethodPost:
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		io.Copy(w, r.Body)
	default:
		fmt.Fprintf(w, "hello %s\n", r.URL.Path)
	}
}
