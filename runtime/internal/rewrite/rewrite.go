package rewrite

import "fmt"

// Kinds of yield, the parameter of the yield function.
const (
	YieldFuel          = 0 // out of fuel; the result is the new fuel
	YieldStackOverflow = 1 // calls nested too deeply; must not return
)

// Options are the parameters of Rewrite. All but Interrupted affect the output.
type Options struct {
	YieldModule, YieldName string // name of the injected import, (kind i32) -> i64
	FuelSlice              int64  // initial value of the fuel global
	StackBytes             int64  // initial value of the depth global: estimated bytes of guest call stack
	MaxTableElements       uint32 // of all tables together; see tableMaxima
	ContextModule          string // of context.get and context.set, which become globals; "" for none
	Separate               bool   // leave out Decoded.Separate, which the host applies to each instance

	// Interrupted, if set, is called before each function. Rewrite stops at its first error and returns it.
	Interrupted func() error
}

// Inspect reads a module and describes it.
func Inspect(bin []byte) (*Info, error) {
	d, err := Decode(bin)
	if err != nil {
		return nil, err
	}
	return d.Info(), nil
}

// Rewrite reads a module and returns the one that the host runs instead;
// see the package comment. The result depends only on the arguments.
func Rewrite(bin []byte, o Options) ([]byte, *Info, error) {
	d, err := Decode(bin)
	if err != nil {
		return nil, nil, err
	}
	return d.Rewrite(o)
}

// Rewrite returns the module that the host runs instead of d. The result depends only on d and the options.
func (d *Decoded) Rewrite(o Options) ([]byte, *Info, error) {
	m := d.m
	if m.memory != nil && m.memory.Shared {
		return nil, nil, &Error{Kind: ErrUnsupported, Feature: featureThreads, Detail: "shared memory"}
	}
	for _, imp := range m.imports {
		if imp.Module == o.YieldModule && imp.Name == o.YieldName {
			return nil, nil, &Error{
				Kind:   ErrInvalid,
				Offset: m.importRaw.from,
				Detail: fmt.Sprintf("import %q.%q is reserved for the host", imp.Module, imp.Name),
			}
		}
	}
	if err := m.checkFootprint(o.Separate && m.separate != nil); err != nil {
		return nil, nil, err
	}
	maxima, err := m.tableMaxima(o.MaxTableElements)
	if err != nil {
		return nil, nil, err
	}
	w := newWriter(m, o)
	w.tableMaxima = maxima
	info := m.info()
	w.nameExports(info)
	out, err := w.module(info)
	if err != nil {
		return nil, nil, err
	}
	info.LeastBytes = max(m.leastBytes, limitModuleTime.leastBytes(info.Cost.Nanoseconds), limitModuleCode.leastBytes(info.Cost.CodeBytes))
	info.InstanceBytes = m.instanceBytes(o.Separate && m.separate != nil)
	info.Types = append(append([]Signature(nil), m.types...), w.types...)
	return out, info, nil
}
