package httpwasm

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestReadBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  io.Reader
		limit uint64
		want  string
	}{
		{"empty", strings.NewReader(""), 10, ""},
		{"fits", strings.NewReader("hello"), 10, "hello"},
		{"fits exactly", strings.NewReader("hello"), 5, "hello"},
		{"in pieces", strings.NewReader("hello"), 2, "hello"},
		{"byte by byte", iotest.OneByteReader(strings.NewReader("hello")), 10, "hello"},
		{"end with data", iotest.DataErrReader(strings.NewReader("hello")), 3, "hello"},
		{"nothing at times", &hesitant{strings.NewReader("hello"), 2}, 3, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, nil)
			x := newExchange()
			x.Body = c.body
			g.serve(x, code{request: func() int64 {
				all := ""
				for range 10 {
					text, eof := g.read(bodyRequest, c.limit)
					if all += text; eof {
						break
					}
					require.NotEmpty(t, text, "without the end, there is something")
				}
				require.Equal(t, c.want, all)
				text, eof := g.read(bodyRequest, c.limit)
				require.Empty(t, text)
				require.True(t, eof, "the end stays")
				return 0
			}})
		})
	}
}

// hesitant gives nothing the first times, which readers may.
type hesitant struct {
	io.Reader
	times int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.times--; h.times >= 0 {
		return 0, nil
	}
	return h.Reader.Read(p)
}

func TestBodiesThatBreakOff(t *testing.T) {
	failure := errors.New("the connection is gone")
	g := newGuest(t, nil)
	x := newExchange()
	x.Body = io.MultiReader(strings.NewReader("half"), iotest.ErrReader(failure))
	out := g.try(x, code{request: func() int64 {
		g.readAll(bodyRequest)
		t.Error("the guest takes half a body for a whole one")
		return 0
	}})
	require.Equal(t, engine.Canceled, out.Kind)
	require.ErrorIs(t, out.Err, failure)
}

func TestResponsesStream(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Body = iotest.OneByteReader(strings.NewReader("ab"))
	r := g.serve(x, code{request: func() int64 {
		g.read(bodyRequest, 1) // a pause without anything to send
		g.setStatus(201)
		g.set(headerResponse, "x", "sent")
		g.write(bodyResponse, "one")
		g.set(headerResponse, "x", "too late")
		g.setStatus(202)
		g.read(bodyRequest, 1) // a pause: what was written goes out
		g.readAll(bodyRequest)
		g.write(bodyResponse, "two")
		g.readAll(bodyRequest) // there is nothing to wait for
		g.write(bodyResponse, "")
		return 0
	}})
	require.Equal(t, 201, r.Status)
	require.Equal(t, []string{"sent"}, r.Sent["X"])
	require.Equal(t, "onetwo", r.Body.String())
	require.Equal(t, []int{3}, r.Flushed)
}

func TestClientsThatLeave(t *testing.T) {
	g := newGuest(t, nil)
	out := g.try(newExchange(), code{request: func() int64 {
		g.response.Failure = io.ErrClosedPipe
		for range 2 {
			g.write(bodyResponse, strings.Repeat("x", abi.HoldBytes))
		}
		t.Error("the guest goes on")
		return 0
	}})
	require.Equal(t, engine.Canceled, out.Kind)
	require.ErrorIs(t, out.Err, io.ErrClosedPipe)
}
