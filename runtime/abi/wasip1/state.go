package wasip1

import (
	"io"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// State is what the system interface knows of the current request. It is an engine.Instance's System.
type State struct {
	Args, Env []string // Env in the form "NAME=value"

	streams [3]stream
}

// stream is an open descriptor; all descriptors are standard streams.
type stream struct {
	r io.Reader // nil if not readable
	w io.Writer // nil if not writable
}

func (s stream) open() bool { return s.r != nil || s.w != nil }

// Begin sets the standard streams for a request: whatever was closed or renumbered before is forgotten. Any of them
// may be nil: it is closed then.
func (s *State) Begin(stdin io.Reader, stdout, stderr io.Writer) {
	s.streams = [3]stream{{r: stdin}, {w: stdout}, {w: stderr}}
}

func state(in *engine.Instance) *State { return in.System.(*State) }

func (s *State) descriptor(fd uint32) (*stream, errno) {
	if fd >= uint32(len(s.streams)) || !s.streams[fd].open() {
		return nil, errBadf
	}
	return &s.streams[fd], success
}
