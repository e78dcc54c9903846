package httpwasm

import (
	"bytes"
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
			x.Body = abi.Arrived(c.body)
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

// hesitant returns 0 bytes at first, as io.Reader permits.
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
	x.Body = abi.Arrived(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(failure)))
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
	x.Body = struct{ abi.Source }{abi.Arrived(iotest.OneByteReader(strings.NewReader("ab")))} // it may wait
	r := g.serve(x, code{request: func() int64 {
		g.read(bodyRequest, 1) // a pause with nothing to send
		g.setStatus(201)
		g.set(headerResponse, "x", "sent")
		g.write(bodyResponse, "one")
		g.set(headerResponse, "x", "too late")
		g.setStatus(202)
		g.read(bodyRequest, 1) // a pause sends the output so far
		g.readAll(bodyRequest)
		g.write(bodyResponse, "two")
		g.readAll(bodyRequest) // at the end of the body, so no pause
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

func TestTheBodyBehindTheGuest(t *testing.T) {
	for _, c := range []struct {
		name    string
		request func(g *guest)
		want    string
	}{
		{"untouched", func(*guest) {}, "hello"},
		{"read with the feature", func(g *guest) { g.enable(featureBufferRequest); g.readAll(bodyRequest) }, "hello"},
		{"read in part", func(g *guest) { g.enable(featureBufferRequest); g.read(bodyRequest, 2) }, "hello"},
		{"read without, then overwritten", func(g *guest) { g.read(bodyRequest, 2); g.write(bodyRequest, "other") }, "other"},
		{"overwritten", func(g *guest) { g.write(bodyRequest, "other") }, "other"},
		{"overwritten by nothing", func(g *guest) { g.write(bodyRequest, "") }, ""},
		{"read, then overwritten", func(g *guest) {
			g.enable(featureBufferRequest)
			g.readAll(bodyRequest)
			g.write(bodyRequest, "a")
			g.write(bodyRequest, "b")
		}, "ab"},
		{"changed on the way", func(g *guest) {
			for {
				text, eof := g.read(bodyRequest, 1)
				g.write(bodyRequest, strings.ToUpper(text))
				if eof {
					return
				}
			}
		}, "HELLO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, nil)
			x := newExchange()
			x.Body, x.ContentLength = abi.Arrived(strings.NewReader("hello")), 5
			called := false
			x.Next = func(b *abi.Exchange) error {
				called = true
				text, err := io.ReadAll(b.Body)
				require.NoError(t, err)
				require.Equal(t, c.want, string(text))
				require.EqualValues(t, len(c.want), b.ContentLength)
				return nil
			}
			g.serve(x, code{request: func() int64 { c.request(g); return passOn }})
			require.True(t, called)
			kept := g.in.Exchange.(*call).request.kept.Cap()
			require.LessOrEqual(t, kept, keepBytes)
			before := g.in.HostBytes()
			g.in.Exchange.(*call).request.kept = bytes.Buffer{}
			require.EqualValues(t, kept, before-g.in.HostBytes(), "an idle instance counts what it keeps")
		})
	}
}

// A guest that has consumed a part of the body cannot pass the
// request on. Neither the next handler nor handle_response is called.
func TestAConsumedBodyIsTheFaultOfTheGuest(t *testing.T) {
	for name, request := range map[string]func(g *guest){
		"all":                  func(g *guest) { g.readAll(bodyRequest) },
		"in part":              func(g *guest) { g.read(bodyRequest, 2) },
		"before it is enabled": func(g *guest) { g.read(bodyRequest, 2); g.enable(featureBufferRequest); g.read(bodyRequest, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			x := newExchange()
			x.Body, x.ContentLength = abi.Arrived(strings.NewReader("hello")), 5
			x.Next = func(*abi.Exchange) error { require.Fail(t, "it was passed on"); return nil }
			out := g.try(x, code{request: func() int64 { request(g); return passOn },
				response: func(_, _ uint32) { require.Fail(t, "there is no answer") }})
			require.Equal(t, engine.BadAnswer, out.Kind)
			require.ErrorIs(t, out.Err, errBodyLost)
			require.Zero(t, g.response.Status)
		})
	}
	g := newGuest(t, nil)
	x := newExchange()
	x.Next = behind
	r := g.serve(x, code{request: func() int64 { g.readAll(bodyRequest); return passOn }})
	require.Equal(t, 202, r.Status, "a request without a body loses none")
}

// slow is a body whose second part has not arrived.
type slow struct{ io.Reader }

func (slow) Ready() <-chan struct{} { return make(chan struct{}) }

func TestPassedOnBodiesCanBePolled(t *testing.T) {
	waits := func(s abi.Source) bool {
		select {
		case <-s.Ready():
			return false
		default:
			return true
		}
	}
	var b requestBody
	b.begin(slow{strings.NewReader("abcd")}, 100)
	b.keep = true
	_, err := io.ReadFull(&b, make([]byte, 2))
	require.NoError(t, err)
	behind, length := b.behind(4)
	require.EqualValues(t, 4, length)
	require.False(t, waits(behind), "the guest has read the beginning")
	_, err = io.ReadFull(behind, make([]byte, 2))
	require.NoError(t, err)
	require.True(t, waits(behind))
	rest, err := io.ReadAll(behind)
	require.NoError(t, err)
	require.Equal(t, "cd", string(rest))

	require.True(t, b.write([]byte("own")))
	behind, length = b.behind(4)
	require.EqualValues(t, 3, length)
	require.False(t, waits(behind))
}

// TestReadsThatDoNotWaitAreNoPause checks that the guest is paused for bodies that may have to arrive, and for no others.
func TestReadsThatDoNotWaitAreNoPause(t *testing.T) {
	for _, waits := range []bool{false, true} {
		g := newGuest(t, nil)
		x := newExchange()
		x.Body = abi.Arrived(strings.NewReader("hello"))
		if waits {
			x.Body = struct{ abi.Source }{x.Body} // it does not say that it does not wait
		}
		g.serve(x, code{request: func() int64 {
			pauses := 0
			onPause := g.in.OnPause
			g.in.OnPause = func() {
				pauses++
				onPause()
			}
			defer func() { g.in.OnPause = onPause }()
			text, _ := g.read(bodyRequest, 10)
			require.Equal(t, "hello", text)
			require.Equal(t, waits, pauses > 0)
			return 0
		}})
	}
}
