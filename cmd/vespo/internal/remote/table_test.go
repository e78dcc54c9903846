package remote

import (
	"bytes"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestAge(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour:                   "0s",
		0:                            "0s",
		59*time.Second + 999999:      "59s",
		time.Minute:                  "1m",
		3*time.Minute + time.Second:  "3m",
		time.Hour - 1:                "59m",
		5 * time.Hour:                "5h",
		day - 1:                      "23h",
		2*day + 23*time.Hour:         "2d",
		364 * day:                    "364d",
		365 * day:                    "1y",
		time.Duration(1<<63 - 1):     "292y",
		time.Duration(-1 << 63):      "0s",
		400*day + 23*time.Hour + 100: "1y",
	} {
		require.Equal(t, want, ageText(d), d)
	}
	require.Equal(t, "-", (&screen{now: time.Now()}).age(time.Time{}))
}

// The time until something is rounded to the nearest unit, so that an hour that has just begun is not 59m.
func TestLeft(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour:                     "0s",
		29 * time.Second:               "29s",
		10*time.Minute - 1:             "10m",
		9*time.Minute + 29*time.Second: "9m",
		time.Hour - 1:                  "1h",
		90*day - time.Second:           "90d",
		200 * day:                      "200d",
		365*day - 1:                    "1y",
		time.Duration(1<<63 - 1):       "292y",
	} {
		require.Equal(t, want, leftText(d), d)
	}
}

// Columns of numbers are aligned at the right, the last one too.
func TestNumbersOfStatsAreAligned(t *testing.T) {
	var b bytes.Buffer
	all := []serviceStats{{Windows: map[string]window{"1m": {ResidentBytes: 29 << 10}}}}
	require.NoError(t, writeStats(&screen{Writer: &b}, all, "1m"))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 2)
	require.Len(t, lines[1], len(lines[0]), b.String())
}

// The outcome of a request is shown once, although problems and guests' messages repeat it.
func TestReasonsDoNotRepeatTheOutcome(t *testing.T) {
	require.Equal(t, "the request needs more: 1", withoutRepeats("out of memory", "Out of memory: Out of Memory: the request needs more: 1"))
	require.Equal(t, "panic: x", withoutRepeats("trap", "panic: x"))
	require.Equal(t, "trap", withoutRepeats("trap", "trap"))
}

// TestListFits checks that a list fits a terminal of 80 columns, with prefixes and targets of any length. Without a
// terminal, and in the wide form, nothing is cut.
func TestListFits(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	fits := func(prefix, target string, kind, state uint8, inFlight uint16, errors uint32) bool {
		states := []string{"starting", "ready", "idle", "evicted", "missing", "failed"}
		kinds := []string{"wasm", "wasm-function", "proxy", "redirect", ""}
		services := []Service{{
			Version:  Version{Kind: kinds[int(kind)%len(kinds)], Deployed: at},
			Prefix:   "/" + prefix,
			Target:   target,
			State:    states[int(state)%len(states)],
			InFlight: int(inFlight),
			Errors:   uint64(errors),
		}, {Prefix: "/"}}
		write := func(columns int, wide bool) string {
			var b bytes.Buffer
			require.NoError(t, writeList(&screen{Writer: &b, columns: columns, now: at.Add(400 * 24 * time.Hour)}, services, wide))
			return b.String()
		}
		for line := range strings.Lines(write(80, false)) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
				return false
			}
		}
		whole := shown("/" + prefix)
		return strings.Contains(write(0, false), whole) && strings.Contains(write(80, true), whole) && strings.Contains(write(80, true), shown(target))
	}
	require.NoError(t, quick.Check(fits, nil))
	require.True(t, fits(strings.Repeat("é", 300), strings.Repeat("x", 300), 1, 0, 65535, 1<<31))
}

// A server may send anything. A terminal gets no characters that control it; other outputs get the bytes as they are.
func TestJSONDoesNotControlATerminal(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":["é\u001b"]}`:           "{\n  \"a\": [\n    \"é\\u001b\"\n  ]\n}",
		"{\"a\":\"\u009b31m\u202e\"}": "{\n  \"a\": \"\ufffd31m\ufffd\"\n}",
		"\x1b]0;x\x07\r\xff\n":        "\ufffd]0;x\ufffd\ufffd\ufffd\n",
	} {
		var b strings.Builder
		require.NoError(t, writeJSON(&screen{Writer: &b, columns: 80}, []byte(body)))
		require.Equal(t, want, b.String())
		b.Reset()
		require.NoError(t, writeJSON(&screen{Writer: &b}, []byte(body)))
		require.Equal(t, body, b.String())
	}
}
