package engine

import "time"

// maxTouchedBytes is the size of the largest buffer for which PauseFor keeps the watch of page faults.
const maxTouchedBytes = 16 << 10

// PauseFor is Pause for a host function that writes to no memory of the guest until Resume but buf, which may be empty. If buf is
// small, a reset after the call can be faster than after Pause.
func (in *Instance) PauseFor(buf []byte) {
	switch r := &in.run; {
	case len(buf) > maxTouchedBytes:
		in.giveUpWatch()
	case r.watching:
		touch(buf) // its pages become private now, or are: later writes, by whatever thread, change nothing
		in.endWatch()
		r.interrupted = true
	case len(buf) > 0: // within another pause
		in.giveUpWatch()
	}
	in.pause()
}

// pause gives up what a guest that waits does not need.
func (in *Instance) pause() {
	in.run.count(time.Now())
	in.dropTurn()
	if in.OnPause != nil {
		in.OnPause() // may wait for the client
	}
}

// resumeWatch goes on with the watch that PauseFor has interrupted, on the thread that runs now.
func (in *Instance) resumeWatch() {
	if in.run.interrupted {
		in.run.interrupted = false
		in.beginWatch()
	}
}

// touch writes to each host page of buf, without a change.
func touch(buf []byte) {
	for at := 0; at < len(buf); at += hostPageBytes {
		store(&buf[at], buf[at])
	}
	if len(buf) > 0 {
		store(&buf[len(buf)-1], buf[len(buf)-1])
	}
}

// store is not inlined: the compiler would remove a store of the value that is there.
//
//go:noinline
func store(to *byte, value byte) { *to = value }
