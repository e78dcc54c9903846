package peer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	Attempts int           // without progress, for each host; default 5
	Parallel int           // transfers at a time; default 8
}

// Fetcher fetches blobs.
type Fetcher struct {
	cfg   Config        // immutable
	turns chan struct{} // semaphore of Parallel

	active   atomic.Int64
	fetched  atomic.Uint64
	failed   atomic.Uint64
	resumed  atomic.Uint64
	corrupt  atomic.Uint64
	received atomic.Int64
}

// Stats counts the transfers since New.
type Stats struct {
	Active  int64 // blobs that are being fetched, or wait for it
	Fetched uint64
	Failed  uint64
	Resumed uint64 // transfers that went on where another one broke off
	Corrupt uint64 // transfers whose bytes did not have the digest
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
		Bytes:   f.received.Load(),
	}
}

// NewFetcher returns a Fetcher.
func NewFetcher(cfg Config) *Fetcher {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 64<<20)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.Silence = cmp.Or(cfg.Silence, 15*time.Second)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	cfg.Parallel = cmp.Or(cfg.Parallel, 8)
	return &Fetcher{cfg: cfg, turns: make(chan struct{}, cfg.Parallel)}
}

// Fetch returns the blob with a digest. The error matches registry.ErrBlobMissing if no host has the blob, and
// registry.ErrBlobCorrupt if they send other bytes. Any other error is temporary.
func (f *Fetcher) Fetch(ctx context.Context, d registry.Digest) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	f.active.Add(1)
	defer f.active.Add(-1)
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.Timeout, fmt.Errorf("the blob was not complete within %s: %w", f.cfg.Timeout, context.DeadlineExceeded))
	defer cancel()
	select {
	case f.turns <- struct{}{}:
		defer func() { <-f.turns }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	blob, err := f.fetch(ctx, d)
	if err != nil {
		f.failed.Add(1)
		return nil, fmt.Errorf("fetch blob %s: %w", d, err)
	}
	f.fetched.Add(1)
	return blob, nil
}

// fetch tries the hosts in turn until one has sent the whole blob, or all have failed too often.
func (f *Fetcher) fetch(ctx context.Context, d registry.Digest) ([]byte, error) {
	t := &transfer{Fetcher: f, digest: d}
	t.reset()
	hosts := slices.Clone(f.cfg.Hosts())
	fails, corrupt := make(map[*Host]int, len(hosts)), make(map[*Host]bool)
	var without, unsure error // of hosts that cannot send the blob, and of hosts that may have it
	for turn := 0; len(hosts) > 0; turn++ {
		host := hosts[turn%len(hosts)]
		before := len(t.blob)
		err := t.read(ctx, host)
		if err == nil {
			return t.blob, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if len(t.blob) > before {
			clear(fails) // slowly, but on its way
		}
		fails[host]++
		switch {
		case errors.Is(err, errGone):
			without = cmp.Or(without, fmt.Errorf("%w: %w", registry.ErrBlobMissing, err))
		case errors.Is(err, registry.ErrBlobCorrupt) && corrupt[host]: // twice: it is not the way
			without = err
		case fails[host] >= f.cfg.Attempts, refusesCaller(err):
			unsure = err
		default:
			corrupt[host] = errors.Is(err, registry.ErrBlobCorrupt)
			if !pause(ctx, fails[host], err) {
				return nil, context.Cause(ctx)
			}
			continue
		}
		hosts = slices.DeleteFunc(hosts, func(h *Host) bool { return h == host })
	}
	return nil, cmp.Or(unsure, without, errNoHost)
}

// refusesCaller reports whether a host will not send the blob to this caller.
func refusesCaller(err error) bool {
	var refused *StatusError
	return errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden)
}

var (
	errNoHost = errors.New("there is no other host to fetch from")
	errGone   = errors.New("the host cannot send it")
)

// pause waits before the next attempt. It reports whether ctx goes on.
func pause(ctx context.Context, fails int, err error) bool {
	wait := Pause(fails)
	var refused *StatusError
	if errors.As(err, &refused) {
		wait = max(wait, min(refused.RetryAfter, maxPause))
	}
	return Sleep(ctx, wait)
}

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

// transfer is a blob that is being received. It is confined to one goroutine.
type transfer struct {
	*Fetcher
	digest registry.Digest
	blob   []byte
	sum    hash.Hash // of blob
	from   *Host     // of the first byte
	mixed  bool      // the bytes are from several hosts
}

func (t *transfer) reset() {
	t.blob, t.sum, t.from, t.mixed = t.blob[:0], sha256.New(), nil, false
}

// read goes on with the blob from a host.
func (t *transfer) read(ctx context.Context, host *Host) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.cfg.Silence+headerTimeout, func() { cancel(fmt.Errorf("no byte has come within %s", t.cfg.Silence)) })
	defer silence.Stop()
	header := http.Header{"Accept-Encoding": {"identity"}}
	if len(t.blob) > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", len(t.blob)))
		header.Set("If-Range", `"`+string(t.digest)+`"`)
	}
	resp, err := host.Get(ctx, blobPath, url.Values{"digest": {string(t.digest)}}, header)
	if err != nil {
		return t.refused(ctx, err)
	}
	defer resp.Body.Close()
	if err := t.begin(resp, host); err != nil {
		return err
	}
	if err := t.receive(resp, silence); err != nil {
		return fmt.Errorf("%s: %w", host, cmp.Or(context.Cause(ctx), err))
	}
	return t.check(host)
}

// refused returns the error of a request without a body. A host that does not have the blob is not asked again.
func (t *transfer) refused(ctx context.Context, err error) error {
	var refused *StatusError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", errGone, err)
	case errors.As(err, &refused) && refused.Status == http.StatusRequestedRangeNotSatisfiable:
		t.reset() // these bytes cannot be the beginning of the blob
	}
	return cmp.Or(context.Cause(ctx), err)
}

// begin checks the header of a response. A response with the whole blob begins anew.
func (t *transfer) begin(resp *http.Response, host *Host) error {
	switch {
	case resp.StatusCode == http.StatusOK:
		t.reset()
	case resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", len(t.blob))):
		t.reset()
		return fmt.Errorf("%s answered %d, with a part that was not asked for", host, resp.StatusCode)
	default:
		t.resumed.Add(1)
	}
	if have := int64(len(t.blob)); resp.ContentLength > t.cfg.MaxBytes-have {
		return fmt.Errorf("%w: it has %d bytes, at most %d are taken", errGone, have+resp.ContentLength, t.cfg.MaxBytes)
	}
	t.mixed = t.mixed || t.from != nil && t.from != host
	t.from = cmp.Or(t.from, host)
	if resp.ContentLength > 0 {
		t.blob = slices.Grow(t.blob, int(min(resp.ContentLength, 1<<20))) // a length is only a claim
	}
	return nil
}

// receive reads and hashes the body.
func (t *transfer) receive(resp *http.Response, silence *time.Timer) error {
	chunk := make([]byte, chunkBytes)
	for {
		silence.Reset(t.cfg.Silence)
		n, err := resp.Body.Read(chunk)
		t.sum.Write(chunk[:n]) // a hash never fails
		t.blob = append(t.blob, chunk[:n]...)
		t.received.Add(int64(n))
		switch {
		case int64(len(t.blob)) > t.cfg.MaxBytes:
			return fmt.Errorf("%w: it has more than the %d bytes that are taken", errGone, t.cfg.MaxBytes)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// check compares the digest of a whole body.
func (t *transfer) check(host *Host) error {
	got := registry.Digest("sha256:" + hex.EncodeToString(t.sum.Sum(nil)))
	if got == t.digest {
		return nil
	}
	t.corrupt.Add(1)
	mixed := t.mixed
	t.reset()
	if mixed {
		return fmt.Errorf("the parts from several hosts are not the blob: one of them is corrupt")
	}
	return fmt.Errorf("%w: %s sent the content of %s", registry.ErrBlobCorrupt, host, got)
}
