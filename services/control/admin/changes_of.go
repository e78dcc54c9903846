package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/static"
)

// fact is one property of a version, in the form in which it is shown.
type fact struct {
	text   string
	secret map[string]string // replaces text; only the names are shown
	hidden string            // replaces text; never shown, as it may hold secrets
}

func (x fact) empty() bool { return x.text == "" && len(x.secret) == 0 && x.hidden == "" }

func (x fact) equal(y fact) bool {
	return x.text == y.text && x.hidden == y.hidden && maps.Equal(x.secret, y.secret)
}

// changesOf describes what a deploy has changed and which options it has kept, one per line.
func changesOf(ctx context.Context, result deploy.Result, blob blobReader) (changes, kept []string) {
	if result.Created {
		return nil, nil
	}
	changes = []string{}
	before, after := factsOf(ctx, result.Before, blob), factsOf(ctx, result.Service.Current, blob)
	for _, name := range factNames() {
		x, y := before[name], after[name]
		switch {
		case x.equal(y) && (y.empty() || name == "kind" || name == fieldModule):
		case x.equal(y):
			kept = append(kept, name+y.shown())
		default:
			changes = append(changes, name+": "+difference(name, x, y))
		}
	}
	return changes, kept
}

// shown returns the text that follows the name of the fact.
func (x fact) shown() string {
	switch {
	case x.text != "":
		return ": " + x.text
	case len(x.secret) > 0:
		return ": " + strings.Join(slices.Sorted(maps.Keys(x.secret)), ", ")
	}
	return ""
}

// difference describes a change. Values that may be secrets are not shown.
func difference(name string, x, y fact) string {
	switch {
	case x.hidden != "" || y.hidden != "":
		return "changed"
	case len(x.secret) > 0 || len(y.secret) > 0:
		return pairChanges(x.secret, y.secret)
	}
	absent := "default"
	switch {
	case isBoolean(name):
		absent = "false"
	case isList(name) || name == fieldModule:
		absent = "none"
	}
	or := func(text string) string {
		if text == "" {
			return absent
		}
		return text
	}
	return or(x.text) + " -> " + or(y.text)
}

func pairChanges(x, y map[string]string) string {
	both := maps.Clone(x)
	if both == nil {
		both = make(map[string]string)
	}
	maps.Copy(both, y)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(both)) {
		was, had := x[name]
		is, has := y[name]
		switch {
		case !had:
			changes = append(changes, name+" added")
		case !has:
			changes = append(changes, name+" removed")
		case was != is:
			changes = append(changes, name+" changed")
		}
	}
	return strings.Join(changes, ", ")
}

// factNames returns the names of all facts, in display order.
func factNames() []string {
	names := []string{"kind", fieldModule}
	for _, name := range append([]string{fieldTimeout, fieldUse, fieldUseConfig, fieldMemory, fieldIsolation, fieldCGIArgs, fieldAllow, fieldConfig, fieldMount}, bindingFields()...) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func factsOf(ctx context.Context, v registry.Version, blob blobReader) map[string]fact {
	o := v.Options
	facts := map[string]fact{
		"kind":         {text: v.Kind},
		fieldTimeout:   {text: durationText(o.Timeout)},
		fieldMemory:    {text: sizeText(o.MemoryBytes)},
		fieldIsolation: {text: o.Isolation},
		fieldCGIArgs:   {text: strings.TrimPrefix(strconv.FormatBool(o.CGIArgs), "false")},
		fieldAllow:     {text: strings.Join(o.Allow, ", ")},
		fieldConfig:    {secret: o.Config},
		fieldMount:     {text: pairsText(o.Mounts)},
		fieldUse:       {text: digestsText(o.Use)},
		fieldUseConfig: {secret: o.UseConfig},
	}
	decode := documentFields(v.Kind)
	if decode == nil {
		facts[fieldModule] = fact{text: shortDigest(v.Digest)}
		return facts
	}
	document, err := blob(ctx, v.Digest)
	if err != nil {
		return facts // collected since: the deploy is done, and its answer lacks these facts
	}
	members, err := decode(document)
	if err != nil {
		return facts
	}
	for name, values := range members {
		text := strings.Join(values, ", ")
		if name == fieldRequestHeader || name == fieldResponseHeader || name == fieldExecArg {
			facts[name] = fact{hidden: strings.Join(values, "\x00") + "\x00"}
			continue
		}
		facts[name] = fact{text: text}
	}
	return facts
}

// documentFields returns a decoder from the document of a kind to its fields, or nil for modules. Fields with
// their default have no entry.
func documentFields(kind string) func([]byte) (map[string][]string, error) {
	one := func(m map[string][]string, name, value string) {
		if value != "" && value != "0" && value != "false" {
			m[name] = []string{value}
		}
	}
	switch kind {
	case proxy.KindName:
		return func(text []byte) (map[string][]string, error) {
			d, err := proxy.Decode(text)
			m := map[string][]string{fieldUpstream: d.Upstreams, fieldRequestHeader: d.RequestHeaders, fieldResponseHeader: d.ResponseHeaders}
			one(m, fieldKeepPrefix, strconv.FormatBool(d.KeepPrefix))
			one(m, fieldKeepLocation, strconv.FormatBool(d.KeepLocation))
			one(m, fieldHost, d.Host)
			return withoutEmpty(m), err
		}
	case static.KindName:
		return func(text []byte) (map[string][]string, error) {
			d, err := static.Decode(text)
			m := make(map[string][]string)
			one(m, fieldStatic, d.Directory)
			one(m, fieldFallback, d.Fallback)
			one(m, fieldCacheControl, d.CacheControl)
			return m, err
		}
	case function.KindName:
		return func(text []byte) (map[string][]string, error) {
			d, err := function.Decode(text)
			m := map[string][]string{fieldExecArg: d.Args}
			one(m, fieldRuntimePort, strconv.Itoa(d.RuntimePort))
			one(m, fieldLoops, strconv.Itoa(d.Loops))
			one(m, fieldExec, d.Exec)
			one(m, fieldProcesses, strconv.Itoa(d.Processes))
			return withoutEmpty(m), err
		}
	case queue.KindName:
		return func(text []byte) (map[string][]string, error) {
			d, err := queue.Decode(text)
			m := make(map[string][]string)
			one(m, fieldDepth, strconv.Itoa(d.Depth))
			one(m, fieldLease, d.Lease)
			one(m, fieldRedeliver, strconv.FormatBool(d.Redeliver))
			one(m, fieldDefault, strconv.FormatBool(d.Default))
			one(m, fieldDurable, strconv.FormatBool(d.Durable))
			return m, err
		}
	}
	return nil
}

func withoutEmpty(m map[string][]string) map[string][]string {
	maps.DeleteFunc(m, func(_ string, values []string) bool { return len(values) == 0 })
	return m
}

// sizeText formats a size so that it can be parsed again. Zero is empty.
func sizeText(bytes int64) string {
	switch {
	case bytes == 0:
		return ""
	case bytes%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", bytes>>20)
	case bytes%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", bytes>>10)
	}
	return strconv.FormatInt(bytes, 10)
}

func pairsText(pairs map[string]string) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		texts = append(texts, name+"="+pairs[name])
	}
	return strings.Join(texts, ", ")
}

func digestsText(digests []registry.Digest) string {
	var texts []string
	for _, digest := range digests {
		texts = append(texts, shortDigest(digest))
	}
	return strings.Join(texts, ", ")
}

// shortDigest returns a prefix of d that is long enough to distinguish versions.
func shortDigest(d registry.Digest) string {
	const scheme, digits = len("sha256:"), 12
	return string(d[:min(len(d), scheme+digits)])
}
