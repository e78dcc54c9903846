package lane_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// write returns a handler that writes the parts, flushing after each with flush.
func write(flush bool, parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range parts {
			_, _ = io.WriteString(w, part)
			if flush {
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

// set returns a handler that sets fields of the header, each "name: value", before next.
func set(next http.HandlerFunc, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, field := range fields {
			name, value, _ := strings.Cut(field, ": ")
			w.Header().Add(name, value)
		}
		next(w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// then returns a handler that calls several.
func then(all ...http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, next := range all {
			next(w, r)
		}
	}
}

// responses are handlers whose responses have all forms.
func responses(t *testing.T) map[string]http.HandlerFunc {
	long := strings.Repeat("0123456789abcdef", 1<<10)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat(long, 20)), 0o600))
	duplex := func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).EnableFullDuplex() }
	read := func(n int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, err := io.CopyN(io.Discard, r.Body, n)
			fmt.Fprintln(w, n, err)
		}
	}
	all := map[string]http.HandlerFunc{
		"nothing":           func(http.ResponseWriter, *http.Request) {},
		"short":             write(false, "a", "", "bc"),
		"html":              write(false, "<html><body>"),
		"2048":              write(false, long[:2048]),
		"2049":              write(false, long[:2049]),
		"several":           write(false, long[:1500], long[:1500], long[:5000], "end"),
		"long":              write(false, long),
		"flushed":           write(true, "a", "bc", "", long),
		"empty flush":       write(true, ""),
		"length":            set(write(false, "abc"), "Content-Length: 3"),
		"length, flushed":   set(write(true, "a", "bc"), "Content-Length: 3"),
		"length, long":      set(write(false, long), fmt.Sprint("Content-Length: ", len(long))),
		"length, too short": set(write(false, "abc"), "Content-Length: 5"),
		"length, too long":  set(write(false, "abc", "def"), "Content-Length: 3"),
		"no length":         set(write(false, "abc"), "Transfer-Encoding: identity"),
		"chunked by itself": set(write(false, "abc"), "Transfer-Encoding: chunked"),
		"type":              set(write(false, "abc"), "Content-Type: a/b", "X-Many: 1", "X-Many: 2", "a-lower: x"),
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "abc")
		},
		"no date":            func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil },
		"encoded":            set(write(false, "abc"), "Content-Encoding: gzip"),
		"odd values":         set(write(false, "abc"), "X: a\r\nb", "Y:  b ", "Bad Name: x", "Z: \tc"),
		"close":              set(write(false, "abc"), "Connection: close"),
		"close and more":     set(write(false, "abc"), "Connection: x, close"),
		"other connection":   set(write(false, "abc"), "Connection: x"),
		"201":                set(status(201), "Location: /x"),
		"204":                then(set(status(204), "Content-Length: 3", "Content-Type: a/b"), write(false, "abc")),
		"304":                then(set(status(304), "Content-Length: 3", "Content-Type: a/b", "Etag: x"), write(false, "abc")),
		"299":                status(299),
		"999":                status(999),
		"bad status":         status(99),
		"two statuses":       then(status(500), status(200), write(false, "abc")),
		"early hints":        then(set(status(103), "Link: x"), set(write(false, "abc"), "X: y")),
		"late header":        then(write(false, "abc"), set(status(200), "X: y")),
		"header after":       then(status(200), set(write(false, "abc"), "X: y", "Content-Length: 3")),
		"trailer":            then(set(write(false, "abc"), "Trailer: Sum, X-Other,,vespo-Report", "Trailer: Content-Length, If-None-Match, Range"), set(status(200), "Sum: 1", "Content-Length: 3", "Vespo-Report: 1", "If-None-Match: x", "Range: y")),
		"unannounced":        then(write(true, "abc"), set(status(200), http.TrailerPrefix+"Sum: 1")),
		"trailer, unused":    set(write(false, "abc"), "Trailer: Sum"),
		"panic":              then(write(false, "abc"), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"panic, flushed":     then(write(true, "abc"), write(false, "d"), func(http.ResponseWriter, *http.Request) { panic("odd") }),
		"panic, long":        then(write(false, long[:3000]), func(http.ResponseWriter, *http.Request) { panic("odd") }),
		"read all":           read(1 << 20),
		"read a part":        read(3),
		"read, full duplex":  then(duplex, read(1<<20)),
		"flush, then read":   then(write(true, "abc"), read(1<<20)),
		"flush, duplex read": then(duplex, write(true, "abc"), read(1<<20)),
		"read after close":   func(w http.ResponseWriter, r *http.Request) { _ = r.Body.Close(); read(5)(w, r) },
		"copy":               func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader(long)) },
		"copy, short":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("abc")) },
		"no hijack":          write(false, "abc"),
	}
	serveFile := func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }
	all["file"] = serveFile
	all["too large"] = func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			w.Header().Set("Connection", "close") // in the lane, package client asks for it
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}
	return all
}

// TestResponses compares the bytes of responses, and what becomes of the connection.
func TestResponses(t *testing.T) {
	for name, handler := range responses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/after" {
					_, _ = io.WriteString(w, "after")
					return
				}
				handler(w, r)
			})
			plain, fast := lanetest.NetHTTP.Start(t, counted).Addr, lanetest.Lane.Start(t, counted).Addr
			for _, request := range []string{
				"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
				"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
				"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
				"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200000),
				"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000),
				"GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=5-9\r\n\r\n",
			} {
				want, err := talk(plain, request+after)
				require.NoError(t, err)
				got, err := talk(fast, request+after)
				require.NoError(t, err)
				same(t, want, got, request)
			}
		})
	}
}

// TestDate checks the one field that the other tests leave out.
func TestDate(t *testing.T) {
	addr := lanetest.Lane.Start(t, write(false, "abc")).Addr
	begin := time.Now().Truncate(time.Second)
	resp, err := http.Get("http://" + addr)
	require.NoError(t, err)
	defer resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	require.NoError(t, err)
	require.WithinRange(t, date, begin, time.Now())
}
