package accesslog

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func commonLine(rec *Record) string {
	var out bytes.Buffer
	Common(&out)(rec)
	return out.String()
}

// The expected line is from FlexiLib's documentation.
func TestCommonLine(t *testing.T) {
	require.Equal(t,
		`127.0.0.1:59940 - - "GET / HTTP/1.1" 200 ttfb 2000.420ms 11 ttlb 2000.568ms (pre-alloc: 1569, alloc: 4350)`+"\n",
		commonLine(&Record{
			Remote:   "127.0.0.1:59940",
			Method:   "GET",
			URI:      "/",
			Proto:    "HTTP/1.1",
			Status:   200,
			TTFB:     2000420 * time.Microsecond,
			BytesOut: 11,
			TTLB:     2000568 * time.Microsecond,
			Result:   Result{SnapshotBytes: 1569, PeakBytes: 4350, DirtyBytes: 7},
		}))
	require.Equal(t, ` - - "  " 0 ttfb 0.000ms 0 ttlb 0.000ms (pre-alloc: 0, alloc: 0)`+"\n", commonLine(&Record{}))
}

// No client input can end the quotes or the line.
func TestCommonLineCannotBeForged(t *testing.T) {
	forged := "/\" 200 ttfb\n127.0.0.1:1 - - \"GET /admin\\\" \x1b[2J\u202e\r"
	line := commonLine(&Record{Method: forged, URI: forged, Proto: forged, Remote: forged})
	require.Equal(t, 1, strings.Count(line, "\n"))
	require.False(t, strings.ContainsAny(line, "\x1b\r\u202e"), "%q", line)
	require.Contains(t, line, `/\" 200 ttfb 127.0.0.1:1 - - \"GET /admin\\\"`)
	line = commonLine(&Record{URI: strings.Repeat(`"`, 1<<20)})
	require.Less(t, len(line), 2*maxURIBytes+200)
}

// lineWriter expects one whole line per call.
type lineWriter struct {
	t     *testing.T
	mu    sync.Mutex
	lines int // guarded by mu
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines++
	if !bytes.HasSuffix(p, []byte("\n")) || bytes.Count(p, []byte("\n")) != 1 {
		w.t.Errorf("%q is not a line", p)
	}
	return len(p), nil
}

func TestCommonLinesDoNotMix(t *testing.T) {
	w := &lineWriter{t: t}
	listener := Common(w)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				listener(full())
			}
		})
	}
	wg.Wait()
	require.Equal(t, 800, w.lines)
}

func FuzzCommon(f *testing.F) {
	f.Add("GET", `/"\`+"\n")
	f.Fuzz(func(t *testing.T, method, uri string) {
		line := commonLine(&Record{Method: method, URI: uri, Proto: "HTTP/1.1"})
		require.Equal(t, 1, strings.Count(line, "\n"))
		plain := strings.NewReplacer(`\\`, "", `\"`, "").Replace(line)
		require.Equal(t, 2, strings.Count(plain, `"`), line)
	})
}
