package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// blobPath is where hosts have their blobs.
const blobPath = "/services/blob"

// chunkBytes is how much of a body is read at a time.
const chunkBytes = 64 << 10

// Pauses between two attempts.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// Config configures a Fetcher. A zero field takes its default.
type Config struct {
	// Hosts returns the sources in the order in which they are tried. It is called for each blob.
	Hosts    func() []*Host
	MaxBytes int64         // of a blob; default 64 MiB
	Timeout  time.Duration // of a blob, with all attempts; default 10 min
	Silence  time.Duration // time without a byte before a transfer is broken off; default 15 s
	// Pace is the rate below which a transfer goes on at another host, in bytes a second, measured over Window. It counts
	// only while there is a host that was not too slow yet. Default 64 KiB/s over 5 s.
	Pace     int64
	Window   time.Duration
	Attempts int // without progress, for each host; default 5
	// Parallel is the number of transfers at a time; default 8. A quarter of them, at least one if there are several, is not for blobs in
	// advance.
	Parallel int
	// Remembered returns hosts that were there once, such as before the list of hosts was lost. They are asked for a blob that none of
	// Hosts has sent, all at once. Nil: there are none.
	Remembered func() []*Host
	// Last returns a blob that no host has sent, such as from an object store; nil: there is none.
	Last     func(ctx context.Context, d registry.Digest) ([]byte, error)
	Partials *Partials // nil: a transfer that was given up begins anew the next time
}

// Fetcher fetches blobs.
type Fetcher struct {
	cfg   Config // immutable
	turns *queue // immutable

	active   atomic.Int64
	fetched  atomic.Uint64
	failed   atomic.Uint64
	resumed  atomic.Uint64
	corrupt  atomic.Uint64
	slow     atomic.Uint64
	received atomic.Int64
}

// Stats counts the transfers since New.
type Stats struct {
	Active  int64 // blobs that are being fetched, or wait for it
	Fetched uint64
	Failed  uint64
	Resumed uint64 // transfers that went on where another one broke off
	Corrupt uint64 // transfers whose bytes did not have the digest
	Slow    uint64 // transfers that went on at another host because they were too slow
	Bytes   int64  // received, also by transfers that failed
}

// Stats returns the current counts.
func (f *Fetcher) Stats() Stats {
	return Stats{
		Active:  f.active.Load(),
		Fetched: f.fetched.Load(),
		Failed:  f.failed.Load(),
		Resumed: f.resumed.Load(),
		Corrupt: f.corrupt.Load(),
		Slow:    f.slow.Load(),
		Bytes:   f.received.Load(),
	}
}

// NewFetcher returns a Fetcher.
func NewFetcher(cfg Config) *Fetcher {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 64<<20)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.Silence = cmp.Or(cfg.Silence, 15*time.Second)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	cfg.Pace = cmp.Or(cfg.Pace, 64<<10)
	cfg.Window = cmp.Or(cfg.Window, 5*time.Second)
	cfg.Parallel = cmp.Or(cfg.Parallel, 8)
	reserved := 0
	if cfg.Parallel > 1 {
		reserved = max(1, cfg.Parallel/4)
	}
	return &Fetcher{cfg: cfg, turns: &queue{free: cfg.Parallel, reserved: reserved}}
}

// Fetch returns the blob with a digest. It comes before blobs that are fetched in advance. The error matches
// registry.ErrBlobMissing if no host has the blob, and registry.ErrBlobCorrupt if they send other bytes. Any other error is
// temporary.
func (f *Fetcher) Fetch(ctx context.Context, d registry.Digest) ([]byte, error) {
	return f.take(ctx, d, newTicket(), false)
}

// take is Fetch with a ticket for the turn, for now or in advance.
func (f *Fetcher) take(ctx context.Context, d registry.Digest, turn *ticket, advance bool) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	f.active.Add(1)
	defer f.active.Add(-1)
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.Timeout, fmt.Errorf("the blob was not complete within %s: %w", f.cfg.Timeout, context.DeadlineExceeded))
	defer cancel()
	if err := f.turns.enter(ctx, turn, advance); err != nil {
		return nil, err
	}
	defer f.turns.leave()
	blob, err := f.fetch(ctx, d, f.cfg.Hosts())
	if err != nil && f.cfg.Remembered != nil && ctx.Err() == nil {
		blob, err = f.remembered(ctx, d, err)
	}
	if err != nil && f.cfg.Last != nil && ctx.Err() == nil {
		blob, err = f.last(ctx, d, err)
	}
	if err != nil {
		f.failed.Add(1)
		return nil, fmt.Errorf("fetch blob %s: %w", d, err)
	}
	f.fetched.Add(1)
	return blob, nil
}

// last gets a blob that no host has sent. fetched is their error.
func (f *Fetcher) last(ctx context.Context, d registry.Digest, fetched error) ([]byte, error) {
	blob, err := f.cfg.Last(ctx, d)
	switch {
	case err == nil && registry.DigestOf(blob) != d:
		f.corrupt.Add(1)
		err = fmt.Errorf("%w: it has another content", registry.ErrBlobCorrupt)
	case err == nil:
		f.received.Add(int64(len(blob)))
		return blob, nil
	case errors.Is(err, registry.ErrBlobMissing):
		return nil, fmt.Errorf("%w; %w", fetched, err)
	}
	return nil, fmt.Errorf("%w; hosts: %w", err, fetched)
}

// fetch asks hosts until one has sent the rest of the blob, or all have failed too often.
func (f *Fetcher) fetch(ctx context.Context, d registry.Digest, hosts []*Host) ([]byte, error) {
	t := newTransfer(f, d)
	if t.complete() {
		t.file.drop() // the caller stores it
		return t.blob, nil
	}
	c := newChoice(hosts, f.cfg.Attempts)
	for {
		host := c.next()
		if host == nil {
			t.file.pause()
			return nil, c.failure()
		}
		if !c.pause(ctx, host) {
			t.file.pause()
			return nil, context.Cause(ctx)
		}
		before := len(t.blob)
		host.transfers.Add(1)
		err := t.read(ctx, host, c.hurries(host))
		host.transfers.Add(-1)
		if err == nil {
			t.file.drop()
			return t.blob, nil
		}
		if ctx.Err() != nil {
			t.file.pause()
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, errSlow) {
			f.slow.Add(1)
		}
		c.failed(host, err, len(t.blob) > before)
	}
}

// refusesCaller reports whether a host will not send the blob to this caller.
func refusesCaller(err error) bool {
	var refused *StatusError
	return errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden)
}

var (
	errNoHost = errors.New("there is no other host to fetch from")
	errGone   = errors.New("the host cannot send it")
	errSlow   = errors.New("the transfer was too slow")
)

// Sleep waits. It reports whether ctx goes on.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Pause returns a random time to wait after a number of failures: it grows with them, up to a bound.
func Pause(fails int) time.Duration {
	most := firstPause << min(max(fails-1, 0), 10)
	most = min(most, maxPause)
	return most/2 + rand.N(most/2+1)
}
