package travel

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Bounds of an answer.
const (
	maxHeadBytes     = 8 << 20
	maxSnapshotBytes = 64 << 20
	maxCodeBytes     = 512 << 20
)

// signed begins what a host signs, so that its key signs nothing else.
const signed = "vespo compiled code, form 1\x00"

// sum is a SHA-256 sum, or the id of a snapshot, in hexadecimal.
type sum [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (s sum) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *sum) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	if err != nil || len(decoded) != len(s) {
		return fmt.Errorf("%.80q is not a sum", text)
	}
	copy(s[:], decoded)
	return nil
}

// head is the signed part of an answer. The snapshot follows it; the file of the code is asked for apart, as several modules can have it.
type head struct {
	Likeness      string `json:"likeness"`
	Module        sum    `json:"module"` // that was asked for; zero for a snapshot
	Code          sum    `json:"code"`
	Name          string `json:"name"`
	SizeBytes     int64  `json:"size"`
	Sum           sum    `json:"sum"` // of the file
	AboutID       sum    `json:"about_id"`
	About         []byte `json:"about"`
	Snapshot      sum    `json:"snapshot"` // its id; zero: there is none
	SnapshotBytes int64  `json:"snapshot_size"`
	SnapshotSum   sum    `json:"snapshot_sum"`
}

// message is an encoded head with its signature.
type message struct {
	head      []byte
	signature string
	snapshot  []byte
}

func headOf(likeness string, p *engine.Parcel) head {
	h := head{
		Likeness:  likeness,
		Module:    p.Module,
		Code:      p.Code,
		Name:      p.Name,
		SizeBytes: p.SizeBytes,
		Sum:       p.Sum,
		AboutID:   p.AboutID,
		About:     p.About,
	}
	if n := len(p.Snapshot); n > 0 && n <= maxSnapshotBytes {
		h.Snapshot, h.SnapshotBytes, h.SnapshotSum = sum(p.SnapshotID), int64(n), sha256.Sum256(p.Snapshot)
	}
	return h
}

// sign encodes a head, and signs it.
func (h *head) sign(key ed25519.PrivateKey, snapshot []byte) (*message, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeadBytes {
		return nil, fmt.Errorf("the head of compiled code has %d bytes", len(text))
	}
	signature := ed25519.Sign(key, append([]byte(signed), text...))
	return &message{head: text, signature: base64.StdEncoding.EncodeToString(signature), snapshot: snapshot[:h.SnapshotBytes]}, nil
}

// writeTo writes the length of the head, the head and the snapshot.
func (m *message) writeTo(w io.Writer) error {
	begin := binary.BigEndian.AppendUint32(nil, uint32(len(m.head)))
	for _, part := range [][]byte{begin, m.head, m.snapshot} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (m *message) size() int64 { return int64(4 + len(m.head) + len(m.snapshot)) }

// errForged matches the errors of what a host of the catalogue does not send.
var errForged = errors.New("it is not what a host of the catalogue sends")

// read reads an answer and checks it against the key of its host. The error matches errForged, or is one of r.
func read(r io.Reader, signature string, key ed25519.PublicKey) (h *head, snapshot []byte, err error) {
	var begin [4]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return nil, nil, err
	}
	size := binary.BigEndian.Uint32(begin[:])
	if size > maxHeadBytes {
		return nil, nil, fmt.Errorf("%w: its head has %d bytes", errForged, size)
	}
	text, err := readAll(r, int64(size))
	if err != nil {
		return nil, nil, err
	}
	proof, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(signed), text...), proof) {
		return nil, nil, fmt.Errorf("%w: the signature is not by the key that the host has announced", errForged)
	}
	h = &head{}
	if err := json.Unmarshal(text, h); err != nil { // signed, so the host's own
		return nil, nil, fmt.Errorf("%w: %w", errForged, err)
	}
	if h.SizeBytes < 0 || h.SizeBytes > maxCodeBytes || h.SnapshotBytes < 0 || h.SnapshotBytes > maxSnapshotBytes {
		return nil, nil, fmt.Errorf("%w: it has %d and %d bytes", errForged, h.SizeBytes, h.SnapshotBytes)
	}
	if snapshot, err = readAll(r, h.SnapshotBytes); err != nil {
		return nil, nil, err
	}
	if h.SnapshotBytes > 0 && sha256.Sum256(snapshot) != h.SnapshotSum {
		return nil, nil, fmt.Errorf("%w: the snapshot has another digest than was signed", errForged)
	}
	return h, snapshot, nil
}

// readAll reads so many bytes. A length is only a claim, so memory grows as bytes arrive.
func readAll(r io.Reader, n int64) ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(all)) < n {
		err = io.ErrUnexpectedEOF
	}
	return all, err
}

// parcel returns what the engine takes.
func (h *head) parcel(snapshot []byte) *engine.Parcel {
	p := &engine.Parcel{
		Module:    h.Module,
		Code:      h.Code,
		Name:      h.Name,
		SizeBytes: h.SizeBytes,
		Sum:       h.Sum,
		AboutID:   h.AboutID,
		About:     h.About,
	}
	if h.SnapshotBytes > 0 {
		p.SnapshotID, p.Snapshot = engine.SnapshotID(h.Snapshot), snapshot
	}
	return p
}
