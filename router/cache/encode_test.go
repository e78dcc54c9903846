package cache

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kept returns an answer with a header.
func kept(body string, lines ...string) *entry {
	e := &entry{status: 200, header: storedHeader(header(lines...), time.Unix(1e9, 0)), body: []byte(body)}
	e.judgeAgain()
	e.selected = make([]string, len(e.vary))
	e.measure()
	return e
}

func TestAnswersAreDecodedAsTheyWere(t *testing.T) {
	s, ok := stampOf([]byte("0123456789abcdef"), nil)
	require.True(t, ok)
	e := kept("hello", "Cache-Control: max-age=60, stale-while-revalidate=5", "Vary: Accept, X", "A: 1", "A: 2")
	birth := time.Unix(5, 6000)
	value, ok := encodeAnswer("key", e, s, birth)
	require.True(t, ok)
	form, rest, ok := unseal("key", value)
	require.True(t, ok)
	require.EqualValues(t, formAnswer, form)
	got, stamp, born, ok := decodeAnswer(rest)
	require.True(t, ok)
	require.Equal(t, s, stamp)
	require.True(t, birth.Equal(born))
	require.Equal(t, e.header, got.header)
	require.Equal(t, e.body, got.body)
	require.Equal(t, e.status, got.status)
	require.Equal(t, e.lifetime, got.lifetime)
	require.Equal(t, []string{"Accept", "X"}, got.vary)
	_, _, ok = unseal("another key", value)
	require.False(t, ok)
	for i := range value {
		for _, bit := range []byte{1, 128} {
			torn := append([]byte(nil), value...)
			torn[i] ^= bit
			_, _, ok := unseal("key", torn)
			require.False(t, ok)
		}
		_, _, ok := unseal("key", value[:i])
		require.False(t, ok)
	}
	_, rest, _ = unseal("key", encodeRule("key", []string{"Accept", "X"}))
	vary, ok := decodeRule(rest)
	require.True(t, ok)
	require.Equal(t, []string{"Accept", "X"}, vary)
}

// TestValuesHaveNoMoreRightsThanAnswers seals answers that must not be stored.
func TestValuesHaveNoMoreRightsThanAnswers(t *testing.T) {
	for _, change := range []func(e *entry){
		func(e *entry) { e.status = 500 },
		func(e *entry) { e.status = 204 },
		func(e *entry) { e.header.Set("Cache-Control", "max-age=60, private") },
		func(e *entry) { e.header.Set("Cache-Control", "no-store") },
		func(e *entry) { delete(e.header, "Cache-Control") },
		func(e *entry) { delete(e.header, "Date") },
		func(e *entry) { e.header.Set("Set-Cookie", "a=b") },
		func(e *entry) { e.header.Set("Connection", "close") },
		func(e *entry) { e.header.Set("Transfer-Encoding", "chunked") },
		func(e *entry) { e.header.Set("X-Request-Id", "1") },
		func(e *entry) { e.header.Set("Content-Length", "4") },
		func(e *entry) { e.header.Set("Vary", "*") },
		func(e *entry) { e.header.Set("A", "b\r\nSet-Cookie: a=b") },
		func(e *entry) { e.header["a"] = []string{"b"} },
		func(e *entry) { e.header["A b"] = []string{"b"} },
		func(e *entry) { e.header["A"] = []string{} },
	} {
		e := kept("hello", "Cache-Control: max-age=60")
		change(e)
		value, ok := encodeAnswer("key", e, stamp{}, time.Now())
		require.True(t, ok)
		_, rest, ok := unseal("key", value)
		require.True(t, ok)
		_, _, _, ok = decodeAnswer(rest)
		require.False(t, ok, "%d %v", e.status, e.header)
	}
}

func FuzzDecode(f *testing.F) {
	value, _ := encodeAnswer("key", kept("hello", "Cache-Control: max-age=60", "Vary: A"), stamp{}, time.Unix(5, 0))
	f.Add(value[valueHead:])
	f.Add(encodeRule("key", []string{"Accept"})[valueHead:])
	f.Add(notice{service: "/a", key: Key{"b", "c"}}.encode())
	f.Fuzz(func(t *testing.T, rest []byte) {
		_, _, _ = unseal("key", rest)
		if vary, ok := decodeRule(rest); ok && len(vary) > maxVary {
			t.Fatal(vary)
		}
		if n, ok := decodeNotice(rest); ok && len(rest) <= maxNotice {
			again, ok := decodeNotice(n.encode())
			if !ok || again != n {
				t.Fatal(n)
			}
		}
		e, s, birth, ok := decodeAnswer(rest)
		if !ok {
			return
		}
		if _, reason := judge(e.status, e.header, false, time.Time{}, time.Time{}); reason == "set-cookie" || reason == "private" || reason == "no-store" || reason == "no-lifetime" {
			t.Fatal(reason)
		}
		if e.fresh <= 0 || usable(rest, s, nil, http.Header{}, birth.Add(e.fresh+e.whileRevalidate), 0) != nil {
			t.Fatal("it has no end")
		}
		e.selected = make([]string, len(e.vary))
		e.measure()
		if value, ok := encodeAnswer("key", e, s, birth); ok {
			if _, again, ok := unseal("key", value); !ok || len(again) > len(rest)+16 {
				t.Fatal("it is encoded otherwise")
			}
		}
	})
}
