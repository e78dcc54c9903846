package router

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Whole is the sum of the weights of a split.
const Whole = 1000

// Arm is one version among those that share the requests of a service.
type Arm struct {
	Route  *Route
	Weight int // of Whole
}

// Sticky sends requests of one client to the same arm, as long as the weights do not change. The zero value chooses an
// arm for each request.
type Sticky struct {
	Header string // canonical name of a header whose value selects the arm
	Cookie string // name of a cookie whose value selects the arm. Clients without one get one with a random value
}

// Split divides the requests of a service among its versions. It must not be changed after NewSplit.
type Split struct {
	Arms   []Arm  // in the order of the versions' numbers, so that a growing arm keeps its clients
	Own    *Route // serves requests of the server itself, such as those of schedules: DispatchOwn
	Sticky Sticky
	Mirror *Mirror // nil: none
}

// NewSplit returns a route that leads to the arms of s. It has no requests of its own. It panics if the weights do not add
// up to Whole.
func NewSplit(key routekey.Key, s Split) *Route {
	sum := 0
	for _, arm := range s.Arms {
		sum += arm.Weight
	}
	if sum != Whole {
		panic(fmt.Sprintf("router: the weights of the arms of %q add up to %d", key, sum))
	}
	r := NewRoute(Binding{Key: key, Service: key.String()})
	r.split = &s
	return r
}

// Split returns the arms of a route made by NewSplit, and nil for another route.
func (r *Route) Split() []Arm {
	if r.split == nil {
		return nil
	}
	return r.split.Arms
}

// choose returns the route that serves a request. It neither locks nor allocates, except for a new cookie.
func (s *Split) choose(x *exchange) *Route {
	if x.own != nil && !x.request.Passed {
		return s.Own
	}
	var seed string
	switch h := x.request.Header; {
	case s.Sticky.Header != "":
		if values := h[s.Sticky.Header]; len(values) > 0 {
			seed = values[0]
		}
	case s.Sticky.Cookie != "":
		if seed = cookieOf(h, s.Sticky.Cookie); seed == "" && x.only == "" {
			seed = newRequestID()
			x.writer.cookie = s.Sticky.Cookie + "=" + seed + "; Path=" + string(s.Arms[0].Route.Key.Prefix) + "; HttpOnly; SameSite=Lax"
		}
	}
	if seed == "" {
		return s.at(rand.IntN(Whole))
	}
	return s.at(bucketOf(seed))
}

// at returns the arm of a bucket.
func (s *Split) at(bucket int) *Route {
	for _, arm := range s.Arms {
		if bucket -= arm.Weight; bucket < 0 {
			return arm.Route
		}
	}
	return s.Arms[len(s.Arms)-1].Route
}

// bucketOf maps a value to one of Whole buckets by FNV-1a, followed by the finaliser of MurmurHash3: values that differ in
// their last bytes alone, such as numbers of users, must not be neighbours.
func bucketOf(seed string) int {
	h := uint64(14695981039346656037)
	for i := range len(seed) {
		h = (h ^ uint64(seed[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return int(h % Whole)
}

// cookieOf returns the value of the first cookie with a name, or "".
func cookieOf(h http.Header, name string) string {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if have, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && have == name {
				return strings.Trim(value, `"`)
			}
		}
	}
	return ""
}
