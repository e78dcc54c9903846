package wasihttp

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// thing is a handle of a random program.
type thing struct {
	kind     string
	handle   uint64
	parent   *thing // nil: none
	children int
	message  *sentMessage // of a message and what belongs to it; nil for none
	had      bool         // what it returns once was returned
}

// sentMessage is the model of an outgoing message and its body.
type sentMessage struct {
	hasBody, finished, dropped, broken, spliced, limited bool
	written                                              string
	call                                                 *moodyCall // of a request that was sent
}

// program runs legal calls of a guest at random, and at most one illegal step, which ends it.
type program struct {
	*guest
	*rand.Rand
	things []*thing
	sent   []*sentMessage
	to     *moody
	// The illegal step comes at a call: of the next handle or address if it is armed.
	armed  string // "", "handle", "address", or "order": a handle is given away before its children
	broken bool   // the illegal step was made: the call has to trap
}

// moody is an abi.Outbound of which some calls fail.
type moody struct {
	*rand.Rand
	calls []*moodyCall
}

type moodyCall struct {
	*exchanged
	*rand.Rand
	failed bool // before the request was complete
	silent bool // its answer is an error
}

func (m *moody) Open(context.Context, string, string) (abi.OutboundCall, error) {
	if m.IntN(12) == 0 {
		return nil, &abi.OutboundError{Code: abi.OutboundTooMany}
	}
	s := &server{answer: "the answer", small: m.IntN(4) == 0}
	c := &moodyCall{exchanged: &exchanged{server: s, header: abi.Header{}, trailer: abi.Header{}}, Rand: m.Rand}
	m.calls = append(m.calls, c)
	return c, nil
}

func (c *moodyCall) fails() error {
	if c.IntN(12) > 0 {
		return nil
	}
	c.failed = true
	return &abi.OutboundError{Code: abi.OutboundBroken}
}

func (c *moodyCall) AddHeader(name, value string) error {
	if name != "Content-Length" && c.fails() != nil { // the host adds that one if it can
		return &abi.OutboundError{Code: abi.OutboundTooLarge}
	}
	return c.exchanged.AddHeader(name, value)
}

func (c *moodyCall) Write(p []byte) error {
	if err := c.fails(); err != nil {
		return err
	}
	return c.exchanged.Write(p)
}

func (c *moodyCall) End() error {
	if err := c.fails(); err != nil {
		return err
	}
	return c.exchanged.End()
}

func (c *moodyCall) Status() (int, error) {
	if c.IntN(12) == 0 {
		c.silent = true
		return 0, &abi.OutboundError{Code: abi.OutboundDeadline}
	}
	return c.exchanged.Status()
}

// TestRandomPrograms runs programs on one instance. Legal ones do not trap, and after each the host holds nothing of it: no
// handle, no bytes, and each call is closed once. A call is complete only if its body is.
func TestRandomPrograms(t *testing.T) {
	g, ended := newGuest(t, nil), map[engine.Kind]int{}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := &program{guest: g, Rand: r, to: &moody{Rand: r}}
		x := exchange(strings.Repeat("x", r.IntN(3)))
		x.Outbound = p.to
		ctx, cancel := context.WithCancel(t.Context())
		x.Context, x.Complete = ctx, func() {}
		out := p.serve(x, func(_ *guest, request, out uint64) { p.run(request, out) })
		cancel()
		ended[out.Kind]++
		require.Equal(t, p.broken, out.Kind == engine.Trap, "seed %d: %v", seed, out.Err)
		require.Contains(t, []engine.Kind{engine.OK, engine.Trap, engine.BadAnswer}, out.Kind, "seed %d: %v", seed, out.Err)
		p.check(seed)
		require.Zero(t, g.in.Exchange.(*call).pendingBytes, "seed %d", seed)
	}
	for _, kind := range []engine.Kind{engine.OK, engine.Trap, engine.BadAnswer} {
		require.Greater(t, ended[kind], 100, "%v", ended)
	}
}

func (p *program) check(seed uint64) {
	for _, c := range p.to.calls {
		require.Equal(p.t, 1, c.closed, "seed %d", seed)
		at := slices.IndexFunc(p.sent, func(m *sentMessage) bool { return m.call == c })
		if at < 0 { // the guest has ended in the function that sends it, or its header was refused
			require.True(p.t, p.broken || c.failed, "seed %d", seed)
			continue
		}
		m := p.sent[at]
		if c.ended {
			require.True(p.t, m.finished && !m.dropped && !c.failed, "seed %d: a call is complete, its body is not: %+v", seed, m)
			require.True(p.t, m.spliced || m.written == c.body.String(), "seed %d: %q, want %q", seed, c.body.String(), m.written)
		}
		if m.finished && !m.dropped && !m.broken && !c.failed && !p.broken {
			require.True(p.t, c.ended, "seed %d: the body of a call is complete, it is not", seed)
		}
	}
}

func (p *program) run(request, out uint64) {
	p.add("incoming-request", request, nil, nil)
	p.add("response-outparam", out, nil, nil)
	steps, illegal := 5+p.IntN(300), p.IntN(500)
	for i := range steps {
		if i == illegal {
			p.armed = []string{"handle", "address", "order"}[p.IntN(3)]
		}
		p.next, p.used = allocated, scratch
		p.step()
		require.False(p.t, p.broken, "an illegal step has not trapped")
		p.checkHolders()
	}
	if p.armed != "" || p.IntN(2) == 0 {
		return
	}
	for len(p.things) > 0 {
		p.drop(p.things[slices.IndexFunc(p.things, func(n *thing) bool { return n.children == 0 })])
		p.checkHolders()
	}
	c := p.in.Exchange.(*call)
	require.Equal(p.t, []int{0, 0}, []int{c.fieldBytes, c.pendingBytes}, "the guest has dropped all")
}

// checkHolders checks that a call is open as long as the guest has something of it, and no longer.
func (p *program) checkHolders() {
	for _, m := range p.sent {
		held := slices.ContainsFunc(p.things, func(n *thing) bool {
			return n.message == m && (n.kind != "future-incoming-response" || !n.had)
		})
		if !held {
			require.Equal(p.t, 1, m.call.closed, "a call of which the guest has nothing")
		} else if !m.dropped && !m.broken && !m.limited && !m.call.failed && !m.call.silent {
			require.Zero(p.t, m.call.closed, "a call in use")
		}
	}
}

func (p *program) add(kind string, handle uint64, parent *thing, m *sentMessage) *thing {
	n := &thing{kind: kind, handle: handle, parent: parent, message: m}
	if p.things = append(p.things, n); parent != nil {
		parent.children++
	}
	return n
}

// one returns a thing of a kind; nil if there is none.
func (p *program) one(kind string) *thing {
	var all []*thing
	for _, n := range p.things {
		if n.kind == kind {
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[p.IntN(len(all))]
}

// of returns the handle of a thing, or an illegal one.
func (p *program) of(n *thing) uint64 {
	if p.armed != "handle" || p.IntN(2) == 0 {
		return n.handle
	}
	p.armed, p.broken = "", true
	switch at := p.IntN(len(p.things) + 2); {
	case at < len(p.things) && p.things[at].kind != n.kind && !p.alike(p.things[at], n):
		return p.things[at].handle
	case at == len(p.things):
		return 0
	}
	return canonical.MaxHandles + uint64(p.IntN(9))
}

// alike reports whether two things have the same type for the host.
func (*program) alike(a, b *thing) bool {
	return strings.TrimSuffix(a.kind, "-view") == strings.TrimSuffix(b.kind, "-view")
}

// at returns the address of a result, or an illegal one.
func (p *program) at() uint64 {
	if p.armed != "address" || p.IntN(2) == 0 {
		return result
	}
	p.armed, p.broken = "", true
	return []uint64{1<<32 - 1, 1<<32 - 8, 1 << 31, uint64(len(p.in.Memory()))}[p.IntN(4)]
}

// gone removes a thing that the guest has given away.
func (p *program) gone(n *thing) {
	p.things = slices.DeleteFunc(p.things, func(o *thing) bool { return o == n })
	if n.parent != nil {
		n.parent.children--
	}
}

func (p *program) drop(n *thing) {
	module := "http/types"
	switch n.kind {
	case "pollable":
		module = "io/poll"
	case "input-stream", "output-stream":
		module = "io/streams"
	}
	p.call(module+"#[resource-drop]"+strings.TrimSuffix(n.kind, "-view"), p.of(n))
	p.gone(n)
	if n.kind == "outgoing-body" {
		n.message.dropped = true
	}
}

// fails reads a result<_, error-code>.
func (p *program) fails() (code httptypes.Code, failed bool) {
	return httptypes.Code(p.u8(result + 8)), p.u8(result) == 1
}
