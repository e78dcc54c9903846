package wasip2

import (
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Error is the failure of a stream.
type Error struct {
	Text string // for the guest; without details of the host
	Code any    // what an interface's own function returns for it; nil if there is none
}

// Drop implements canonical.Resource.
func (*Error) Drop() {}

func toDebugString(s *State, p []uint64) {
	e := canonical.Get[*Error](&s.Handles, p[0])
	s.PutString(s.Area(p[1], 8, 4), 0, e.Text)
}

// The cases of stream-error.
const (
	lastOperationFailed = 0
	closed              = 1
)

// putStreamError writes a result that is a stream-error. The stream has failed with e, or is closed if e is nil. at is the
// offset of the payload.
func (s *State) putStreamError(m []byte, at int, e *Error) {
	m[0] = 1
	if e == nil {
		m[at] = closed
		return
	}
	m[at] = lastOperationFailed
	canonical.PutUint32(m, at+4, uint32(s.Handles.Add(e, 0)))
}

// The sizes of results: of result<_, stream-error> and result<list<u8>, stream-error>, and of result<u64, stream-error>.
const (
	resultBytes, resultAlign = 12, 4
	countBytes, countAlign   = 16, 8
	payload                  = 4 // offset in the first
	countPayload             = 8 // offset in the second
)

func ioModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:io/error",
			define("[method]error.to-debug-string", none, toDebugString, i32, i32),
			canonical.DropFunc[*Error]("error"),
		),
		module("wasi:io/poll",
			define("[method]pollable.block", none, pollableBlock, i32),
			define("[method]pollable.ready", i32, pollableReady, i32),
			define("poll", none, poll, i32, i32, i32),
			canonical.DropFunc[*Pollable]("pollable"),
		),
		module("wasi:io/streams",
			define("[method]input-stream.read", none, read, i32, i64, i32),
			define("[method]input-stream.blocking-read", none, blockingRead, i32, i64, i32),
			define("[method]input-stream.skip", none, skip, i32, i64, i32),
			define("[method]input-stream.blocking-skip", none, blockingSkip, i32, i64, i32),
			define("[method]input-stream.subscribe", i32, subscribeInput, i32),
			define("[method]output-stream.check-write", none, checkWrite, i32, i32),
			define("[method]output-stream.write", none, write, i32, i32, i32, i32),
			define("[method]output-stream.blocking-write-and-flush", none, blockingWrite, i32, i32, i32, i32),
			define("[method]output-stream.flush", none, flush, i32, i32),
			define("[method]output-stream.blocking-flush", none, blockingFlush, i32, i32),
			define("[method]output-stream.subscribe", i32, subscribeOutput, i32),
			define("[method]output-stream.write-zeroes", none, writeZeroes, i32, i64, i32),
			define("[method]output-stream.blocking-write-zeroes-and-flush", none, blockingWriteZeroes, i32, i64, i32),
			define("[method]output-stream.splice", none, splice, i32, i32, i64, i32),
			define("[method]output-stream.blocking-splice", none, blockingSplice, i32, i32, i64, i32),
			canonical.DropFunc[*InputStream]("input-stream"),
			canonical.DropFunc[*OutputStream]("output-stream"),
		),
	}
}
