package concurrent

// Type is the type of a stream or of a future. Types are equal if their fields are.
type Type struct {
	Future bool
	Elem   string // the type of an element as text, such as "u8"; empty for none
	Size   uint32 // of an element in linear memory, in bytes
	Align  uint32 // of an element, at least 1
	// Plain reports whether an element is a number or nothing. A guest may be at both ends of such a stream.
	Plain bool
}

// String returns the type as text, such as "stream<u8>" or "future".
func (t Type) String() string {
	name := "stream"
	if t.Future {
		name = "future"
	}
	if t.Elem == "" {
		return name
	}
	return name + "<" + t.Elem + ">"
}

// Peer is the host's end of a stream or a future. It is used by one goroutine, except for the closing of channels.
type Peer interface {
	// Copy moves up to n elements: to p if the host writes, from p if it reads. p is guest memory and has room for
	// n elements. done reports that the host's end is dropped after these. Copy does not wait: it returns 0, false if
	// it would. The host's end of a future moves its element or is done.
	Copy(p []byte, n uint32) (moved uint32, done bool)
	// Ready returns a channel that is closed as soon as Copy does not return 0, false.
	Ready() <-chan struct{}
	// Drop tells that the guest's end is dropped, or that the task ends. It is called at most once, never after done,
	// and nothing is called after it.
	Drop()
}

// channel is a stream or a future: what its two ends share.
type channel struct {
	state   *State
	typ     Type
	dropped bool // one of the ends is dropped
	waiting *end // an end of the guest that waits for another end, or whose event was not taken yet
	peer    Peer // the host's end; nil if the guest has both, or if the host's end is not in use yet
	held    int  // its place in State.held, from 1 on; 0 if it is not there
}

// hold records that the host has the readable end, until letGo.
func (c *channel) hold() *Readable {
	c.state.held = append(c.state.held, c)
	c.held = len(c.state.held)
	return &Readable{c}
}

func (c *channel) letGo() {
	if c.held == 0 {
		return
	}
	all := c.state.held
	last := all[len(all)-1]
	all[c.held-1], last.held = last, c.held
	all[len(all)-1], c.held = nil, 0
	c.state.held = all[:len(all)-1]
}

// drop drops an end of the guest. The other one learns of it.
func (c *channel) drop() {
	if c.dropped {
		return
	}
	c.dropped = true
	if c.peer != nil {
		c.peer.Drop()
	}
	if e := c.waiting; e != nil {
		c.waiting = nil
		e.finish(droppedResult)
	}
}

// New implements stream.new and future.new. The number of the readable end is in the lower half.
func (s *State) New(t Type) uint64 {
	c := &channel{state: s, typ: t}
	readable, writable := s.newEnd(c, false), s.newEnd(c, true)
	return uint64(readable) | uint64(writable)<<32
}

// NewReadable returns the number of a new readable end whose writable end is the host's.
func (s *State) NewReadable(t Type, writer Peer) uint32 { return s.Lower(s.Hosted(t, writer)) }

// Hosted returns a readable end whose writable end is the host's, too.
func (s *State) Hosted(t Type, writer Peer) *Readable {
	c := &channel{state: s, typ: t, peer: writer}
	return c.hold()
}

// Readable is a readable end that the host has: the guest has passed it, or not got it yet. The end of the task drops it.
type Readable struct{ ch *channel }

// Lift takes a readable end from the guest.
func (s *State) Lift(i uint32, t Type) *Readable {
	e := s.end(i, t, false)
	if e.state != idle {
		trap("%d is passed on while it is read, or after its end", i)
	}
	e.join(nil)
	s.table.remove(i)
	return e.ch.hold()
}

// Lower passes a readable end back to the guest, and returns its number.
func (s *State) Lower(r *Readable) uint32 {
	i := s.newEnd(r.ch, false)
	r.ch.letGo()
	return i
}

// Attach connects a reader of the host. If the writer is the host, too, what it writes is moved while the guest waits,
// and after it has ended.
func (r *Readable) Attach(reader Peer) {
	c := r.ch
	c.letGo()
	switch {
	case c.dropped:
		reader.Drop()
	case c.peer != nil:
		c.dropped = true
		between := &splice{typ: c.typ, from: c.peer, to: reader}
		if c.state.full() {
			between.stop()
		}
		c.state.Add(between)
	default:
		c.peer = reader
		e := c.waiting
		c.waiting = nil
		// A write that the guest itself has read in part has its event: the rest is not on offer any more.
		if e != nil && !e.pending && !e.Poll() {
			c.state.Add(e)
		}
	}
}

// Drop drops the end without a reader.
func (r *Readable) Drop() {
	r.ch.letGo()
	r.ch.drop()
}
