package httpwasm

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

// behind is a next handler. It responds with a status, a header, a body in two pieces, and a trailer.
func behind(x *abi.Exchange) error {
	x.Response.Header()["X-Behind"] = []string{"1"}
	x.Response.Header()["Content-Length"] = []string{"9"}
	x.Response.WriteHeader(202)
	for _, piece := range []string{"from ", "back"} {
		if _, err := x.Response.Write([]byte(piece)); err != nil {
			return err
		}
	}
	x.Response.SetTrailer("X-Sum", []string{"7"})
	return nil
}

func TestThePassedOnRequestIsTheGuests(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Header, x.Body, x.ContentLength = abi.Header{"Content-Length": {"5"}, "Gone": {"x"}}, abi.Arrived(strings.NewReader("hello")), 5
	var seen abi.Exchange
	body := ""
	x.Next = func(b *abi.Exchange) error {
		text, err := io.ReadAll(b.Body)
		seen, body = *b, string(text)
		return err
	}
	r := g.serve(x, code{request: func() int64 {
		g.enable(featureTrailers)
		g.setText("set_method", "PUT")
		g.setText("set_uri", "/other?x=%20y")
		require.Equal(t, "PUT", g.get("get_method"))
		require.Equal(t, "/other?x=%20y", g.get("get_uri"))
		g.set(headerRequest, "x-added", "1")
		g.set(headerRequest, "host", "elsewhere")
		g.remove(headerRequest, "gone")
		g.set(headerRequestTrailers, "x-late", "2")
		g.write(bodyRequest, "another ")
		g.write(bodyRequest, "body")
		return passOn
	}})
	require.Equal(t, "PUT", seen.Method)
	require.Equal(t, "/other?x=%20y", seen.URI)
	require.Equal(t, "elsewhere", seen.Host)
	require.Equal(t, abi.Header{"X-Added": {"1"}, "Content-Length": {"12"}}, seen.Header)
	require.Equal(t, abi.Header{"X-Late": {"2"}}, seen.Trailer())
	require.Equal(t, "another body", body)
	require.EqualValues(t, 12, seen.ContentLength)
	require.Nil(t, seen.Next)
	require.Equal(t, 200, r.Status, "what is behind has not answered either")
	require.False(t, x.PassedOn)
}

func TestNoURIIsTheRoot(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Next = func(b *abi.Exchange) error { require.Equal(t, "/", b.URI); return nil }
	g.serve(x, code{request: func() int64 { g.setText("set_uri", ""); return passOn }})
}

// A header that the guest has set and that cannot be sent is the
// guest's fault, although the next handler sees a client error.
func TestAHeaderForTheNextHandlerThatCannotBeSent(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Next = func(b *abi.Exchange) error {
		b.Response.Header()["Content-Length"] = []string{"5", "6"}
		if _, err := b.Response.Write(make([]byte, abi.HoldBytes+1)); err != nil {
			return errors.New("the client has gone")
		}
		return nil
	}
	out := g.try(x, code{request: func() int64 { return passOn }})
	require.Equal(t, engine.BadAnswer, out.Kind, "%v", out.Err)
}

func TestBufferedRequestsAreBounded(t *testing.T) {
	g := newGuest(t, func(g *guest) { g.enable(featureBufferRequest) })
	x := newExchange()
	x.Body = abi.Arrived(strings.NewReader(strings.Repeat("x", 10_001)))
	x.Next = behind
	out := g.try(x, code{request: func() int64 { g.readAll(bodyRequest); return passOn }})
	require.Equal(t, engine.Canceled, out.Kind)
	require.Zero(t, g.response.Status)
}

func TestTheGuestSeesAResponseThatStreams(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Next = behind
	r := g.serve(x, code{
		request: func() int64 { g.set(headerResponse, "x-before", "0"); g.setStatus(299); return 42<<32 | passOn },
		response: func(context, isError uint32) {
			require.EqualValues(t, 42, context)
			require.Zero(t, isError)
			require.EqualValues(t, 202, g.status())
			require.Equal(t, []string{"1"}, g.values(headerResponse, "x-behind"))
			require.Equal(t, "GET", g.get("get_method"), "the request can still be read")
		},
	})
	require.Equal(t, 202, r.Status)
	require.Equal(t, []string{"0"}, r.Sent["X-Before"])
	require.Equal(t, "from back", r.Body.String())
	require.Equal(t, abi.Header{"X-Sum": {"7"}}, r.Trailer)
}

func TestWhatIsTooLateAfterNext(t *testing.T) {
	for name, act := range map[string]func(g *guest){
		"method":                     func(g *guest) { g.setText("set_method", "PUT") },
		"URI":                        func(g *guest) { g.setText("set_uri", "/") },
		"request header":             func(g *guest) { g.set(headerRequest, "x", "y") },
		"request header removed":     func(g *guest) { g.remove(headerRequest, "x") },
		"request trailer":            func(g *guest) { g.add(headerRequestTrailers, "x", "y") },
		"request body":               func(g *guest) { g.write(bodyRequest, "x") },
		"status":                     func(g *guest) { g.setStatus(200) },
		"response header":            func(g *guest) { g.set(headerResponse, "x", "y") },
		"response header added":      func(g *guest) { g.add(headerResponse, "x", "y") },
		"response header removed":    func(g *guest) { g.remove(headerResponse, "x") },
		"response trailer":           func(g *guest) { g.set(headerResponseTrailers, "x", "y") },
		"response body":              func(g *guest) { g.write(bodyResponse, "x") },
		"response body read":         func(g *guest) { g.read(bodyResponse, 1) },
		"feature enabled then":       func(g *guest) { g.enable(featureBufferResponse); g.write(bodyResponse, "x") },
		"feature enabled, then read": func(g *guest) { g.enable(featureBufferResponse); g.read(bodyResponse, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, func(g *guest) { g.enable(featureTrailers) })
			x := newExchange()
			x.Next = behind
			out := g.try(x, code{request: func() int64 { return passOn }, response: func(_, _ uint32) { act(g) }})
			require.Equal(t, engine.Trap, out.Kind, "%v", out.Err)
		})
	}
}

func TestHeldResponses(t *testing.T) {
	for _, c := range []struct {
		name     string
		response func(g *guest)
		status   int
		body     string
		header   abi.Header
		trailer  abi.Header
	}{
		{"as it is", func(*guest) {}, 202, "from back", abi.Header{"X-Behind": {"1"}, "Content-Length": {"9"}}, abi.Header{"X-Sum": {"7"}}},
		{"read", func(g *guest) {
			require.EqualValues(t, 202, g.status())
			require.Equal(t, "from back", g.readAll(bodyResponse))
			require.Equal(t, []string{"x-sum"}, g.names(headerResponseTrailers))
		}, 202, "from back", abi.Header{"X-Behind": {"1"}, "Content-Length": {"9"}}, abi.Header{"X-Sum": {"7"}}},
		{"changed", func(g *guest) {
			g.setStatus(404)
			g.set(headerResponse, "x-mine", "2")
			g.remove(headerResponse, "x-behind")
			g.set(headerResponseTrailers, "x-sum", "8")
			g.write(bodyResponse, "an")
			g.write(bodyResponse, "other")
		}, 404, "another", abi.Header{"X-Mine": {"2"}}, abi.Header{"X-Sum": {"8"}}},
		{"overwritten by nothing", func(g *guest) { g.write(bodyResponse, "") }, 202, "", abi.Header{"X-Behind": {"1"}}, abi.Header{"X-Sum": {"7"}}},
		{"changed on the way", func(g *guest) {
			for {
				text, eof := g.read(bodyResponse, 4)
				g.write(bodyResponse, strings.ToUpper(text))
				if eof {
					return
				}
			}
		}, 202, "FROM BACK", abi.Header{"X-Behind": {"1"}}, abi.Header{"X-Sum": {"7"}}},
		{"overwritten, then read", func(g *guest) {
			g.read(bodyResponse, 7)
			g.write(bodyResponse, "x")
			require.Equal(t, "ck", g.readAll(bodyResponse))
		}, 202, "x", abi.Header{"X-Behind": {"1"}}, abi.Header{"X-Sum": {"7"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, func(g *guest) { g.enable(featureBufferResponse | featureTrailers) })
			x := newExchange()
			x.Next = behind
			r := g.serve(x, code{
				request: func() int64 { return passOn },
				response: func(_, _ uint32) {
					require.Zero(t, g.response.Status, "it is held back")
					c.response(g)
					require.Zero(t, g.response.Status)
				},
			})
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.body, r.Body.String())
			require.Equal(t, c.header, r.Sent)
			require.Equal(t, c.trailer, r.Trailer)
		})
	}
}

func TestHeldResponsesOfTheGuestAlone(t *testing.T) {
	for _, features := range []uint64{featureBufferResponse, 0} {
		g := newGuest(t, nil)
		r := g.handle(func() {
			g.set(headerResponse, "x-first", "1")
			g.enable(features)
			g.write(bodyResponse, "body")
			g.setStatus(201)
			g.set(headerResponse, "x-second", "2")
		})
		require.Equal(t, "body", r.Body.String())
		require.Contains(t, r.Sent, "X-First")
		if features == 0 {
			require.Equal(t, 200, r.Status, "the body has gone out with the status before")
			require.NotContains(t, r.Sent, "X-Second")
		} else {
			require.Equal(t, 201, r.Status)
			require.Contains(t, r.Sent, "X-Second")
		}
	}
}

func TestABodyBeforeNext(t *testing.T) {
	g := newGuest(t, func(g *guest) { g.enable(featureBufferResponse) })
	x := newExchange()
	x.Next = behind
	request := func() int64 { g.write(bodyResponse, "mine, then "); return passOn }
	r := g.serve(x, code{request: request})
	require.Equal(t, "mine, then from back", r.Body.String())
	r = g.serve(x, code{request: request, response: func(_, _ uint32) { g.write(bodyResponse, "all new") }})
	require.Equal(t, "all new", r.Body.String())

	g = newGuest(t, nil)
	r = g.serve(x, code{request: request})
	require.Equal(t, "mine, then from back", r.Body.String())
	require.Equal(t, 200, r.Status, "without the feature the guest's own is on its way")
	require.NotContains(t, r.Sent, "X-Behind")
}

func TestHeldResponsesAreBounded(t *testing.T) {
	g := newGuest(t, func(g *guest) { g.enable(featureBufferResponse) })
	x := newExchange()
	x.Next = func(b *abi.Exchange) error {
		_, err := b.Response.Write(make([]byte, 10_001))
		return err
	}
	out := g.try(x, code{request: func() int64 { return passOn }})
	require.ErrorIs(t, out.Err, errHeldTooLarge)
	require.Equal(t, engine.BadAnswer, out.Kind, "it is not the client's leaving, which the next handler takes it for")
	require.Zero(t, g.response.Status)

	out = g.try(newExchange(), code{request: func() int64 { g.write(bodyResponse, strings.Repeat("x", 10_001)); return 0 }})
	require.Equal(t, engine.BadAnswer, out.Kind)
	require.Zero(t, g.response.Status)
}

func TestWhatIsBehindFails(t *testing.T) {
	failure := errors.New("nobody is there")
	fail := func(x *abi.Exchange) error {
		if err := behind(x); err != nil {
			return err
		}
		return failure
	}
	t.Run("and the guest does nothing about it", func(t *testing.T) {
		for _, features := range []uint64{0, featureBufferResponse} {
			g := newGuest(t, func(g *guest) { g.enable(features) })
			x := newExchange()
			x.Next = fail
			told := false
			out := g.try(x, code{request: func() int64 { return passOn }, response: func(_, isError uint32) { told = isError == 1 }})
			require.True(t, told)
			require.ErrorIs(t, out.Err, failure, "the caller answers for it")
			require.Equal(t, engine.HostError, out.Kind)
			require.Zero(t, g.response.Status, "nothing is sent that cannot be taken back")
		}
	})
	t.Run("and the guest answers", func(t *testing.T) {
		g := newGuest(t, func(g *guest) { g.enable(featureBufferResponse | featureTrailers) })
		x := newExchange()
		x.Next = fail
		r := g.serve(x, code{
			request: func() int64 { g.set(headerResponse, "x-before", "0"); return passOn },
			response: func(_, isError uint32) {
				require.EqualValues(t, 1, isError)
				require.EqualValues(t, 200, g.status(), "there is none")
				require.Equal(t, "", g.readAll(bodyResponse))
				g.setStatus(503)
				g.write(bodyResponse, "sorry")
			},
		})
		require.Equal(t, 503, r.Status)
		require.Equal(t, "sorry", r.Body.String())
		require.Equal(t, abi.Header{"X-Before": {"0"}}, r.Sent, "nothing is left of the answer that failed")
		require.Empty(t, r.Trailer)
	})
}

func TestNothingBehind(t *testing.T) {
	for _, features := range []uint64{0, featureBufferResponse} {
		g := newGuest(t, func(g *guest) { g.enable(features) })
		for _, c := range []struct {
			name     string
			request  func()
			response func()
			passedOn bool
			status   int
			body     string
		}{
			{"untouched", func() {}, func() { require.EqualValues(t, 404, g.status()) }, true, 0, ""},
			{"a status before", func() { g.setStatus(403) }, func() { require.EqualValues(t, 403, g.status()) }, false, 403, ""},
			{"a body before", func() { g.write(bodyResponse, "hi") }, func() {}, false, 200, "hi"},
			{"a status after", func() {}, func() { g.setStatus(410) }, false, 410, ""},
			{"a body after", func() {}, func() { g.write(bodyResponse, "none") }, false, 404, "none"},
			{"a header after", func() {}, func() { g.set(headerResponse, "x", "y") }, false, 404, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				x := newExchange()
				r := g.serve(x, code{
					request: func() int64 { c.request(); return passOn },
					response: func(_, isError uint32) {
						require.Zero(t, isError)
						c.response()
					},
				})
				require.Equal(t, c.passedOn, x.PassedOn)
				require.Equal(t, c.status, r.Status)
				require.Equal(t, c.body, r.Body.String())
			})
		}
	}
}

// TestExchangesDoNotMeet serves different exchanges with one instance: no state may carry over between them.
func TestExchangesDoNotMeet(t *testing.T) {
	g := newGuest(t, nil)
	for range 2 {
		x := newExchange()
		x.Next, x.Body = behind, abi.Arrived(strings.NewReader("hello"))
		g.serve(x, code{
			request: func() int64 {
				g.enable(featureBufferRequest | featureBufferResponse | featureTrailers)
				g.readAll(bodyRequest)
				g.write(bodyRequest, "x")
				return passOn
			},
			response: func(_, _ uint32) {
				g.setStatus(299)
				g.set(headerResponseTrailers, "x-t", "1")
				g.write(bodyResponse, "y")
			},
		})
		r := g.serve(newExchange(), code{request: func() int64 {
			require.EqualValues(t, 200, g.status())
			require.Empty(t, g.names(headerResponse))
			require.Empty(t, g.readAll(bodyRequest))
			return 0
		}})
		require.Equal(t, abitest.Response{Status: 200, Sent: abi.Header{}}, abitest.Response{Status: r.Status, Sent: r.Sent})
		require.Empty(t, r.Body.String())
		require.Empty(t, r.Trailer)
	}
}
