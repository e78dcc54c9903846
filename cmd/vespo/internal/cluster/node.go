package cluster

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster/travel"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Times of a node.
const (
	refreshTime = 2 * time.Second  // between two questions to the store
	retryTime   = 10 * time.Second // after which unavailable services are tried again
	adoptPause  = time.Second      // after a failed adoption
	maxListed   = 20               // unavailable services that a member lists
)

// NodeConfig configures a Node.
type NodeConfig struct {
	Store        Store
	Address      string // of the peer listener, for the other hosts
	Version      string
	MaxBlobBytes int64
	ShareCode    bool           // exchange compiled code with hosts like this one
	Objects      Objects        // nil: blobs are on the disks of hosts alone
	ObjectsGrace time.Duration  // after which unreferenced blobs of Objects are deleted; 0: never
	Partials     *peer.Partials // beginnings of blobs that are being fetched; nil: not kept
	// MaxLag is the longest time for which this host may be behind the store and still be ready; 0: any.
	MaxLag       time.Duration
	Forward      bool          // requests to services that are not loaded here
	MaxBodyBytes int64         // of forwarded requests
	Surge        int           // most hosts that prepare new versions at a time; 0: any
	Labels       []string      // of this host
	Timeout      time.Duration // of requests to services that set none
	QueueWait    time.Duration // of requests for capacity
	// Dir is a directory of its own, for what a start without the store has to know. Nil: nothing is kept.
	Dir durable.FS
	Log *slog.Logger
}

// Node is this host among those of the catalogue: it announces itself, exchanges blobs with the others, and serves their
// changes. Create it with NewNode. It is safe for concurrent use.
type Node struct {
	cfg      NodeConfig         // immutable
	identity *identity          // immutable
	store    Store              // immutable
	log      *slog.Logger       // immutable
	fetcher  *peer.Fetcher      // immutable
	forward  *forward.Forwarder // immutable
	local    registry.BlobStore // immutable after Blobs
	fetching *peer.Store        // immutable after Blobs: over local
	code     *travel.Exchange   // immutable; nil unless compiled code is exchanged
	refresh  time.Duration      // immutable: between two questions to the store
	slack    time.Duration      // immutable: beyond refresh, for an answer

	members     atomic.Pointer[[]Member]          // without this host; nil before the first time
	alone       atomic.Bool                       // the warning was logged
	homes       atomic.Pointer[[]Member]          // of members, the possible homes of services; nil before the first time
	draining    atomic.Bool                       // this host is to be drained, as the store has last said
	catalogue   atomic.Pointer[registry.Registry] // nil before Attach
	objectsAway atomic.Bool                       // the last operation of the object store has failed

	sweptObjects atomic.Uint64 // deleted
	sweptBytes   atomic.Int64

	knownMu sync.Mutex
	askedAt time.Time // guarded by knownMu: when known has last asked the store in vain

	placesAsked sync.Once

	placesMu sync.Mutex
	places   hostSet                 // guarded by placesMu; nil before the first time
	recalled hostSet                 // immutable after recall: the other hosts of places before this start
	former   []formerSet             // guarded by placesMu: places before
	guessed  bool                    // guarded by placesMu: services were placed while places was nil
	lookups  atomic.Pointer[lookups] // of places; nil before the first time
	moved    chan struct{}           // capacity 1: Follow has to look whether services have moved, or can be prepared now

	drainMu  sync.Mutex
	memory   *memory // guarded by drainMu; nil: nothing is kept
	unstored bool    // guarded by drainMu: the last write of memory has failed

	mu      sync.Mutex
	self    Member                        // guarded by mu
	told    uint64                        // guarded by mu: announcements of work
	hosts   map[string]*peerHost          // guarded by mu, by address
	lost    []lostHost                    // guarded by mu: not listed by the store any more, newest first; replaced, never changed
	holds   map[registry.Digest]*hold     // guarded by mu
	uploads map[registry.Digest]time.Time // guarded by mu: when blobs were last stored in the object store
	slots   slots                         // guarded by mu
	work    func() Work                   // guarded by mu; nil: not known yet
	health  health                        // guarded by mu
}

// NewNode returns a node. It starts no goroutine.
func NewNode(cfg NodeConfig) (*Node, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, identity: id, store: cfg.Store, log: cfg.Log, hosts: make(map[string]*peerHost), holds: make(map[registry.Digest]*hold), uploads: make(map[registry.Digest]time.Time), moved: make(chan struct{}, 1)}
	n.self = Member{
		Address:     cfg.Address,
		Certificate: id.fingerprint,
		Token:       rand.Text(),
		Forwards:    cfg.Forward,
		Labels:      cfg.Labels,
		Version:     cfg.Version,
		Started:     time.Now().UTC().Round(time.Second),
	}
	if cfg.ShareCode {
		n.code = travel.New(travel.Config{Hosts: n.codeSources, Key: id.signer, Log: cfg.Log})
	}
	n.fetcher = peer.NewFetcher(peer.Config{Hosts: n.sources, MaxBytes: cfg.MaxBlobBytes, Remembered: n.lostSources, Partials: cfg.Partials, Last: n.last()})
	if err := n.recall(); err != nil {
		return nil, err
	}
	n.refresh, n.slack = refreshTime, maxSlack
	if third := cfg.MaxLag / 3; third > 0 {
		n.refresh, n.slack = min(third, refreshTime), min(third, maxSlack)
	}
	forwarding := forward.Config{
		Peers:        n.countHomes,
		Leaving:      n.Draining,
		Holders:      n.holders,
		Placing:      func() int { return len(n.hostSets()[0]) - 1 },
		Timeout:      cfg.Timeout,
		Wait:         cfg.QueueWait,
		MaxBodyBytes: cfg.MaxBodyBytes,
	}
	if cfg.Forward {
		forwarding.Home = n.home
	}
	n.forward = forward.New(forwarding)
	return n, nil
}

// Elsewhere returns the compiled code of other hosts; nil if none is exchanged.
func (n *Node) Elsewhere() engine.Elsewhere {
	if n.code == nil {
		return nil
	}
	return n.code
}

// AttachEngine lets other hosts have the compiled code of an engine, and this host theirs, if code is exchanged.
func (n *Node) AttachEngine(e *engine.Engine) error {
	if n.code == nil {
		return nil
	}
	likeness, err := n.code.Attach(e)
	if err != nil || likeness == "" {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.Likeness, n.self.Key = likeness, hex.EncodeToString(n.identity.signer.Public().(ed25519.PublicKey))
	return nil
}

// Code returns the exchange of compiled code; nil if there is none.
func (n *Node) Code() *travel.Exchange { return n.code }

// Attach makes the catalogue known, whose blobs the node holds for other hosts. The store has been read, or was not reached.
func (n *Node) Attach(catalogue *registry.Registry) {
	n.catalogue.Store(catalogue)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.health.failed, n.health.since = n.store.Trouble(), time.Now() // the caller logs why
}

// Announce announces this host, and keeps the other ones known, until ctx ends.
func (n *Node) Announce(ctx context.Context) {
	var announcing sync.WaitGroup
	defer announcing.Wait()
	announcing.Go(func() { n.store.Announce(ctx, n.Self) })
	announcing.Go(func() { n.watchObjects(ctx) })
	announcing.Go(func() { n.sweepObjects(ctx) })
	n.watchStore(ctx)
}

// Self returns the announcement of this host. While it is drained, each differs from the last, so that others see how old it is.
func (n *Node) Self() Member {
	slots := n.readSlots()
	work, drained := n.ownWork()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.Slots, n.self.FreeSlots = slots.all, slots.free
	n.self.Work, n.self.Drained = work, drained
	if n.self.Told = 0; drained {
		n.told++
		n.self.Told = n.told
	}
	return n.self
}

// Address returns the address of this host for the others, which identifies it.
func (n *Node) Address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self.Address
}

func (n *Node) token() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self.Token
}

// SetAddress changes the address of this host, whose port may have been 0.
func (n *Node) SetAddress(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.Address = address
}

// View returns what the store has of the hosts, this one included, and of the catalogue.
func (n *Node) View(ctx context.Context) (View, error) {
	view, err := n.look(ctx)
	if err != nil {
		return View{}, unreachable(n.store, err)
	}
	return view, nil
}

// StoreName returns the name of the store, without secrets.
func (n *Node) StoreName() string { return n.store.String() }

// known returns the other hosts as they were read last. Before the first time, it reads them, but not for each module while the
// store cannot be reached.
func (n *Node) known() []Member {
	if all := n.members.Load(); all != nil {
		return *all
	}
	n.knownMu.Lock()
	defer n.knownMu.Unlock()
	if all := n.members.Load(); all != nil {
		return *all
	}
	if time.Since(n.askedAt) < n.refresh || !n.askedAt.IsZero() && n.store.Trouble() != nil {
		return nil
	}
	defer func() { n.askedAt = time.Now() }()
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	all, _ := n.others(ctx) // none while the store cannot be reached
	return all
}

// others reads the other hosts that are there.
func (n *Node) others(ctx context.Context) ([]Member, error) {
	if _, err := n.look(ctx); err != nil {
		return nil, err
	}
	return *n.members.Load(), nil
}

// look asks the store, and remembers the other hosts, and whether this one is to be drained.
func (n *Node) look(ctx context.Context) (View, error) {
	view, err := n.store.View(ctx)
	if err != nil {
		return View{}, err
	}
	own := n.Address()
	others := slices.DeleteFunc(slices.Clone(view.Members), func(m Member) bool { return m.Address == own })
	var before []Member
	if all := n.members.Swap(&others); all != nil {
		before = *all
	}
	fresh := n.noteLost(before, others)
	n.noteHomes(others, view.Drained)
	n.notePlaces(others, view.Drained)
	n.forgetHosts(others)
	n.setDraining(slices.Contains(view.Drained, own))
	if fresh {
		n.signalMoved() // it may have the modules of unavailable services
	}
	return view, nil
}

// Adopter makes a state the served one, such as a deploy.Deployer.
type Adopter interface {
	Adopt(ctx context.Context, a deploy.Adoption) (deploy.Adopted, error)
}

// Follow serves the changes of other hosts, until ctx ends. Services that this host could not prepare are tried again
// from time to time.
func (n *Node) Follow(ctx context.Context, catalogue *registry.Registry, d Adopter) {
	var last *registry.State
	var retry time.Duration // after which the last state is adopted again; 0: never
	failed := false
	place := &turn{node: n}
	for {
		state := n.newer(ctx, catalogue, last, retry)
		if ctx.Err() != nil {
			return
		}
		waited := place.waits() && !failed
		if waited && state == last && !place.ready(ctx) {
			retry = place.pause()
			continue
		}
		done, err := d.Adopt(ctx, deploy.Adoption{State: state, Partial: true, Retry: state == last && !failed && !waited, Place: place.take})
		place.end(done.Postponed)
		if ctx.Err() != nil {
			return
		}
		n.adopted(err, state != last)
		if failed, last, retry = err != nil, state, 0; failed {
			n.log.Warn("the catalogue of the other hosts could not be served; it is tried again", "generation", state.Generation, "error", err)
			retry = adoptPause
			continue
		}
		if done.Postponed { // newer states are looked at meanwhile
			retry = place.pause()
			continue
		}
		if len(done.Unavailable) > 0 {
			retry = retryTime
		}
		n.store.Keep(done.State)
		n.serves(done.State.Generation, done.Unavailable)
	}
}

// newer waits for another state than the last one. It returns that one again after a time, when services may have
// moved, and when another host has appeared.
func (n *Node) newer(ctx context.Context, catalogue *registry.Registry, last *registry.State, retry time.Duration) *registry.State {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if retry > 0 {
		ctx, cancel = context.WithTimeout(ctx, retry)
		defer cancel()
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	if last != nil {
		waiting.Go(func() {
			select {
			case <-n.moved:
				cancel()
			case <-ctx.Done():
			}
		})
	}
	for state := range catalogue.Watch(ctx) {
		if state != last {
			return state
		}
	}
	return last
}

// serves sets what this host announces of its services.
func (n *Node) serves(generation registry.Generation, unavailable []routekey.Key) {
	var listed []string
	for _, key := range unavailable[:min(len(unavailable), maxListed)] {
		listed = append(listed, key.String())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.Generation, n.self.Unavailable, n.self.Failing = generation, listed, len(unavailable)
	n.self.Places = true
}
