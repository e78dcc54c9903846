package component

import (
	"errors"
	"fmt"
)

// Reasons to refuse a component, for use with errors.Is. The error text has the offset and the details.
var (
	// ErrTruncated means that the component or a section is shorter than it declares.
	ErrTruncated = errors.New("truncated WebAssembly component")
	// ErrInvalid means that the component violates the binary format or refers to an undefined index.
	ErrInvalid = errors.New("invalid WebAssembly component")
	// ErrUnsupported means that the component is well formed, but has a form that the host does not run.
	ErrUnsupported = errors.New("unsupported WebAssembly component")
	// ErrLimit means that the component exceeds a limit of the host.
	ErrLimit = errors.New("WebAssembly component exceeds a limit")
)

// Error is the reason for refusing a component.
type Error struct {
	Kind   error  // one of the Err variables of this package
	Offset int    // byte offset in the component; -1 if the reason has no single place
	Detail string // details for the developer of the component
}

func (e *Error) Error() string {
	text := e.Kind.Error() + ": " + e.Detail
	if e.Offset >= 0 {
		text += fmt.Sprintf(" (at offset %#x)", e.Offset)
	}
	return text
}

// Unwrap returns e.Kind for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

func invalid(at int, format string, args ...any) error {
	return &Error{Kind: ErrInvalid, Offset: at, Detail: fmt.Sprintf(format, args...)}
}

// unsupported returns an error about the whole component.
func unsupported(format string, args ...any) error {
	return &Error{Kind: ErrUnsupported, Offset: -1, Detail: fmt.Sprintf(format, args...)}
}

func unsupportedAt(at int, format string, args ...any) error {
	return &Error{Kind: ErrUnsupported, Offset: at, Detail: fmt.Sprintf(format, args...)}
}

func limit(at int, format string, args ...any) error {
	return &Error{Kind: ErrLimit, Offset: at, Detail: fmt.Sprintf(format, args...)}
}

// maxQuotedBytes limits names in errors.
const maxQuotedBytes = 100

// quoted returns a name for an error text.
func quoted(name string) string { return fmt.Sprintf("%.*q", maxQuotedBytes, name) }
