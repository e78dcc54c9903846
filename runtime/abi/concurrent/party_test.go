package concurrent

import "testing"

// party is a Peer of a random program. It lets the test fail if it is used otherwise than Peer says.
type party struct {
	t       *testing.T
	typ     Type
	writes  bool
	first   uint32 // the number of its first element
	gate    chan struct{}
	allowed uint32 // elements until it has to wait
	last    bool   // it is done after these
	moved   uint32 // elements
	over    bool   // it is done or dropped
}

func newParty(t *testing.T, typ Type, writes bool, first uint32) *party {
	return &party{t: t, typ: typ, writes: writes, first: first, gate: make(chan struct{})}
}

// allow lets n more elements pass.
func (p *party) allow(n uint32, last bool) {
	p.allowed, p.last = p.allowed+n, last
	if !closed(p.gate) {
		close(p.gate)
	}
}

// Copy implements Peer. A writer makes the elements of sequence, and a reader expects them.
func (p *party) Copy(m []byte, n uint32) (moved uint32, done bool) {
	size := p.typ.Size
	if p.over || n == 0 || uint32(len(m)) != n*size || p.typ.Future && (n > 1 || p.moved > 0) {
		p.t.Fatalf("%d elements of %s are copied, %d bytes of memory; %d are before them, the end is over: %t", n, p.typ, len(m), p.moved, p.over)
	}
	moved = min(n, p.allowed)
	for i := range moved * size {
		b := sequence((p.first+p.moved)*size + i)
		if p.writes {
			m[i] = b
		} else if m[i] != b {
			p.t.Fatalf("the host reads %d at %d of a %s, want %d", m[i], p.moved*size+i, p.typ, b)
		}
	}
	p.moved, p.allowed = p.moved+moved, p.allowed-moved
	p.over = p.last && p.allowed == 0 && !(p.typ.Future && moved > 0)
	if p.allowed == 0 && !p.last {
		p.gate = make(chan struct{})
	}
	return moved, p.over
}

// Ready implements Peer.
func (p *party) Ready() <-chan struct{} { return p.gate }

// Drop implements Peer.
func (p *party) Drop() {
	if p.over {
		p.t.Fatalf("a party of a %s is dropped after its end", p.typ)
	}
	p.over = true
}

// errand is an Operation of a random program, which watches its use, too.
type errand struct {
	t         *testing.T
	gate      chan struct{} // closed when it can end
	over      bool
	cancelled bool
}

// Poll implements Operation.
func (o *errand) Poll() bool {
	if o.over {
		o.t.Fatal("an operation that is over is polled")
	}
	o.over = closed(o.gate)
	return o.over
}

// Ready implements Operation.
func (o *errand) Ready() <-chan struct{} { return o.gate }

// Cancel implements Operation.
func (o *errand) Cancel() {
	if o.over {
		o.t.Fatal("an operation that is over is cancelled")
	}
	o.over, o.cancelled = true, true
}

// sequence returns a byte of the elements that a stream carries.
func sequence(i uint32) byte { return byte(i*31 + i>>8) }
