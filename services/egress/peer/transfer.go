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
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// transfer is a blob that is being received. It is confined to one goroutine, except for
// bytes.
type transfer struct {
	*Fetcher
	digest registry.Digest
	blob   []byte
	sum    hash.Hash    // of blob
	from   *Host        // of the first byte
	bytes  atomic.Int64 // received by this transfer
	mixed  bool         // the bytes are from several hosts, or from an earlier transfer
	file   partial
}

// newTransfer returns a transfer that goes on where an earlier one was given up.
func newTransfer(f *Fetcher, d registry.Digest) *transfer {
	t := &transfer{Fetcher: f, digest: d, sum: sha256.New(), file: partial{in: f.cfg.Partials, digest: d}}
	t.blob = f.cfg.Partials.read(d, f.cfg.MaxBytes)
	t.sum.Write(t.blob) // a hash never fails
	t.mixed = len(t.blob) > 0
	t.file.exists = t.mixed
	return t
}

// reset begins the blob anew.
func (t *transfer) reset() {
	t.file.drop()
	t.blob, t.sum, t.from, t.mixed = t.blob[:0], sha256.New(), nil, false
}

// read goes on with the blob from a host. If hurried, a transfer below the pace is given up.
func (t *transfer) read(ctx context.Context, host *Host, hurried bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.cfg.Silence+headerTimeout, func() { cancel(fmt.Errorf("no byte has come within %s", t.cfg.Silence)) })
	defer silence.Stop()
	if hurried {
		defer t.watch(cancel)()
	}
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

// watch cancels a transfer that receives less than the pace, until the returned function is called.
func (t *transfer) watch(cancel context.CancelCauseFunc) (stop func()) {
	ended, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		ticker := time.NewTicker(t.cfg.Window)
		defer ticker.Stop()
		least := int64(float64(t.cfg.Pace) * t.cfg.Window.Seconds())
		for before := t.bytes.Load(); ; {
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
			now := t.bytes.Load()
			if now-before < least {
				cancel(fmt.Errorf("%w: %d bytes in %s", errSlow, now-before, t.cfg.Window))
				return
			}
			before = now
		}
	}()
	return func() {
		close(ended)
		<-watching
	}
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
		t.bytes.Add(int64(n))
		t.file.extend(t.blob, chunk[:n])
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

// complete reports whether all of the blob is there already, as after a crash between its last byte and its storage.
func (t *transfer) complete() bool { return len(t.blob) > 0 && t.got() == t.digest }

// got returns the digest of the received bytes.
func (t *transfer) got() registry.Digest {
	return registry.Digest("sha256:" + hex.EncodeToString(t.sum.Sum(nil)))
}

// check compares the digest of a whole body.
func (t *transfer) check(host *Host) error {
	got := t.got()
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
