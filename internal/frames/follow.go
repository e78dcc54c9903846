package frames

// Types and flags of frames, RFC 9113.
const (
	headBytes        = 9
	typeData         = 0
	typeHeaders      = 1
	typeContinuation = 9
	flagEndStream    = 1
	flagEndHeaders   = 4
)

// follower follows the frames of a stream of bytes, in parts of any size.
type follower struct {
	head  [headBytes]byte // of the next frame; have bytes are known
	have  int
	left  int  // bytes of the current frame's payload that are to come
	open  bool // the last frame completes a header that a body follows
	final bool // the last HEADERS frame has ended its stream
}

// follow goes on with p. It returns the number of streams that begin to end in it.
func (f *follower) follow(p []byte) (ends int) {
	for len(p) > 0 {
		if n := min(f.left, len(p)); n > 0 {
			f.left -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.have:], p)
		p = p[n:]
		if f.have += n; f.have == headBytes && f.begin() {
			ends++
		}
	}
	return ends
}

// begin begins a frame whose head is known, and reports whether it ends its stream.
func (f *follower) begin() bool {
	h := &f.head
	f.have, f.left = 0, int(h[0])<<16|int(h[1])<<8|int(h[2])
	kind, flags := h[3], h[4]
	ends := (kind == typeData || kind == typeHeaders) && flags&flagEndStream != 0
	if kind == typeHeaders {
		f.final = ends
	}
	f.open = (kind == typeHeaders || kind == typeContinuation) && flags&flagEndHeaders != 0 && !f.final
	return ends
}

// awaitsBody reports whether the bytes end with a complete header that a body follows.
func (f *follower) awaitsBody() bool { return f.open && f.left == 0 && f.have == 0 }
