package wasip1

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	subscriptionBytes = 48
	eventBytes        = 32
	// maxSubscriptions bounds one poll. Guests need few: there are three streams and two clocks to wait for.
	maxSubscriptions = 1024

	eventClock   = 0
	eventFdRead  = 1
	eventFdWrite = 2

	clockAbsolute = 1 // flag of a clock subscription
)

// pollOneoff waits for the first of its subscriptions. Streams are always ready: a read from the request body
// blocks by itself, under the same deadline. An invalid subscription is ready too, and its event is an error.
func pollOneoff(in *engine.Instance, s *State, p []uint64) errno {
	count := uint32(p[2])
	if count == 0 || count > maxSubscriptions {
		return errInval
	}
	// Copy the subscriptions, because the guest may place the events over them.
	subscriptions := bytes.Clone(in.View(uint32(p[0]), count*subscriptionBytes))
	events := in.View(uint32(p[1]), count*eventBytes)
	waits := make([]time.Duration, count)
	n, first := 0, time.Duration(math.MaxInt64)
	for i := range waits {
		sub := subscriptions[i*subscriptionBytes:]
		var e errno
		if waits[i], e = s.pending(in, sub); waits[i] <= 0 {
			n += putEvent(events[n*eventBytes:], sub, e)
		}
		first = min(first, waits[i])
	}
	if n == 0 { // only clocks
		s.wait(in, first)
		for i, wait := range waits {
			if wait <= first {
				n += putEvent(events[n*eventBytes:], subscriptions[i*subscriptionBytes:], success)
			}
		}
	}
	in.Check()
	putUint32(in, uint32(p[3]), uint32(n))
	return success
}

// briefWait is how long a guest can sleep in a request before its output is sent.
const briefWait = 20 * time.Millisecond

// wait sleeps. It does not send the guest's output before naps that add up to less
// than briefWait. Some programs nap before they fail: Go does to stop the world when
// it panics. Once output is sent, the host can no longer send an error response.
func (s *State) wait(in *engine.Instance, d time.Duration) {
	if d < briefWait-s.napped {
		s.napped += d
		defer func(f func()) { in.OnPause = f }(in.OnPause)
		in.OnPause = nil
	} else {
		s.napped = 0
	}
	in.Wait(d)
}

// pending returns how long a subscription has to wait from now, or 0 if it is ready.
func (s *State) pending(in *engine.Instance, sub []byte) (time.Duration, errno) {
	if sub[8] != eventClock {
		return 0, s.ready(sub)
	}
	d, ok := clockWait(in, sub)
	if !ok {
		return 0, errInval
	}
	return d, success
}

// clockWait returns how long a clock subscription has to wait. ok is false if there is no such clock.
func clockWait(in *engine.Instance, sub []byte) (d time.Duration, ok bool) {
	timeout := binary.LittleEndian.Uint64(sub[24:])
	now, ok := clockNow(in, binary.LittleEndian.Uint32(sub[16:]))
	if !ok {
		return 0, false
	}
	if binary.LittleEndian.Uint16(sub[40:])&clockAbsolute != 0 {
		if timeout <= now {
			return 0, true
		}
		timeout -= now
	}
	return time.Duration(min(timeout, math.MaxInt64)), true
}

// ready returns the error number of a stream's event: success if the stream can be read or written.
func (s *State) ready(sub []byte) errno {
	d, bad := s.descriptor(uint64(binary.LittleEndian.Uint32(sub[16:])))
	switch {
	case bad != success:
		return bad
	case sub[8] == eventFdRead && d.r == nil, sub[8] == eventFdWrite && d.w == nil:
		return errBadf
	case sub[8] > eventFdWrite:
		return errInval
	}
	return success
}

func putEvent(event, sub []byte, e errno) int {
	clear(event[:eventBytes])
	copy(event, sub[:8]) // the guest's userdata
	binary.LittleEndian.PutUint16(event[8:], uint16(e))
	event[10] = sub[8]
	if e == success && sub[8] != eventClock {
		binary.LittleEndian.PutUint64(event[16:], 1) // available bytes: at least one
	}
	return 1
}
