// Command send-static-file serves a file that is embedded in the module.
package main

import (
	"crypto/sha256"
	_ "embed" // for page
	"encoding/hex"
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

//go:embed page.html
var page string

// etag and length are computed once: they are part of the snapshot.
var (
	etag   = tag(page)
	length = strconv.Itoa(len(page))
)

func init() { guest.Handle(send) }

func send(w *guest.Response, r *guest.Request) {
	method := r.Method()
	if method != "GET" && method != "HEAD" {
		w.Header.Set("allow", "GET, HEAD")
		w.Text(405, "this is a file: GET or HEAD it\n")
		return
	}
	w.Header.Set("etag", etag)
	w.Header.Set("cache-control", "no-cache") // caches may store the file, but must revalidate it
	if matches(r.Header.Values("if-none-match")) {
		w.SetStatus(304)
		return
	}
	w.Header.Set("content-type", "text/html; charset=utf-8")
	w.Header.Set("content-length", length)
	if method == "GET" {
		w.WriteString(page)
	}
}

// tag returns the entity tag of content, a hash.
func tag(content string) string {
	sum := sha256.Sum256([]byte(content))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// matches reports whether If-None-Match contains the tag of the file (RFC 9110, section 13.1.2).
func matches(ifNoneMatch []string) bool {
	for _, list := range ifNoneMatch {
		for _, one := range strings.Split(list, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

func main() {}
