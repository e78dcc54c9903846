package remote

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func topOf(names ...string) *topView {
	v := &topView{base: "http://127.0.0.1:1", window: "10s", sort: "rate", all: &statistics{Time: time.Now()}}
	for i, name := range names {
		w := map[string]window{
			"10s": {Rate: float64(i), Requests: uint64(i), P99: int64(100 - i), Seconds: 10},
			"1m":  {Rate: float64(-i), Errors: uint64(i)},
		}
		v.all.Services = append(v.all.Services, serviceStats{Prefix: name, State: "ready", Windows: w})
	}
	return v
}

// prefixesOf returns the services that a view shows, in their order.
func prefixesOf(v *topView, rows int) (names []string) {
	for _, line := range v.lines(200, rows) {
		if strings.HasPrefix(line, "/") {
			names = append(names, strings.Fields(line)[0])
		}
	}
	return names
}

func TestKeysOfTop(t *testing.T) {
	v := topOf("/b", "/a", "/c")
	require.Equal(t, []string{"/c", "/a", "/b"}, prefixesOf(v, 24))
	for _, step := range []struct {
		typed string
		want  []string
	}{
		{"n", []string{"/a", "/b", "/c"}},
		{"l", []string{"/b", "/a", "/c"}},
		{"x", []string{"/b", "/a", "/c"}},
		{"wr", []string{"/b", "/a", "/c"}},
		{"e", []string{"/c", "/a", "/b"}},
		{"www", []string{"/a", "/b", "/c"}},
	} {
		require.False(t, v.press(step.typed))
		require.Equal(t, step.want, prefixesOf(v, 24), step.typed)
	}
	require.Equal(t, "10s", v.window)
	for _, typed := range []string{"q", "Q", "\x03", "\x1b", "nwq"} {
		require.True(t, v.press(typed), "%q", typed)
	}
}

// The view fits any size, and scrolls to the last service.
func TestTopFitsTheTerminal(t *testing.T) {
	v := topOf("/a", "/b", "/c", "/d", "/e", "/f")
	v.sort = "name"
	for rows := 1; rows < 12; rows++ {
		for columns := 1; columns < 120; columns += 7 {
			require.LessOrEqual(t, len(v.lines(columns, rows)), rows)
		}
	}
	require.Equal(t, []string{"/a", "/b", "/c"}, prefixesOf(v, 6))
	v.press("\x1b[B")
	require.Equal(t, []string{"/b", "/c", "/d"}, prefixesOf(v, 6))
	v.press("\x1b[6~")
	require.Equal(t, []string{"/d", "/e", "/f"}, prefixesOf(v, 6))
	v.press("\x1b[5~")
	require.Equal(t, []string{"/a", "/b", "/c"}, prefixesOf(v, 6))
}

// What a server sends cannot control the terminal.
func TestTopEscapesWhatAServerSends(t *testing.T) {
	v := topOf("/a\x1b[2J")
	v.all.Services[0].State = "\x1b]0;title\a"
	for _, line := range v.lines(80, 24) {
		require.NotContains(t, line, "\x1b[2J")
		require.NotContains(t, line, "\a")
	}
}
