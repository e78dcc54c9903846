package history

import (
	"cmp"
	"slices"
)

// view is a service as a host serves it from a start to the next one.
type view struct {
	host, life int
	service    string
}

// sights requires that requests succeed, that a host serves what was committed, in the order of the commits, and that it
// serves at least what it has acknowledged itself. A host that cannot get a new service has no version to go on with, and
// may refuse requests for it. A host that passes requests to others gets their answers in the order of the commits, too; it may say
// for a moment that a service is absent that was removed and made anew, and its own versions count only after its start.
func (c *checker) sights() {
	own := c.ownChanges()
	latest := make(map[view]int) // place
	all := slices.Clone(c.Sights)
	slices.SortStableFunc(all, func(a, b Sight) int { return cmp.Compare(a.Began, b.Began) })
	for _, s := range all {
		v := view{s.Host, s.Life, s.Service}
		if s.Failure != "" {
			if !s.Excused && !s.Placed && !(s.NotReady && c.created(v, latest)) {
				c.fail("the request %+v has failed", s)
			}
			continue
		}
		for ; !s.Placed && len(own[v]) > 0 && own[v][0].Ended < s.Began; own[v] = own[v][1:] {
			latest[v] = max(latest[v], c.placeOf(own[v][0]))
		}
		c.sight(s, v, latest)
	}
}

// sight places one sight. Of several places with its content it takes the earliest, which allows all later sights that
// another place would allow.
func (c *checker) sight(s Sight, v view, latest map[view]int) {
	x, known := c.deploys[s.Content]
	if s.Content != "" && (!known || s.Ended < x.Began) {
		c.fail("%+v was not deployed before", s)
		return
	}
	places := c.places[s.Service]
	if len(places) == 0 {
		places = []Commit{{Service: s.Service}}
	}
	if s.Placed && (s.Excused || s.Content == "") && slices.ContainsFunc(places, func(m Commit) bool { return m.Content == s.Content }) {
		return
	}
	for i := latest[v]; i < len(places); i++ {
		if places[i].Content == s.Content {
			latest[v] = i
			return
		}
	}
	if s.Content != "" && !slices.ContainsFunc(places, func(m Commit) bool { return m.Content == s.Content }) {
		c.fail("%+v was served and never committed; its client was told: %+v", s, x)
		return
	}
	c.fail("%+v went back: the host had served %+v, or had acknowledged it", s, places[latest[v]])
}

// created reports whether a host that has served a service may have seen its removal, or its absence, and a new one after it.
func (c *checker) created(v view, latest map[view]int) bool {
	i, seen := latest[v]
	places := c.places[v.service]
	for ; seen && i+1 < len(places); i++ {
		if places[i].Content == "" && places[i+1].Content != "" {
			latest[v] = i
			return true
		}
	}
	return false
}

// ownChanges returns the changes that each host has acknowledged, in the order of their answers.
func (c *checker) ownChanges() map[view][]Change {
	own := make(map[view][]Change)
	for _, x := range c.Changes {
		if x.Outcome == Acknowledged && x.Generation > 0 {
			v := view{x.Host, x.Life, x.Service}
			own[v] = append(own[v], x)
		}
	}
	for _, all := range own {
		slices.SortFunc(all, func(a, b Change) int { return cmp.Compare(a.Ended, b.Ended) })
	}
	return own
}

// placeOf returns the place of an acknowledged change among the commits of its service; 0 if it is lost.
func (c *checker) placeOf(x Change) int {
	i, ok := slices.BinarySearchFunc(c.places[x.Service], x.Generation, func(m Commit, g int64) int { return cmp.Compare(m.Generation, g) })
	if !ok {
		return 0
	}
	return i
}
