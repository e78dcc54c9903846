package wasihttp3

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// hostile is the ABI for a guest that calls any function.
type hostile struct {
	ABI
	functions int
}

// Bind implements abi.ABI. The allocator is behind the functions.
func (h hostile) Bind(in *engine.Instance, env *abi.Environment) { bind(in, env, h.functions) }

func exchange(body string) *abi.Exchange {
	from := &forgettable{Source: abi.Arrived(strings.NewReader(body))}
	return &abi.Exchange{
		Invocation: abi.Invocation{
			Log:      func(abi.Level, []byte) {},
			Outbound: server{},
			Deadline: abitest.Soon(),
			Context:  context.Background(),
		},
		Method:        "POST",
		URI:           "/a/b?c",
		Scheme:        "http",
		Host:          "example.com",
		Header:        abi.Header{"Accept": {"a", "b"}, "X-Name": {"\xff"}},
		ContentLength: int64(len(body)),
		Body:          from,
		Complete:      func() { from.Source = nil },
		Trailer:       func() abi.Header { return abi.Header{"X-Trailer": {"t"}} },
		Response:      &abitest.Response{},
	}
}

// forgettable is a body that panics when it is used after the response is complete.
type forgettable struct{ abi.Source }

// handles gives the guest handles of each type, all of them small numbers.
func (c *call) handles() {
	list := func() *fields {
		f := c.newFields()
		f.list.add(httptypes.Field{Name: "x-name", Value: "value"})
		return f
	}
	incoming := func() body {
		return body{incoming: newIncoming(abi.Arrived(strings.NewReader("data")), c.x.Trailer, httptypes.ConnectionTerminated)}
	}
	made := func() body { return body{trailers: c.tasks.Hosted(trailersType(), newSent())} }
	for _, r := range []canonical.Resource{
		c.request(), list(), &response{status: 200, fields: list(), body: made(), sent: newSent()}, list().shared(), &options{},
		&request{method: "PUT", scheme: some("http"), authority: some("x"), fields: list(), body: made(), sent: newSent()},
		&response{status: 203, fields: list(), body: incoming()},
	} {
		c.state.Handles.Add(r, 0)
	}
	c.tasks.NewSet()
	for _, t := range elementTypes() {
		c.tasks.New(t)
	}
	c.tasks.NewReadable(bytesType(), incoming().incoming)
	c.tasks.NewReadable(sentType(), newSent())
}

// FuzzFunctions calls arbitrary functions of all interfaces with arbitrary parameters and memory.
func FuzzFunctions(f *testing.F) {
	modules := ABI{}.HostModules()
	count := 0
	for _, m := range modules {
		count += len(m.Funcs)
	}
	env := &abi.Environment{
		Settings: abi.NewSettings(map[string]string{"NAME": "value"}),
		Mounts:   []abi.Mount{{GuestPath: "/content", FS: fstest.MapFS{"a.txt": {Data: []byte("hello")}, "sub/b": {}}}},
	}
	h := abitest.NewHostility(f, hostile{functions: count}, env, modules...)
	kinds := len(h.Seeds()) / count
	for i, seed := range h.Seeds() {
		if i%kinds == i/kinds%kinds { // each function with one kind of parameters; there are many functions
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		c := h.Instance().Exchange.(*call)
		c.begin(exchange("some body"))
		c.handles()
		h.Run(t, program)
		c.finish()
		c.end()
		if open := c.state.Handles.Open() + c.older.Mounts().Open(); open != 0 || c.fieldBytes != 0 || c.tasks.Handles() != 0 {
			t.Fatalf("the host keeps %d handles or files, %d streams and %d bytes of fields", open, c.tasks.Handles(), c.fieldBytes)
		}
	})
}

// server is an abi.Outbound whose server answers each request at once.
type server struct{}

func (server) Open(context.Context, string, string) (abi.OutboundCall, error) {
	return &answered{Reader: strings.NewReader("the answer")}, nil
}

type answered struct{ io.Reader }

func (*answered) AddHeader(_, _ string) error       { return nil }
func (*answered) SetTrailer(string, []string) error { return nil }
func (*answered) Write([]byte) error                { return nil }
func (*answered) End() error                        { return nil }
func (*answered) Send() (int, error)                { return 203, nil }
func (*answered) Status() (int, error)              { return 203, nil }
func (*answered) Header() abi.Header                { return abi.Header{"X-Name": {"value"}} }
func (*answered) Trailer() abi.Header               { return abi.Header{"X-End": {"end"}} }
func (*answered) Ready() <-chan struct{}            { return now() }
func (*answered) Writable() <-chan struct{}         { return now() }
func (*answered) Answered() <-chan struct{}         { return now() }
func (*answered) Close() error                      { return nil }
