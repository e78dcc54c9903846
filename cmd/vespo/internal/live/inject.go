package live

import (
	"fmt"
	"html"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/page"
)

// inject lets next answer, and appends the script to the answer if that is a document which can take it. All other
// answers pass unchanged.
//
// The script goes after the end of the document, where HTML parsers add it to the body: so no byte of the service is
// read, moved or held back, and streams stay streams.
func (l *Live) inject(w http.ResponseWriter, r *http.Request, next http.Handler, results string) {
	i := &injector{
		ResponseWriter: w,
		tag: func(nonce string) string {
			return fmt.Sprintf("<script src=\"%slive.js\" data-results=\"%s\"%s></script>\n", Root, html.EscapeString(results), nonce)
		},
		skipped: func(reason string) {
			if l.cfg.Skipped != nil {
				l.cfg.Skipped(r.URL.Path, reason)
			}
		},
	}
	next.ServeHTTP(i, r) // a panic aborts the response
	i.finish()
}

// injector is a ResponseWriter that appends a script to documents.
type injector struct {
	http.ResponseWriter                           // immutable, like tag and skipped
	tag                 func(nonce string) string // returns the script
	skipped             func(reason string)

	begun    bool
	script   string // to append; empty: none
	declared int64  // size of the service's document; -1: unknown
	written  int64
	err      error // of the first write that failed
}

// WriteHeader implements http.ResponseWriter.
func (i *injector) WriteHeader(status int) {
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if final && !i.begun {
		i.begun = true
		i.begin(status)
	}
	i.ResponseWriter.WriteHeader(status)
}

// begin decides whether the answer is completed, before its header is sent.
func (i *injector) begin(status int) {
	h := i.Header()
	if !isDocument(status, h) {
		return
	}
	if h.Get("Content-Security-Policy") == page.Policy { // of the server, such as an error
		h.Set("Content-Security-Policy", page.Policy+"; script-src 'self'; connect-src 'self'")
	}
	nonce, reason := admits(h)
	if reason != "" {
		i.skipped(reason)
		return
	}
	if nonce != "" {
		nonce = fmt.Sprintf(` nonce="%s"`, html.EscapeString(nonce))
	}
	script := i.tag(nonce)
	i.declared = -1
	if length := h.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			return
		}
		i.declared = n
		h.Set("Content-Length", strconv.FormatInt(n+int64(len(script)), 10))
	}
	i.script = script
}

// isDocument reports whether a browser shows the answer as an HTML document.
func isDocument(status int, h http.Header) bool {
	if status < http.StatusOK || status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusPartialContent ||
		status >= http.StatusMultipleChoices && status < http.StatusBadRequest {
		return false
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "text/html" {
		return false
	}
	disposition, _, _ := mime.ParseMediaType(h.Get("Content-Disposition"))
	return disposition != "attachment"
}

// admits returns the reason why a document cannot be given the script, or
// the nonce that the script needs, which may be empty.
func admits(h http.Header) (nonce, reason string) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", "it is compressed"
	}
	_, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if charset := strings.ToLower(params["charset"]); strings.HasPrefix(charset, "utf-16") || strings.HasPrefix(charset, "utf-32") {
		return "", "its charset is wider than a byte"
	}
	if strings.Contains(strings.ToLower(h.Get("Cache-Control")), "no-transform") {
		return "", "its Cache-Control is no-transform"
	}
	nonce, ok := policyAdmits(h)
	if !ok {
		return "", "its Content-Security-Policy does not admit both scripts and connections of its origin"
	}
	return nonce, ""
}

// Write implements http.ResponseWriter.
func (i *injector) Write(p []byte) (int, error) {
	if !i.begun {
		i.WriteHeader(http.StatusOK)
	}
	n, err := i.ResponseWriter.Write(p)
	i.written += int64(n)
	if i.err == nil {
		i.err = err
	}
	return n, err
}

// FlushError sends the buffered data.
func (i *injector) FlushError() error {
	if !i.begun {
		i.WriteHeader(http.StatusOK)
	}
	return client.ConnOf(i.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (i *injector) Unwrap() http.ResponseWriter { return i.ResponseWriter }

// finish appends the script to a complete document.
func (i *injector) finish() {
	if i.script == "" || i.err != nil || i.declared >= 0 && i.written != i.declared {
		return
	}
	_, _ = i.ResponseWriter.Write([]byte(i.script)) // fails if the client is gone
}
