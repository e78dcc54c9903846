package proof

import "slices"

// pairLabel is the label of the first hosts, pair in number.
const (
	pairLabel = "pair"
	pair      = 2
)

// placements has the field of each service that some of the hosts serve, and its value. All hosts answer their requests.
var placements = map[string][]string{"p0": {"replicas", "2"}, "p1": {"on", pairLabel}}

func ownServices() (all []string) {
	for n := range services {
		all = append(all, serviceName(n))
	}
	return all
}

func placedServices() []string { return []string{"p0", "p1"} }

func allServices() []string { return slices.Concat(ownServices(), placedServices()) }
