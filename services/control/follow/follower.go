package follow

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Times of a follower.
const (
	defaultWait  = 20 * time.Second // of a request for the next state
	defaultSlack = 10 * time.Second // beyond the wait, for the header of an answer
	hastyPause   = time.Second      // after an answer without news that has not waited, as of a primary that stops
	bodyTimeout  = 5 * time.Minute  // of a whole answer
	stoppedPause = 30 * time.Second // between two looks at a primary that cannot be followed
	retryEvery   = time.Minute      // for services that are unavailable here
	reportEvery  = 5 * time.Minute  // between two log lines about the same failure
)

// maxMissed is how many states in a row may lack a blob. A primary drops the blobs of versions that it has replaced, so
// that a state which is overtaken can lack one.
const maxMissed = 5

// advice ends the errors for a catalogue that does not continue the copy.
const advice = "to copy the primary's catalogue as it is now, start this host with an empty data directory, or with --follow-anew"

// maxAnswerBytes bounds a catalogue, unpacked.
const maxAnswerBytes = 1 << 30

// Config configures a Follower.
type Config struct {
	Primary  *peer.Host
	Registry *registry.Registry // of this host; its blobs are fetched from the primary
	Deployer Deployer
	// Prefetch fetches blobs before they are needed, several at a time. Its error is ignored: they are fetched again when they are.
	// nil: nothing.
	Prefetch func(ctx context.Context, digests []registry.Digest) error
	// MaxLag is the longest time for which this host may be behind and still be ready; 0: any.
	MaxLag time.Duration
	Log    *slog.Logger // default: discards
}

// Follower copies the catalogue of a primary. Create it with New, and call Run once.
type Follower struct {
	cfg   Config
	wait  time.Duration // immutable: of a request
	slack time.Duration // immutable: beyond the wait, for the header of an answer

	run    string              // of the primary, once its state was compared with the own; only Run uses it
	lacks  registry.Generation // that could not be adopted because a blob is missing; only Run uses it
	missed int                 // such states in a row; only Run uses it
	logged time.Time           // of the last line about a failure; only Run uses it

	mu     sync.Mutex
	status Status // guarded by mu, without the fields that Status computes
	failed error  // guarded by mu: the last attempt's
}

// New returns a Follower. It starts nothing.
func New(cfg Config) *Follower {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{cfg: cfg, wait: defaultWait, slack: defaultSlack}
	f.status.Generation = cfg.Registry.State().Generation
	if cfg.MaxLag > 0 {
		third := max(cfg.MaxLag/3, 100*time.Millisecond)
		f.wait, f.slack = min(third, defaultWait), min(third, defaultSlack)
	}
	return f
}

// Run follows the primary until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	f.cfg.Log.Info("following", "primary", f.cfg.Primary, "generation", f.cfg.Registry.State().Generation)
	fails, retried := 0, time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		news, err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := time.Duration(0)
		if err == nil && time.Since(retried) > retryEvery && f.unavailable() > 0 {
			retried = time.Now()
			err = f.adopt(ctx, f.cfg.Registry.State(), true)
		}
		f.report(err)
		switch {
		case err == nil && !news && time.Since(began) < f.wait/2:
			fails, pause = 0, min(hastyPause, f.wait)
		case err == nil:
			fails = 0
		case errors.Is(err, ErrDiverged), errors.Is(err, filestore.ErrNewer):
			fails, pause = 1, stoppedPause
		default:
			fails++
			pause = peer.Pause(fails)
		}
		if !peer.Sleep(ctx, pause) {
			return
		}
	}
}

// step asks the primary once, and adopts the state that it sends. It reports whether there was one.
func (f *Follower) step(ctx context.Context) (news bool, err error) {
	own := f.cfg.Registry.State()
	a, err := f.ask(ctx, own)
	if err != nil {
		f.run = "" // compare the whole catalogue again
		return false, err
	}
	if a.state != nil {
		if err := f.adopt(ctx, a.state, false); err != nil {
			return true, err
		}
	}
	f.run = a.run
	f.current(a)
	return a.state != nil, nil
}

// answer is an answer of the primary.
type answer struct {
	state      *registry.State // nil: this host has the last one
	run        string
	generation registry.Generation // of the primary
	at         time.Time
}

// ask asks the primary for a state newer than own.
func (f *Follower) ask(ctx context.Context, own *registry.State) (answer, error) {
	query := url.Values{}
	if id := IdentityOf(own); id != "" {
		query.Set("id", id)
		query.Set("after", strconv.FormatUint(uint64(own.Generation), 10))
	}
	limit := bodyTimeout
	if f.run != "" {
		query.Set("run", f.run)
		if f.lacks == 0 { // else look whether the primary has gone on
			query.Set("wait", f.wait.String())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	header := time.AfterFunc(f.wait+f.slack, cancel)
	defer header.Stop()
	resp, err := f.cfg.Primary.Get(ctx, Path, query, http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		return answer{}, f.explain(err)
	}
	header.Stop()
	defer resp.Body.Close()
	a := answer{run: resp.Header.Get(headerRun), at: time.Now()}
	generation, err := strconv.ParseUint(resp.Header.Get(headerGeneration), 10, 64)
	if err != nil || a.run == "" {
		return a, fmt.Errorf("%s answered without %s and %s: is it a Vespo server of this version?", f.cfg.Primary, headerRun, headerGeneration)
	}
	a.generation = registry.Generation(generation)
	f.heard(a)
	if resp.StatusCode == http.StatusNotModified {
		return a, nil
	}
	a.state, err = f.read(resp, own)
	return a, err
}

// read decodes and checks the body of an answer.
func (f *Follower) read(resp *http.Response, own *registry.State) (*registry.State, error) {
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("%s sent a damaged catalogue: %w", f.cfg.Primary, err)
		}
		body = z
	}
	data, err := io.ReadAll(io.LimitReader(body, maxAnswerBytes+1))
	if err == nil && len(data) > maxAnswerBytes {
		err = fmt.Errorf("it has more than %d bytes", maxAnswerBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%s sent an incomplete catalogue: %w", f.cfg.Primary, err)
	}
	state, err := filestore.Decode(data, own)
	if err != nil {
		return nil, fmt.Errorf("%s sent a catalogue that cannot be read: %w", f.cfg.Primary, err)
	}
	if f.run == "" || f.run != resp.Header.Get(headerRun) {
		if err := continues(own, state); err != nil {
			return nil, fmt.Errorf("%w; %s", err, advice)
		}
	}
	return state, nil
}

// explain returns the error of a request without an answer.
func (f *Follower) explain(err error) error {
	var refused *peer.StatusError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Status {
	case http.StatusConflict:
		return fmt.Errorf("%w: %w; %s", ErrDiverged, err, advice)
	case http.StatusNotFound:
		return fmt.Errorf("%w: is it an earlier version of Vespo?", err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: give a token of the primary with the scope follow in VESPO_FOLLOW_TOKEN", err)
	}
	return err
}

// adopt makes state the served one. If blobs are missing although the primary has no newer state, it leaves their services
// unavailable.
func (f *Follower) adopt(ctx context.Context, state *registry.State, retry bool) error {
	defer f.prefetch(ctx, state)()
	partial := retry || f.lacks == state.Generation || f.missed >= maxMissed
	adopted, err := f.cfg.Deployer.Adopt(ctx, deploy.Adoption{State: state, Partial: partial, Retry: retry})
	if errors.Is(err, registry.ErrBlobMissing) || errors.Is(err, registry.ErrBlobCorrupt) {
		f.lacks = state.Generation
		f.missed++
	}
	if err != nil {
		return fmt.Errorf("generation %d: %w", state.Generation, err)
	}
	f.lacks, f.missed = 0, 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Unavailable = len(adopted.Unavailable)
	f.status.Generation = adopted.State.Generation
	if !retry {
		f.status.Adoptions++
	}
	return nil
}

// prefetch fetches the blobs that a state serves, until they are there or the returned function is called.
func (f *Follower) prefetch(ctx context.Context, state *registry.State) (stop func()) {
	if f.cfg.Prefetch == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = f.cfg.Prefetch(ctx, state.LiveBlobs()) })
	return func() {
		cancel()
		running.Wait()
	}
}

// report logs failures and their end, at a bounded rate.
func (f *Follower) report(err error) {
	f.mu.Lock()
	before := f.failed
	f.failed = err
	f.mu.Unlock()
	switch {
	case err == nil && before != nil && !f.logged.IsZero():
		f.cfg.Log.Info("following again", "primary", f.cfg.Primary, "generation", f.cfg.Registry.State().Generation)
		f.logged = time.Time{}
	case err != nil && (f.logged.IsZero() || time.Since(f.logged) > reportEvery):
		f.cfg.Log.Error("the primary cannot be followed; this host serves what it has", "primary", f.cfg.Primary, "error", err)
		f.logged = time.Now()
	}
}

// Ready returns a problem unless this host has a copy of the catalogue that is as new as it must be.
func (f *Follower) Ready() error {
	s := f.Status()
	switch {
	case s.Generation == 0:
		return problem.Newf(problem.NotReady, "this host has no copy of the catalogue yet")
	case f.cfg.MaxLag > 0 && s.LastCurrent.IsZero():
		return problem.Newf(problem.NotReady, "this host has not reached its primary since its start, and --max-lag is %s", f.cfg.MaxLag)
	case f.cfg.MaxLag > 0 && s.Behind > f.cfg.MaxLag:
		return problem.Newf(problem.NotReady, "this host is %s behind its primary, and --max-lag is %s", s.Behind.Round(time.Second), f.cfg.MaxLag)
	}
	return nil
}
