package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/static"
)

// Names of the fields that control options that were not given.
const (
	fieldReset = "reset" // true or false
	fieldUnset = "unset" // names of options; may be given more than once
)

// changeFields returns the fields that all forms of a changing request accept, and others.
func changeFields(others ...string) []string {
	return append(optionFields(others...), fieldReset, fieldUnset)
}

// keptOption is an option with the same name in every kind of service. A kind may refuse it.
type keptOption struct {
	field  string
	common bool // kept when the kind changes
	copy   func(to, from *registry.Options)
}

func keptOptions() []keptOption {
	return []keptOption{
		{fieldTimeout, true, func(to, from *registry.Options) { to.Timeout = from.Timeout }},
		{fieldUse, true, func(to, from *registry.Options) { to.Use = from.Use }},
		{fieldUseConfig, true, func(to, from *registry.Options) { to.UseConfig = from.UseConfig }},
		{fieldMemory, false, func(to, from *registry.Options) { to.MemoryBytes = from.MemoryBytes }},
		{fieldIsolation, false, func(to, from *registry.Options) { to.Isolation = from.Isolation }},
		{fieldCGIArgs, false, func(to, from *registry.Options) { to.CGIArgs = from.CGIArgs }},
		{fieldAllow, false, func(to, from *registry.Options) { to.Allow = from.Allow }},
		{fieldConfig, false, func(to, from *registry.Options) { to.Config = from.Config }},
		{fieldMount, false, func(to, from *registry.Options) { to.Mounts = from.Mounts }},
	}
}

// applyUnset marks the options named by unset as given, without a value.
func (f *fields) applyUnset() {
	allowed := unsettable()
	for _, name := range f.lists[fieldUnset] {
		switch {
		case !slices.Contains(allowed, name):
			f.violatef("%s unset has %.60q: expected are %s", f.noun, name, strings.Join(allowed, ", "))
		case f.claimed[name]:
			f.violatef("%s %s is given, and unset has it too: choose one of them", f.noun, name)
		default:
			f.claimed[name] = true
			if isBoolean(name) {
				f.values[name] = "false"
			}
		}
	}
}

// dropEmptyLists turns lists with a single empty value, as in ?use=, into empty lists.
func (f *fields) dropEmptyLists() {
	for name, values := range f.lists {
		_, uploaded := f.uploads[0]
		if len(values) == 1 && values[0] == "" && slices.Contains(unsettable(), name) && name != fieldExecArg && !(name == fieldUse && uploaded) {
			f.lists[name] = nil
		}
	}
}

// unsettable returns the options that have a default.
func unsettable() (names []string) {
	for _, o := range keptOptions() {
		names = append(names, o.field)
	}
	for _, b := range bindings() {
		for _, name := range b.options {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// blobReader reads a blob of a version.
type blobReader func(context.Context, registry.Digest) ([]byte, error)

// inherit fills in options of the current version that the request does not give. When the kind changes, it
// keeps only options that are common to all kinds.
func (r *addRequest) inherit(ctx context.Context, kind string, current registry.Version, blob blobReader) error {
	f := r.fields
	var old map[string][]string // fields of the document; nil for a module
	if decode := documentFields(current.Kind); decode != nil {
		document, err := blob(ctx, current.Digest)
		if err == nil {
			old, err = decode(document)
		}
		if err != nil {
			return err
		}
	}
	same := current.Kind == kind && (kind != function.KindName || (len(old[fieldExec]) > 0) == f.claimed[fieldExec])
	for _, o := range keptOptions() {
		keeps := same || o.common && (kind != static.KindName || o.field != fieldTimeout) // static files have no timeout
		if keeps && !f.claimed[o.field] {
			o.copy(&r.options, &current.Options)
		}
	}
	if len(r.use) == 0 && len(r.options.Use) == 0 && !f.claimed[fieldUseConfig] {
		r.options.UseConfig = nil
	}
	for _, b := range bindings() {
		if same && r.bound() && b.kind == kind && f.means(b) {
			f.overlay(b.options, old)
			r.module = b.document(f)
		}
	}
	return f.err()
}

// overlay sets the fields that were not given to their values in old.
func (f *fields) overlay(names []string, old map[string][]string) {
	for _, name := range names {
		switch values := old[name]; {
		case f.claimed[name] || len(values) == 0:
		case isList(name):
			f.lists[name] = values
		default:
			f.values[name] = values[0]
		}
	}
}
