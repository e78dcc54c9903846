package flexilib

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Service is a service to declare.
type Service struct {
	Key  routekey.Key
	Rule Rule // its library serves the requests
	// Before is nonzero for an additional service: the line that would otherwise win its requests.
	Before int
}

// Plan returns services that send each request to the library that the rules
// select. It reports a problem for each rule that services cannot express.
func Plan(rules []Rule) (declared []Service, problems []Problem) {
	taken := make(map[routekey.Key]bool)
	declare := func(s Service) {
		if !taken[s.Key] {
			taken[s.Key] = true
			declared = append(declared, s)
		}
	}
	for j, later := range rules {
		if i := slices.IndexFunc(rules[:j], func(earlier Rule) bool { return covers(earlier.Key, later.Key) }); i >= 0 {
			problems = append(problems, Problem{
				Line:     later.Line,
				Harmless: true,
				Text:     fmt.Sprintf("left out: it is never reached, since line %d matches all of its requests before it", rules[i].Line),
			})
			continue
		}
		for _, earlier := range rules[:j] {
			if !overtakes(later.Key, earlier.Key) {
				continue
			}
			both, ok := overlap(earlier.Key, later.Key)
			owner := slices.IndexFunc(rules[:j], func(r Rule) bool { return covers(r.Key, both) }) // at least earlier covers it, if ok
			if !ok || contested(rules[:owner], both) {
				problems = append(problems, Problem{
					Line: later.Line,
					Text: fmt.Sprintf(
						"requests that line %d matches too may come here, and not go there: different headers decide", earlier.Line),
				})
				continue
			}
			declare(Service{Key: both, Rule: rules[owner], Before: later.Line})
		}
		declare(Service{Key: later.Key, Rule: later})
	}
	return declared, problems
}

// contested reports whether a service with this key would take
// requests from one of the rules that no single key describes.
func contested(rules []Rule, key routekey.Key) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool {
		_, expressible := overlap(r.Key, key)
		return overtakes(key, r.Key) && !expressible
	})
}

// covers reports whether a matches every request that b matches.
func covers(a, b routekey.Key) bool { return within(b.Prefix, a.Prefix) && implies(b.Match, a.Match) }

// within reports whether every path below p is below outer.
func within(p, outer routekey.Prefix) bool {
	return outer == "/" || p == outer || strings.HasPrefix(string(p), string(outer)+"/")
}

// implies reports whether b holds whenever a does.
func implies(a, b routekey.Match) bool {
	return b == (routekey.Match{}) || a.Name == b.Name && strings.HasPrefix(a.Value, b.Value)
}

// overtakes reports whether some requests match both keys
// and would go to later if only these two were declared.
func overtakes(later, earlier routekey.Key) bool {
	a, b := later.Match, earlier.Match
	if a.Name == b.Name && !implies(a, b) && !implies(b, a) {
		return false // except for requests that have the header twice
	}
	if later.Prefix == earlier.Prefix {
		return later.Compare(earlier) < 0
	}
	return within(later.Prefix, earlier.Prefix)
}

// overlap returns the key of the requests that both match, and
// reports whether one prefix and one match can express it.
func overlap(a, b routekey.Key) (routekey.Key, bool) {
	both := a
	if within(b.Prefix, a.Prefix) {
		both.Prefix = b.Prefix
	}
	switch {
	case implies(a.Match, b.Match):
		return both, true
	case implies(b.Match, a.Match):
		both.Match = b.Match
		return both, true
	}
	return both, false
}
