package accesslog

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Short returns a listener that writes one line for each request, for people who watch a terminal:
//
//	GET /world 200 0.3 ms 3.3 MiB
//	GET /oom/1000 500 1.2 ms 1.0 MiB out of memory
//
// The time is that until the end of the response. The size is the peak of the guest's memory; it is left out for
// services without a guest. Failures end with their outcome. A request without a response has "-" as status. Each line
// is one call of Write. Write errors are ignored: the line is lost.
func Short(w io.Writer) Listener {
	var mu sync.Mutex // guards line and the order of writes
	var line []byte
	return func(rec *Record) {
		mu.Lock()
		defer mu.Unlock()
		line = append(appendShort(line[:0], rec), '\n')
		_, _ = w.Write(line)
		if cap(line) > maxLineBytes {
			line = nil
		}
	}
}

func appendShort(line []byte, rec *Record) []byte {
	line = append(line, printable(rec.Method, maxMethodBytes)...)
	line = append(line, ' ')
	line = append(line, printable(rec.URI, maxURIBytes)...)
	line = append(line, ' ')
	if rec.Status == 0 {
		line = append(line, '-')
	} else {
		line = strconv.AppendInt(line, int64(rec.Status), 10)
	}
	line = append(line, ' ')
	line = append(line, Time(rec.TTLB)...)
	if rec.PeakBytes > 0 {
		line = append(line, ' ')
		line = append(line, Bytes(rec.PeakBytes)...)
	}
	if rec.Status == 0 || rec.Status >= http.StatusInternalServerError {
		line = append(line, ' ')
		line = append(line, rec.Outcome...)
	}
	return line
}

// Time returns a duration for people, such as "0.03 ms", "0.3 ms", "12 ms" and "1.2 s".
func Time(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 0.095:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Bytes returns a size for people, such as "512 B", "64 KiB" and "3.3 MiB".
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for units := "KMGTPE"; size >= 1023.5 && unit < len(units)-1; unit++ {
		size /= 1 << 10
	}
	if size < 9.95 {
		return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[unit])
	}
	return fmt.Sprintf("%.0f %ciB", size, "KMGTPE"[unit])
}
