package registry

import "slices"

// Equal reports whether both are the same version, deployed by the same commit.
func (v Version) Equal(o Version) bool {
	return v.SameContent(o) &&
		v.Number == o.Number &&
		v.Generation == o.Generation &&
		v.Staged == o.Staged &&
		v.Origin == o.Origin &&
		v.Note == o.Note &&
		v.Deployed.Equal(o.Deployed)
}

// Equal reports whether both are the same service, with the same versions and the same division of requests.
func (s Service) Equal(o Service) bool {
	return s.Key == o.Key &&
		s.Last == o.Last &&
		s.Current.Equal(o.Current) &&
		slices.EqualFunc(s.History, o.History, Version.Equal) &&
		slices.Equal(s.Split.Arms, o.Split.Arms) &&
		s.Split.Sticky == o.Split.Sticky &&
		s.Mirror.equal(o.Mirror) &&
		s.Canary.equal(o.Canary)
}

func (m Mirror) equal(o Mirror) bool {
	return m.Number == o.Number && m.Weight == o.Weight && slices.Equal(m.Headers, o.Headers)
}

func (c Canary) equal(o Canary) bool {
	same := c.Began.Equal(o.Began) && c.Ends.Equal(o.Ends) && c.Ended.Equal(o.Ended)
	c.Began, c.Ends, c.Ended = o.Began, o.Ends, o.Ended
	return same && c == o
}
