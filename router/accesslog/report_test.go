package accesslog

import (
	"errors"
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	rec := Record{
		Time:      time.Now(),
		RequestID: "0123456789abcdef",
		Service:   "/a Host: a.example",
		Number:    3,
		QueueWait: 4 * time.Microsecond,
		Status:    500,
		BytesIn:   5,
		BytesOut:  6,
		TTFB:      7 * time.Microsecond,
		TTLB:      8 * time.Microsecond,
		Result: Result{
			Outcome:       OutcomeOutOfMemory,
			Err:           errors.New(`out "of" memory`),
			Start:         StartWarm,
			SnapshotBytes: 9,
			DirtyBytes:    10,
			ResidentBytes: 11,
			PeakBytes:     12,
			GuestTime:     13 * time.Microsecond,
			Work:          14,
			KVOperations:  15,
		},
	}
	require.Equal(t, `outcome="out of memory", status=500, err="out \"of\" memory", start="warm", work=14, work_unit=2, guest_us=13, `+
		`snapshot_bytes=9, dirty_bytes=10, peak_bytes=12, resident_bytes=11, kv_operations=15, queue_wait_us=4, bytes_in=5, bytes_out=6, `+
		`ttfb_us=7, ttlb_us=8, service="/a Host: a.example", version_number=3, request_id="0123456789abcdef"`,
		string(AppendReport(nil, &rec, 2)))

	rec = Record{BytesOut: math.MaxInt64, Number: math.MaxUint64, Result: Result{Outcome: OutcomeOK, Err: errors.New("ü%\r\n\"")}}
	require.Equal(t, `outcome="ok", status=0, err=%"%c3%bc%25  %22", queue_wait_us=0, bytes_in=0, bytes_out=999999999999999, ttfb_us=0, ttlb_us=0, version_number=999999999999999`,
		string(AppendReport(nil, &rec, 1)))
}

// FuzzReport checks that no text breaks out of its member, and that it can be read back.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{"", "a", `"`, `\`, `\"`, "%", "ü", "\xff", "a\r\nSet-Cookie: b", "\x7f"} {
		f.Add(seed)
	}
	member := regexp.MustCompile(`^outcome="ok", status=0, err=(?:"((?:[ !#-\[\]-~]|\\["\\])*)"|%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"), queue_wait_us=0`)
	f.Fuzz(func(t *testing.T, text string) {
		line := string(AppendReport(nil, &Record{Result: Result{Outcome: OutcomeOK, Err: errors.New(text)}}, 1))
		shown := printable(text, maxReportErrBytes)
		if shown == "" {
			return
		}
		found := member.FindStringSubmatch(line)
		require.NotNil(t, found, line)
		plain := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(found[1])
		display, err := url.PathUnescape(found[2])
		require.NoError(t, err)
		require.Equal(t, strings.ToValidUTF8(shown, "\uFFFD"), plain+display)
	})
}
