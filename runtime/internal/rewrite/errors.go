package rewrite

import (
	"errors"
	"fmt"
)

// Reasons to refuse a module, for use with errors.Is. The error text has the offset and the details.
var (
	// ErrNotWasm means that the bytes do not begin like a WebAssembly module of version 1.
	ErrNotWasm = errors.New("not a WebAssembly module")
	// ErrComponent means that the bytes are a component (the component model's preamble), which the caller did not
	// decode before.
	ErrComponent = errors.New("a WebAssembly component, not a core module")
	// ErrTruncated means that the module, a section or a function body is shorter than it declares.
	ErrTruncated = errors.New("truncated WebAssembly module")
	// ErrInvalid means that the module violates the binary format or refers to an undefined index.
	ErrInvalid = errors.New("invalid WebAssembly module")
	// ErrUnsupported means that the module uses a feature that the host does not support; see Error.Feature.
	ErrUnsupported = errors.New("unsupported WebAssembly feature")
	// ErrLimit means that the module is well formed but exceeds a limit of the host.
	ErrLimit = errors.New("WebAssembly module exceeds a limit")
)

// Error is the reason for refusing a module, and its place.
type Error struct {
	Kind    error  // one of the Err variables of this package
	Offset  int    // byte offset in the module
	Feature string // the feature's name if Kind is ErrUnsupported, else empty
	Detail  string // details for the developer of the module
}

func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Feature != "" {
		text += ": " + e.Feature
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	text = fmt.Sprintf("%s (at offset %#x)", text, e.Offset)
	if e.Feature == featureExceptions {
		text += "; build C++ with -fno-exceptions and without -fwasm-exceptions"
	}
	return text
}

// Unwrap returns e.Kind for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

// Features that are recognised and refused.
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
