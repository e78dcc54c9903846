package nethttp

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// settle does once what net/http and fmt would do again in the first use of each request: they build tables and fill pools.
func settle() {
	_ = http.CanonicalHeaderKey("x-settled")
	_ = http.DetectContentType([]byte("text"))
	fmt.Fprintf(io.Discard, "%s %d", "text", 1)
	if u, err := url.Parse("http://localhost:80/?a=b"); err == nil {
		_ = u.Query() // looks settings of GODEBUG up
	}
	for _, v := range []any{&responseWriter{}, &body{}, http.NoBody} {
		convertible(v)
	}
}

// convertible converts a value to the interfaces that handlers and the standard library need, such as fmt.Fprint and
// io.Copy: the runtime looks each pair of types up once. It returns how many of them the value implements.
//
//go:noinline
func convertible(v any) (n int) {
	for _, ok := range []bool{
		is[io.Reader](v),
		is[io.Writer](v),
		is[io.Closer](v),
		is[io.ReadCloser](v),
		is[io.ReaderFrom](v),
		is[io.WriterTo](v),
		is[io.StringWriter](v),
		is[io.ByteReader](v),
		is[http.Flusher](v),
		is[http.Hijacker](v),
		is[interface{ Unwrap() http.ResponseWriter }](v),
	} {
		if ok {
			n++
		}
	}
	return n
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}
