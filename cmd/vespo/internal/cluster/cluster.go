// Package cluster makes a server one of several hosts with a common catalogue. The stores are elsewhere: a program that has
// one passes its Opener to the server.
//
// A [Node] announces this host in the store, with an address, the digest of a certificate and a token, so that hosts know
// each other without configuration. It stores the blobs of a deploy on a second host before the commit, fetches blobs of
// other hosts, and serves their changes by a deploy.Deployer.
//
// # Concurrency
//
// All is safe for concurrent use. Lock order of a Node: knownMu, drainMu, placesMu, mu. Announce and Follow run on their callers' goroutines, and
// Announce waits for the goroutines of its own.
package cluster

import (
	"context"
	"log/slog"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// Store is a catalogue that several hosts share.
type Store interface {
	registry.Store
	// String returns the store's name for people, without secrets.
	String() string
	// Trouble returns why the store cannot be used at present, or nil. Serving goes on without it.
	Trouble() error
	// Announce makes this host known to the others, until ctx ends. own is called every few seconds; what it returns is
	// written when it changes. It goes on while the store cannot be reached.
	Announce(ctx context.Context, own func() Member)
	// View returns what the store has of the hosts and of the catalogue, as of the call.
	View(ctx context.Context) (View, error)
	// Drain sets or removes the mark that a host is to be drained. It lasts until it is removed, also while the host is away.
	Drain(ctx context.Context, host string, on bool) error
	// Claim reports whether this host may run a schedule for a time: the first host that asks for the time or a later one
	// may. It does not report true twice for one time.
	Claim(ctx context.Context, schedule string, at time.Time) (bool, error)
	// Place takes one of n places that all hosts share, by the name of this host. It returns nil if there is none now. A
	// place ends with release, or some time after its host has died.
	Place(ctx context.Context, n int) (release func(), err error)
	// Condemn announces that this host is about to delete at most 64 blobs of the object store. Deploys wait for its end, so they
	// never rely on a blob that is being deleted. It ends with Release, and at the latest after the time valid.
	Condemn(ctx context.Context, blobs []registry.Digest, valid time.Duration) (Condemnation, error)
	// Condemned reports whether a host is about to delete a blob, as of the call.
	Condemned(ctx context.Context, d registry.Digest) (bool, error)
	// Current returns the state that the store had at the time of the call, or a later one.
	Current(ctx context.Context) (*registry.State, error)
	// Fits returns an error that names each service that the store could not keep, or nil. It asks nothing of the store.
	Fits(state *registry.State) error
	// Keep keeps a state of the store for starts without it. The host serves it, so it has the modules.
	Keep(state *registry.State)
	// Mark returns the mark of a copy of the current state; a zero one if there is none.
	Mark() Mark
	// Stats returns counts since the store was opened.
	Stats() StoreStats
	// Close ends everything that the store does. No method may be called afterwards.
	Close() error
}

// Condemnation is an announcement of Store.Condemn.
type Condemnation interface {
	// Extend lets the announcement last for its whole time again, or returns an error if it may have ended.
	Extend(ctx context.Context) error
	// Release ends the announcement.
	Release()
}

// View is what a store has at a time.
type View struct {
	Members    []Member            // that are there, in the order of their addresses
	Drained    []string            // addresses with the mark, also of hosts that are away, sorted
	Generation registry.Generation // of the catalogue; 0: there is none yet
}

// StoreStats are counts of what a host has asked of its store.
type StoreStats struct {
	Requests []RequestStats // by operation, in the order of their names
	Changes  uint64         // commits of this host
	Writes   uint64         // keys that these have written
	Reads    uint64         // reads of the whole catalogue
}

// RequestStats are counts of requests of one operation.
type RequestStats struct {
	Operation  string
	OK, Failed uint64
}

// Member is a host of the catalogue, as it announces itself.
type Member struct {
	Address     string              `json:"address"`            // HOST:PORT for the other hosts, which identifies it
	Certificate string              `json:"certificate"`        // SHA-256 of its certificate there, in hexadecimal
	Token       string              `json:"token"`              // that other hosts send
	Forwards    bool                `json:"forwards,omitempty"` // it serves requests that other hosts forward
	Key         string              `json:"key,omitempty"`      // ed25519 key by which it signs compiled code, in hexadecimal; empty: it sends none
	Likeness    string              `json:"likeness,omitempty"` // of the compiled code that it sends
	Places      bool                `json:"places,omitempty"`   // it serves, and holds services with a placement
	Labels      []string            `json:"labels,omitempty"`   // by which services choose their hosts
	Version     string              `json:"version"`
	Started     time.Time           `json:"started"`
	Generation  registry.Generation `json:"generation"`            // that it serves
	Unavailable []string            `json:"unavailable,omitempty"` // keys of services that it cannot serve; the first few
	Failing     int                 `json:"failing,omitempty"`     // number of services that it cannot serve
	Slots       int                 `json:"slots,omitempty"`       // for requests to guests
	FreeSlots   int                 `json:"free_slots,omitempty"`  // of these, some seconds ago
	Drained     bool                `json:"drained,omitempty"`     // it knows that it is to be drained
	Work        Work                `json:"work,omitzero"`         // in progress; announced by a host with Drained alone
	Told        uint64              `json:"told,omitempty"`        // announcements with Drained since the start: Work is as old as the last change
}

// Work is what a host has begun and not ended.
type Work struct {
	Requests int `json:"requests,omitempty"` // of clients, also waiting ones
	Leases   int `json:"leases,omitempty"`   // requests of its queues that workers hold
	Events   int `json:"events,omitempty"`   // of the Lambda API, accepted and not done
}

// Options are what a store is opened with.
type Options struct {
	URL  string
	Host string         // the address of this host's Member
	Copy registry.Store // of this host, for starts without the store; not loaded yet
	// Password is that of PasswordVariable; empty: there is none.
	Password string
	Log      *slog.Logger
}

// PasswordVariable is the variable of the environment with the password of a store's user.
const PasswordVariable = "VESPO_STORE_PASSWORD"

// Opener opens the store of a URL. It need not be reachable.
type Opener func(ctx context.Context, o Options) (Store, error)
