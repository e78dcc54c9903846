package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func full() *Record {
	return &Record{
		Time:       time.Unix(1, 0),
		RequestID:  "0123456789abcdef",
		Method:     "POST",
		Host:       "h",
		URI:        "/test/x?q",
		Proto:      "HTTP/1.1",
		Remote:     "127.0.0.1:1",
		UserAgent:  "ua",
		Prefix:     "/test",
		Service:    "test",
		Version:    "sha256:00",
		Number:     2,
		Generation: 3,
		QueueWait:  4 * time.Microsecond,
		Status:     500,
		BytesIn:    5,
		BytesOut:   6,
		TTFB:       7 * time.Microsecond,
		TTLB:       8*time.Microsecond + 999,
		Result: Result{
			Outcome:       OutcomeTrap,
			Err:           errors.New("why"),
			Start:         StartWarm,
			SnapshotBytes: 9,
			DirtyBytes:    10,
			PeakBytes:     11,
			GuestTime:     12 * time.Microsecond,
			KVOperations:  13,
		},
	}
}

// jsonLine logs a record as JSON and returns the line as a map.
func jsonLine(t *testing.T, rec *Record) map[string]any {
	t.Helper()
	var out bytes.Buffer
	JSON(&out)(rec)
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "one line a request")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.NotEmpty(t, line["time"])
	delete(line, "time")
	return line
}

// TestFieldNamesAreStable fails if a public name or unit changes. Then fix the change, not the test.
func TestFieldNamesAreStable(t *testing.T) {
	require.Equal(t, map[string]any{
		"level": "WARN", "msg": "request", "request_id": "0123456789abcdef", "method": "POST", "host": "h", "uri": "/test/x?q",
		"proto": "HTTP/1.1", "remote": "127.0.0.1:1", "user_agent": "ua", "status": 500.0, "outcome": "trap", "bytes_in": 5.0,
		"bytes_out": 6.0, "ttfb_us": 7.0, "ttlb_us": 8.0, "queue_wait_us": 4.0, "service": "test", "prefix": "/test",
		"version": "sha256:00", "version_number": 2.0, "generation": 3.0, "start": "warm", "guest_us": 12.0, "snapshot_bytes": 9.0,
		"dirty_bytes": 10.0, "peak_bytes": 11.0, "kv_operations": 13.0, "err": "why",
	}, jsonLine(t, full()))
}

func TestEmptyFieldsAreLeftOut(t *testing.T) {
	line := jsonLine(t, &Record{Status: 404, Result: Result{Outcome: OutcomeNotFound}})
	require.Len(t, line, 2+14)
	require.Equal(t, "", line[FieldUserAgent], "those that every request has are there even if empty")
	require.NotContains(t, line, FieldService)
	require.NotContains(t, line, FieldErr)
}

func TestTextLine(t *testing.T) {
	var out bytes.Buffer
	Text(&out)(full())
	for _, field := range []string{`msg=request`, `status=500`, `uri=/test/x?q`, `ttlb_us=8`, `outcome=trap`} {
		require.Contains(t, out.String(), field)
	}
}

func TestLevels(t *testing.T) {
	for want, rec := range map[string]*Record{
		"INFO":  {Status: 404, Result: Result{Outcome: OutcomeNotFound}},
		"WARN":  {Status: 503, Result: Result{Outcome: OutcomeNoCapacity}},
		"ERROR": {Status: 200, Result: Result{Outcome: OutcomeHostError}},
	} {
		require.Equal(t, want, jsonLine(t, rec)["level"])
	}
}

func TestStringsOfStrangersAreBoundedAndHarmless(t *testing.T) {
	hostile := "\x1b[2J\r\nlevel=ERROR \u202e\u0085\u2028\x00\xff" + strings.Repeat("é", 10_000)
	rec := &Record{
		Method:    hostile,
		Host:      hostile,
		URI:       hostile,
		UserAgent: hostile,
		Result:    Result{Err: errors.New(hostile)},
	}
	line := jsonLine(t, rec)
	for field, most := range map[string]int{FieldMethod: maxMethodBytes, FieldHost: maxHostBytes, FieldURI: maxURIBytes,
		FieldUserAgent: maxUserAgentBytes, FieldErr: maxErrBytes} {
		value := line[field].(string)
		require.LessOrEqual(t, len(value), most)
		require.True(t, strings.HasSuffix(value, ellipsis), value)
		require.False(t, strings.ContainsAny(value, "\x1b\r\n\x00\u202e\u0085\u2028"), "%q", value)
	}
	var out bytes.Buffer
	Text(&out)(rec)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

// panicked is an error with a stack.
type panicked struct{ stack []byte }

func (p panicked) Error() string { return "panicked" }
func (p panicked) Stack() []byte { return p.stack }

func TestStackOfAPanic(t *testing.T) {
	line := jsonLine(t, &Record{Result: Result{Err: panicked{[]byte("goroutine 1\nmain.go")}}})
	require.Equal(t, "goroutine 1\nmain.go", line[FieldStack])
	line = jsonLine(t, &Record{Result: Result{Err: panicked{make([]byte, 100_000)}}})
	require.Len(t, line[FieldStack], maxStackBytes)
}

func FuzzPrintable(f *testing.F) {
	f.Add("plain", 10)
	f.Add("é\n\x1b", 3)
	f.Add("ééééé", 4)
	f.Add("\xff\xff\xff", 8)
	f.Fuzz(func(t *testing.T, s string, maxBytes int) {
		maxBytes = len(ellipsis) + max(0, maxBytes)%1000
		out := printable(s, maxBytes)
		require.LessOrEqual(t, len(out), maxBytes)
		require.Equal(t, out, printable(out, maxBytes), "printable text is left as it is")
		if len(s) <= maxBytes && isPlain(s) {
			require.Equal(t, s, out)
		}
	})
}
