package nethttp

import (
	"fmt"
	"io"
	"net/http"
)

// settle does once what net/http and fmt would do again in the first use of each request: they build tables and fill pools.
func settle() {
	_ = http.CanonicalHeaderKey("x-settled")
	_ = http.DetectContentType([]byte("text"))
	fmt.Fprintf(io.Discard, "%s %d", "text", 1)
}
