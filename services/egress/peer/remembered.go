package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// Bounds of remembered hosts.
const (
	askTime   = 3 * time.Second  // until one answers whether it has a blob
	avoidTime = 10 * time.Second // for which one that has not answered is not asked
	maxAsked  = 16               // for one blob
)

// remembered fetches a blob from the remembered hosts. They are asked whether they have it all at once, because most of them may be
// gone, and the first that has it sends it. fetched is the error of the other hosts.
func (f *Fetcher) remembered(ctx context.Context, d registry.Digest, fetched error) ([]byte, error) {
	hosts := askable(f.cfg.Remembered())
	if len(hosts) == 0 {
		return nil, fetched
	}
	answers := make(chan reply, len(hosts))
	asking, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, h := range hosts {
		running.Go(func() { answers <- reply{h, h.has(asking, d)} })
	}
	var without, unsure error
	for range hosts {
		answer := <-answers
		err := answer.err
		if err == nil {
			var blob []byte
			if blob, err = f.fetch(ctx, d, []*Host{answer.host}); err == nil {
				return blob, nil
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt) {
			without = cmp.Or(without, err)
		} else {
			unsure = cmp.Or(unsure, err)
		}
	}
	return nil, fmt.Errorf("%w; remembered hosts: %w", fetched, cmp.Or(unsure, without))
}

// reply is the answer of a remembered host; err is nil if it has the blob.
type reply struct {
	host *Host
	err  error
}

// askable returns the first hosts that are not avoided.
func askable(all []*Host) (hosts []*Host) {
	now := time.Now()
	for _, h := range all {
		if until := h.avoided.Load(); len(hosts) < maxAsked && (until == nil || now.After(*until)) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// has returns nil if the host has a blob, and an error that matches registry.ErrBlobMissing if it has not. A host that does not
// answer is avoided for some time.
func (h *Host) has(ctx context.Context, d registry.Digest) error {
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	resp, err := h.do(asking, http.MethodHead, blobPath, url.Values{"digest": {string(d)}}, nil)
	if err == nil {
		return resp.Body.Close()
	}
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", registry.ErrBlobMissing, err)
	}
	if ctx.Err() == nil {
		until := time.Now().Add(avoidTime)
		h.avoided.Store(&until)
	}
	return err
}
