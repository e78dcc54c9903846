package admin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// Names of the fields that bind a prefix to something other than a module, and of their options.
const (
	fieldUpstream       = "upstream" // may be given more than once
	fieldKeepPrefix     = "keep_prefix"
	fieldKeepLocation   = "keep_location"
	fieldHost           = "host"
	fieldRequestHeader  = "request_header"  // may be given more than once
	fieldResponseHeader = "response_header" // may be given more than once

	fieldStatic       = "static"
	fieldFallback     = "fallback"
	fieldCacheControl = "cache_control"

	fieldFunction    = "function" // true or false
	fieldRuntimePort = "runtime_port"
	fieldLoops       = "worker_concurrency"
	fieldExec        = "exec"
	fieldExecArg     = "exec_arg" // may be given more than once
	fieldProcesses   = "processes"

	fieldQueue     = "queue" // true or false
	fieldDepth     = "depth"
	fieldLease     = "lease"
	fieldRedeliver = "redeliver" // true or false
	fieldDefault   = "default"   // true or false
	fieldDurable   = "durable"   // true or false
)

// binding describes a kind of service without a module. Its fields are encoded as a document, which is
// deployed in place of a module.
type binding struct {
	kind     string
	field    string   // its presence selects this binding
	options  []string // fields that are valid only with this binding
	document func(*fields) []byte
}

func bindings() []binding {
	return []binding{
		{kind: proxy.KindName, field: fieldUpstream, document: (*fields).proxyDocument,
			options: []string{fieldKeepPrefix, fieldKeepLocation, fieldHost, fieldRequestHeader, fieldResponseHeader}},
		{kind: static.KindName, field: fieldStatic, document: (*fields).staticDocument,
			options: []string{fieldFallback, fieldCacheControl}},
		{kind: function.KindName, field: fieldFunction, document: (*fields).functionDocument,
			options: []string{fieldRuntimePort, fieldLoops}},
		{kind: function.KindName, field: fieldExec, document: (*fields).functionDocument,
			options: []string{fieldExecArg, fieldProcesses, fieldLoops}},
		{kind: queue.KindName, field: fieldQueue, document: (*fields).queueDocument,
			options: []string{fieldDepth, fieldLease, fieldRedeliver, fieldDefault, fieldDurable}},
	}
}

// bindingFields returns the fields of all bindings.
func bindingFields() (names []string) {
	for _, b := range bindings() {
		names = append(append(names, b.field), b.options...)
	}
	return names
}

// moduleFunction is the kind of functions that are WebAssembly modules.
const moduleFunction = wasm.FunctionKindName

// bound returns the kind and the document of a request that binds the prefix to something other than a
// module. Otherwise kind is empty, or moduleFunction for a module that is a function, and the caller supplies
// the module. modules are the fields that give a module in this form of request; a raw body counts as
// fieldModule.
func (f *fields) bound(modules ...string) (kind string, document []byte) {
	given := slices.DeleteFunc(slices.Clone(modules), func(name string) bool { return !f.claimed[name] })
	var known []string // options of the given bindings
	for _, b := range bindings() {
		if b.field == fieldFunction && len(given) > 0 && f.means(b) {
			kind = moduleFunction
			continue
		}
		if f.means(b) {
			given, known = append(given, b.field), append(known, b.options...)
			kind, document = b.kind, b.document(f)
		}
	}
	for _, b := range bindings() {
		for _, option := range b.options {
			if f.claimed[option] && !slices.Contains(known, option) {
				f.violatef("%s %s is an option of %s, which is not given", f.noun, option, b.field)
				known = append(known, option) // reported once
			}
		}
	}
	if len(given) > 1 {
		f.violatef("a prefix is bound to one thing, and %s are given: choose one of them", strings.Join(given, " and "))
	}
	return kind, document
}

// means reports whether the request asks for binding b. With exec, function is not a binding of its own: exec
// names the program that is its worker.
func (f *fields) means(b binding) bool {
	return f.claimed[b.field] && (!isBoolean(b.field) || f.boolean(b.field)) && !(b.field == fieldFunction && f.claimed[fieldExec])
}

func (f *fields) proxyDocument() []byte {
	return proxy.Document{
		Upstreams: f.lists[fieldUpstream], KeepPrefix: f.boolean(fieldKeepPrefix), Host: f.values[fieldHost],
		KeepLocation: f.boolean(fieldKeepLocation), RequestHeaders: f.lists[fieldRequestHeader], ResponseHeaders: f.lists[fieldResponseHeader],
	}.Encode()
}

func (f *fields) staticDocument() []byte {
	return static.Document{
		Directory: f.values[fieldStatic], Fallback: f.values[fieldFallback], CacheControl: f.values[fieldCacheControl],
	}.Encode()
}

func (f *fields) functionDocument() []byte {
	return function.Document{
		RuntimePort: f.number(fieldRuntimePort), Loops: f.number(fieldLoops),
		Exec: f.values[fieldExec], Args: f.lists[fieldExecArg], Processes: f.number(fieldProcesses),
	}.Encode()
}

func (f *fields) queueDocument() []byte {
	return queue.Document{
		Depth: f.number(fieldDepth), Lease: f.values[fieldLease], Redeliver: f.boolean(fieldRedeliver),
		Default: f.boolean(fieldDefault), Durable: f.boolean(fieldDurable),
	}.Encode()
}

// number returns the value of a whole number field, or 0 if it was not given.
func (f *fields) number(name string) int {
	value, given := f.values[name]
	if !given {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		f.violatef("%s %s is %.60q: it must be a whole number", f.noun, name, value)
	}
	return int(n)
}

// boolean returns the value of a boolean field, or false if it was not given.
func (f *fields) boolean(name string) bool {
	switch value := f.values[name]; value {
	case "", "false":
		if value == "" && f.claimed[name] {
			break
		}
		return false
	case "true":
		return true
	}
	f.violatef("%s %s is %.60q: it must be true or false", f.noun, name, f.values[name])
	return false
}

// orElse is appended to messages that ask for a module.
const orElse = "; or bind the prefix to servers by upstream, to a directory by static, or to workers by function or queue"
