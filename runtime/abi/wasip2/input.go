package wasip2

import (
	"errors"
	"io"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

// ReadBytes is the most bytes of one read.
const ReadBytes = 32 << 10

// InputStream is a stream that the guest reads.
type InputStream struct {
	// From is the data. Read waits for at least one byte, the end or an error. If it is nil, the stream is closed.
	From io.Reader
	// Ready returns a channel that is closed as soon as Read does not wait. If it is nil, Read never waits.
	Ready func() <-chan struct{}
	// Until returns when a wait for Ready ends, or the zero time. It may be nil.
	Until func() time.Time
	// Failed returns the guest's view of an error of From other than io.EOF. It need not return.
	Failed func(err error) *Error
	// Ended, if set, is called when the end was read.
	Ended func()
	// Dropped, if set, is called when the guest has dropped the stream.
	Dropped func()
}

// Drop implements canonical.Resource.
func (i *InputStream) Drop() {
	if i.From = nil; i.Dropped != nil {
		i.Dropped()
	}
}

// Renew implements canonical.Durable: streams of the initialisation are closed.
func (*InputStream) Renew(*canonical.State) canonical.Resource { return &InputStream{} }

// pollable returns what to wait for before a read.
func (i *InputStream) pollable() *Pollable {
	ready := func() <-chan struct{} {
		if i.From == nil || i.Ready == nil {
			return nil
		}
		return i.Ready()
	}
	return NewPollable(ready, i.Until)
}

// waits reports whether a read would wait.
func (i *InputStream) waits() bool { return i.From != nil && i.Ready != nil && !isClosed(i.Ready()) }

// read reads up to limit bytes. It waits only if block is set; otherwise it may return no data. The data is valid until the
// next read of any stream. ok is false if the stream is closed, or has failed with e.
func (s *State) read(i *InputStream, limit uint64, block bool) (data []byte, e *Error, ok bool) {
	switch {
	case i.From == nil:
		return nil, nil, false
	case limit == 0 || !block && i.waits():
		return nil, nil, true
	}
	if s.space == nil {
		s.space = make([]byte, ReadBytes)
	}
	data = s.space[:min(limit, ReadBytes)]
	if block && i.Ready != nil {
		s.In.PauseFor(nil) // data is not the guest's
	}
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		n, err = i.From.Read(data)
	}
	if block && i.Ready != nil {
		s.In.Resume()
	}
	if n > 0 {
		s.In.Check()
		return data[:n], nil, true // an error comes again
	}
	i.From = nil
	if errors.Is(err, io.EOF) {
		if i.Ended != nil {
			i.Ended()
		}
		return nil, nil, false
	}
	return nil, i.failed(err), false
}

func (i *InputStream) failed(err error) *Error {
	if i.Failed != nil {
		return i.Failed(err)
	}
	return &Error{Text: "the stream cannot be read"}
}

func (s *State) readTo(p []uint64, block bool) {
	i := canonical.Get[*InputStream](&s.Handles, p[0])
	result := s.Area(p[2], resultBytes, resultAlign)
	data, e, ok := s.read(i, p[1], block)
	if !ok {
		s.putStreamError(result, payload, e)
		return
	}
	s.PutBytes(result, payload, data)
	result[0] = 0
}

func read(s *State, p []uint64) { s.readTo(p, false) }

func blockingRead(s *State, p []uint64) { s.readTo(p, true) }

func (s *State) skipBytes(p []uint64, block bool) {
	i := canonical.Get[*InputStream](&s.Handles, p[0])
	result := s.Area(p[2], countBytes, countAlign)
	data, e, ok := s.read(i, p[1], block)
	if !ok {
		s.putStreamError(result, countPayload, e)
		return
	}
	canonical.PutUint64(result, countPayload, uint64(len(data)))
	result[0] = 0
}

func skip(s *State, p []uint64) { s.skipBytes(p, false) }

func blockingSkip(s *State, p []uint64) { s.skipBytes(p, true) }

func subscribeInput(s *State, p []uint64) {
	p[0] = Subscribe(s.State, canonical.Get[*InputStream](&s.Handles, p[0]).pollable(), p[0])
}
