package abi_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestHold(t *testing.T) {
	long := strings.Repeat("x", abi.HoldBytes)
	for _, c := range []struct {
		name   string
		answer func(h *abi.Hold)
		sent   string // before the end
		status int    // before the end
		whole  string // at the end
	}{
		{"nothing", func(*abi.Hold) {}, "", 0, ""},
		{"a status", func(h *abi.Hold) { h.WriteHeader(404); h.WriteHeader(200) }, "", 0, ""},
		{"a short body", func(h *abi.Hold) { io.WriteString(h, "a"); io.WriteString(h, "b") }, "", 0, "ab"},
		{"as long as can be held", func(h *abi.Hold) { io.WriteString(h, long) }, "", 0, long},
		{"too long", func(h *abi.Hold) { io.WriteString(h, long); io.WriteString(h, "y") }, long + "y", 200, long + "y"},
		{"too long at once", func(h *abi.Hold) { io.WriteString(h, long+"y") }, long + "y", 200, long + "y"},
		{"flushed", func(h *abi.Hold) { io.WriteString(h, "a"); h.Flush(); io.WriteString(h, "b") }, "ab", 200, "ab"},
		{"flushed before the body", func(h *abi.Hold) { h.WriteHeader(201); h.Flush() }, "", 201, ""},
		{"trailers", func(h *abi.Hold) { io.WriteString(h, "a"); h.SetTrailer("X", []string{"y"}) }, "", 0, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h abi.Hold
			for range 2 {
				r := &abitest.Response{}
				h.Begin(r)
				require.False(t, h.Started())
				h.WriteHeader(103)
				require.Equal(t, []int{103}, r.Informational)
				c.answer(&h)
				require.Equal(t, c.sent, r.Body.String())
				require.Equal(t, c.status, r.Status)
				require.Empty(t, r.Trailer)
				require.NoError(t, h.Finish("GET"))
				require.Equal(t, c.whole, r.Body.String())
				require.Equal(t, h.Started(), r.Status != 0)
				if c.name == "trailers" {
					require.Equal(t, abi.Header{"X": {"y"}}, r.Trailer)
				}
				h.End()
			}
		})
	}
}

func TestHoldForgets(t *testing.T) {
	var h abi.Hold
	h.Begin(&abitest.Response{})
	io.WriteString(&h, "of a guest that failed")
	h.SetTrailer("X", []string{"y"})
	h.End()
	r := &abitest.Response{}
	h.Begin(r)
	require.NoError(t, h.Finish("GET"))
	require.Zero(t, r.Status)
	require.Empty(t, r.Body.String())
	require.Empty(t, r.Trailer)
}

func TestLengthsOfWholeAnswers(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		length []string
		body   string
		good   bool
	}{
		{"GET", 200, nil, "abc", true},
		{"GET", 200, []string{"3"}, "abc", true},
		{"GET", 200, []string{"2"}, "abc", false},
		{"GET", 200, []string{"4"}, "abc", false},
		{"GET", 200, []string{"3", "3"}, "abc", false},
		{"GET", 200, []string{"-3"}, "abc", false},
		{"GET", 200, []string{"many"}, "abc", false},
		{"GET", 200, []string{"+3"}, "abc", false},
		{"GET", 200, []string{"3, 3"}, "abc", false},
		{"GET", 200, []string{""}, "abc", false},
		{"GET", 200, []string{}, "abc", true},
		{"GET", 200, []string{"99999999999999999999"}, "abc", false},
		{"HEAD", 200, []string{"+5"}, "", false},
		{"GET", 304, []string{"5", "5"}, "", false},
		{"HEAD", 200, []string{"1000"}, "", true},
		{"GET", 304, []string{"1000"}, "", true},
		{"GET", 204, []string{"1000"}, "", true},
	} {
		var h abi.Hold
		r := &abitest.Response{}
		h.Begin(r)
		h.WriteHeader(c.status)
		io.WriteString(&h, c.body)
		if c.length != nil {
			h.Header()["Content-Length"] = c.length
		}
		out := abi.Sent(h.Finish(c.method))
		if c.good {
			require.Equal(t, engine.OK, out.Kind)
		} else {
			require.Equal(t, engine.BadAnswer, out.Kind, "%v", c)
			require.Zero(t, r.Status)
		}
	}
}

// TestLengthsOfFlushedAnswers checks Content-Length where the
// beginning of the body was flushed before the end is known.
func TestLengthsOfFlushedAnswers(t *testing.T) {
	for length, good := range map[string]bool{"3": true, "+3": false, "3,3": false} {
		var h abi.Hold
		r := &abitest.Response{}
		h.Begin(r)
		h.Header()["Content-Length"] = []string{length}
		io.WriteString(&h, "abc")
		err := h.Flush()
		if good {
			require.NoError(t, err)
			require.NoError(t, h.Finish("GET"))
			require.Equal(t, 200, r.Status)
			continue
		}
		require.ErrorAs(t, err, &engine.Unusable{})
		require.Equal(t, engine.BadAnswer, abi.Sent(h.Finish("GET")).Kind, "a flush whose error nobody looked at")
		require.Zero(t, r.Status)
	}
}

func TestSent(t *testing.T) {
	require.Equal(t, engine.OK, abi.Sent(nil).Kind)
	require.Equal(t, engine.BadAnswer, abi.Sent(engine.Unusable{Reason: "x"}).Kind)
	require.Equal(t, engine.Canceled, abi.Sent(errors.New("the client is gone")).Kind)
	var h abi.Hold
	h.Begin(&abitest.Response{Failure: io.ErrClosedPipe})
	io.WriteString(&h, "x")
	require.Equal(t, engine.Canceled, abi.Sent(h.Finish("GET")).Kind)
}
