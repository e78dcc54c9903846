package accesslog

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// maxLineBytes is the largest buffer kept for the next line.
const maxLineBytes = 4 << 10

// Common returns a listener that writes one line for each request in the format of FlexiLib:
//
//	127.0.0.1:59940 - - "GET / HTTP/1.1" 200 ttfb 2000.420ms 11 ttlb 2000.568ms (pre-alloc: 1569, alloc: 4350)
//
// The number between the times is the size of the response body. pre-alloc is the size of the
// guest's memory at the start of the request and alloc its peak, both 0 for services without
// a guest. Each line is one call of Write. Write errors are ignored: the line is lost.
func Common(w io.Writer) Listener {
	var mu sync.Mutex // guards line and the order of writes
	var line []byte
	return func(rec *Record) {
		mu.Lock()
		defer mu.Unlock()
		line = appendCommon(line[:0], rec)
		_, _ = w.Write(line)
		if cap(line) > maxLineBytes {
			line = nil
		}
	}
}

func appendCommon(line []byte, rec *Record) []byte {
	return fmt.Appendf(line, "%s - - \"%s %s %s\" %d ttfb %sms %d ttlb %sms (pre-alloc: %d, alloc: %d)\n",
		printable(rec.Remote, maxHostBytes), quotable(rec.Method, maxMethodBytes), quotable(rec.URI, maxURIBytes),
		quotable(rec.Proto, maxMethodBytes), rec.Status, milliseconds(rec.TTFB), rec.BytesOut, milliseconds(rec.TTLB),
		rec.SnapshotBytes, rec.PeakBytes)
}

// quotable is printable for text within double quotes: it escapes quotes and backslashes.
func quotable(s string, maxBytes int) string {
	s = printable(s, maxBytes)
	if !strings.ContainsAny(s, `"\`) {
		return s
	}
	return strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f", float64(d.Nanoseconds())/1e6)
}
