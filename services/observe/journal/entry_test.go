package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// The owner of a service does not see where the host has failed to connect; the operator does.
func TestOwnersSeeNoHost(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	rec := requestOf("/a", "1", true)
	rec.Outcome = accesslog.OutcomeUnreachable
	rec.Err = problem.New(problem.BadGateway, "no upstream").WithCause(&net.OpError{Op: "dial", Addr: &net.IPAddr{IP: net.IPv4(10, 1, 2, 3)}, Err: errors.New("refused")})
	j.Of("/a")(rec)
	trap := requestOf("/a", "2", true)
	trap.Err = errors.New(`unreachable, not a "cause":`)
	j.Of("/a")(trap)
	j.drain(true)
	lines, _, err := j.Read(t.Context(), Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Contains(t, string(lines[0].JSON), `"cause":"Bad gateway: no upstream: dial 10.1.2.3: refused"`)
	own := string(ForOwner(lines[0].JSON))
	require.NotContains(t, own, "10.1.2.3")
	require.NotContains(t, own, "\n")
	require.Contains(t, own, `"err":"Bad gateway: no upstream"`)
	require.Equal(t, string(lines[1].JSON), string(ForOwner(lines[1].JSON)))
}

// TestLinesAreThoseOfEncodingJSON compares the encoding by hand with that of the standard library.
func TestLinesAreThoseOfEncodingJSON(t *testing.T) {
	texts := []string{"", "plain", "<&>'", "a\"b\\c\n\t\x00\x7f", "\u00e9\u2028\U0001f600", "\xff\xfe"}
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string { return texts[r.IntN(len(texts))] }
	for range 2_000 {
		e := Entry{
			N:         r.Uint64(),
			Time:      time.Unix(r.Int64N(1<<33), r.Int64N(1_000_000_000)).In(time.FixedZone("", int(r.Int64N(48)-24)*1800)),
			Level:     slog.Level(r.IntN(20) - 8),
			Source:    text(),
			Service:   text(),
			RequestID: text(),
			Failed:    r.IntN(2) == 0,
			Text:      text(),
			Cause:     text(),
		}
		if r.IntN(2) == 0 {
			rec := requestOf(text(), text(), e.Failed)
			e.Record = accesslog.AppendJSON(nil, rec)
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(&e))
		require.Equal(t, "before"+want.String(), string(e.appendTo([]byte("before"))))
	}
}
