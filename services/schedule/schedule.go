// Package schedule describes the schedules of services: times, and the request that a service gets at each.
//
// A schedule is one text, a value of the field cron: an optional time zone, a cron expression of package cron, and
// optionally the request.
//
//	*/5 * * * *
//	CRON_TZ=Europe/Berlin 30 6 * * mon-fri POST /reports?kind=daily
//
// The package is pure, except that time zones are read from the system's files. Package scheduler runs schedules.
package schedule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/cron"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of the fields.
const (
	Max       = 32                 // schedules of a service
	MaxServer = 4096               // schedules of all services
	MaxBytes  = 1 << 10            // one schedule
	MaxGrace  = 7 * 24 * time.Hour // of the field cron_grace
)

// DefaultGrace is the grace of services that set none.
const DefaultGrace = time.Hour

// maxZoneBytes is the maximum length of the name of a time zone.
const maxZoneBytes = 64

// Schedule is one parsed schedule. It is immutable.
type Schedule struct {
	Text string // as written, with single spaces; it identifies the schedule within its service
	Cron string // the time zone and the expression, as written
	// Method and Target are the request; Target is a path below the service's prefix, and optionally a query. Both are
	// empty if the schedule has no request: the service gets an event if it is a function, otherwise POST /.
	Method, Target string

	expression *cron.Expression
	zone       *time.Location
}

// Default reports whether the schedule has no request of its own.
func (s *Schedule) Default() bool { return s.Method == "" }

// Next returns the first time after t, the zero time if there is none within decades.
func (s *Schedule) Next(t time.Time) time.Time { return s.expression.Next(t.In(s.zone)) }

// Parse parses a schedule. The error says what is wrong in words for the author of the schedule.
func Parse(text string) (*Schedule, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("it has %d bytes: at most %d are allowed", len(text), MaxBytes)
	}
	words := strings.Fields(text)
	s := &Schedule{Text: strings.Join(words, " "), zone: time.UTC}
	first := 0
	if name, ok := zoneOf(words); ok {
		var err error
		if s.zone, err = loadZone(name); err != nil {
			return nil, err
		}
		first = 1
	}
	expression, request := split(words[first:])
	var err error
	if s.expression, err = cron.Parse(strings.Join(expression, " ")); err != nil {
		return nil, err
	}
	s.Cron = strings.Join(words[:first+len(expression)], " ")
	return s, s.setRequest(request)
}

// zoneOf returns the name of the time zone if the first word is one.
func zoneOf(words []string) (name string, ok bool) {
	if len(words) == 0 {
		return "", false
	}
	if name, ok = strings.CutPrefix(words[0], "CRON_TZ="); !ok {
		name, ok = strings.CutPrefix(words[0], "TZ=")
	}
	return name, ok
}

// loadZone returns a time zone of the IANA database.
func loadZone(name string) (*time.Location, error) {
	refused := fmt.Errorf("the time zone is %.64q: use UTC, or a name of the IANA database such as Europe/Berlin", name)
	if name == "" || name == "Local" || len(name) > maxZoneBytes { // the zone of a server is not part of a service
		return nil, refused
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, refused
	}
	return zone, nil
}

// split separates the expression from the request, which begins with a method.
func split(words []string) (expression, request []string) {
	n := 5
	if len(words) > 0 && cron.IsMacro(words[0]) {
		n = 1
	}
	if len(words) <= n || !startsRequest(words[n]) {
		return words, nil
	}
	return words[:n], words[n:]
}

// startsRequest reports whether a word is taken for a method or a path, and not for a sixth field.
func startsRequest(word string) bool {
	return word[0] == '/' && len(word) > 1 || len(word) > 2 && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-' || r == '/')
	})
}

// setRequest parses the request.
func (s *Schedule) setRequest(words []string) error {
	if len(words) == 0 {
		return nil
	}
	method := words[0]
	switch {
	case len(words) != 2:
		return fmt.Errorf("the request is %.100q: write a method and a path, such as POST /tick", strings.Join(words, " "))
	case method == http.MethodConnect:
		return errors.New("the method is CONNECT, which services do not serve")
	case len(method) > 20 || strings.ContainsFunc(method, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' }):
		return fmt.Errorf("the method is %.40q: write it in capital letters, such as POST", method)
	}
	target, err := url.ParseRequestURI(words[1])
	if err != nil || words[1][0] != '/' || strings.HasPrefix(words[1], "//") || strings.Contains(words[1], "#") {
		return fmt.Errorf("the path is %.100q: it must begin with one / and be escaped, as in a URL", words[1])
	}
	for segment := range strings.SplitSeq(target.Path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("the path is %.100q: it must not have the segment %q", words[1], segment)
		}
	}
	s.Method, s.Target = method, words[1]
	return nil
}

// Document is the part of a manifest about schedules.
type Document struct {
	Cron  []string      `json:"cron"`
	Grace schema.Period `json:"cron_grace"`
}

// Set is the schedules of a service.
type Set struct {
	Schedules []*Schedule
	Grace     time.Duration // lateness up to which a missed time is made up for
}

// Of returns the schedules in a manifest. Those that are invalid are left out: Check finds them before a manifest is
// stored.
func Of(m registry.Manifest) Set {
	d := documentOf(m)
	set := Set{Grace: DefaultGrace}
	if d.Grace > 0 {
		set.Grace = time.Duration(d.Grace)
	}
	for _, text := range d.Cron {
		if s, err := Parse(text); err == nil {
			set.Schedules = append(set.Schedules, s)
		}
	}
	return set
}

// Count returns the number of schedules in a manifest.
func Count(m registry.Manifest) int { return len(documentOf(m).Cron) }

func documentOf(m registry.Manifest) Document {
	return schema.Part[Document](m, schema.FieldCron, schema.FieldCronGrace)
}

// Check returns the violations of the fields of a manifest that are about schedules.
func Check(m registry.Manifest) (violations problem.Violations) {
	d := documentOf(m)
	if len(d.Cron) > Max {
		violations.Add(schema.FieldCron, "has %d schedules: a service can have at most %d", len(d.Cron), Max)
		return violations
	}
	var known []string
	for _, text := range d.Cron {
		s, err := Parse(text)
		switch {
		case err != nil:
			violations.Add(schema.FieldCron, "%.120q is refused: %s", text, err)
		case slices.Contains(known, s.Text):
			violations.Add(schema.FieldCron, "has %.120q twice", s.Text)
		default:
			known = append(known, s.Text)
		}
	}
	if grace := time.Duration(d.Grace); grace > MaxGrace {
		violations.Add(schema.FieldCronGrace, "is %s: it must be at most %s", grace, MaxGrace)
	}
	return violations
}
