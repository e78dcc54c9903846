package engine

import (
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// stackField locates the stack in wazero's call engine. wazero has no API for its size, and
// never shrinks it. The field is looked up by name, and a test fails if a new version of
// wazero has moved it. The zero value means unknown.
type stackField struct {
	known  bool
	offset uintptr
}

func findStackField(fn api.Function) stackField {
	t := reflect.TypeOf(fn)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return stackField{}
	}
	field, ok := t.Elem().FieldByName("stack")
	if !ok || field.Type != reflect.TypeFor[[]byte]() {
		return stackField{}
	}
	return stackField{true, field.Offset}
}

// bytes returns the size of the call stack that wazero holds for fn; 0 if unknown. fn must
// have the type that the field was found in.
func (f stackField) bytes(fn api.Function) int {
	if !f.known {
		return 0
	}
	return len(*(*[]byte)(unsafe.Add(reflect.ValueOf(fn).UnsafePointer(), f.offset)))
}
