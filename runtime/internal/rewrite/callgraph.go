package rewrite

// callGraph is the static call graph. Nodes are the functions that the module
// defines, numbered without the imported ones, and one node for all indirect calls.
type callGraph struct {
	m        *module
	index    []int32 // order of discovery, 0 if not visited
	low      []int32
	onStack  []bool
	stack    []int32
	indirect int32
	targets  []uint32 // functions that indirect calls can reach
	visit    func(component []int32)
}

func newCallGraph(m *module) *callGraph {
	n := len(m.bodies) + 1
	g := &callGraph{m: m, index: make([]int32, n), low: make([]int32, n), onStack: make([]bool, n), indirect: int32(n - 1)}
	for f, ok := range m.referenced {
		if ok && f >= m.importedFuncs {
			g.targets = append(g.targets, uint32(f))
		}
	}
	return g
}

// degree returns the number of outgoing edges of a node.
func (g *callGraph) degree(node int32) int {
	if node == g.indirect {
		return len(g.targets)
	}
	s := &g.m.bodies[node].summary
	if s.indirect {
		return len(s.calls) + 1
	}
	return len(s.calls)
}

// callee returns the target node of the i-th edge, or -1 for an imported function.
func (g *callGraph) callee(node int32, i int) int32 {
	list := g.targets
	if node != g.indirect {
		if list = g.m.bodies[node].summary.calls; i == len(list) {
			return g.indirect
		}
	}
	if f := int(list[i]); f >= g.m.importedFuncs {
		return int32(f - g.m.importedFuncs)
	}
	return -1
}

// components calls visit for each strongly connected component, callees before callers. It is
// Tarjan's algorithm without recursion, because a hostile module controls the depth of the graph.
func (g *callGraph) components(visit func(component []int32)) {
	g.visit = visit
	var order int32
	type step struct {
		node int32
		edge int
	}
	var path []step
	open := func(node int32) {
		order++
		g.index[node], g.low[node], g.onStack[node] = order, order, true
		g.stack = append(g.stack, node)
		path = append(path, step{node: node})
	}
	for root := range int32(len(g.index)) {
		if g.index[root] == 0 {
			open(root)
		}
		for len(path) > 0 {
			top := &path[len(path)-1]
			node := top.node
			if top.edge < g.degree(node) {
				to := g.callee(node, top.edge)
				top.edge++
				switch {
				case to < 0:
				case g.index[to] == 0:
					open(to)
				case g.onStack[to]:
					g.low[node] = min(g.low[node], g.index[to])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				parent := path[len(path)-1].node
				g.low[parent] = min(g.low[parent], g.low[node])
			}
			g.close(node)
		}
	}
}

// close completes a component if node is its root.
func (g *callGraph) close(node int32) {
	if g.low[node] != g.index[node] {
		return
	}
	from := len(g.stack) - 1
	for g.stack[from] != node {
		from--
	}
	for _, n := range g.stack[from:] {
		g.onStack[n] = false
	}
	g.visit(g.stack[from:])
	g.stack = g.stack[:from]
}
