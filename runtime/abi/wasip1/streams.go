package wasip1

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// maxVectors bounds the vectors of one read or write, as IOV_MAX does.
const maxVectors = 1024

// vectors calls use for each non-empty vector, until it returns false.
func vectors(in *engine.Instance, at, count uint32, use func(buf []byte) (more bool)) errno {
	if count > maxVectors {
		return errInval
	}
	table := in.View(at, 8*count)
	for ; len(table) > 0; table = table[8:] {
		buf := in.View(binary.LittleEndian.Uint32(table), binary.LittleEndian.Uint32(table[4:]))
		if len(buf) > 0 && !use(buf) {
			break
		}
		in.Check()
	}
	return success
}

// Ended is implemented by readers that know when they are at the end.
// A read does not pause the guest then; a pause would send its output.
type Ended interface{ Ended() bool }

// fdRead reads into the first non-empty vector only. Filling
// more could block although the guest already has data.
func fdRead(in *engine.Instance, s *State, p []uint64) errno {
	d, bad := s.descriptor(p[0])
	if bad != success {
		return bad
	}
	switch {
	case d.isDir:
		return errIsdir
	case d.r == nil:
		return errBadf
	}
	var n int
	var failed error
	bad = vectors(in, uint32(p[1]), uint32(p[2]), func(buf []byte) bool {
		if ended, ok := d.r.(Ended); ok && ended.Ended() {
			in.Check()
			return false
		}
		in.PauseFor(buf)
		for n == 0 && failed == nil { // the guest would take a read of 0 bytes for the end
			n, failed = d.r.Read(buf)
		}
		in.Resume()
		return false
	})
	if bad != success {
		return bad
	}
	if n == 0 && failed != nil && !errors.Is(failed, io.EOF) {
		return errIO
	}
	putUint32(in, uint32(p[3]), uint32(n))
	return success
}

func fdWrite(in *engine.Instance, s *State, p []uint64) errno {
	d, bad := s.descriptor(p[0])
	if bad != success {
		return bad
	}
	if d.w == nil {
		return errBadf
	}
	var written int
	var failed error
	bad = vectors(in, uint32(p[1]), uint32(p[2]), func(buf []byte) bool {
		var n int
		n, failed = d.w.Write(buf)
		written += n
		return failed == nil
	})
	if bad != success {
		return bad
	}
	if failed != nil {
		return errIO
	}
	putUint32(in, uint32(p[3]), uint32(written))
	return success
}

func fdClose(_ *engine.Instance, s *State, p []uint64) errno {
	d, bad := s.descriptor(p[0])
	if bad == success {
		d.close()
	}
	return bad
}

func fdRenumber(_ *engine.Instance, s *State, p []uint64) errno {
	from, bad := s.descriptor(p[0])
	if bad != success {
		return bad
	}
	to, bad := s.descriptor(p[1])
	if bad != success {
		return bad
	}
	if from != to {
		to.close()
		*to, *from = *from, descriptor{}
	}
	return success
}

// Rights of a descriptor, as bits of fdstat.
const (
	rightRead  = 1 << 1
	rightWrite = 1 << 6
	rightPoll  = 1 << 27

	fileRights      = rightRead | 1<<2 /* seek */ | 1<<5 /* tell */ | 1<<7 /* advise */ | 1<<21 /* filestat */ | rightPoll
	directoryRights = 1<<13 /* path_open */ | 1<<14 /* readdir */ | 1<<18 /* path_filestat */ | 1<<21 /* filestat */
)

// fdFdstatGet reports streams with the file type "unknown", like a pipe. For
// a character device, C programs would flush their output after each line.
func fdFdstatGet(in *engine.Instance, s *State, p []uint64) errno {
	d, bad := s.descriptor(p[0])
	if bad != success {
		return bad
	}
	rights := uint64(rightPoll)
	if d.r != nil {
		rights |= rightRead
	}
	if d.w != nil {
		rights |= rightWrite
	}
	stat := in.View(uint32(p[1]), 24)
	clear(stat)
	switch {
	case d.isDir:
		stat[0], rights = typeDirectory, directoryRights
		binary.LittleEndian.PutUint64(stat[16:], directoryRights|fileRights) // inheriting rights: those of files opened in it
	case d.fsys != nil:
		stat[0], rights = typeRegular, fileRights
	}
	binary.LittleEndian.PutUint64(stat[8:], rights)
	return success
}
