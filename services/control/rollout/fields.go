// Package rollout reads how a new version is to get its requests: at once, by a canary, or as a mirror. The fields are those of
// the management API, of the command line and of the configuration file.
package rollout

import (
	"math"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields.
const (
	FieldCanary         = "canary"
	FieldCanaryFor      = "canary_for"
	FieldCanaryRequests = "canary_requests"
	FieldCanaryErrors   = "canary_errors"
	FieldCanaryLatency  = "canary_latency"
	FieldSticky         = "sticky"
	FieldMirror         = "mirror"
	FieldMirrorHeader   = "mirror_header"
	FieldSmoke          = deploy.FieldSmoke
	FieldDryRun         = "dry_run"
)

// Bounds of a canary.
const (
	minCanary  = time.Second
	maxCanary  = 30 * 24 * time.Hour
	maxHeaders = 16
)

// DefaultRules are the rules of a canary without its own.
func DefaultRules() registry.CanaryRules {
	return registry.CanaryRules{MinRequests: 100, MaxErrors: 0.01, MaxLatency: 1.5}
}

// Fields describes the fields of a deploy.
func Fields() []schema.Field {
	return []schema.Field{
		{Name: FieldCanary, Type: schema.Text, Form: "PERCENT", Help: "Share of the requests that the new version gets, such as 5% or 0.5%; the current version keeps the others."},
		{Name: FieldCanaryFor, Type: schema.Text, Form: "DURATION", Help: "How long the new version is on trial, such as 10m: then it gets all requests, or none if it had more errors or was slower."},
		{Name: FieldCanaryRequests, Type: schema.Text, Form: "N", Help: "Requests that each version has to serve before the trial is decided (100)."},
		{Name: FieldCanaryErrors, Type: schema.Text, Form: "PERCENT", Help: "By how many percentage points the share of errors may be larger (1%)."},
		{Name: FieldCanaryLatency, Type: schema.Text, Form: "FACTOR", Help: "How many times as long the slowest 5% of the answers may take (1.5)."},
		{Name: FieldSticky, Type: schema.Text, Form: "cookie:NAME|header:NAME", Help: "What keeps a client at one version: a cookie, which the server sets if it is missing, or a header."},
		{Name: FieldMirror, Type: schema.Text, Form: "PERCENT", Help: "Share of the requests that the new version gets a copy of; its answers are compared and dropped."},
		{Name: FieldMirrorHeader, Type: schema.Texts, Form: "NAME", Help: "A header of the response that is compared besides status and body."},
		{Name: FieldSmoke, Type: schema.Texts, Form: "'METHOD PATH STATUS'", Help: "A request that the new version has to answer before it is published, such as 'GET /health 200'."},
	}
}

// DryRun describes the field of a dry run, which a configuration file does not have.
func DryRun() schema.Field {
	return schema.Field{Name: FieldDryRun, Type: schema.Bool, Help: "Check and compile, and say what would change, but change nothing."}
}

// Read reads the fields.
func Read(in *fields.Input) (how deploy.How) {
	r := &how.Rollout
	r.Weight = weight(in, FieldCanary, registry.Whole-1)
	r.Mirror.Weight = weight(in, FieldMirror, registry.Whole)
	r.Rules = rules(in)
	if r.For = duration(in, FieldCanaryFor); r.For == 0 {
		r.Rules = registry.CanaryRules{}
	}
	r.Sticky = Sticky(in, FieldSticky)
	r.Mirror.Headers = headers(in)
	how.Smoke = smoke(in)
	how.DryRun = in.Bool(FieldDryRun)
	for _, needs := range []struct{ name, needed string }{
		{FieldCanaryFor, FieldCanary},
		{FieldCanaryRequests, FieldCanaryFor},
		{FieldCanaryErrors, FieldCanaryFor},
		{FieldCanaryLatency, FieldCanaryFor},
		{FieldSticky, FieldCanary},
		{FieldMirrorHeader, FieldMirror},
	} {
		if in.Has(needs.name) && !in.Has(needs.needed) {
			in.Violate(needs.name, "is given without %s", needs.needed)
		}
	}
	if in.Has(FieldMirror) && in.Has(FieldCanary) {
		in.Violate(FieldMirror, "is given together with canary: give one of them")
	}
	return how
}

// ParseWeight parses a share in percent, such as "5%", "0.5%" or "5". It returns thousandths.
func ParseWeight(text string) (int, bool) {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "%"), 64)
	thousandths := math.Round(percent * 10)
	if err != nil || math.IsNaN(percent) || math.Abs(thousandths-percent*10) > 1e-6 || thousandths < 0 || thousandths > registry.Whole {
		return 0, false
	}
	return int(thousandths), true
}

func weight(in *fields.Input, name string, most int) int {
	if !in.Has(name) {
		return 0
	}
	n, ok := ParseWeight(in.Text(name))
	if !ok || n < 1 || n > most {
		in.Violate(name, "is %.40q: give a share of 0.1%% to %g%%, in steps of 0.1%%", in.Text(name), float64(most)/10)
		return 0
	}
	return n
}

func duration(in *fields.Input, name string) time.Duration {
	if !in.Has(name) {
		return 0
	}
	d, err := time.ParseDuration(in.Text(name))
	if err != nil || d < minCanary || d > maxCanary {
		in.Violate(name, "is %.40q: give a duration of 1s to 720h, such as 10m", in.Text(name))
	}
	return d
}

func rules(in *fields.Input) registry.CanaryRules {
	r := DefaultRules()
	if in.Has(FieldCanaryRequests) {
		n, err := strconv.Atoi(in.Text(FieldCanaryRequests))
		if err != nil || n < 10 || n > 1_000_000 {
			in.Violate(FieldCanaryRequests, "is %.40q: give a number of 10 to 1000000", in.Text(FieldCanaryRequests))
		}
		r.MinRequests = n
	}
	if in.Has(FieldCanaryErrors) {
		n, ok := ParseWeight(in.Text(FieldCanaryErrors))
		if !ok {
			in.Violate(FieldCanaryErrors, "is %.40q: give percentage points of 0%% to 100%%, in steps of 0.1%%", in.Text(FieldCanaryErrors))
		}
		r.MaxErrors = float64(n) / registry.Whole
	}
	if in.Has(FieldCanaryLatency) {
		f, err := strconv.ParseFloat(in.Text(FieldCanaryLatency), 64)
		if err != nil || !(f >= 1 && f <= 100) {
			in.Violate(FieldCanaryLatency, "is %.40q: give a factor of 1 to 100, such as 1.5", in.Text(FieldCanaryLatency))
		}
		r.MaxLatency = f
	}
	return r
}

// Sticky reads what keeps clients at one version.
func Sticky(in *fields.Input, name string) (s registry.Sticky) {
	if !in.Has(name) {
		return s
	}
	text := in.Text(name)
	by, value, _ := strings.Cut(text, ":")
	switch value = strings.TrimSpace(value); {
	case by == "header" && httpfield.ValidName(value) && len(value) <= 100:
		s.Header = textproto.CanonicalMIMEHeaderKey(value)
	case by == "cookie" && httpfield.ValidName(value) && len(value) <= 100:
		s.Cookie = value
	default:
		in.Violate(name, "is %.120q: write it like cookie:NAME or header:NAME", text)
	}
	return s
}

func headers(in *fields.Input) (names []string) {
	for _, name := range in.Texts(FieldMirrorHeader) {
		if !httpfield.ValidName(name) || len(name) > 100 {
			in.Violate(FieldMirrorHeader, "is %.120q: give the name of a header", name)
			continue
		}
		names = append(names, textproto.CanonicalMIMEHeaderKey(name))
	}
	if slices.Sort(names); len(names) > maxHeaders {
		in.Violate(FieldMirrorHeader, "has %d names: at most %d are compared", len(names), maxHeaders)
	}
	return slices.Compact(names)
}

func smoke(in *fields.Input) (all []deploy.Smoke) {
	texts := in.Texts(FieldSmoke)
	if len(texts) > deploy.MaxSmoke {
		in.Violate(FieldSmoke, "has %d requests: at most %d are possible", len(texts), deploy.MaxSmoke)
		return nil
	}
	for _, text := range texts {
		s, err := deploy.ParseSmoke(text)
		if err != nil {
			in.Violate(FieldSmoke, "%s", err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// ParseArms parses the arms of a split, such as "3=90" and "4=10": numbers of versions and percents that add up to 100.
func ParseArms(in *fields.Input, name string, texts []string) (arms []registry.Arm) {
	sum := 0
	for _, text := range texts {
		number, share, ok := strings.Cut(text, "=")
		n, err := strconv.ParseUint(number, 10, 64)
		w, valid := ParseWeight(share)
		if !ok || err != nil || n == 0 || !valid || w == 0 {
			in.Violate(name, "is %.60q: write it like 4=10, the number of a version and its share in percent", text)
			return nil
		}
		if slices.ContainsFunc(arms, func(a registry.Arm) bool { return a.Number == registry.Number(n) }) {
			in.Violate(name, "has version %d twice", n)
		}
		arms = append(arms, registry.Arm{Number: registry.Number(n), Weight: w})
		sum += w
	}
	switch {
	case len(arms) == 0:
		in.Violate(name, "is missing: give the shares of the versions, such as 3=90 4=10")
	case len(arms) > registry.MaxArms:
		in.Violate(name, "has %d versions: at most %d serve at the same time", len(arms), registry.MaxArms)
	case sum != registry.Whole:
		in.Violate(name, "adds up to %g%%: the shares have to add up to 100%%", float64(sum)/10)
	}
	return arms
}
