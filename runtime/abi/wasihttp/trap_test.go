package wasihttp

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// leaving is an abi.Outbound whose calls end the guest's request when the guest writes to one.
type leaving struct {
	server
	leave func()
}

func (l *leaving) Open(ctx context.Context, method, uri string) (abi.OutboundCall, error) {
	c, err := l.server.Open(ctx, method, uri)
	return leavingCall{c.(*exchanged), l.leave}, err
}

type leavingCall struct {
	*exchanged
	leave func()
}

func (c leavingCall) Write(p []byte) error {
	c.leave()
	return c.exchanged.Write(p)
}

// A guest that ends in the middle of a call ends its requests, also one whose body belongs to no handle at that time.
func TestTrapEndsFetches(t *testing.T) {
	const noHandle = 999
	for name, c := range map[string]struct {
		act  func(g *guest)
		want engine.Kind
	}{
		"the trailers of a body do not exist": {func(g *guest) {
			r, body, stream := g.requestWithBody()
			future, _ := g.send(r)
			g.types("[resource-drop]future-incoming-response", future)
			g.streams("[resource-drop]output-stream", stream)
			g.types("[static]outgoing-body.finish", body, 1, noHandle, result)
		}, engine.Trap},
		"the client leaves while a finished body is sent": {func(g *guest) {
			r, body, stream := g.requestWithBody()
			require.Empty(g.t, g.write(stream, "body"))
			require.Empty(g.t, g.finish(body, stream))
			g.send(r)
		}, engine.Canceled},
		"the client leaves while a body is sent": {func(g *guest) {
			r, _, stream := g.requestWithBody()
			g.send(r)
			g.write(stream, "body")
		}, engine.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			x := exchange("")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			to := &leaving{leave: cancel}
			x.Outbound, x.Context = to, ctx
			out := g.serve(x, func(g *guest, _, _ uint64) { c.act(g) })
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
			require.Len(t, to.calls, 1)
			require.Equal(t, 1, to.calls[0].closed)
			require.False(t, to.calls[0].ended)
		})
	}
}
