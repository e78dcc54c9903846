package component

import (
	"errors"

	"github.com/vespo-dev/vespo/runtime/internal/component/fuse"
)

// fuse returns the program of several modules as one.
func (p *plan) fuse() ([]byte, error) {
	modules := make([]fuse.Module, len(p.program.members))
	for i, in := range p.program.members {
		modules[i] = fuse.Module{
			Name:   in.module.String(),
			Bin:    p.d.bin[in.module.from:in.module.to],
			Source: func(i int) (fuse.Source, error) { return p.source(in, &in.module.imports[i]) },
		}
	}
	bin, err := fuse.Fuse(modules, func() []fuse.Export {
		exports := make([]fuse.Export, len(p.order))
		for i, name := range p.order {
			e := p.exports[name]
			exports[i] = fuse.Export{Name: name, Sort: e.sort, Module: p.program.number[e.in], Index: e.index}
		}
		return exports
	})
	var refused *fuse.Error
	switch {
	case !errors.As(err, &refused):
		return bin, err
	case refused.Unsupported:
		return nil, unsupported("programs of several core modules, such as dynamic libraries: %s", refused)
	}
	return nil, invalid(-1, "programs of several core modules, such as dynamic libraries: %s", refused)
}

// source returns where an import of a member comes from.
func (p *plan) source(in *coreInstance, im *coreImport) (s fuse.Source, err error) {
	it := in.argument(im)
	if im.sort != coreSortFunc {
		owner, index, err := p.d.owner(it, im.sort)
		if err != nil {
			return s, err
		}
		if shim := p.d.shimOf(owner.module); shim != nil && im.sort == coreSortTable && !p.program.has(owner) {
			return fuse.Source{Kind: fuse.Ignored}, nil
		}
		return p.member(owner, index, im)
	}
	t, err := p.d.follow(it, p.program)
	switch {
	case err != nil:
		return s, err
	case p.program.has(t.from):
		return p.member(t.from, t.from.module.exports[t.name].index, im)
	case t.adapter && t.name == adapterReset, p.d.stubbed(t, false):
		return fuse.Source{Kind: fuse.Nothing}, nil
	case p.d.stubbed(t, true), t.lowered != nil && t.lowered.function.lift != nil && p.d.traps(t.lowered.function.lift):
		return fuse.Source{Kind: fuse.Traps}, nil
	}
	n, err := p.importName(im, t)
	if err == nil {
		err = p.d.name(n.module, n.name)
	}
	return fuse.Source{Kind: fuse.FromHost, Host: n.module, Member: n.name}, err
}

func (p *plan) member(owner *coreInstance, index uint32, im *coreImport) (fuse.Source, error) {
	if !p.program.has(owner) {
		return fuse.Source{}, unsupported("import %s.%s is a %s of %s, which is not part of the program: link the program statically into one module",
			quoted(im.module), quoted(im.name), coreSortNames[im.sort], owner.module)
	}
	return fuse.Source{Module: p.program.number[owner], Index: index}, nil
}
