package forward

import "github.com/vespo-dev/vespo/services/placement"

// Home returns the index of the host that is the home of a service: that with the highest weight for it (rendezvous hashing). If a
// host comes or goes, only its own services move. It returns -1 if there are no hosts. names identify the hosts.
func Home(service string, names []string) int {
	home, highest := -1, uint64(0)
	for i, name := range names {
		if weight := placement.Weight(service, name); home < 0 || weight > highest || weight == highest && name < names[home] {
			home, highest = i, weight
		}
	}
	return home
}
