// Package rate reads the limit of the rate of a service's requests from its manifest. Package ratelimit applies it.
package rate

import (
	"cmp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of the fields.
const (
	Max     = 1_000_000           // requests of a rate, and of a burst
	MaxFull = 31 * 24 * time.Hour // time in which a burst becomes available again
)

// The values of the field rate_by. The last one is followed by the name of a field.
const (
	byAddress = "address"
	byService = "service"
	byHeader  = "header:"
)

// document is the part of a manifest about the rate.
type document struct {
	Rate  string `json:"rate"`
	Burst int    `json:"burst"`
	By    string `json:"rate_by"`
}

// Of returns the limit in a manifest; limited is false if it has none. An invalid one counts as none: Check finds it
// before a manifest is stored.
func Of(m registry.Manifest) (p ratelimit.Policy, limited bool) {
	p, violations := read(m)
	return p, p.Period > 0 && len(violations) == 0
}

// Check returns the violations of the fields of a manifest that are about the rate.
func Check(m registry.Manifest) problem.Violations {
	_, violations := read(m)
	return violations
}

// read returns the policy of a manifest. Its period is 0 if there is none.
func read(m registry.Manifest) (p ratelimit.Policy, violations problem.Violations) {
	d := schema.Part[document](m, schema.FieldRate, schema.FieldBurst, schema.FieldRateBy)
	if d.Rate == "" {
		return p, without(d)
	}
	count, unit, ok := parse(d.Rate)
	if !ok {
		violations.Add(schema.FieldRate, "is %.60q: write it like 100/s, 30/m, 500/h or 1000/d, with a number from 1 to %d", d.Rate, Max)
	}
	p.Burst = cmp.Or(d.Burst, count)
	switch {
	case d.Burst < 0 || d.Burst > Max:
		violations.Add(schema.FieldBurst, "is %d: it must be from 1 to %d", d.Burst, Max)
	case ok:
		p.Period = (unit + time.Duration(count) - 1) / time.Duration(count)
		if p.Period > MaxFull/time.Duration(p.Burst) {
			violations.Add(schema.FieldBurst, "is %d: at the rate of %s it takes more than 31 days until it is available again", p.Burst, d.Rate)
		}
	}
	if p.By, p.Header, ok = parseBy(d.By); !ok {
		violations.Add(schema.FieldRateBy, "is %.80q: it must be address, service, or header: and the name of a header field, such as header:X-Api-Key", d.By)
	}
	return p, violations
}

// without returns the violations of a document that has no rate.
func without(d document) (violations problem.Violations) {
	const text = "is for a limited rate, and none is given by " + schema.FieldRate
	if d.Burst != 0 {
		violations.Add(schema.FieldBurst, text)
	}
	if d.By != "" {
		violations.Add(schema.FieldRateBy, text)
	}
	return violations
}

// parse parses a rate: a number of requests, and the time in which they may come.
func parse(text string) (count int, unit time.Duration, ok bool) {
	number, per, _ := strings.Cut(text, "/")
	switch per {
	case "s":
		unit = time.Second
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	}
	count, err := strconv.Atoi(number)
	plain := strings.Trim(number, "0123456789") == ""
	return count, unit, err == nil && plain && unit > 0 && count >= 1 && count <= Max
}

// parseBy parses the value of rate_by.
func parseBy(text string) (by ratelimit.By, header string, ok bool) {
	switch text {
	case "", byAddress:
		return ratelimit.ByAddress, "", true
	case byService:
		return ratelimit.ByService, "", true
	}
	name, ok := strings.CutPrefix(text, byHeader)
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !ok || !httpfield.ValidName(name) || name == "Host" || httpfield.RequestID(name) { // the server itself sets these
		return 0, "", false
	}
	return ratelimit.ByHeader, name, true
}
