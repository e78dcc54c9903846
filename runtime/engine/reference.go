package engine

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// Reference describes a module that was decoded, without its bytes. With it, Engine.Recall need not read the module again. It is
// immutable.
type Reference struct {
	sum       [sha256.Size]byte
	code      codeID
	separate  *rewrite.Separate // without data; nil if it is not separate
	component bool
	size      int
}

// Reference returns a description of d.
func (d *Decoded) Reference() Reference {
	r := Reference{sum: d.sum, code: d.code, component: d.component, size: d.size}
	if d.separate != nil {
		r.separate = d.separate.WithoutData()
	}
	return r
}

// Recall returns a module that was decoded before. If its code is known, the result has no World, and read is called for the
// bytes of the module only when they are needed: if the code or the snapshot on disk is damaged, or if the guest
// has to be initialised. If its code is not known, Recall waits until few other modules are read and compiled. The caller must
// pass the result to Compile.
func (e *Engine) Recall(ctx context.Context, r Reference, read func() ([]byte, error)) (*Decoded, error) {
	known := e.known(r.code, r.size)
	if known == nil {
		return e.reread(ctx, read)
	}
	d := &Decoded{open: read, separate: r.separate, code: r.code, component: r.component, sum: r.sum, size: r.size}
	d.info = d.origin(infoOf(r.separate, known.decoded))
	return d, nil
}

// reread reads a module in a turn, which the result has.
func (e *Engine) reread(ctx context.Context, read func() ([]byte, error)) (*Decoded, error) {
	turn, err := e.wholes.enter(ctx)
	if err != nil {
		return nil, err
	}
	bin, err := read()
	if err != nil {
		turn.leave()
		return nil, err
	}
	shared, err := e.Decode(bin)
	if err != nil {
		turn.leave()
		return nil, err
	}
	d := *shared
	d.turn = turn
	return &d, nil
}

// whole returns d with the bytes of the module.
func (d *Decoded) whole() (*Decoded, error) {
	if d.open == nil {
		return d, nil
	}
	bin, err := d.open()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bin)
	if sum != d.sum {
		return nil, fmt.Errorf("engine: the module %x is now %x", d.sum, sum)
	}
	return decode(bin, sum, nil)
}

// separateData returns the part of the module that is separate from its code, with its data.
func (d *Decoded) separateData() (*rewrite.Separate, error) {
	if d.separate == nil || !d.separate.Dataless {
		return d.separate, nil
	}
	whole, err := d.whole()
	if err != nil {
		return nil, err
	}
	return whole.separate, nil
}
