package wasihttp

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// components returns the host modules for components.
func components() []engine.HostModule {
	return append(wasip2.HostModules(), typesModule(), outgoingModule())
}

// hostile is the ABI for a guest that calls any function.
type hostile struct {
	ABI
	functions int
}

func (h hostile) Bind(in *engine.Instance, env *abi.Environment) { bind(in, env, h.functions) }

func exchange(body string) *abi.Exchange {
	return &abi.Exchange{
		Invocation: abi.Invocation{
			Prefix:   "/a",
			Log:      func(abi.Level, []byte) {},
			Outbound: &server{answer: "the answer"},
			Deadline: abitest.Soon(),
			Context:  context.Background(),
		},
		Method:        "POST",
		URI:           "/a/b?c",
		Scheme:        "http",
		Host:          "example.com",
		Header:        abi.Header{"Accept": {"a", "b"}, "X-Name": {"\xff"}, "Connection": {"close"}},
		ContentLength: int64(len(body)),
		Body:          abi.Arrived(strings.NewReader(body)),
		Trailer:       func() abi.Header { return abi.Header{"X-Trailer": {"t"}} },
		Response:      &abitest.Response{},
	}
}

// handles gives the guest one handle of each type, all of them small numbers.
func (c *call) handles() {
	list := func() *fieldList {
		l := c.newList()
		l.add(httptypes.Field{Name: "x-name", Value: "value"})
		return l
	}
	f := &fetch{call: c, users: 3, failed: &errorCode{kind: httptypes.DNSError}, closed: true}
	for _, r := range []canonical.Resource{
		&incomingRequest{}, &outparam{}, &fields{list: list(), mutable: true}, &outgoingResponse{list: list(), status: 200},
		&outgoingRequest{list: list(), method: "GET", scheme: "http", authority: "x"}, &requestOptions{}, &futureResponse{f},
		&incomingResponse{fetch: f, status: 200}, &incomingBody{call: c, source: c.x.Body, trailers: c.x.Trailer},
		newBody(c, list()), &futureTrailers{body: &incomingBody{call: c, ended: true, trailers: c.x.Trailer}},
		&wasip2.Error{Text: "text", Code: &errorCode{kind: httptypes.InternalError, text: "text"}}, wasip2.NewPollable(nil, nil),
		&wasip2.InputStream{From: strings.NewReader("data")},
		wasip2.NewPollable(func() <-chan struct{} { return make(chan struct{}) }, func() time.Time { return time.Now().Add(time.Microsecond) }),
	} {
		c.state.Handles.Add(r, 0)
	}
}

// FuzzFunctions calls arbitrary functions of all interfaces with arbitrary parameters and memory.
func FuzzFunctions(f *testing.F) {
	count := 0
	for _, m := range components() {
		count += len(m.Funcs)
	}
	env := &abi.Environment{
		Settings: abi.NewSettings(map[string]string{"NAME": "value"}),
		Mounts: []abi.Mount{{
			GuestPath: "/content",
			FS:        fstest.MapFS{"a.txt": {Data: []byte("hello")}, "sub/b": {}, "pipe": {Mode: fs.ModeNamedPipe}},
		}},
	}
	h := abitest.NewHostility(f, hostile{functions: count}, env, components()...)
	kinds := len(h.Seeds()) / count
	for i, seed := range h.Seeds() {
		if i%kinds == i/kinds%kinds { // each function with one kind of parameters; there are many functions
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		in := h.Instance()
		c := in.Exchange.(*call)
		c.begin(exchange("some body"))
		c.handles()
		h.Run(t, program)
		c.answer.outcome(engine.Outcome{}, "POST")
		c.end()
		if open := c.state.Handles.Open(); open != 0 || c.fieldBytes != 0 {
			t.Fatalf("the host keeps %d handles and %d bytes of fields", open, c.fieldBytes)
		}
	})
}

// server is an abi.Outbound whose server answers each request with its body, or with answer if it has none.
type server struct {
	answer string
	refuse error
	never  bool // it does not answer
	small  bool // it takes no trailers
	calls  []*exchanged
}

func (s *server) Open(_ context.Context, method, uri string) (abi.OutboundCall, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	c := &exchanged{server: s, line: method + " " + uri, header: abi.Header{}, trailer: abi.Header{}}
	s.calls = append(s.calls, c)
	return c, nil
}

type exchanged struct {
	server  *server
	line    string
	header  abi.Header
	trailer abi.Header
	body    strings.Builder
	ended   bool
	closed  int
	answer  io.Reader
}

func (e *exchanged) AddHeader(name, value string) error {
	e.header[name] = append(e.header[name], value)
	return nil
}

func (e *exchanged) SetTrailer(name string, values []string) error {
	if !abi.ValidTrailer(name) {
		return &abi.OutboundError{Code: abi.OutboundInvalid, Reason: name + " is refused"}
	}
	if e.server.small {
		return &abi.OutboundError{Code: abi.OutboundTooLarge, Reason: "too large"}
	}
	e.trailer[name] = values
	return nil
}

func (e *exchanged) Write(p []byte) error {
	e.body.Write(p)
	return nil
}

func (e *exchanged) End() error {
	e.ended = true
	return nil
}

func (e *exchanged) Send() (int, error) { return e.Status() }

func (e *exchanged) Status() (int, error) {
	text := e.body.String()
	if text == "" {
		text = e.server.answer
	}
	e.answer = strings.NewReader(text)
	return 203, nil
}

func (e *exchanged) Header() abi.Header { return abi.Header{"X-Line": {e.line}} }

func (e *exchanged) Trailer() abi.Header { return abi.Header{"X-End": {"end"}} }

func (e *exchanged) Read(p []byte) (int, error) { return e.answer.Read(p) }

func (e *exchanged) Ready() <-chan struct{} { return abi.Arrived(nil).Ready() }

func (e *exchanged) Writable() <-chan struct{} { return abi.Arrived(nil).Ready() }

func (e *exchanged) Answered() <-chan struct{} {
	if e.server.never || !e.ended {
		return make(chan struct{})
	}
	return abi.Arrived(nil).Ready()
}

func (e *exchanged) Close() error {
	e.closed++
	return nil
}
