package admin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/services/function"
	"github.com/vespo-dev/vespo/services/proxy"
	"github.com/vespo-dev/vespo/services/queue"
	"github.com/vespo-dev/vespo/services/static"
	"github.com/vespo-dev/vespo/services/wasm"
)

// Names of what a request may bind a prefix to instead of a module, and of the options of that.
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

// binding is what a prefix can be bound to beside modules. What is deployed then is a document, which a request describes by fields.
type binding struct {
	kind     string
	field    string   // tells that this is meant
	options  []string // fields that mean something for this alone
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

// bindingFields are the fields of all bindings.
func bindingFields() (names []string) {
	for _, b := range bindings() {
		names = append(append(names, b.field), b.options...)
	}
	return names
}

// moduleFunction is the kind of modules that are functions.
const moduleFunction = wasm.FunctionKindName

// bound gives kind and document where the request binds the prefix to something else than a module; kind is empty otherwise, and the
// module is the caller's to find, as it is where the kind is moduleFunction. modules are the fields of this form that give one, without what a body may give.
func (f *fields) bound(modules ...string) (kind string, document []byte) {
	given := slices.DeleteFunc(slices.Clone(modules), func(name string) bool { return !f.claimed[name] })
	var known []string // options of what is given
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
				known = append(known, option) // told once
			}
		}
	}
	if len(given) > 1 {
		f.violatef("a prefix is bound to one thing, and %s are given: choose one of them", strings.Join(given, " and "))
	}
	return kind, document
}

// means tells whether the request asks for a binding. A function may be called one beside the program that is its worker.
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

// number gives a field that is a whole number; 0 if it was not given.
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

// boolean gives a field that is true or false; false if it was not given.
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

// orElse follows the advice to give a module.
const orElse = "; or bind the prefix to servers by upstream, to a directory by static, or to workers by function or queue"
