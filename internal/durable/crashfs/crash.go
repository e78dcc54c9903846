package crashfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Aftermaths returns possible contents after a crash at this moment: without all uncertain changes, with all of
// them, and with mixtures. There are at least 2.
func (c *FS) Aftermaths(number int) []*FS {
	var all []*FS
	for seed := range uint64(number) {
		rng := rand.New(rand.NewPCG(seed, uint64(c.Count())))
		lose := func() bool { return rng.IntN(2) == 0 }
		if seed < 2 {
			lose = func() bool { return seed == 0 }
		}
		all = append(all, c.aftermath(rng, lose))
	}
	return all
}

// aftermath returns one such content. lose decides for each uncertain change whether it is lost.
func (c *FS) aftermath(rng *rand.Rand, lose func() bool) *FS {
	c.mu.Lock()
	defer c.mu.Unlock()
	crash := &crash{rng: rng, lose: lose, nodes: make(map[*node]*node), moves: make(map[*move]bool)}
	return &FS{top: crash.survivor(c.top)}
}

// crash holds the decisions of a crash so far.
type crash struct {
	rng   *rand.Rand
	lose  func() bool
	nodes map[*node]*node // survivors; a node may have two names
	moves map[*move]bool  // whether it is lost
}

// survivor returns the rest of a node after the crash.
func (c *crash) survivor(n *node) *node {
	if c.nodes[n] != nil {
		return c.nodes[n]
	}
	if n.names == nil {
		data := c.content(n)
		c.nodes[n] = &node{data: data, synced: data}
		return c.nodes[n]
	}
	left := newDirectory()
	c.nodes[n] = left
	after := maps.Clone(n.durable)
	for _, change := range n.pending {
		switch {
		case c.lost(change):
		case change.to == nil:
			delete(after, change.name)
		default:
			after[change.name] = change.to
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		left.names[name] = c.survivor(after[name])
	}
	left.durable = maps.Clone(left.names)
	return left
}

// lost reports whether a change is lost.
func (c *crash) lost(of change) bool {
	if of.with == nil {
		return c.lose()
	}
	if _, decided := c.moves[of.with]; !decided {
		c.moves[of.with] = !of.with.durable && c.lose()
	}
	return c.moves[of.with]
}

// content returns the rest of a file after the crash.
func (c *crash) content(n *node) []byte {
	switch {
	case n.synced != nil && string(n.synced) == string(n.data), !c.lose():
		return slices.Clone(n.data)
	case n.synced != nil:
		return slices.Clone(n.synced)
	}
	torn := slices.Clone(n.data[:c.rng.IntN(len(n.data)+1)])
	if len(torn) > 0 && c.rng.IntN(2) == 0 {
		clear(torn[c.rng.IntN(len(torn)):]) // blocks that were allocated but never written
	}
	return torn
}
