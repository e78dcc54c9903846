package accesslog

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shortLine(rec *Record) string {
	var out bytes.Buffer
	Short(&out)(rec)
	return out.String()
}

func TestShortLine(t *testing.T) {
	for want, rec := range map[string]*Record{
		"GET /world 200 0.3 ms 3.3 MiB": {
			Method: "GET",
			URI:    "/world",
			Status: 200,
			TTLB:   340 * time.Microsecond,
			Result: Result{PeakBytes: 33 << 20 / 10, Outcome: OutcomeOK},
		},
		"POST /a?b 500 12 ms 1.0 MiB out of memory": {
			Method: "POST",
			URI:    "/a?b",
			Status: 500,
			TTLB:   12 * time.Millisecond,
			Result: Result{PeakBytes: 1 << 20, Outcome: OutcomeOutOfMemory},
		},
		"GET /nowhere 404 0.02 ms": {
			Method: "GET",
			URI:    "/nowhere",
			Status: 404,
			TTLB:   20 * time.Microsecond,
			Result: Result{Outcome: OutcomeNotFound},
		},
		"GET / - 61.0 s client gone": {
			Method: "GET",
			URI:    "/",
			TTLB:   61 * time.Second,
			Result: Result{Outcome: OutcomeClientGone},
		},
	} {
		require.Equal(t, want+"\n", shortLine(rec))
	}
}

// No client input can end the line, or change the terminal.
func TestShortLineCannotBeForged(t *testing.T) {
	forged := "/ 200\nGET /admin \x1b[2J\u202e\r"
	line := shortLine(&Record{Method: forged, URI: forged})
	require.Equal(t, 1, strings.Count(line, "\n"))
	require.False(t, strings.ContainsAny(line, "\x1b\r\u202e"), "%q", line)
	line = shortLine(&Record{URI: strings.Repeat("x", 1<<20)})
	require.Less(t, len(line), maxURIBytes+200)
}

func TestTimesAndSizesForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0.00 ms",
		4 * time.Microsecond:      "0.00 ms",
		94 * time.Microsecond:     "0.09 ms",
		96 * time.Microsecond:     "0.1 ms",
		9949 * time.Microsecond:   "9.9 ms",
		9951 * time.Microsecond:   "10 ms",
		999 * time.Millisecond:    "999 ms",
		9996 * time.Millisecond:   "10.0 s",
		time.Hour:                 "3600.0 s",
		999501 * time.Microsecond: "1.0 s",
	} {
		require.Equal(t, want, Time(d))
	}
	for n, want := range map[int64]string{
		0:             "0 B",
		1023:          "1023 B",
		1024:          "1.0 KiB",
		64 << 10:      "64 KiB",
		1<<20 - 1:     "1.0 MiB",
		33 << 20 / 10: "3.3 MiB",
		128 << 20:     "128 MiB",
		4 << 30:       "4.0 GiB",
		math.MaxInt64: "8.0 EiB",
	} {
		require.Equal(t, want, Bytes(n))
	}
}
