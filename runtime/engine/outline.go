package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/vespo-dev/vespo/runtime/internal/imagefile"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// outline is a Decoded on disk, beside a snapshot of the module: what Engine.Recall knows of it, and its World.
type outline struct {
	Program   [8]byte // that has read the module
	Sum       [sha256.Size]byte
	Code      codeID
	Separate  *rewrite.Outline `json:",omitempty"` // nil if it is not separate
	Component bool             `json:",omitempty"`
	World     *World           `json:",omitempty"`
	Size      int
}

// outline returns the outline of d for a snapshot, or nil if none are kept. A component that was recalled has no World, so
// it has no outline either.
func (e *Engine) outline(d *Decoded) []byte {
	if !e.cfg.KeepSnapshots || e.cfg.Build == "" || d.component && d.world == nil {
		return nil
	}
	o := outline{
		Program:   e.programID(),
		Sum:       d.sum,
		Code:      d.code,
		Component: d.component,
		World:     d.world,
		Size:      d.size,
	}
	if d.separate != nil {
		o.Separate = d.separate.Outline()
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil
	}
	return text
}

// usualHeadBytes is more than most heads of snapshots have. A start reads those of all services.
const usualHeadBytes = 2 << 10

// errNoSnapshot is returned by readHead if there is no file.
var errNoSnapshot = errors.New("there is no snapshot")

// readHead reads the head of a snapshot. read returns the beginning of its file, or false.
func readHead(read func(maxBytes int) ([]byte, bool)) (h imagefile.Head, err error) {
	for _, maxBytes := range []int{usualHeadBytes, imagefile.MaxHeadBytes} {
		begin, ok := read(maxBytes)
		if !ok {
			return h, errNoSnapshot
		}
		if h, err = imagefile.DecodeHead(begin); err == nil {
			return h, nil
		}
	}
	return h, err
}

// Outlined returns a module that this program has read before, by the sum of its bytes, or nil. It needs a snapshot of the
// module on disk, and its code. read is that of Recall.
func (e *Engine) Outlined(sum [sha256.Size]byte, read func() ([]byte, error)) *Decoded {
	if e.code == nil || !e.cfg.KeepSnapshots || e.cfg.Build == "" {
		return nil
	}
	begin := func(maxBytes int) ([]byte, bool) { return e.code.files.SnapshotHeadOf(sum, maxBytes) }
	head, err := readHead(begin)
	if errors.Is(err, errNoSnapshot) && e.Warm(context.Background(), sum) {
		head, err = readHead(begin)
	}
	if err != nil {
		return nil
	}
	var o outline
	in := json.NewDecoder(bytes.NewReader(head.Outline))
	in.DisallowUnknownFields()
	if err := in.Decode(&o); err != nil || o.Program != e.programID() || o.Sum != sum {
		return nil
	}
	known := e.known(o.Code, o.Size)
	if known == nil {
		return nil
	}
	d := &Decoded{open: read, code: o.Code, component: o.Component, world: o.World, sum: sum, size: o.Size}
	if o.Separate != nil {
		d.separate = o.Separate.Separate()
	}
	d.info = d.origin(infoOf(d.separate, known.decoded))
	return d
}
