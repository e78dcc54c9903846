package forwarded

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	someTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	someParent = "00f067aa0ba902b7"
)

// traceparents are values and whether they are valid, after the rules of W3C Trace Context.
var traceparents = map[string]bool{
	"00-" + someTrace + "-" + someParent + "-01":      true,
	"00-" + someTrace + "-" + someParent + "-00":      true,
	"00-" + someTrace + "-" + someParent + "-ff":      true, // flags of a later level
	"01-" + someTrace + "-" + someParent + "-01":      true,
	"fe-" + someTrace + "-" + someParent + "-01-more": true,
	"cc-" + someTrace + "-" + someParent + "-01-":     true,
	"":                                   false,
	"00-" + someTrace + "-" + someParent: false,
	"00-" + someTrace + "-" + someParent + "-1":                      false,
	"00-" + someTrace + "-" + someParent + "-01-more":                false,
	"00-" + someTrace + "-" + someParent + "-010":                    false,
	"01-" + someTrace + "-" + someParent + "-010":                    false,
	"ff-" + someTrace + "-" + someParent + "-01":                     false,
	"0-" + someTrace + "-" + someParent + "-01":                      false,
	"0G-" + someTrace + "-" + someParent + "-01":                     false,
	"00-" + strings.Repeat("0", 32) + "-" + someParent + "-01":       false,
	"00-" + someTrace + "-" + strings.Repeat("0", 16) + "-01":        false,
	"00-" + strings.ToUpper(someTrace) + "-" + someParent + "-01":    false,
	"00-" + someTrace + "-" + strings.ToUpper(someParent) + "-01":    false,
	"00-" + someTrace + "-" + someParent + "-0A":                     false,
	"00_" + someTrace + "-" + someParent + "-01":                     false,
	"00-" + someTrace + "_" + someParent + "-01":                     false,
	"00-" + someTrace + "-" + someParent + "_01":                     false,
	"00-" + someTrace[1:] + "-" + someParent + "0-01":                false,
	"00-" + someTrace[1:] + "\n-" + someParent + "-01":               false,
	"00-" + someTrace + "-" + someParent + "-01, 00-" + someTrace:    false,
	"00-" + someTrace[:30] + `"x` + "-" + someParent + "-01":         false,
	" 00-" + someTrace + "-" + someParent + "-01":                    false,
	"00-" + someTrace[:31] + "-" + "-" + someParent + "-01":          false,
	"00-" + someTrace + "-" + someParent[:15] + "\x00-01":            false,
	strings.Repeat("00-"+someTrace+"-"+someParent+"-01-", 1000)[:60]: false,
}

func TestTraceID(t *testing.T) {
	for value, valid := range traceparents {
		want := ""
		if valid {
			want = someTrace
		}
		require.Equal(t, want, TraceID(http.Header{TraceParent: {value}}), "%q", value)
	}
	one := "00-" + someTrace + "-" + someParent + "-01"
	require.Empty(t, TraceID(http.Header{TraceParent: {one, one}}), "two fields")
	require.Empty(t, TraceID(nil))
}

// FuzzTraceID compares with a regular expression, and checks that an id is fit for a log.
func FuzzTraceID(f *testing.F) {
	for value := range traceparents {
		f.Add(value)
	}
	form := regexp.MustCompile(`\A([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-(?s:.*))?\z`)
	f.Fuzz(func(t *testing.T, value string) {
		want := ""
		if m := form.FindStringSubmatch(value); m != nil && m[1] != "ff" && (m[1] != "00" || m[4] == "") && !allZero(m[2]) && !allZero(m[3]) {
			want = m[2]
		}
		require.Equal(t, want, TraceID(http.Header{TraceParent: {value}}))
	})
}

// TestOnlyTheServerContinuesRequests checks that an id within the server is in the context alone.
func TestOnlyTheServerContinuesRequests(t *testing.T) {
	r := request("vespo:/a", "X-Request-Id: forged")
	require.Empty(t, Internal(r).ID)
	require.Equal(t, "a-1", Internal(r.WithContext(WithID(r.Context(), "a-1"))).ID)
	require.Empty(t, Internal(r.WithContext(WithID(r.Context(), "a\n1"))).ID)
	require.Empty(t, (*Trust)(nil).Client(r.WithContext(WithID(r.Context(), "a-1"))).ID, "requests of listeners have none")
}
