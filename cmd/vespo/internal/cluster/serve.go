package cluster

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster/travel"
	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/egress/forward"
)

const (
	dialTime = 5 * time.Second
	// holdTime is how long a blob of another host's deploy is kept before a version refers to it. It is more than a deploy
	// can take.
	holdTime = time.Hour
	// maxPushes is the number of blobs that are received at a time: each is in memory.
	maxPushes = 4
)

func dialer() *net.Dialer { return &net.Dialer{Timeout: dialTime} }

// hold keeps a blob from being collected.
type hold struct {
	release func()
	timer   *time.Timer
	until   time.Time
}

// TLS returns the configuration of the peer listener.
func (n *Node) TLS() *tls.Config { return n.identity.server() }

// Handler returns the handler of the peer listener: blobs that this host has, by GET and HEAD; POST asks whether it has
// one and keeps it, PUT sends one. Forwarded requests are served, too.
func (n *Node) Handler() http.Handler {
	turns := make(chan struct{}, maxPushes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forward.Asks(r) {
			n.forward.Receiver().Receive(w, r, n.token())
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(n.token())) != 1 {
			http.Error(w, "this listener is for the hosts of the catalogue", http.StatusUnauthorized)
			return
		}
		if r.URL.Path == travel.Path && n.code != nil {
			n.code.ServeHTTP(w, r)
			return
		}
		d, err := registry.ParseDigest(r.URL.Query().Get("digest"))
		if r.URL.Path != blobPath || err != nil {
			http.NotFound(w, r)
			return
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			n.serveBlob(w, r, d)
		case http.MethodPost:
			answer(w, n.keep(r.Context(), d))
		case http.MethodPut:
			select {
			case turns <- struct{}{}:
				defer func() { <-turns }()
				answer(w, n.receive(w, r, d))
			case <-r.Context().Done():
			}
		default:
			http.Error(w, "unknown method", http.StatusMethodNotAllowed)
		}
	})
}

// answer sends the outcome of a POST or PUT.
func answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, registry.ErrBlobMissing), errors.Is(err, registry.ErrBlobCorrupt):
		http.Error(w, "the blob is missing or corrupt", http.StatusNotFound)
	default:
		http.Error(w, "the blob cannot be stored", http.StatusServiceUnavailable)
	}
}

// serveBlob sends a blob that is here. It is not fetched from others: they would ask each other for it.
func (n *Node) serveBlob(w http.ResponseWriter, r *http.Request, d registry.Digest) {
	content, err := n.local.Open(r.Context(), d)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer content.Close() // opened for reading only
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+string(d)+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
}

// receive stores the body of a request.
func (n *Node) receive(w http.ResponseWriter, r *http.Request, d registry.Digest) error {
	body := client.NewBody(w, r, client.Terms{Bytes: n.cfg.MaxBlobBytes, Pace: client.Collected()})
	defer body.Stop()
	blob, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := n.local.Put(r.Context(), d, blob); err != nil {
		n.log.Error("a module of another host could not be stored", "digest", d, "error", err)
		return err
	}
	return n.keep(r.Context(), d)
}

// keep holds a blob that is here for holdTime.
func (n *Node) keep(ctx context.Context, d registry.Digest) error {
	if _, err := n.local.Get(ctx, d); err != nil {
		return err
	}
	catalogue := n.catalogue.Load()
	if catalogue == nil {
		return errStarting
	}
	release, err := catalogue.HoldBlob(ctx, d)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	until := time.Now().Add(holdTime)
	if h := n.holds[d]; h != nil {
		h.until = until
		h.timer.Reset(holdTime)
		release()
		return nil
	}
	n.holds[d] = &hold{release: release, timer: time.AfterFunc(holdTime, func() { n.unhold(d) }), until: until}
	return nil
}

var errStarting = errors.New("this host is starting")

// unhold ends a hold, unless keep has extended it since the timer fired.
func (n *Node) unhold(d registry.Digest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.holds[d]; h != nil && !time.Now().Before(h.until) {
		h.release()
		delete(n.holds, d)
	}
}

// Close ends all holds and the connections to other hosts.
func (n *Node) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.holds {
		h.timer.Stop()
		h.release()
	}
	clear(n.holds)
	for _, p := range n.hosts {
		p.close()
	}
}
