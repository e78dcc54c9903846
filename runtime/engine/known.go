package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// description is a knownCode on disk.
type description struct {
	Decoded, Rewritten *Info
	Types              []rewrite.Signature
	Stub               []byte
	LeastBytes         int
}

// describedID is what the description of a code is found by. It depends on all that made the description: the program, which
// contains the rewriter, and the options.
func (e *Engine) describedID(id codeID) codecache.Digest {
	return sha256.Sum256(fmt.Appendf(nil, "%s %x", e.program, id))
}

// describe keeps the description of code on disk, so that a restarted server need not read, rewrite and validate its
// modules. That is a shortcut only, so an error goes to the log.
func (e *Engine) describe(c *sharedCode, types []rewrite.Signature) {
	if e.code == nil || e.cfg.Build == "" {
		return
	}
	text, err := json.Marshal(description{c.decoded, c.rewritten, types, c.stub, c.leastBytes})
	if len(text) > codecache.MaxDescriptionBytes {
		return // its modules are read whole
	}
	if err == nil {
		err = e.code.files.Describe(e.describedID(c.id), c.file, text)
	}
	c.onDisk = err == nil
	if err != nil {
		e.cfg.Log.Warn("the description of compiled code cannot be kept; the next start takes longer", slog.Any("error", err))
	}
}

// known returns the description of the code of a module of a size, or nil.
func (e *Engine) known(id codeID, moduleBytes int) *knownCode {
	if known := e.codes.find(id, moduleBytes); known != nil {
		return known
	}
	if e.code == nil || e.cfg.Build == "" {
		return nil
	}
	text, file, ok := e.code.files.Description(e.describedID(id))
	if !ok {
		return nil
	}
	var d description
	read := json.NewDecoder(bytes.NewReader(text))
	read.DisallowUnknownFields()
	if err := read.Decode(&d); err != nil || d.Decoded == nil || d.Rewritten == nil || len(d.Stub) == 0 {
		return nil // by another program of the same name
	}
	if e.types.admit(d.Types, maxTypeBytes) != nil {
		return nil // the module is read whole, and refused with this reason
	}
	e.codes.remember(knownCode{
		id:         id,
		decoded:    d.Decoded,
		rewritten:  d.Rewritten,
		file:       file,
		stub:       d.Stub,
		leastBytes: d.LeastBytes,
		onDisk:     true,
	})
	return e.codes.find(id, moduleBytes)
}
