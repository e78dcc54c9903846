package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bySlog returns the line that a handler of log/slog writes for the record.
func bySlog(t testing.TB, handler func(io.Writer, *slog.HandlerOptions) slog.Handler, rec *Record) string {
	var out bytes.Buffer
	r := slog.NewRecord(rec.Ended(), rec.Level(), Message, 0)
	r.AddAttrs(attrsOf(rec)...)
	require.NoError(t, handler(&out, nil).Handle(context.Background(), r))
	return out.String()
}

func newText(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }
func newJSON(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) }

// requireAsSlog compares the lines of a record with those of log/slog, which readers of the log are used to.
func requireAsSlog(t testing.TB, rec *Record) {
	var text, object bytes.Buffer
	Text(&text)(rec)
	require.Equal(t, bySlog(t, newText, rec), text.String())
	JSON(&object)(rec)
	want := bySlog(t, newJSON, rec)
	require.JSONEq(t, want, object.String())
	require.True(t, json.Valid(object.Bytes()))
	require.Equal(t, 1, bytes.Count(object.Bytes(), []byte("\n")))
	if rec.Err == nil { // a stack has line breaks, and control characters have several forms
		require.Equal(t, want, object.String())
	}
}

func TestLinesAreThoseOfSlog(t *testing.T) {
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -3600)} {
		for _, at := range []time.Time{time.Unix(1, 0), time.Unix(1e9, 120_000_000), time.Unix(2e9, 123_456_789), time.Unix(3e9, 999_999_999)} {
			rec := full()
			rec.Time = at.In(zone)
			requireAsSlog(t, rec)
		}
	}
	rec := full()
	rec.Generation, rec.BytesIn, rec.TTLB = math.MaxUint64, math.MaxInt64, -time.Second
	rec.Err = panicked{[]byte("goroutine 1\n\tmain.go \x00 \xff \u2028")}
	requireAsSlog(t, rec)
}

func FuzzLines(f *testing.F) {
	f.Add("GET", "/a=b", `"q" \`, "", int64(1_000_000_001), 200)
	f.Add("GÉT", "/\u2028\u202e<&>", "\x00\x7f\xff\ufffd", "\ufffd", int64(-1), 503)
	f.Fuzz(func(t *testing.T, method, uri, agent, peer string, at int64, status int) {
		requireAsSlog(t, &Record{
			Time:      time.Unix(0, at).UTC(),
			Method:    method,
			URI:       uri,
			UserAgent: agent,
			Host:      peer,
			Status:    status,
		})
	})
}

func TestLinesDoNotMix(t *testing.T) {
	for _, listener := range []func(io.Writer) Listener{JSON, Text} {
		w := &lineWriter{t: t}
		listen := listener(w)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				rec := full()
				rec.Err = errors.New(string(bytes.Repeat([]byte{'a' + byte(i)}, 100*i)))
				for range 100 {
					listen(rec)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 800, w.lines)
	}
}

func TestLinesTakeNoMemory(t *testing.T) {
	rec := full()
	rec.Err = nil
	var line []byte
	for range 2 {
		line = appendText(AppendJSON(line[:0], rec), rec)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { line = appendText(AppendJSON(line[:0], rec), rec) }))
}

// BenchmarkLines has log/slog beside it, for the ratio.
func BenchmarkLines(b *testing.B) {
	rec := full()
	rec.Time, rec.Err = time.Now(), nil
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	for name, listener := range map[string]Listener{
		"slog": func(rec *Record) {
			logger.LogAttrs(context.Background(), slog.LevelInfo, Message, attrsOf(rec)...)
		},
		"json":   JSON(io.Discard),
		"text":   Text(io.Discard),
		"short":  Short(io.Discard),
		"common": Common(io.Discard),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				listener(rec)
			}
		})
	}
}
