package admin

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// changesOf describes a change of a service: the options of the new version, and the traffic.
func (a *Auditor) changesOf(c deploy.ServiceChange) []string {
	after := c.After
	if c.After.Last > c.Before.Last {
		if staged, ok := c.After.Numbered(c.After.Last); ok {
			after = registry.Service{Current: staged}
		}
	}
	changes, _ := changesOf(a.Kinds, deploy.Result{Before: c.Before.Current, Service: after})
	return append(changes, trafficChanges(c.Before, c.After)...)
}

// trafficChanges describes what has changed in the shares of versions, the mirror and the canary.
func trafficChanges(before, after registry.Service) (changes []string) {
	add := func(name, x, y string) {
		if x != y {
			changes = append(changes, name+": "+cmp.Or(x, "none")+" -> "+cmp.Or(y, "none"))
		}
	}
	add("traffic", sharesOf(before), sharesOf(after))
	add("sticky", stickyText(before.Split.Sticky), stickyText(after.Split.Sticky))
	add("mirror", shareOf(before.Mirror.Number, before.Mirror.Weight), shareOf(after.Mirror.Number, after.Mirror.Weight))
	x, y := before.Canary, after.Canary
	if y.Number != 0 && (x.Number != y.Number || x.State != y.State || !x.Began.Equal(y.Began)) {
		changes = append(changes, strings.TrimSuffix(fmt.Sprintf("canary: version %d %s: %s", y.Number, y.State, y.Reason), ": "))
	}
	return changes
}

// sharesOf returns the shares of versions in the form of the field split, such as "1=90% 2=10%".
func sharesOf(s registry.Service) string {
	if len(s.Split.Arms) == 0 {
		return shareOf(s.Current.Number, registry.Whole)
	}
	shares := make([]string, 0, len(s.Split.Arms))
	for _, arm := range s.Split.Arms {
		shares = append(shares, shareOf(arm.Number, arm.Weight))
	}
	return strings.Join(shares, " ")
}

// shareOf returns the share of a version, "" for none.
func shareOf(n registry.Number, weight int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d=%g%%", n, float64(weight)*100/registry.Whole)
}

// stickyText returns the form of the field sticky.
func stickyText(s registry.Sticky) string {
	switch {
	case s.Cookie != "":
		return "cookie:" + s.Cookie
	case s.Header != "":
		return "header:" + s.Header
	}
	return ""
}
