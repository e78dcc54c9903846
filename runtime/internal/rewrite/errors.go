package rewrite

import (
	"errors"
	"fmt"
)

// Reasons to refuse a module, to be matched with errors.Is. The error's text names the offset and what is wrong.
var (
	// ErrNotWasm means that the bytes do not begin like a WebAssembly module of version 1.
	ErrNotWasm = errors.New("not a WebAssembly module")
	// ErrComponent means that the bytes are a component (the component model's preamble).
	ErrComponent = errors.New("a WebAssembly component, not a core module")
	// ErrTruncated means that the bytes end, or a section or function body ends, before what it announced.
	ErrTruncated = errors.New("truncated WebAssembly module")
	// ErrInvalid means that the module breaks the rules of the binary format or names something it does not have.
	ErrInvalid = errors.New("invalid WebAssembly module")
	// ErrUnsupported means that the module uses a feature that the host does not offer; see Error.Feature.
	ErrUnsupported = errors.New("unsupported WebAssembly feature")
	// ErrLimit means that the module is well formed but larger in some respect than the host accepts.
	ErrLimit = errors.New("WebAssembly module exceeds a limit")
)

// Error says why and where a module was refused.
type Error struct {
	Kind    error  // one of the Err variables of this package
	Offset  int    // byte offset in the module
	Feature string // the feature's name if Kind is ErrUnsupported, else empty
	Detail  string // what is wrong, for the person who built the module
}

func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Feature != "" {
		text += ": " + e.Feature
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return fmt.Sprintf("%s (at offset %#x)", text, e.Offset)
}

// Unwrap makes errors.Is(err, ErrInvalid) and the like work.
func (e *Error) Unwrap() error { return e.Kind }

// Features that are known and refused.
const (
	featureThreads    = "threads and atomic instructions"
	featureExceptions = "exception handling"
	featureGC         = "garbage collected types"
	featureMemory64   = "64-bit memories or tables"
	featureMultiMem   = "more than one memory"
	featureRelaxed    = "relaxed SIMD"
	featureFuncRefs   = "typed function references"
	featurePageSize   = "custom page sizes"
)
