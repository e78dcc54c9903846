// Package imagefile defines the form of snapshots in files.
//
// A file is a header of fixed size, an outline of the module, the globals, the state of host functions, a table of the pieces of
// the image, and the pieces. All numbers are little-endian. The package finds malformed files. Its caller has a
// checksum for damaged ones. The header and the outline have one of their own, so they can be read without the rest.
package imagefile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

// magic begins each file. It contains the version of the form.
const magic = "vespo snapshot 2"

// Offsets of the fields of the header.
const (
	atKey     = len(magic)
	atFlags   = atKey + sha256.Size
	atClock   = atFlags + 4
	atMemory  = atClock + 8
	atGlobals = atMemory + 8 // number of globals
	atHost    = atGlobals + 4
	atPieces  = atHost + 4
	atOutline = atPieces + 4
	atSum     = atOutline + 4 // of the header before it, and of the outline
	headBytes = atSum + crc32.Size
)

// MaxHeadBytes limits the header and the outline together.
const MaxHeadBytes = 16 << 10

const (
	globalBytes = 8
	pieceBytes  = 8 // an entry of the table: offset and size, in units of snapshot.PieceBytes
)

// ErrMalformed is matched by all errors of Decode.
var ErrMalformed = errors.New("the file of a snapshot is malformed")

// Head is the beginning of a file.
type Head struct {
	Key         [sha256.Size]byte // digest of everything that the snapshot depends on
	Flags       uint32            // of the caller
	Clock       int64             // reading of the guests' monotonic clock
	MemoryBytes uint64
	Outline     []byte // of the module, by the caller; left out if the head would exceed MaxHeadBytes
}

// Snapshot is the content of a file.
type Snapshot struct {
	Head
	Globals []uint64
	Host    []byte // state of host functions
	Pieces  []snapshot.Piece
}

// Encode returns the file of a snapshot.
func Encode(s *Snapshot) []byte {
	outline := s.Outline
	if headBytes+len(outline) > MaxHeadBytes {
		outline = nil
	}
	size := headBytes + len(outline) + globalBytes*len(s.Globals) + len(s.Host) + pieceBytes*len(s.Pieces)
	for _, p := range s.Pieces {
		size += len(p.Bytes)
	}
	le := binary.LittleEndian
	out := append(make([]byte, 0, size), magic...)
	out = append(out, s.Key[:]...)
	out = le.AppendUint32(out, s.Flags)
	out = le.AppendUint64(out, uint64(s.Clock))
	out = le.AppendUint64(out, s.MemoryBytes)
	out = le.AppendUint32(out, uint32(len(s.Globals)))
	out = le.AppendUint32(out, uint32(len(s.Host)))
	out = le.AppendUint32(out, uint32(len(s.Pieces)))
	out = le.AppendUint32(out, uint32(len(outline)))
	out = le.AppendUint32(out, headSum(out, outline))
	out = append(out, outline...)
	for _, g := range s.Globals {
		out = le.AppendUint64(out, g)
	}
	out = append(out, s.Host...)
	for _, p := range s.Pieces {
		out = le.AppendUint32(out, uint32(p.Offset/snapshot.PieceBytes))
		out = le.AppendUint32(out, uint32(len(p.Bytes)/snapshot.PieceBytes))
	}
	for _, p := range s.Pieces {
		out = append(out, p.Bytes...)
	}
	return out
}

func headSum(fields, outline []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(fields, table), table, outline)
}

// DecodeHead returns the head of a file, of which it needs no more than MaxHeadBytes. It checks the head alone. The result
// refers to file, which must not change.
func DecodeHead(file []byte) (h Head, err error) {
	if len(file) < headBytes || string(file[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: it has no header", ErrMalformed)
	}
	le := binary.LittleEndian
	size := uint64(le.Uint32(file[atOutline:]))
	if uint64(headBytes)+size > uint64(min(len(file), MaxHeadBytes)) {
		return h, fmt.Errorf("%w: its outline is too long", ErrMalformed)
	}
	end := headBytes + int(size)
	outline := file[headBytes:end:end]
	if headSum(file[:atSum], outline) != le.Uint32(file[atSum:]) {
		return h, fmt.Errorf("%w: its header is damaged", ErrMalformed)
	}
	return Head{
		Key:         [sha256.Size]byte(file[atKey:atFlags]),
		Flags:       le.Uint32(file[atFlags:]),
		Clock:       int64(le.Uint64(file[atClock:])),
		MemoryBytes: le.Uint64(file[atMemory:]),
		Outline:     outline,
	}, nil
}

// Decode is the inverse of Encode. The result refers to the file, which must not change.
func Decode(file []byte) (*Snapshot, error) {
	head, err := DecodeHead(file)
	if err != nil {
		return nil, err
	}
	s, le := &Snapshot{Head: head}, binary.LittleEndian
	globals, host, pieces := le.Uint32(file[atGlobals:]), le.Uint32(file[atHost:]), le.Uint32(file[atPieces:])
	rest := file[headBytes+len(head.Outline):]
	if uint64(len(rest)) < globalBytes*uint64(globals)+uint64(host)+pieceBytes*uint64(pieces) {
		return nil, fmt.Errorf("%w: it is too short for its header", ErrMalformed)
	}
	s.Globals = make([]uint64, globals)
	for i := range s.Globals {
		s.Globals[i], rest = le.Uint64(rest), rest[globalBytes:]
	}
	s.Host, rest = rest[:host:host], rest[host:]
	table, data := rest[:pieceBytes*int(pieces)], rest[pieceBytes*int(pieces):]
	s.Pieces = make([]snapshot.Piece, 0, pieces)
	for ; len(table) > 0; table = table[pieceBytes:] {
		offset, size := uint64(le.Uint32(table))*snapshot.PieceBytes, uint64(le.Uint32(table[4:]))*snapshot.PieceBytes
		if size > uint64(len(data)) {
			return nil, fmt.Errorf("%w: a piece of %d bytes is longer than the rest of the file", ErrMalformed, size)
		}
		s.Pieces = append(s.Pieces, snapshot.Piece{Offset: int(offset), Bytes: data[:size:size]})
		data = data[size:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: it has %d bytes more than its pieces", ErrMalformed, len(data))
	}
	return s, nil
}
