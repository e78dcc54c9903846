package wasip1

import (
	"encoding/binary"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	subscriptionBytes = 48
	eventBytes        = 32
	// maxSubscriptions bounds one poll; there are three descriptors and two clocks to wait for.
	maxSubscriptions = 1024

	eventClock   = 0
	eventFdRead  = 1
	eventFdWrite = 2

	clockAbsolute = 1 // flag of a clock subscription
)

// pollOneoff waits for the first of its subscriptions. Streams are always ready: a read from the request's body waits by
// itself, under the same deadline.
func pollOneoff(in *engine.Instance, s *State, p []uint64) errno {
	count := uint32(p[2])
	if count == 0 || count > maxSubscriptions {
		return errInval
	}
	subscriptions := in.View(uint32(p[0]), count*subscriptionBytes)
	events := in.View(uint32(p[1]), count*eventBytes)
	n, wait, hasClock := 0, time.Duration(0), false
	for sub := subscriptions; len(sub) > 0; sub = sub[subscriptionBytes:] {
		if sub[8] == eventClock {
			if d, ok := clockWait(in, sub); ok && (!hasClock || d < wait) {
				wait, hasClock = d, true
			}
		} else {
			n += putEvent(events[n*eventBytes:], sub, s.ready(sub))
		}
	}
	if n == 0 && wait > 0 {
		in.Wait(wait)
	}
	for sub := subscriptions; len(sub) > 0; sub = sub[subscriptionBytes:] {
		if sub[8] != eventClock {
			continue
		}
		d, ok := clockWait(in, sub)
		switch {
		case !ok:
			n += putEvent(events[n*eventBytes:], sub, errInval)
		case d <= wait && (n == 0 || d <= 0):
			n += putEvent(events[n*eventBytes:], sub, success)
		}
	}
	putUint32(in, uint32(p[3]), uint32(n))
	return success
}

// clockWait is how long a clock subscription has to wait; relative ones count from the call.
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
	return time.Duration(min(timeout, uint64(1<<62))), true
}

// ready tells whether a stream can be read or written, as an event's error number.
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
	copy(event, sub[:8]) // the guest's own mark
	binary.LittleEndian.PutUint16(event[8:], uint16(e))
	event[10] = sub[8]
	if e == success && sub[8] != eventClock {
		binary.LittleEndian.PutUint64(event[16:], 1) // bytes to be had: at least one
	}
	return 1
}
