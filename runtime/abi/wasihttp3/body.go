package wasihttp3

import (
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// body is the body of a message: one that the host receives, or one that the guest has made.
type body struct {
	incoming *incoming            // nil if the guest has made it
	contents *concurrent.Readable // of the guest's; nil for none
	trailers *concurrent.Readable // of the guest's
}

// drop drops a body that nothing reads.
func (b *body) drop() {
	if b.incoming != nil {
		b.incoming.end(nil)
	}
	if b.contents != nil {
		b.contents.Drop()
	}
	if b.trailers != nil {
		b.trailers.Drop()
	}
	*b = body{}
}

// consume passes a body to the guest: a stream and a future of the trailers.
func (b *body) consume(c *call) (contents, trailers uint32) {
	if in := b.incoming; in != nil {
		return c.tasks.NewReadable(bytesType(), in), c.tasks.NewReadable(trailersType(), &incomingTrailers{call: c, body: in})
	}
	if b.contents == nil {
		contents = c.tasks.NewReadable(bytesType(), nothing{})
	} else {
		contents = c.tasks.Lower(b.contents)
	}
	return contents, c.tasks.Lower(b.trailers)
}

// lift takes the body of a message that the guest makes.
func (c *call) lift(some, contents, trailers uint64) (b body) {
	if canonical.Case(some, 2) == 1 {
		b.contents = c.tasks.Lift(uint32(contents), bytesType())
	}
	b.trailers = c.tasks.Lift(uint32(trailers), trailersType())
	return b
}

// incoming is a body that the host receives: of the client's request, or of an answer. It is the Peer of its stream.
type incoming struct {
	source  abi.Source
	trailer func() abi.Header // nil if there can be none
	release func()            // nil, or called when the body has ended
	broken  httptypes.Code    // of a body that ends too early
	empty   bool              // it is known to have no bytes
	limits  *patience         // of an outbound call

	over   bool
	ended  chan struct{} // closed when over
	fields abi.Header    // the trailers
	failed *failure
}

func newIncoming(source abi.Source, trailer func() abi.Header, broken httptypes.Code) *incoming {
	return &incoming{source: source, trailer: trailer, broken: broken, ended: make(chan struct{})}
}

// Copy implements concurrent.Peer.
func (b *incoming) Copy(p []byte, n uint32) (moved uint32, done bool) {
	if b.over {
		return 0, true
	}
	if !closed(b.source.Ready()) {
		return 0, false
	}
	read, err := b.source.Read(p[:n])
	if err != nil {
		b.end(err)
	} else {
		b.limits.progress(b.source)
	}
	return uint32(read), b.over
}

// end ends the body. An error other than io.EOF means that it is incomplete.
func (b *incoming) end(err error) {
	if b.over {
		return
	}
	b.over = true
	switch {
	case errors.Is(err, io.EOF):
		if b.trailer != nil {
			b.fields = b.trailer()
		}
	case err != nil:
		b.failed = b.limits.failure(&failure{code: b.broken})
	}
	close(b.ended)
	if b.release != nil {
		b.release()
	}
}

// Ready implements concurrent.Peer.
func (b *incoming) Ready() <-chan struct{} {
	if b.over {
		return b.ended
	}
	return b.source.Ready()
}

// Drop implements concurrent.Peer: the guest does not want the rest.
func (b *incoming) Drop() { b.end(nil) }

// incomingTrailers is the Peer of the future of a body's trailers. They are known when the body has ended.
type incomingTrailers struct {
	call *call
	body *incoming
}

// Copy implements concurrent.Peer.
func (t *incomingTrailers) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	if !closed(t.body.ended) {
		return 0, false
	}
	t.body.failed.put(p)
	if t.body.failed == nil && len(t.body.fields) > 0 {
		p[resultPayload] = 1
		canonical.PutUint32(p, resultPayload+4, uint32(t.call.state.Handles.Add(t.call.fieldsOf(t.body.fields), 0)))
	}
	return 1, false
}

// Ready implements concurrent.Peer.
func (t *incomingTrailers) Ready() <-chan struct{} { return t.body.ended }

// Drop implements concurrent.Peer.
func (t *incomingTrailers) Drop() {}

// loadTrailers takes the trailers of a result in memory; nil for none.
func loadTrailers(s *canonical.State, m []byte) (*fields, *failure) {
	if f := loaded(s, m); f != nil {
		return nil, f
	}
	if canonical.Case(uint64(m[resultPayload]), 2) == 0 {
		return nil, nil
	}
	return canonical.Take[*fields](&s.Handles, uint64(canonical.Uint32(m, resultPayload+4))), nil
}

// sent is the Peer of a future that tells whether a message was sent.
type sent struct {
	over   chan struct{} // closed when it is known
	failed *failure
}

func newSent() *sent { return &sent{over: make(chan struct{})} }

// set tells how it went. Only the first call has an effect.
func (s *sent) set(f *failure) {
	if !closed(s.over) {
		s.failed = f
		close(s.over)
	}
}

// Copy implements concurrent.Peer.
func (s *sent) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	if !closed(s.over) {
		return 0, false
	}
	s.failed.put(p)
	return 1, false
}

// Ready implements concurrent.Peer.
func (s *sent) Ready() <-chan struct{} { return s.over }

// Drop implements concurrent.Peer.
func (*sent) Drop() {}

// nothing is the Peer of an empty stream.
type nothing struct{}

// Copy implements concurrent.Peer.
func (nothing) Copy([]byte, uint32) (moved uint32, done bool) { return 0, true }

// Ready implements concurrent.Peer.
func (nothing) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (nothing) Drop() {}

// heedless is the Peer that takes the guest's verdict on a body that it has received.
type heedless struct{ state *canonical.State }

// Copy implements concurrent.Peer.
func (h heedless) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	loaded(h.state, p)
	return 1, false
}

// Ready implements concurrent.Peer.
func (heedless) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (heedless) Drop() {}

// now returns a closed channel.
func now() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
