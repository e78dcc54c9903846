package proof

import (
	"strings"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/mesh"
)

// fault lets something fail for a moment, and mends it.
type fault struct {
	name string
	run  func(l *lab)
	// lacks returns why the fault cannot be tried on this machine; empty: it can.
	lacks func(l *lab) string
}

func always(*lab) string { return "" }

// faults returns all faults. Each is tried once before one is tried again.
func faults() []fault {
	return []fault{
		{"kill a host", (*lab).killHost, always},
		{"kill a host during a deploy", (*lab).killDeploying, always},
		{"stop a host", (*lab).stopHost, always},
		{"a host without etcd", func(l *lab) { l.partition(between(l.anyHost().name, "etcd"), mesh.Rule{Hold: true}) }, always},
		{"start of a host without etcd", (*lab).startAlone, always},
		{"a host with broken connections to etcd", func(l *lab) { l.partition(between(l.anyHost().name, "etcd"), mesh.Rule{Refuse: true}) }, always},
		{"a host without the others", func(l *lab) { l.partition(between(l.anyHost().name, "host"), mesh.Rule{Hold: true}) }, always},
		{"a host alone", func(l *lab) { l.partition(mesh.With(l.anyHost().name), mesh.Rule{Hold: true}) }, always},
		{"slow links of a host", func(l *lab) { l.slow(mesh.With(l.anyHost().name)) }, always},
		{"slow links of etcd", func(l *lab) { l.slow(between("etcd", "etcd")) }, always},
		{"a node of etcd without the others", func(l *lab) { l.partition(between(l.anyMember().name, "etcd"), mesh.Rule{Hold: true}) }, always},
		{"etcd's leader without the others", (*lab).partitionLeader, always},
		{"loss of a node of etcd", (*lab).killMember, always},
		{"stop a node of etcd", (*lab).stopMember, always},
		{"loss of etcd's quorum", (*lab).loseQuorum, always},
		{"a host without the engine of events", func(l *lab) { l.partition(between(l.anyHost().name, engineName), mesh.Rule{Hold: true}) }, lacksEngine},
		{"slow links to the engine of events", func(l *lab) { l.slow(between("host", engineName)) }, lacksEngine},
		{"loss of the engine of events", (*lab).killEngine, lacksEngine},
		{"full disk of a host", (*lab).fillDisk, (*lab).lacksDisk},
		{"flipped bit in a blob", (*lab).flipBit, always},
		{"rolling upgrade", (*lab).upgrade, always},
		{"clock step of a host", (*lab).stepClock, lacksClock},
	}
}

// between selects the connections between nodes whose names begin with one and with the other text.
func between(a, b string) mesh.Between {
	return func(from, to string) bool {
		return strings.HasPrefix(from, a) && strings.HasPrefix(to, b) || strings.HasPrefix(from, b) && strings.HasPrefix(to, a)
	}
}

func (l *lab) anyHost() *host     { return l.hosts[l.random.IntN(len(l.hosts))] }
func (l *lab) anyMember() *member { return l.members[l.random.IntN(len(l.members))] }

// moment waits for a random time.
func (l *lab) moment() {
	<-time.After(time.Duration(200+l.random.IntN(1000)) * time.Millisecond)
}

func (l *lab) killHost() {
	h := l.anyHost()
	h.down(h.kill)
	h.start()
}

// killDeploying kills a host that may have sent the blob, committed, or answered.
func (l *lab) killDeploying() {
	h, service := l.anyHost(), serviceName(l.random.IntN(services))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		l.clients.deploy(h, service, true)
	}()
	<-time.After(time.Duration(l.random.IntN(80)) * time.Millisecond)
	h.down(h.kill)
	<-answered
	h.start()
}

func (l *lab) stopHost() {
	h := l.anyHost()
	h.down(func() { h.signal(syscall.SIGSTOP) })
	l.moment()
	h.signal(syscall.SIGCONT)
	h.disturbed.Add(1)
}

// partition sets a rule for a moment.
func (l *lab) partition(which mesh.Between, rule mesh.Rule) {
	before := l.network.Stats()
	l.network.Set(which, rule)
	l.moment()
	l.moment()
	l.network.Heal()
	if l.network.Stats() == before {
		l.idle++ // no part of the data met it
	}
}

// slow delays and throttles links, and then breaks their connections.
func (l *lab) slow(which mesh.Between) {
	l.network.Set(which, mesh.Rule{Delay: time.Duration(5+l.random.IntN(40)) * time.Millisecond, BytesPerSecond: 256 << 10})
	l.moment()
	l.network.Break(which)
	l.network.Heal()
}

// startAlone starts a host that cannot reach etcd: it serves its copy of the catalogue.
func (l *lab) startAlone() {
	h := l.anyHost()
	l.network.Set(between(h.name, "etcd"), mesh.Rule{Hold: true})
	h.down(h.kill)
	h.start()
	l.moment()
	l.network.Heal()
}

func (l *lab) partitionLeader() {
	leader := l.anyMember()
	for _, m := range l.members {
		if status, err := l.etcd.Status(l.t.Context(), m.address); err == nil && status.Leader == status.Header.MemberId {
			leader = m
		}
	}
	which := between(leader.name, "etcd")
	l.network.Set(which, mesh.Rule{Hold: true})
	<-time.After(1500 * time.Millisecond) // an election takes more than a second
	l.moment()
	l.network.Heal()
}

func (l *lab) killMember() {
	m := l.anyMember()
	m.kill()
	l.moment()
	m.run()
}

func (l *lab) stopMember() {
	m := l.anyMember()
	m.signal(syscall.SIGSTOP)
	l.moment()
	m.signal(syscall.SIGCONT)
}

func (l *lab) loseQuorum() {
	lost := []*member{l.members[0], l.members[1], l.members[2]}
	l.random.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	for _, m := range lost[:2] {
		m.kill()
	}
	l.moment()
	for _, m := range lost[:2] {
		m.run()
	}
}
