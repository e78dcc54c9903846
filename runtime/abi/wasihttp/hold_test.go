package wasihttp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// finishWith ends a body with trailers.
func (g *guest) finishWith(body, stream, trailers uint64) {
	g.streams("[resource-drop]output-stream", stream)
	g.types("[static]outgoing-body.finish", body, 1, trailers, result)
	require.Zero(g.t, g.u8(result))
}

// What the host keeps for messages that are not sent is bounded for all of them together.
func TestMessagesThatAreNotSent(t *testing.T) {
	path := "/" + strings.Repeat("x", 60<<10)
	piece := strings.Repeat("x", 4<<10)
	written := func(g *guest) (request, body, stream uint64) {
		request = g.types("[constructor]outgoing-request", g.fields())
		g.types("[method]outgoing-request.body", request, result)
		body = g.own()
		g.types("[method]outgoing-body.write", body, result)
		stream = g.own()
		g.used = scratch
		require.Empty(t, g.write(stream, piece))
		return request, body, stream
	}
	for name, c := range map[string]struct {
		times int
		once  func(g *guest)
		want  engine.Kind
	}{
		"paths": {1 + httptypes.MaxFieldBytes/len(path), func(g *guest) {
			g.used = scratch
			r := g.types("[constructor]outgoing-request", g.fields())
			at, length := g.text(path)
			require.Zero(t, g.types("[method]outgoing-request.set-path-with-query", r, 1, at, length))
		}, engine.Trap},
		"paths of requests that were dropped": {100, func(g *guest) {
			g.used = scratch
			r := g.types("[constructor]outgoing-request", g.fields())
			for range 2 {
				at, length := g.text(path)
				require.Zero(t, g.types("[method]outgoing-request.set-path-with-query", r, 1, at, length))
			}
			g.types("[resource-drop]outgoing-request", r)
		}, engine.OK},
		"bodies": {1 + maxPendingBytes/len(piece), func(g *guest) { written(g) }, engine.Trap},
		"bodies that were dropped": {2 + maxPendingBytes/len(piece), func(g *guest) {
			request, body, stream := written(g)
			g.streams("[resource-drop]output-stream", stream)
			g.types("[resource-drop]outgoing-body", body)
			g.types("[resource-drop]outgoing-request", request)
		}, engine.OK},
		"bodies of requests that were dropped": {2 + maxPendingBytes/len(piece), func(g *guest) {
			request, body, stream := written(g)
			g.types("[resource-drop]outgoing-request", request)
			require.Empty(t, g.write(stream, "more"))
			require.Empty(t, g.finish(body, stream))
		}, engine.OK},
		"trailers of requests that were dropped": {1 + httptypes.MaxFieldBytes/len(path), func(g *guest) {
			request, body, stream := written(g)
			g.finishWith(body, stream, g.fields("x-sum", path))
			g.types("[resource-drop]outgoing-request", request)
		}, engine.OK},
		"trailers of requests that were dropped before": {1 + httptypes.MaxFieldBytes/len(path), func(g *guest) {
			request, body, stream := written(g)
			g.types("[resource-drop]outgoing-request", request)
			g.finishWith(body, stream, g.fields("x-sum", path))
		}, engine.OK},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			out := g.serve(exchange(""), func(g *guest, _, out uint64) {
				for range c.times {
					c.once(g)
				}
				g.hello(out, "")
			})
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
			require.Zero(t, g.in.Exchange.(*call).pendingBytes)
		})
	}
}
