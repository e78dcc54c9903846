package follow

import (
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/registry"
)

// ErrDiverged is matched by the errors for a catalogue that does not continue the one that a follower has.
var ErrDiverged = errors.New("the primary's catalogue does not continue the copy of this host")

// continues returns an error unless target can be a later state of the catalogue that own is a state of. An empty catalogue
// is continued by each.
//
// A version that became current in a generation has its time and its content. So a version of target that is not newer
// than own must be in own. If it is not, the primary was restored from a backup and changed since.
func continues(own, target *registry.State) error {
	if own.Generation == 0 {
		return nil
	}
	switch mine, theirs := IdentityOf(own), IdentityOf(target); {
	case mine != theirs:
		return fmt.Errorf("%w: it has the identity %s, the copy %s", ErrDiverged, theirs, mine)
	case target.Generation < own.Generation:
		return fmt.Errorf("%w: it is at generation %d, the copy at %d; was it restored from a backup?", ErrDiverged, target.Generation, own.Generation)
	}
	if target.Generation == own.Generation {
		return same(own, target)
	}
	for key, service := range target.Services {
		copied := own.Services[key]
		for _, v := range service.Versions() {
			if v.Generation > own.Generation {
				continue
			}
			if have, ok := copied.Numbered(v.Number); !ok || have.Generation != v.Generation || !have.Deployed.Equal(v.Deployed) || !have.SameContent(v) {
				return fmt.Errorf("%w: %s has another version of generation %d; was it restored from a backup and changed since?", ErrDiverged, key, v.Generation)
			}
		}
	}
	return nil
}

// same returns an error unless two states of one generation are equal.
func same(own, target *registry.State) error {
	other := fmt.Errorf("%w: another state has the generation %d; was it restored from a backup and changed since?", ErrDiverged, own.Generation)
	if len(own.Services) != len(target.Services) || len(own.Records) != len(target.Records) {
		return other
	}
	for key, service := range target.Services {
		if !own.Services[key].Equal(service) {
			return other
		}
	}
	for name, record := range target.Records {
		if !own.Records[name].Equal(record) {
			return other
		}
	}
	return nil
}
