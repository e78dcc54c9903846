package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
)

// extension ends the name of a segment, which begins with the number of its first entry.
const extension = ".jsonl"

// Of the size of a service, a segment takes this part. With this many segments, the oldest goes even if they are small.
const (
	segmentShare = 8
	maxSegments  = 64
)

// segment is a file of entries.
type segment struct {
	first uint64 // number of its first entry
	bytes int64
}

func (s segment) name() string { return fmt.Sprintf("%020d%s", s.first, extension) }

// parseSegment returns the number in the name of a segment.
func parseSegment(name string) (first uint64, ok bool) {
	digits, found := strings.CutSuffix(name, extension)
	if !found || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil
}

// directoryOf returns the name of the directory of a service: its key can have any character.
func directoryOf(service string) string {
	sum := sha256.Sum256([]byte(service))
	return hex.EncodeToString(sum[:8])
}

// isDirectory reports whether directoryOf can return the name.
func isDirectory(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 8 && name == strings.ToLower(name)
}

// scan calls f with each line of a segment that may be an entry, in order, until f returns false. Lines that are too long
// are left out, as is a line without an end.
func scan(from io.Reader, f func(line []byte) bool) error {
	in := bufio.NewReaderSize(from, 64<<10)
	var line []byte
	for long := false; ; {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLineBytes; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if !long && !f(line[:len(line)-1]) {
			return nil
		}
		line, long = line[:0], false
	}
}

// store is the directory of one service. All of it is guarded by Journal.mu.
type store struct {
	dir      string
	segments []segment // oldest first
	bytes    int64
	fresh    bool // the last segment is of this process, and whole
}

// openStore reads the names of a directory. service is that of its newest entry; empty if it has none.
func openStore(root *os.Root, dir string) (s *store, service string, err error) {
	s = &store{dir: dir}
	names, err := fs.ReadDir(regular.FS(root), dir)
	if err != nil {
		return nil, "", err
	}
	for _, entry := range names {
		first, ok := parseSegment(entry.Name())
		info, err := entry.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		s.segments = append(s.segments, segment{first: first, bytes: info.Size()})
		s.bytes += info.Size()
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return strings.Compare(a.name(), b.name()) })
	for _, one := range slices.Backward(s.segments) {
		_ = readSegment(root, s.path(one), func(line []byte) bool {
			e, ok := parse(line)
			service = e.Service
			return !ok
		})
		if service != "" {
			break
		}
	}
	return s, service, nil
}

func (s *store) path(one segment) string { return s.dir + "/" + one.name() }

// readSegment scans a segment. One that is gone has no lines.
func readSegment(root *os.Root, path string, f func(line []byte) bool) error {
	file, err := regular.OpenIn(root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return scan(file, f)
}

// append writes lines, of which the first has the number, to the last segment, or to a new one if that is full.
func (s *store) append(root *os.Root, first uint64, lines []byte, segmentBytes int64) (err error) {
	if !s.fresh || s.segments[len(s.segments)-1].bytes >= segmentBytes {
		if err := root.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		s.segments = append(s.segments, segment{first: first})
		s.fresh = true
	}
	last := &s.segments[len(s.segments)-1]
	file, err := root.OpenFile(s.path(*last), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		s.dropEmpty(root)
		return err
	}
	n, err := file.Write(lines)
	last.bytes += int64(n)
	s.bytes += int64(n)
	if err = errors.Join(err, file.Close()); err != nil {
		s.dropEmpty(root)
	}
	return err
}

// dropEmpty ends the last segment, whose last line may be torn, and removes it if it is empty.
func (s *store) dropEmpty(root *os.Root) {
	s.fresh = false
	if last := s.segments[len(s.segments)-1]; last.bytes == 0 {
		s.segments = s.segments[:len(s.segments)-1]
		_ = root.Remove(s.path(last))
	}
}

// removeOldest removes a segment.
func (s *store) removeOldest(root *os.Root) error {
	if len(s.segments) == 1 {
		s.fresh = false
	}
	oldest := s.segments[0]
	s.segments = s.segments[1:]
	s.bytes -= oldest.bytes
	err := root.Remove(s.path(oldest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
