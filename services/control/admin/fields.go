package admin

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

// Names of the fields of a request.
const (
	fieldPrefix    = "prefix"
	fieldMatch     = "match"
	fieldMemory    = "memory"
	fieldTimeout   = "timeout"
	fieldIsolation = "isolation"
	fieldCGIArgs   = "cgi_args"   // true or false
	fieldAllow     = "allow"      // may be given more than once
	fieldConfig    = "config"     // NAME=VALUE, may be given more than once
	fieldMount     = "mount"      // PATH=DIRECTORY, may be given more than once
	fieldUse       = "use"        // may be given more than once
	fieldUseConfig = "use_config" // NAME=VALUE, may be given more than once
	fieldModule    = "module"
	fieldSource    = "source"
)

// optionFields returns others and the fields that all forms of an add request accept.
func optionFields(others ...string) []string {
	return append(append(others, fieldMemory, fieldTimeout, fieldIsolation, fieldCGIArgs, fieldAllow, fieldConfig, fieldMount, fieldMatch, fieldUse, fieldUseConfig), bindingFields()...)
}

// isList reports whether a field may be given more than once. In JSON it is an array, or an object if isPairs
// holds.
func isList(name string) bool {
	return isPairs(name) || name == fieldAllow || name == fieldUse || name == fieldUnset || name == fieldUpstream || name == fieldRequestHeader || name == fieldResponseHeader || name == fieldExecArg
}

func isPairs(name string) bool {
	return name == fieldConfig || name == fieldMount || name == fieldUseConfig
}

func isBoolean(name string) bool {
	switch name {
	case fieldReset, fieldCGIArgs, fieldKeepPrefix, fieldKeepLocation, fieldFunction, fieldQueue, fieldRedeliver, fieldDefault, fieldDurable:
		return true
	}
	return false
}

func isNumber(name string) bool {
	return name == fieldRuntimePort || name == fieldLoops || name == fieldProcesses || name == fieldDepth
}

// maxViolations bounds the answer to a request with many errors.
const maxViolations = 20

// fields collects the fields of a request and their violations.
type fields struct {
	noun       string              // word for a field in messages
	known      []string            // names that this request may use
	claimed    map[string]bool     // names that were given
	values     map[string]string   // by name; a claimed field with a refused value has none
	lists      map[string][]string // like values, for fields that may be given more than once
	uploads    map[int][]byte      // modules among the values of use, by index
	violations []string            // at most maxViolations
	more       int                 // number of further violations
}

func newFields(noun string, known ...string) *fields {
	return &fields{noun: noun, known: known, claimed: make(map[string]bool), values: make(map[string]string),
		lists: make(map[string][]string)}
}

// queryFields returns the query parameters of r as fields.
func queryFields(r *http.Request, known ...string) *fields {
	f := newFields("query parameter", known...)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		f.violatef("the query is malformed: escape special characters as in %%2F, and separate parameters by &")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range query[name] {
			f.add(name, value)
		}
	}
	return f
}

// claim records that the request has the field. It reports whether to read its value.
func (f *fields) claim(name string) bool {
	switch {
	case !slices.Contains(f.known, name):
		f.violatef("unknown %s %.60q: %s", f.noun, name, f.expected())
		return false
	case f.claimed[name] && !isList(name):
		f.violatef("%s %s is given more than once", f.noun, name)
		return false
	}
	f.claimed[name] = true
	return true
}

// add adds a field with its value.
func (f *fields) add(name, value string) {
	if f.claim(name) {
		f.set(name, value)
	}
}

// set sets the value of a claimed field.
func (f *fields) set(name, value string) {
	if isList(name) {
		f.lists[name] = append(f.lists[name], value)
		return
	}
	f.values[name] = value
}

// missing reports a violation if the field was not given.
func (f *fields) missing(name, advice string) {
	if !f.claimed[name] {
		f.violatef("%s %s is missing: %s", f.noun, name, advice)
	}
}

func (f *fields) expected() string {
	if len(f.known) == 0 {
		return "none is expected here"
	}
	return "expected are " + strings.Join(f.known, ", ")
}

func (f *fields) violatef(format string, args ...any) {
	violation := fmt.Sprintf(format, args...)
	switch {
	case len(f.violations) == maxViolations:
		f.more++
	case !slices.Contains(f.violations, violation):
		f.violations = append(f.violations, violation)
	}
}

// prefix returns the route key: the prefix, which is required, and the optional match.
func (f *fields) prefix() registry.Prefix {
	value, given := f.values[fieldPrefix]
	if !given {
		f.missing(fieldPrefix, "give the path prefix of the service, such as hello")
	}
	var key router.Key
	var err error
	if given {
		key.Prefix, err = router.ParsePrefix(value)
		var invalid *router.PrefixError
		if errors.As(err, &invalid) {
			for _, violation := range invalid.Violations {
				f.violatef("%s prefix is %q: %s", f.noun, invalid.Input, violation)
			}
		}
	}
	key.Match, err = router.ParseMatch(f.values[fieldMatch])
	var invalid *router.MatchError
	if errors.As(err, &invalid) {
		for _, violation := range invalid.Violations {
			f.violatef("%s match is %q: %s", f.noun, invalid.Input, violation)
		}
	}
	return registry.Prefix(key.String())
}

// options returns the requested options. Options that were not given are zero.
func (f *fields) options() registry.Options {
	var o registry.Options
	if value, given := f.values[fieldMemory]; given {
		o.MemoryBytes = f.memory(value)
	}
	if value, given := f.values[fieldTimeout]; given {
		o.Timeout = f.timeout(value)
	}
	if value, given := f.values[fieldIsolation]; given {
		o.Isolation = value
		if value != "snapshot" && value != "fresh" {
			f.violatef("%s isolation is %.60q: it must be snapshot or fresh", f.noun, value)
		}
	}
	o.CGIArgs = f.boolean(fieldCGIArgs)
	o.Allow = f.lists[fieldAllow]
	o.Config = f.pairs(fieldConfig, "NAME=VALUE")
	o.Mounts = f.pairs(fieldMount, "PATH=DIRECTORY")
	o.UseConfig = f.pairs(fieldUseConfig, "NAME=VALUE")
	return o
}

// pairs returns a field of pairs, or nil if it has none. Values may be secrets: no message repeats them.
func (f *fields) pairs(field, form string) (pairs map[string]string) {
	for _, pair := range f.lists[field] {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			f.violatef("%s %s must be %s", f.noun, field, form)
			continue
		}
		if _, twice := pairs[name]; twice {
			f.violatef("%s %s has the name %.60q more than once", f.noun, field, name)
			continue
		}
		if pairs == nil {
			pairs = make(map[string]string)
		}
		pairs[name] = value
	}
	return pairs
}

func (f *fields) memory(value string) int64 {
	n, err := humanize.ParseBytes(value)
	switch {
	case err != nil:
		f.violatef("%s memory is %.60q: write it like 16MiB, or as a number of bytes", f.noun, value)
	case n == 0 || n > math.MaxInt64:
		f.violatef("%s memory is %.60q: it must be more than none and less than 8 EiB", f.noun, value)
	default:
		return int64(n)
	}
	return 0
}

func (f *fields) timeout(value string) time.Duration {
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		f.violatef("%s timeout is %.60q: write it like 500ms, 10s or 1m30s", f.noun, value)
	case d <= 0:
		f.violatef("%s timeout is %.60q: it must be more than nothing", f.noun, value)
	default:
		return d
	}
	return 0
}

// err returns all violations as one problem, or nil.
func (f *fields) err() error {
	if len(f.violations) == 0 {
		return nil
	}
	p := problem.New(problem.BadRequest, "the request is invalid; nothing was changed")
	p.Violations = f.violations
	if f.more > 0 {
		p.Violations = append(p.Violations, fmt.Sprintf("and %d more", f.more))
	}
	return p
}
