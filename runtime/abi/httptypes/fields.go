package httptypes

import (
	"errors"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// MaxFieldBytes bounds the fields that a guest holds at a time, in all its handles.
const MaxFieldBytes = 4 * abi.MaxHeaderBytes

// Field is a header field or a trailer.
type Field struct{ Name, Value string }

// Bytes is the size of the field as it counts for the guest.
func (f Field) Bytes() int { return len(f.Name) + len(f.Value) + abi.FieldOverheadBytes }

// Bytes returns the size of several fields.
func Bytes(all []Field) (bytes int) {
	for _, f := range all {
		bytes += f.Bytes()
	}
	return bytes
}

// Forbidden reports whether a field belongs to the host. Guests neither see nor set it. The name must be canonical.
func Forbidden(canonical string) bool {
	return canonical == "Host" || canonical == "Http2-Settings" || abi.HopByHop(canonical)
}

// Received returns the fields of a message from outside: their names are in lower case and sorted.
func Received(h abi.Header) []Field {
	count := 0
	for _, values := range h {
		count += len(values)
	}
	all := make([]Field, 0, count)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if Forbidden(name) {
			continue
		}
		lower := abi.LowerName(name)
		for _, value := range h[name] {
			all = append(all, Field{lower, value})
		}
	}
	return all
}

// AddTo adds fields to a header of the host. Of a field with a single value, the last one wins.
func AddTo(h abi.Header, all []Field) {
	for _, f := range all {
		name, ok := abi.CanonicalName(f.Name)
		switch {
		case !ok || Forbidden(name):
		case httpfield.Single(name):
			h[name] = []string{f.Value}
		default:
			h[name] = append(h[name], f.Value)
		}
	}
}

// SetTrailers sets the trailers of a call. Fields that it refuses are left out, with a warning.
func SetTrailers(out abi.OutboundCall, all []Field, log *abi.Lines) error {
	h := abi.Header{}
	AddTo(h, all)
	for name, values := range h {
		err := out.SetTrailer(name, values)
		var refused *abi.OutboundError
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Code == abi.OutboundInvalid:
			log.Line(abi.LevelWarn, []byte(err.Error()))
		default:
			return err
		}
	}
	return nil
}

// Trailers returns the fields that can be trailers, by canonical names.
func Trailers(all []Field) abi.Header {
	h := abi.Header{}
	AddTo(h, all)
	maps.DeleteFunc(h, func(name string, _ []string) bool { return !abi.ValidTrailer(name) })
	return h
}
