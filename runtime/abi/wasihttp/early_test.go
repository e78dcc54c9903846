package wasihttp

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// early is an abi.Outbound whose server answers before it has the request's body, and never sends its own.
type early struct{ server }

func (e *early) Open(ctx context.Context, method, uri string) (abi.OutboundCall, error) {
	c, err := e.server.Open(ctx, method, uri)
	return earlyCall{c.(*exchanged)}, err
}

type earlyCall struct{ *exchanged }

func (earlyCall) Answered() <-chan struct{} { return abi.Arrived(nil).Ready() }

func (earlyCall) Ready() <-chan struct{} { return make(chan struct{}) }

// A timeout of the answer ends the request, too: its body is not complete, whatever the guest still writes.
func TestTimeoutOfTheAnswerFailsTheBody(t *testing.T) {
	g := newGuest(t, nil)
	x, to := exchange(""), &early{}
	x.Outbound = to
	g.ok(x, func(g *guest, _, out uint64) {
		r, body, stream := g.requestWithBody()
		o := g.types("[constructor]request-options")
		require.Zero(t, g.types("[method]request-options.set-between-bytes-timeout", o, 1, uint64(time.Millisecond)))
		future, _ := g.send(r, o)
		response, failed := g.await(future)
		require.Empty(t, failed)
		g.types("[method]incoming-response.consume", response, result)
		g.types("[method]incoming-body.stream", g.own(), result)
		_, failed = g.read(g.own())
		require.Contains(t, failed, "(connection-read-timeout)")
		require.Equal(t, "connection-read-timeout", g.finish(body, stream))
		g.hello(out, "")
	})
	require.Equal(t, 1, to.calls[0].closed)
	require.False(t, to.calls[0].ended)
}
