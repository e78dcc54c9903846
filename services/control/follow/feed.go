package follow

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// Path is where a primary has its catalogue.
const Path = "/services/catalogue"

// Names of the header fields of an answer.
const (
	headerCatalogue  = "Vespo-Catalogue"
	headerRun        = "Vespo-Run"
	headerGeneration = "Vespo-Generation"
)

// MaxWait is the longest wait that a request can ask for.
const MaxWait = time.Minute

// maxSent is how many states are kept to send the changes since them.
const maxSent = 64

// minCompressed is the size from which an answer is compressed.
const minCompressed = 1 << 10

// Feed sends the catalogue to followers.
type Feed struct {
	registry *registry.Registry // immutable
	deployer Deployer           // immutable
	copy     bool               // immutable: this host follows another one
	run      string             // immutable: another one for each start of the server
	stopping context.Context    // immutable: ends with Stop
	stop     context.CancelFunc // immutable

	waiting atomic.Int64
	whole   atomic.Uint64
	changes atomic.Uint64
	bytes   atomic.Int64

	encoding sync.Mutex

	mu   sync.Mutex
	sent []*registry.State // guarded by mu: the last ones that were sent, oldest first
	last encoded           // guarded by mu
}

// encoded is an encoded answer.
type encoded struct {
	from, to *registry.State // from is nil for the whole
	plain    []byte
	gzip     []byte // nil if it is not worth it
}

// FeedStats counts the answers since the start.
type FeedStats struct {
	Waiting int64  // followers that wait for a change
	Whole   uint64 // answers with the whole catalogue
	Changes uint64 // answers with the changes since a generation
	Bytes   int64  // of the bodies
}

// NewFeed returns a feed of the registry's states. The first request makes the deployer add an identity to the catalogue,
// unless this host has a copy itself.
func NewFeed(r *registry.Registry, d Deployer, isCopy bool) *Feed {
	f := &Feed{registry: r, deployer: d, copy: isCopy, run: rand.Text()}
	f.stopping, f.stop = context.WithCancel(context.Background())
	return f
}

// Stop ends the waits of requests, now and from now on, before the server waits for its requests.
func (f *Feed) Stop() { f.stop() }

// Stats returns the current counts.
func (f *Feed) Stats() FeedStats {
	return FeedStats{Waiting: f.waiting.Load(), Whole: f.whole.Load(), Changes: f.changes.Load(), Bytes: f.bytes.Load()}
}

// Query is a request for the catalogue.
type Query struct {
	ID    string // the identity that the client knows; "": none
	Run   string // of the answer that had the generation After
	After registry.Generation
	Wait  time.Duration
}

// Serve answers a request. Its errors are problems for the client.
func (f *Feed) Serve(w http.ResponseWriter, r *http.Request, q Query) error {
	state := f.latest(r.Context())
	if IdentityOf(state) == "" {
		if f.copy {
			return problem.New(problem.NotReady, "this host has no copy of the catalogue yet")
		}
		if err := ensureIdentity(r.Context(), f.deployer); err != nil {
			return err
		}
		state = f.latest(r.Context())
	}
	f.announce(w, state)
	if id := IdentityOf(state); q.ID != "" && q.ID != id {
		return problem.Newf(problem.Conflict, "this host has the catalogue %s, and not %.40q", id, q.ID)
	}
	if q.After > state.Generation {
		return problem.Newf(problem.Conflict, "this host has generation %d of the catalogue, which is older than %d: was it restored from a backup?",
			state.Generation, q.After)
	}
	known := q.Run == f.run || r.Header.Get("If-None-Match") == f.etag(state)
	if r.Header.Get("If-None-Match") == f.etag(state) {
		q.After = state.Generation
	}
	if known && q.After == state.Generation {
		client.ConnOf(w).Received()
		if state = f.next(r.Context(), state, q.Wait); r.Context().Err() != nil {
			return r.Context().Err()
		}
		f.announce(w, state)
		if q.After == state.Generation {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	var from *registry.State
	if known {
		from = f.known(q.After)
	}
	return f.send(w, r, from, state)
}

// announce sets the header of an answer about a state.
func (f *Feed) announce(w http.ResponseWriter, s *registry.State) {
	header := w.Header()
	header.Set(headerCatalogue, IdentityOf(s))
	header.Set(headerRun, f.run)
	header.Set(headerGeneration, strconv.FormatUint(uint64(s.Generation), 10))
	header.Set("ETag", f.etag(s))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
}

// etag identifies a state: within one run of the server, a generation is one state.
func (f *Feed) etag(s *registry.State) string {
	return fmt.Sprintf("%q", fmt.Sprintf("%s-%s-%d", IdentityOf(s), f.run, s.Generation))
}

// latest returns the stored state. The registry's own can be behind it for a moment, in which a follower may already have
// the newer one.
func (f *Feed) latest(ctx context.Context) *registry.State {
	for s := range f.registry.Watch(ctx) {
		return s
	}
	return f.registry.State()
}

// next waits for a state that is newer than s. It returns s after the wait.
func (f *Feed) next(ctx context.Context, s *registry.State, wait time.Duration) *registry.State {
	f.waiting.Add(1)
	defer f.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, min(wait, MaxWait))
	defer cancel()
	defer context.AfterFunc(f.stopping, cancel)()
	for newer := range f.registry.Watch(ctx) {
		if newer.Generation > s.Generation {
			return newer
		}
	}
	return s
}

// known returns the state of a generation that was sent, or nil.
func (f *Feed) known(g registry.Generation) *registry.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.sent, func(s *registry.State) bool { return s.Generation == g }); i >= 0 {
		return f.sent[i]
	}
	return nil
}

// send sends the state to, or its changes since from.
func (f *Feed) send(w http.ResponseWriter, r *http.Request, from, to *registry.State) error {
	e, err := f.encode(from, to)
	if err != nil {
		return err
	}
	header, body := w.Header(), e.plain
	header.Set("Content-Type", "application/json")
	header.Add("Vary", "Accept-Encoding")
	if e.gzip != nil && acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body = e.gzip
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if from == nil {
		f.whole.Add(1)
	} else {
		f.changes.Add(1)
	}
	n, _ := w.Write(body) // on an error the client is gone
	f.bytes.Add(int64(n))
	return nil
}

// acceptsGzip reports whether the client names gzip. Weights are not read: a client that refuses it does not name it.
func acceptsGzip(r *http.Request) bool {
	for text := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if name, _, weighted := strings.Cut(strings.TrimSpace(text), ";"); name == "gzip" && !weighted {
			return true
		}
	}
	return false
}

// encode returns the answer, which is made once for all followers that are at the same generation.
func (f *Feed) encode(from, to *registry.State) (encoded, error) {
	f.encoding.Lock()
	defer f.encoding.Unlock()
	f.mu.Lock()
	e := f.last
	f.mu.Unlock()
	if e.from == from && e.to == to {
		return e, nil
	}
	e = encoded{from: from, to: to}
	var err error
	if from == nil {
		e.plain, err = filestore.Encode(to)
	} else {
		e.plain, err = filestore.EncodeChange(from, to)
	}
	if err != nil {
		return e, err
	}
	if len(e.plain) >= minCompressed {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		if err != nil {
			return e, err
		}
		if _, err := z.Write(e.plain); err != nil {
			return e, err
		}
		if err := z.Close(); err != nil {
			return e, err
		}
		e.gzip = packed.Bytes()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = e
	if !slices.Contains(f.sent, to) {
		f.sent = append(f.sent, to)
		f.sent = slices.Delete(f.sent, 0, max(0, len(f.sent)-maxSent))
	}
	return e, nil
}
