package static_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/static"
)

const (
	digits   = "0123456789"
	longAgo  = "Thu, 01 Jan 1970 00:00:00 GMT"
	farAhead = "Fri, 31 Dec 2100 23:59:59 GMT"
)

// settled serves digits as a.txt, and waits until its entity tag is strong: a later
// change then cannot be hidden by a coarse clock. The file keeps the time of its writing.
func settled(t *testing.T) (s *site, tag, date string) {
	t.Helper()
	s = serve(t, "/", static.Document{}, map[string]string{"empty.txt": "", "old.txt": digits})
	name := filepath.Join(s.dir, "a.txt")
	require.NoError(t, os.WriteFile(name, []byte(digits), 0o644))
	require.NoError(t, os.WriteFile(name+".gz", []byte(strings.ToUpper("abcdefghij")), 0o644))
	require.Eventually(t, func() bool {
		tag = s.get("/a.txt").Header.Get("Etag")
		return strings.HasPrefix(tag, `"`)
	}, time.Minute, 50*time.Millisecond)
	return s, tag, s.get("/a.txt").Header.Get("Last-Modified")
}

// TestRFC9110 covers the rules of sections 8.8, 13 and 14 that apply to a file server.
func TestRFC9110(t *testing.T) {
	s, tag, date := settled(t)
	const whole, partial, unchanged, failed, unsatisfiable = http.StatusOK, http.StatusPartialContent, http.StatusNotModified,
		http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable
	for _, c := range []struct {
		section string
		headers []string
		want    int
		body    string
	}{
		{"13.1.1 If-Match has the tag", []string{"If-Match: " + tag}, whole, digits},
		{"13.1.1 If-Match has one of a list", []string{`If-Match: "x", ` + tag}, whole, digits},
		{"13.1.1 and 5.3 a list on several lines", []string{`If-Match: "x"`, "If-Match: " + tag}, whole, digits},
		{"13.1.1 If-Match has any", []string{"If-Match: *"}, whole, digits},
		{"13.1.1 If-Match has another", []string{`If-Match: "x"`}, failed, ""},
		{"13.1.1 and 8.8.3.2 it compares strongly", []string{"If-Match: W/" + tag}, failed, ""},
		{"13.1.2 If-None-Match has the tag", []string{"If-None-Match: " + tag}, unchanged, ""},
		{"13.1.2 and 8.8.3.2 it compares weakly", []string{"If-None-Match: W/" + tag}, unchanged, ""},
		{"13.1.2 If-None-Match has any", []string{"If-None-Match: *"}, unchanged, ""},
		{"13.1.2 and 5.3 a list on several lines", []string{`If-None-Match: "x"`, "If-None-Match: " + tag}, unchanged, ""},
		{"13.1.2 If-None-Match has another", []string{`If-None-Match: "x"`}, whole, digits},
		{"13.1.3 not modified since", []string{"If-Modified-Since: " + date}, unchanged, ""},
		{"13.1.3 modified since", []string{"If-Modified-Since: " + longAgo}, whole, digits},
		{"13.1.3 no date", []string{"If-Modified-Since: soon"}, whole, digits},
		{"13.1.3 If-None-Match goes before", []string{`If-None-Match: "x"`, "If-Modified-Since: " + date}, whole, digits},
		{"13.1.4 not modified since", []string{"If-Unmodified-Since: " + date}, whole, digits},
		{"13.1.4 modified since", []string{"If-Unmodified-Since: " + longAgo}, failed, ""},
		{"13.1.4 no date", []string{"If-Unmodified-Since: soon"}, whole, digits},
		{"13.1.4 If-Match goes before", []string{"If-Match: " + tag, "If-Unmodified-Since: " + longAgo}, whole, digits},
		{"13.2.2 If-Match goes before If-None-Match", []string{`If-Match: "x"`, "If-None-Match: " + tag}, failed, ""},
		{"13.2.2 If-Unmodified-Since goes before If-None-Match", []string{"If-Unmodified-Since: " + longAgo, "If-None-Match: " + tag}, failed, ""},
		{"13.2.2 If-None-Match goes before a range", []string{"If-None-Match: " + tag, "Range: bytes=0-1"}, unchanged, ""},
		{"13.1.5 If-Range has the tag", []string{"If-Range: " + tag, "Range: bytes=1-2"}, partial, "12"},
		{"13.1.5 If-Range has another tag", []string{`If-Range: "x"`, "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 a list of tags", []string{"If-Range: " + tag + `, "x"`, "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 a tag and more", []string{"If-Range: " + tag + "x", "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 and 8.8.3.2 it compares strongly", []string{"If-Range: W/" + tag, "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 If-Range has the date", []string{"If-Range: " + date, "Range: bytes=1-2"}, partial, "12"},
		{"13.1.5 a date matches exactly", []string{"If-Range: " + farAhead, "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 neither tag nor date", []string{"If-Range: soon", "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 two values", []string{"If-Range: " + tag, "If-Range: " + tag, "Range: bytes=1-2"}, whole, digits},
		{"13.1.5 without a range", []string{"If-Range: " + tag}, whole, digits},
		{"14.1.2 first and last", []string{"Range: bytes=2-4"}, partial, "234"},
		{"14.1.2 first alone", []string{"Range: bytes=7-"}, partial, "789"},
		{"14.1.2 a suffix", []string{"Range: bytes=-3"}, partial, "789"},
		{"14.1.2 a suffix longer than the file", []string{"Range: bytes=-30"}, partial, digits},
		{"14.1.2 a last position beyond the end", []string{"Range: bytes=7-99999999999999999999999"}, partial, "789"},
		{"14.1.2 leading zeros", []string{"Range: bytes=007-0008"}, partial, "78"},
		{"14.1.2 a first position beyond the end", []string{"Range: bytes=10-"}, unsatisfiable, ""},
		{"14.1.2 a first position beyond all numbers", []string{"Range: bytes=99999999999999999999999-"}, unsatisfiable, ""},
		{"14.1.2 a suffix of nothing", []string{"Range: bytes=-0"}, unsatisfiable, ""},
		{"14.1.2 one of several can be satisfied", []string{"Range: bytes=10-12, 1-2, -0"}, partial, "12"},
		{"14.1.1 units have no case", []string{"Range: BYTES=1-2"}, partial, "12"},
		{"14.1.1 and 5.6.1.2 empty elements", []string{"Range: bytes=,1-2 , ,"}, partial, "12"},
		{"14.2 an unknown unit", []string{"Range: lines=1-2"}, whole, digits},
		{"14.2 last before first", []string{"Range: bytes=4-2"}, whole, digits},
		{"14.2 malformed", []string{"Range: bytes=a-b"}, whole, digits},
		{"14.2 no set", []string{"Range: bytes"}, whole, digits},
		{"14.2 an empty set", []string{"Range: bytes="}, whole, digits},
		{"14.2 only a dash", []string{"Range: bytes=-"}, whole, digits},
		{"14.2 a sign", []string{"Range: bytes=+1-2"}, whole, digits},
		{"14.2 a space within", []string{"Range: bytes=1 -2"}, whole, digits},
		{"14.2 two fields", []string{"Range: bytes=1-2", "Range: bytes=1-2"}, whole, digits},
		{"14.2 several that overlap to more than the file", []string{"Range: bytes=0-7,0-7"}, whole, digits},
	} {
		t.Run(c.section, func(t *testing.T) {
			got := s.get("/a.txt", c.headers...)
			require.Equal(t, c.want, got.StatusCode)
			require.Equal(t, c.body, got.Body)
			switch c.want {
			case unsatisfiable: // section 15.5.17
				require.Equal(t, "bytes */10", got.Header.Get("Content-Range"))
			case partial: // section 15.3.7
				require.Regexp(t, `^bytes \d-\d/10$`, got.Header.Get("Content-Range"))
				require.Equal(t, tag, got.Header.Get("Etag"))
			case unchanged: // section 15.4.5
				require.Equal(t, tag, got.Header.Get("Etag"))
			}
			if c.want == whole || c.want == partial {
				require.Equal(t, "bytes", got.Header.Get("Accept-Ranges"), "section 14.3")
			}
			head := s.do("HEAD", "/a.txt", c.headers...)
			if want := map[int]int{partial: whole, unsatisfiable: whole}[c.want]; want != 0 {
				require.Equal(t, want, head.StatusCode, "section 14.2: ranges are defined for GET")
				require.EqualValues(t, len(digits), head.ContentLength)
			} else {
				require.Equal(t, c.want, head.StatusCode)
			}
		})
	}
}

func TestRFC9110Representations(t *testing.T) {
	s, tag, _ := settled(t)
	packed := s.get("/a.txt", "Accept-Encoding: gzip")
	require.NotEqual(t, tag, packed.Header.Get("Etag"), "section 8.8.3.3: a coded representation has a tag of its own")
	require.Equal(t, "Accept-Encoding", packed.Header.Get("Vary"), "section 12.5.5")
	part := s.get("/a.txt", "Accept-Encoding: gzip", "Range: bytes=1-2", "If-Range: "+packed.Header.Get("Etag"))
	require.Equal(t, "BC", part.Body, "section 14.2: ranges are of the selected representation")
	require.Equal(t, "gzip", part.Header.Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", part.Header.Get("Vary"))
	other := s.get("/a.txt", "Accept-Encoding: gzip", "Range: bytes=1-2", "If-Range: "+tag)
	require.Equal(t, http.StatusOK, other.StatusCode, "the tag is that of another representation")
	several := s.get("/a.txt", "Accept-Encoding: gzip", "Range: bytes=1-2,4-5")
	require.Equal(t, http.StatusOK, several.StatusCode, "section 14.6: a multipart body is not coded as its parts are")
	require.Equal(t, "ABCDEFGHIJ", several.Body)
	plain := s.get("/a.txt", "Range: bytes=1-2,4-5")
	require.Equal(t, http.StatusPartialContent, plain.StatusCode)
	require.True(t, strings.HasPrefix(plain.Header.Get("Content-Type"), "multipart/byteranges"))
	require.Equal(t, 1, strings.Count(plain.Body, "Content-Range: bytes 1-2/10"))
	require.Empty(t, plain.Header.Get("Content-Range"), "section 15.3.7.2")
	for _, ranges := range []string{"bytes=0-", "bytes=-1", "bytes=0-0"} { // section 14.1.2: a server may ignore ranges that select nothing
		require.Equal(t, http.StatusOK, s.get("/empty.txt", "Range: "+ranges).StatusCode, ranges)
	}
}

// TestADateThatDoesNotIdentify resumes a download by the date of a file that was replaced by another one with the same
// date, as tools that copy times do. The whole new file must be sent, even once its entity tag is strong.
func TestADateThatDoesNotIdentify(t *testing.T) {
	s, _, date := settled(t)
	at, err := http.ParseTime(date)
	require.NoError(t, err)
	name := filepath.Join(s.dir, "a.txt")
	require.NoError(t, os.WriteFile(name, []byte("9876543210"), 0o644))
	require.NoError(t, os.Chtimes(name, at, at))
	for range 2 {
		got := s.get("/a.txt", "Range: bytes=5-", "If-Range: "+date)
		require.Equal(t, http.StatusOK, got.StatusCode, "section 8.8.2.2: the date is the same, and the file is another")
		require.Equal(t, "9876543210", got.Body)
		require.Equal(t, date, got.Header.Get("Last-Modified"))
		require.Eventually(t, func() bool { return strings.HasPrefix(s.get("/a.txt").Header.Get("Etag"), `"`) }, time.Minute, 50*time.Millisecond)
	}
}

func TestYoungFiles(t *testing.T) {
	s := serve(t, "/", static.Document{}, map[string]string{"a.txt": digits})
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "a.txt"), []byte("another"), 0o644))
	require.Contains(t, s.get("/a.txt").Header.Get("Etag"), `W/"`, "it may be written again in the same moment")
	s.age("a.txt", -time.Hour)
	require.Empty(t, s.get("/a.txt").Header.Get("Last-Modified"), "section 8.8.2.1: no date after that of the message")
	require.Equal(t, http.StatusPreconditionFailed, s.get("/a.txt", "If-Unmodified-Since: "+longAgo).StatusCode, "conditions are kept all the same")
}
