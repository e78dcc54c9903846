package codemap

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"sync"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

// ErrShape is returned if the types of wazero differ from the expected ones.
var ErrShape = errors.New("wazero has other types than expected")

// Attach makes code the machine code of a module that wazero has loaded from the shell of the same file, and that no
// goroutine uses yet. wazero unmaps it when the module is collected. After an error, the module must not be used, and
// code belongs to the caller. attached is false if the module had machine code already, as one that is loaded twice; code belongs
// to the caller then, too.
func Attach(m wazero.CompiledModule, code []byte) (attached bool, err error) {
	parts, err := open(m)
	if err != nil {
		return false, err
	}
	parts.mu.Lock()
	defer parts.mu.Unlock()
	loaded := parts.modules.MapIndex(parts.id)
	if !loaded.IsValid() || loaded.IsNil() {
		return false, fmt.Errorf("%w: the module is not found", ErrShape)
	}
	compiled, err := field(loaded.Elem(), "compiledModule", reflect.Pointer)
	if err != nil {
		return false, err
	}
	if parts.sorted.Type().Elem() != compiled.Type() {
		return false, ErrShape
	}
	executable, err := executableOf(compiled)
	if err != nil || len(*executable) > 0 {
		return false, err
	}
	// As wazero's addCompiledModuleToSortedList, by which it finds the module of an address in a stack.
	n := parts.sorted.Len()
	at := sort.Search(n, func(i int) bool {
		other, failed := executableOf(parts.sorted.Index(i))
		if failed != nil {
			err = failed
			return true
		}
		return address(*other) >= address(code)
	})
	if err != nil {
		return false, err
	}
	*executable = code
	// A new slice: behind the end of its own one, wazero leaves modules that were closed, whose code would stay.
	longer := reflect.MakeSlice(parts.sorted.Type(), n+1, n+1)
	reflect.Copy(longer, parts.sorted.Slice(0, at))
	longer.Index(at).Set(compiled)
	reflect.Copy(longer.Slice(at+1, n+1), parts.sorted.Slice(at, n))
	parts.sorted.Set(longer)
	return true, nil
}

// internals are fields of wazero's engine, and of a module in it.
type internals struct {
	mu      *sync.RWMutex
	modules reflect.Value // map from the id of a module to a pointer to a struct that embeds its compiledModule; guarded by mu
	sorted  reflect.Value // slice of compiledModules by the address of their code; guarded by mu
	id      reflect.Value // of the module
}

func open(m wazero.CompiledModule) (in internals, err error) {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return in, ErrShape
	}
	module, err := field(v.Elem(), "module", reflect.Pointer)
	if err != nil {
		return in, err
	}
	engine, err := field(v.Elem(), "compiledEngine", reflect.Interface)
	if err != nil {
		return in, err
	}
	if module.IsNil() || engine.IsNil() || engine.Elem().Kind() != reflect.Pointer {
		return in, ErrShape
	}
	of := engine.Elem().Elem()
	mu, errMu := field(of, "mux", reflect.Struct)
	in.modules, err = field(of, "compiledModules", reflect.Map)
	var errSorted, errID error
	in.sorted, errSorted = field(of, "sortedCompiledModules", reflect.Slice)
	in.id, errID = field(module.Elem(), "ID", reflect.Array)
	if err := errors.Join(errMu, err, errSorted, errID); err != nil {
		return in, err
	}
	if mu.Type() != reflect.TypeFor[sync.RWMutex]() || in.modules.Type().Key() != in.id.Type() || in.modules.Type().Elem().Kind() != reflect.Pointer {
		return in, ErrShape
	}
	in.mu = mu.Addr().Interface().(*sync.RWMutex)
	return in, nil
}

// executableOf returns the field with the machine code of a pointer to a compiledModule.
func executableOf(compiled reflect.Value) (*[]byte, error) {
	if compiled.IsNil() {
		return nil, ErrShape
	}
	executables, err := field(compiled.Elem(), "executables", reflect.Pointer)
	if err != nil {
		return nil, err
	}
	if executables.IsNil() {
		return nil, ErrShape
	}
	executable, err := field(executables.Elem(), "executable", reflect.Slice)
	if err != nil {
		return nil, err
	}
	if executable.Type() != reflect.TypeFor[[]byte]() {
		return nil, ErrShape
	}
	return executable.Addr().Interface().(*[]byte), nil
}

// field returns a field of an addressable struct, also an unexported one, to be read and set.
func field(of reflect.Value, name string, kind reflect.Kind) (reflect.Value, error) {
	if of.Kind() != reflect.Struct || !of.CanAddr() {
		return reflect.Value{}, ErrShape
	}
	f := of.FieldByName(name)
	if !f.IsValid() || f.Kind() != kind {
		return reflect.Value{}, fmt.Errorf("%w: field %s of %s", ErrShape, name, of.Type())
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), nil
}

func address(code []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(code))) }
