package wasip3

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/files"
)

// pieceBytes is the most bytes of one read, and pieceEntries the most entries of a directory.
const (
	pieceBytes   = 32 << 10
	pieceEntries = 64
)

// The layout of a stream and a future.
const streamBytes, streamAlign = 8, 4

// outcome is how a stream has ended. It is the Peer of the future of that.
type outcome struct {
	known  chan struct{} // closed with failed
	failed files.Failure
}

// over returns the outcome of a stream that has ended.
func over(f files.Failure) *outcome {
	o := &outcome{known: make(chan struct{})}
	o.end(f)
	return o
}

func (o *outcome) end(f files.Failure) {
	o.failed = f
	close(o.known)
}

// Copy implements concurrent.Peer.
func (o *outcome) Copy(p []byte, _ uint32) (moved uint32, done bool) {
	if !closed(o.known) {
		return 0, false
	}
	if clear(p); o.failed != files.None {
		p[0], p[payloadAt] = 1, codes[o.failed]
	}
	return 1, false
}

// Ready implements concurrent.Peer.
func (o *outcome) Ready() <-chan struct{} { return o.known }

// Drop implements concurrent.Peer.
func (*outcome) Drop() {}

// putStream stores a stream, or an empty one if it has failed, and the future of its end in the area of the result. The caller
// gets the area before the stream, which belongs to nothing if that traps.
func putStream(c *canonical.State, m []byte, t concurrent.Type, p concurrent.Peer, o *outcome) {
	tasks := concurrent.Of(c)
	if o.failed != files.None {
		p = ended{over: o.known}
	}
	canonical.PutUint32(m, 0, tasks.NewReadable(t, p))
	canonical.PutUint32(m, 4, tasks.NewReadable(fileEnd(), o))
	c.In.Check()
}

// readViaStream: descriptor, offset -> (stream of bytes, future).
func readViaStream(c *canonical.State, p []uint64) {
	d, m := descriptorOf(c, p[0]), c.Area(p[2], streamBytes, streamAlign)
	from, release, f := d.Stream(p[1])
	if f != files.None {
		putStream(c, m, bytesType(), nil, over(f))
		return
	}
	o := &outcome{known: make(chan struct{})}
	putStream(c, m, bytesType(), &contents{from, release, o}, o)
}

// contents is the Peer of the stream of a file.
type contents struct {
	from    io.Reader
	release func()
	outcome *outcome
}

// Copy implements concurrent.Peer.
func (r *contents) Copy(p []byte, n uint32) (moved uint32, done bool) {
	read, err := r.from.Read(p[:min(n, pieceBytes)])
	switch {
	case err == nil:
		return uint32(read), false
	case errors.Is(err, io.EOF):
		r.end(files.None)
	default:
		r.end(files.Broken)
	}
	return uint32(read), true
}

func (r *contents) end(f files.Failure) {
	r.release()
	r.outcome.end(f)
}

// Ready implements concurrent.Peer. Files are always ready.
func (*contents) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (r *contents) Drop() { r.end(files.None) }

// readDirectory: descriptor -> (stream of entries, future).
func readDirectory(c *canonical.State, p []uint64) {
	d, m := descriptorOf(c, p[0]), c.Area(p[1], streamBytes, streamAlign)
	all, release, f := d.List()
	if f != files.None {
		putStream(c, m, entryType(), nil, over(f))
		return
	}
	o := &outcome{known: make(chan struct{})}
	putStream(c, m, entryType(), &listing{c, all, release, o}, o)
}

// listing is the Peer of the stream of a directory. The guest reads it in a call, so the names can be allocated.
type listing struct {
	state   *canonical.State
	rest    []fs.DirEntry
	release func()
	outcome *outcome
}

// Copy implements concurrent.Peer.
func (l *listing) Copy(p []byte, n uint32) (moved uint32, done bool) {
	size := int(entryType().Size)
	for n = min(n, pieceEntries); moved < n && len(l.rest) > 0; moved++ {
		m := p[int(moved)*size:][:size]
		clear(m)
		putType(m, l.rest[0].Type())
		l.state.PutString(m, 16, strings.ToValidUTF8(l.rest[0].Name(), "\ufffd"))
		l.rest = l.rest[1:]
	}
	if len(l.rest) > 0 {
		return moved, false
	}
	l.Drop()
	return moved, true
}

// Ready implements concurrent.Peer.
func (*listing) Ready() <-chan struct{} { return now() }

// Drop implements concurrent.Peer.
func (l *listing) Drop() {
	l.release()
	l.outcome.end(files.None)
}

// now returns a closed channel.
func now() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
