package travel

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Host is another host, as it is announced.
type Host struct {
	*peer.Host
	Key      ed25519.PublicKey // by which it signs
	Likeness string
}

// Engine has the code of this host, such as an *engine.Engine.
type Engine interface {
	Likeness() (string, error)
	Parcel(sum [32]byte) (*engine.Parcel, error)
	KeptSnapshot(id engine.SnapshotID) []byte
	OpenCode(code [32]byte) (*os.File, error)
	Warm(ctx context.Context, sum [32]byte) bool
}

// Config configures an Exchange.
type Config struct {
	// Hosts returns the other hosts, in the order in which they are asked. It is called for each module.
	Hosts func() []Host
	Key   ed25519.PrivateKey
	// HeaderTime is the time until the header of an answer; default 3 s. Compiling takes about as long.
	HeaderTime time.Duration
	// Window is the time for which the rate of an answer is measured; default 2 s.
	Window time.Duration
	Log    *slog.Logger
}

// Exchange sends the code of this host to others, and gets theirs: it is an engine.Elsewhere.
type Exchange struct {
	cfg    Config        // immutable
	turns  chan struct{} // semaphore of maxReceiving
	sends  chan struct{} // semaphore of maxSending
	pacer  pacer
	engine atomic.Pointer[attached] // nil before Attach

	mu      sync.Mutex
	avoided map[string]time.Time // guarded by mu: until when a host is not asked, by its URL
	vain    map[sum]time.Time    // guarded by mu: until when a module is not asked for
	warned  map[string]time.Time // guarded by mu: of the last log line about a host

	counts counts
}

type attached struct {
	Engine
	likeness string
}

type counts struct {
	received, missing, refused, failed, sent atomic.Uint64
	receivedBytes, sentBytes                 atomic.Int64
}

// Stats counts since New.
type Stats struct {
	Received      uint64 // code of modules, and single snapshots
	Missing       uint64 // that no host like this one had
	Refused       uint64 // answers that a host of the catalogue does not send
	Failed        uint64 // transfers that broke off
	Sent          uint64 // answers
	ReceivedBytes int64
	SentBytes     int64
}

var _ engine.Elsewhere = (*Exchange)(nil)

// New returns an Exchange. It asks nothing and sends nothing before Attach.
func New(cfg Config) *Exchange {
	cfg.HeaderTime, cfg.Window = cmp.Or(cfg.HeaderTime, 3*time.Second), cmp.Or(cfg.Window, 2*time.Second)
	return &Exchange{
		cfg:     cfg,
		turns:   make(chan struct{}, maxReceiving),
		sends:   make(chan struct{}, maxSending),
		avoided: make(map[string]time.Time),
		vain:    make(map[sum]time.Time),
		warned:  make(map[string]time.Time),
	}
}

// Attach makes the engine of this host known, and returns its likeness.
func (x *Exchange) Attach(e Engine) (likeness string, err error) {
	if likeness, err = e.Likeness(); err != nil || likeness == "" {
		return "", err
	}
	x.engine.Store(&attached{e, likeness})
	return likeness, nil
}

// Warm gets the code of modules that are not here, several at a time, until all were tried or ctx ends. It does nothing if no host
// is like this one.
func (x *Exchange) Warm(ctx context.Context, modules [][32]byte) {
	own := x.engine.Load()
	if own == nil || len(x.alike(own)) == 0 {
		return
	}
	var running sync.WaitGroup
	turns := make(chan struct{}, maxReceiving-reserved)
	for _, module := range modules {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-turns }()
			own.Warm(ctx, module)
		})
	}
	running.Wait()
}

// Stats returns the current counts.
func (x *Exchange) Stats() Stats {
	c := &x.counts
	return Stats{
		Received:      c.received.Load(),
		Missing:       c.missing.Load(),
		Refused:       c.refused.Load(),
		Failed:        c.failed.Load(),
		Sent:          c.sent.Load(),
		ReceivedBytes: c.receivedBytes.Load(),
		SentBytes:     c.sentBytes.Load(),
	}
}
