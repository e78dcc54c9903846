package forward

import (
	"hash/fnv"
	"math/bits"
)

// Home returns the index of the host that is the home of a service: that with the highest weight for it (rendezvous hashing). If a
// host comes or goes, only its own services move. It returns -1 if there are no hosts. names identify the hosts.
func Home(service string, names []string) int {
	home, highest := -1, uint64(0)
	for i, name := range names {
		if weight := weightOf(service, name); home < 0 || weight > highest || weight == highest && name < names[home] {
			home, highest = i, weight
		}
	}
	return home
}

func weightOf(service, name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(service)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(name))
	return mixed(h.Sum64())
}

// mixed spreads a hash over all bits: the last bytes of a name change only the low ones of FNV. It is the end of MurmurHash3.
func mixed(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	n ^= n >> 33
	n *= 0xc4ceb9fe1a85ec53
	return bits.ReverseBytes64(n ^ n>>33)
}
