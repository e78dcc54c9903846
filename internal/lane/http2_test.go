package lane_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

const windowBytes = 65535 // at the start of a connection and of a stream

// answers are the handlers by which two servers of HTTP/2 are compared, by path.
var answers = map[string]http.HandlerFunc{
	"/hello":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
	"/describe": describe,
	"/empty":    func(http.ResponseWriter, *http.Request) {},
	"/204":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"/304": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"a"`)
		w.WriteHeader(http.StatusNotModified)
		_, _ = io.WriteString(w, "refused")
	},
	"/103": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		_, _ = io.WriteString(w, "hello")
	},
	"/trailers": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "A, B")
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("A", "1")
		w.Header().Set(http.TrailerPrefix+"C", "3")
	},
	"/trailers-alone": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(http.TrailerPrefix+"C", "3")
		w.WriteHeader(http.StatusTeapot)
	},
	"/flush": func(w http.ResponseWriter, _ *http.Request) {
		flush(w)
		_, _ = io.WriteString(w, "hello")
	},
	"/flushes": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 5 {
			_, _ = fmt.Fprint(w, "part", i)
			flush(w)
		}
	},
	"/flush-alone": func(w http.ResponseWriter, _ *http.Request) { flush(w) },
	"/panic":       func(http.ResponseWriter, *http.Request) { panic("on purpose") },
	"/abort":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"/abort-late": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		flush(w)
		panic(http.ErrAbortHandler)
	},
	"/large": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 3*windowBytes))
	},
	"/4096": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 4096)) },
	"/4097": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 4097)) },
	"/header": func(w http.ResponseWriter, r *http.Request) {
		var size int
		_, _ = fmt.Sscan(r.URL.RawQuery, &size)
		w.Header().Set("A", strings.Repeat("&", size)) // 8 bits in Huffman's code
		_, _ = io.WriteString(w, "hello")
	},
	"/short": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "hello")
	},
	"/long": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		_, err := io.WriteString(w, "hello")
		w.Header().Set(http.TrailerPrefix+"Error", fmt.Sprint(err))
	},
	"/exact": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hello")
	},
	"/late": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun ")
		flush(w)
		_, err := io.Copy(w, r.Body)
		_, _ = fmt.Fprint(w, " ", r.Trailer, err)
	},
	"/gone": func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		<-r.Context().Done()
	},
	"/close": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "hello")
	},
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// exchanges are what clients of HTTP/2 do.
var exchanges = map[string]func(c *framed){
	"100-continue": func(c *framed) {
		c.request(1, false, "POST", "/describe", "expect", "100-continue")
		c.has(1, 1)
		c.data(1, true, "body")
		c.ends(1)
	},
	"a body that is not read": func(c *framed) {
		c.request(1, false, "POST", "/hello")
		c.ends(1)
	},
	"a body after the begin of the answer, with trailers": func(c *framed) {
		c.request(1, false, "POST", "/late", "trailer", "a")
		c.has(1, 2)
		c.data(1, false, "body")
		c.trailers(1, "a", "1")
		c.ends(1)
	},
	"a body that is too short": func(c *framed) {
		c.request(1, false, "POST", "/describe", "content-length", "9")
		c.data(1, true, "body")
		c.ends(1)
	},
	"a body that is too long": func(c *framed) {
		c.request(1, false, "POST", "/describe", "content-length", "3")
		c.data(1, true, "body")
		c.ends(1)
	},
	"a reset in the body of the request": func(c *framed) {
		c.request(1, false, "POST", "/late")
		c.has(1, 2)
		_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
		c.ping()
		c.request(3, true, "GET", "/hello")
		c.ends(3)
	},
	"a reset in the body of the answer": func(c *framed) {
		c.request(1, true, "GET", "/large")
		c.has(1, 2)
		_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
		c.ping()
		delete(c.events, 1) // a part of the body
		_ = c.WriteWindowUpdate(0, windowBytes)
		c.request(3, true, "GET", "/hello")
		c.ends(3)
	},
	"resets of streams that wait": func(c *framed) {
		for s := uint32(1); s < 40; s += 2 {
			c.request(s, true, "GET", "/gone")
			c.has(s, 1)
			_ = c.WriteRSTStream(s, http2.ErrCodeCancel)
		}
		c.ping()
		for s := uint32(41); s < 60; s += 2 {
			c.request(s, true, "GET", "/flushes")
			c.ends(s)
		}
	},
	"a window that opens late": func(c *framed) {
		_ = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.ping()
		c.request(1, true, "GET", "/hello")
		c.has(1, 1)
		c.ping()
		_ = c.WriteWindowUpdate(1, 2)
		c.has(1, 2)
		_ = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowBytes})
		c.ends(1)
	},
	"a body beyond the windows": func(c *framed) {
		c.request(1, true, "GET", "/large")
		c.has(1, 2)
		c.ping()
		_ = c.WriteWindowUpdate(1, 4*windowBytes)
		_ = c.WriteWindowUpdate(0, 4*windowBytes)
		c.ends(1)
	},
	"larger frames": func(c *framed) {
		_ = c.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 40000}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4 * windowBytes})
		_ = c.WriteWindowUpdate(0, 4*windowBytes)
		c.ping()
		c.request(1, true, "GET", "/large")
		c.ends(1)
	},
	"other sizes of the header table": func(c *framed) {
		for i, size := range []uint32{4096, 0, 100, 4096} {
			_ = c.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: size})
			c.ping()
			stream := uint32(4*i + 1)
			c.request(stream, true, "GET", "/header?50")
			c.ends(stream)
			c.request(stream+2, true, "GET", "/header?50")
			c.ends(stream + 2)
		}
	},
	"pings between": func(c *framed) {
		for s := uint32(1); s < 60; s += 2 {
			c.request(s, true, "GET", "/hello")
			c.ping()
			_ = c.WriteSettings()
			c.ends(s)
		}
	},
	"priorities": func(c *framed) {
		_ = c.WritePriority(3, http2.PriorityParam{StreamDep: 1, Weight: 7})
		c.request(1, true, "GET", "/hello", "priority", "u=1")
		_ = c.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x01u=5")) // PRIORITY_UPDATE
		c.ends(1)
	},
	"a client that goes away": func(c *framed) {
		c.request(1, false, "POST", "/late")
		c.has(1, 2)
		_ = c.WriteGoAway(0, http2.ErrCodeNo, nil)
		c.data(1, true, "body")
		c.ends(1)
	},
	"a server that goes away": func(c *framed) {
		c.request(1, true, "GET", "/close")
		c.ends(1)
		for !c.over {
			c.next()
		}
	},
	"CONNECT": func(c *framed) {
		c.head.Reset()
		c.request(1, true, "CONNECT", "/hello")
		c.ends(1)
	},
	"extended CONNECT": func(c *framed) {
		c.request(1, false, "CONNECT", "/hello", ":protocol", "websocket")
		c.ends(1)
	},
	"fields of HTTP/1": func(c *framed) {
		c.request(1, true, "GET", "/hello", "connection", "keep-alive")
		c.ends(1)
		c.request(3, true, "GET", "/hello", "te", "gzip")
		c.ends(3)
		c.request(5, true, "GET", "/hello", "Upper", "case")
		c.ends(5)
	},
	"a large header": func(c *framed) {
		c.request(1, true, "GET", "/hello", "a", strings.Repeat("x", 15000))
		c.ends(1)
	},
	"a frame on a stream that has ended": func(c *framed) {
		c.request(1, true, "GET", "/hello")
		c.ends(1)
		c.data(1, true, "body")
		c.ping()
	},
	"a frame that is too large": func(c *framed) {
		_ = c.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20+1))
		c.ping()
	},
	"an update of 0": func(c *framed) {
		c.request(1, false, "POST", "/late")
		c.has(1, 2)
		_ = c.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))
		c.ends(1)
	},
	"many streams": func(c *framed) {
		var streams []uint32
		for s := uint32(1); s < 160; s += 2 {
			path := []string{"/hello", "/flushes", "/trailers", "/empty", "/103"}[s/2%5]
			c.request(s, true, "GET", path)
			streams = append(streams, s)
		}
		c.ends(streams...)
	},
}

// simple returns exchanges that end a request at once, and one more.
func simple() map[string]func(c *framed) {
	all := make(map[string]func(c *framed))
	for path := range answers {
		if path == "/gone" || path == "/large" || path == "/close" {
			continue
		}
		for _, method := range []string{"GET", "HEAD"} {
			all[method+" "+path] = func(c *framed) {
				for s := uint32(1); s < 7; s += 2 {
					c.request(s, true, method, path)
					c.ends(s)
				}
			}
		}
	}
	for _, size := range []int{3900, 4000, 4096, 5000, 9000, 16300, 17000, 40000} {
		all[fmt.Sprint("a header of ", size)] = func(c *framed) {
			c.request(1, true, "GET", fmt.Sprint("/header?", size))
			c.ends(1)
		}
	}
	return all
}

// TestBothServersAgreeOnHTTP2 compares the frames of answers: fields, bodies, their ends and errors. Connections of the lane are
// wrapped, save for TLS 1.2.
func TestBothServersAgreeOnHTTP2(t *testing.T) {
	all := simple()
	for name, exchange := range exchanges {
		all[name] = exchange
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		answers[r.URL.Path](w, r)
	})
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			servers := []*lanetest.Server{startFramed(t, lanetest.NetHTTP, tr, handler), startFramed(t, lanetest.Lane, tr, handler)}
			for name, exchange := range all {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					var got []string
					for _, s := range servers {
						c := tr.dial(t, s.Addr)
						exchange(c)
						c.ping() // and what comes at once
						c.ping()
						got = append(got, c.String())
					}
					require.Equal(t, got[0], got[1])
				})
			}
		})
	}
}

// TestTheConnectionDecidesAboutTLS checks a request that names another scheme than that of its connection. Alone, net/http adds the state
// of TLS only for https.
func TestTheConnectionDecidesAboutTLS(t *testing.T) {
	s := startHTTP2(t, lanetest.Lane, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.TLS != nil) })
	c := transport{version: tls.VersionTLS13}.dial(t, s.Addr)
	c.scheme = "http"
	c.request(1, true, "GET", "/")
	c.ends(1)
	require.Contains(t, c.String(), "DATA with end true")
}

// startFramed starts a server for a transport.
func startFramed(t *testing.T, kind lanetest.Kind, tr transport, h http.HandlerFunc) *lanetest.Server {
	t.Helper()
	if tr.version != 0 {
		return startHTTP2(t, kind, h)
	}
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return kind.StartServer(t, s)
}
