package admin

import (
	"cmp"
	"slices"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/schema"
)

// permitOf returns the Permit for changes by a caller without the scope admin.
//
// A deploy scope covers the services at a prefix, not the server's machine and network. So its holder deploys kinds that are Delegated, and keeps the grants of the current version, but adds none: not by a deploy, and not by a
// rollback to a version that had more.
func permitOf(caller *identity.Principal, kinds schema.Kinds) deploy.Permit {
	return func(key routekey.Key, before, after registry.Service) error {
		if !caller.Scopes.Deploy(key) {
			return problem.Newf(problem.Forbidden, "the %s has the scopes %s, and this change concerns the service %s", caller, caller.Scopes, key)
		}
		if after.Key.IsZero() { // removed
			return nil
		}
		had := live(before)
		for _, v := range live(after) {
			if err := checkLive(kinds, had, v); err != nil {
				return err
			}
		}
		return nil
	}
}

// live returns the versions that get requests: the current one, and those of a split and of a mirror.
func live(s registry.Service) []registry.Version {
	all := []registry.Version{s.Current}
	add := func(n registry.Number) {
		if v, ok := s.Numbered(n); ok && n != s.Current.Number {
			all = append(all, v)
		}
	}
	for _, arm := range s.Split.Arms {
		add(arm.Number)
	}
	add(s.Mirror.Number)
	return all
}

// checkLive returns a problem unless the version has no more rights than one that had requests before.
func checkLive(kinds schema.Kinds, had []registry.Version, v registry.Version) error {
	var first error
	for _, before := range had {
		err := checkGrants(kinds, before, v)
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

// checkGrants returns a problem if the version after has rights that the version before has not, or is of a kind that only
// administrators deploy. before is zero if there is none.
func checkGrants(kinds schema.Kinds, before, after registry.Version) error {
	if after.SameContent(before) {
		return nil
	}
	kind, _ := kinds.Get(after.Kind)
	values, form, err := kind.ValuesOf(after)
	if err != nil {
		return err
	}
	if !form.Delegated {
		return problem.Newf(problem.Forbidden,
			"only a caller with the scope admin deploys %s, as it reaches beyond its prefix; nothing was changed", kind.Title)
	}
	var had schema.Values
	if former, ok := kinds.Get(before.Kind); ok {
		had, _, _ = former.ValuesOf(before) // a version that cannot be read has no grants
	}
	for _, f := range form.Fields {
		if added := addedTo(had[f.Name], values[f.Name]); f.Grant && added {
			return problem.Newf(problem.Forbidden,
				"the change adds to %s, which gives the service a right beyond its prefix: only a caller with the scope admin adds one; nothing was changed", f.Name)
		}
	}
	return nil
}

// addedTo reports whether the value of a field has something that the value before has not.
func addedTo(before, after any) bool {
	switch after := after.(type) {
	case nil:
		return false
	case bool:
		return after && before != true
	case []string:
		had, _ := before.([]string)
		return slices.ContainsFunc(after, func(item string) bool { return !slices.Contains(had, item) })
	case map[string]string:
		had, _ := before.(map[string]string)
		for name, value := range after {
			if known, ok := had[name]; !ok || known != value {
				return true
			}
		}
		return false
	}
	return true // of a type that no grant has
}
