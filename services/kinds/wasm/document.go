package wasm

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/schema"
)

// Document is the configuration of a module: the fields of [Description] but for the module itself. Zero fields take the
// server's defaults.
type Document struct {
	Memory    int64         `json:"memory,omitempty"` // linear memory of one request, in bytes
	Timeout   schema.Period `json:"timeout,omitempty"`
	Isolation string        `json:"isolation,omitempty"`  // IsolationSnapshot or IsolationFresh
	WorkLimit int64         `json:"work_limit,omitempty"` // most work of one request, in units; 0: no limit
	Warm      string        `json:"warm,omitempty"`       // requests in HTTP form that run before the snapshot
	CGIArgs   bool          `json:"cgi_args,omitempty"`   // a CGI command gets the words of an indexed query as arguments

	// Allow lists the permitted destinations of calls: origins such as "https://api.example.com", and
	// "http://NAME.vespo.internal" for other services. If it is empty, no calls are permitted.
	Allow  []string          `json:"allow,omitempty"`
	Config schema.Settings   `json:"config,omitzero"` // settings and secrets that the guest can read by name, or one text
	Mount  map[string]string `json:"mount,omitempty"` // from paths in the guest to directories below the server's root
	KV     []string          `json:"kv,omitempty"`    // key-value stores that the guest can use: STORE or NAME=STORE
}

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only. The error may be sent to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

// Description describes the kind of modules that serve requests.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a module",
		Forms: []schema.Form{{Requires: []string{schema.FieldModule}, Fields: append(fields(), schema.Placement()...), Delegated: true}},
	}
}

// FunctionDescription describes the kind of modules that are functions.
func FunctionDescription() schema.Kind {
	kind := Description()
	kind.Name, kind.Title = FunctionKindName, "a module that is a function"
	kind.Forms[0].Fields = slices.DeleteFunc(kind.Forms[0].Fields, func(f schema.Field) bool {
		return f.Name == fieldWarm || f.Name == schema.FieldOn || f.Name == schema.FieldReplicas
	})
	return kind
}

// Names of fields that violations are about.
const (
	fieldMemory    = "memory"
	fieldWorkLimit = "work_limit"
	fieldIsolation = "isolation"
	fieldWarm      = "warm"
	fieldCGIArgs   = "cgi_args"
	fieldAllow     = "allow"
	fieldConfig    = "config"
	fieldMount     = "mount"
	fieldKV        = "kv"
)

func fields() []schema.Field { return append(ownFields(), dataFields()...) }

// ownFields describes the module and its limits.
func ownFields() []schema.Field {
	return []schema.Field{
		{
			Name: schema.FieldModule,
			Type: schema.Blob,
			Form: "FILE|URL",
			Help: "The WebAssembly module.",
		},
		{
			Name:    fieldMemory,
			Type:    schema.Size,
			Form:    "SIZE",
			Help:    "Linear memory of one request, at most the server's --memory.",
			Absent:  "the server's --memory",
			Example: "16MiB",
		},
		schema.Timeout("Time limit of one request.", "the server's --timeout"),
		{
			Name:    fieldWorkLimit,
			Type:    schema.Amount,
			Form:    "UNITS",
			Help:    "Most work of one request, in units that do not depend on the host or its load. A unit stands for about 32 instructions.",
			Absent:  "no limit",
			Example: "50000000",
		},
		{
			Name:    fieldIsolation,
			Type:    schema.Text,
			Form:    "snapshot|fresh",
			Help:    "How a request gets its state: restored in place to that after initialisation, or an instance of its own.",
			Absent:  "snapshot, or fresh for modules that draw random numbers while they start",
			Choices: []string{IsolationSnapshot, IsolationFresh},
		},
		warmField(),
		{
			Name: fieldCGIArgs,
			Type: schema.Bool,
			Help: "Give a CGI command the words of a query without '=' as arguments, as for a search. Without it, its only argument is its name.",
		},
		{
			Name:    fieldAllow,
			Type:    schema.Texts,
			Form:    "ORIGIN",
			Help:    "What the service may call, such as https://api.example.com, http://NAME.vespo.internal for another service, or a block of addresses.",
			Example: "https://api.example.com",
			Grant:   true,
		},
		{
			Name:   fieldConfig,
			Type:   schema.Config,
			Form:   "NAME=VALUE",
			Help:   "A setting or secret that the service can ask for. Modules that read a text get one in place of settings.",
			Secret: true,
		},
	}
}

// dataFields describes the data of others that the module can read.
func dataFields() []schema.Field {
	return []schema.Field{
		{
			Name:  fieldMount,
			Type:  schema.Pairs,
			Form:  "PATH=DIR",
			Help:  "A directory that the service can read: PATH is what it sees, DIR is below the server's --root.",
			Grant: true,
		},
		{
			Name:    fieldKV,
			Type:    schema.Texts,
			Form:    "[NAME=]STORE",
			Help:    "A key-value store that the service can use, under the name of the store or another NAME. Services that name the same store share it.",
			Example: "notes",
			Grant:   true,
		},
	}
}

func warmField() schema.Field {
	return schema.Field{
		Name: fieldWarm,
		Type: schema.Contents,
		Form: "FILE",
		Help: "Requests in HTTP form that the module serves once before the snapshot, so that it starts warm. Lines of ### separate them, and paths are below the prefix. They make no calls and write to no store.",
	}
}

// check returns all violations. Missing directories are detected when they are opened.
func (k *Kind) check(d Document) (violations problem.Violations) {
	switch {
	case d.Memory < 0 || d.Memory > k.cfg.SlotBytes:
		violations.Add(fieldMemory, "is %d bytes: it must be at most %d, the --memory of the server", d.Memory, k.cfg.SlotBytes)
	case d.Memory != 0 && d.Memory < engine.PageBytes:
		violations.Add(fieldMemory, "is %d bytes: it must be at least one page of %d", d.Memory, engine.PageBytes)
	}
	if timeout := time.Duration(d.Timeout); timeout < 0 || timeout > MaxTimeout {
		violations.Add(schema.FieldTimeout, "is %s: it must be more than 0 and at most %s", timeout, MaxTimeout)
	}
	_, refused := outbound.ParseAllow(d.Allow)
	for _, text := range refused {
		violations.Add(fieldAllow, "%s", text)
	}
	violations = append(violations, checkConfig(fieldConfig, d.Config)...)
	violations = append(violations, k.checkMounts(d.Mount)...)
	violations = append(violations, k.checkKV(d.KV)...)
	violations = append(violations, checkWarm(d)...)
	switch d.Isolation {
	case "", IsolationSnapshot, IsolationFresh:
	default:
		violations.Add(fieldIsolation, "is %.40q: it must be %q or %q", d.Isolation, IsolationSnapshot, IsolationFresh)
	}
	return violations
}

// checkWarm checks the requests that warm a module up.
func checkWarm(d Document) (violations problem.Violations) {
	if _, err := parseWarm(d.Warm); err != nil {
		violations.Add(fieldWarm, "%s", err)
	}
	if d.Warm != "" && d.Isolation == IsolationFresh {
		violations.Add(fieldWarm, "is given, and isolation is %q: there is no snapshot to warm up", IsolationFresh)
	}
	return violations
}

// checkKV checks the key-value stores of a service. They need not exist: the first write makes them.
func (k *Kind) checkKV(list []string) (violations problem.Violations) {
	_, refused := kv.ParseBindings(list)
	for _, text := range refused {
		violations.Add(fieldKV, "%s", text)
	}
	if len(list) > 0 && k.cfg.KeyValue == nil {
		violations.Add(fieldKV, "is given, and this server has no key-value stores")
	}
	return violations
}

// Limits of the config option. CGI guests receive it in their environment, and so in their memory.
const (
	maxSettings      = 256
	maxSettingsBytes = 64 << 10
)

func checkConfig(field string, config schema.Settings) (violations problem.Violations) {
	if len(config.Text) > schema.MaxTextBytes {
		violations.Add(field, "has %d bytes: at most %d are allowed", len(config.Text), schema.MaxTextBytes)
	}
	total := 0
	for _, name := range config.Names() {
		value := config.ByName[name]
		total += len(name) + len(value)
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) || !utf8.ValidString(name+value) {
			violations.Add(field, "has the name %.100q: a name is not empty and holds no =, "+
				"and names and values are UTF-8 without a NUL", name)
		}
	}
	if len(config.ByName) > maxSettings || total > maxSettingsBytes {
		violations.Add(field, "has %d settings of %d bytes: at most %d settings of %d bytes are allowed",
			len(config.ByName), total, maxSettings, maxSettingsBytes)
	}
	return violations
}
