// Package profiles serves the profiles of the Go runtime at /debug/pprof/, as net/http/pprof does, within bounds: one
// profile is taken at a time, for at most [MaxSeconds]. The command line of the process is left out, because it can
// have tokens in it.
package profiles

import (
	"context"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// Path is the path of the index.
const Path = "/debug/pprof/"

// MaxSeconds is the longest time that a profile may cover.
const MaxSeconds = 60

// Settings of the profiles of waiting goroutines.
const (
	waitSeconds   = 10     // if the request has no duration
	mutexFraction = 10     // one of so many waits for a mutex is recorded
	blockNanos    = 10_000 // one wait is recorded for so long a time of waiting, in the mean
)

// retryAfter is the Retry-After while a profile is being taken.
const retryAfter = 5 * time.Second

// Handler serves profiles. It is safe for concurrent use.
type Handler struct {
	taking chan struct{}               // has room for the one profile that is being taken
	serve  map[string]http.HandlerFunc // immutable; by path
	ended  context.Context             // immutable; see End
	end    context.CancelFunc          // immutable
}

// New returns a handler.
func New() *Handler {
	h := &Handler{taking: make(chan struct{}, 1)}
	h.ended, h.end = context.WithCancel(context.Background())
	h.serve = map[string]http.HandlerFunc{
		Path:             pprof.Index,
		Path + "profile": pprof.Profile,
		Path + "trace":   pprof.Trace,
	}
	for _, name := range [...]string{"allocs", "goroutine", "heap", "threadcreate"} {
		h.serve[Path+name] = pprof.Handler(name).ServeHTTP
	}
	h.serve[Path+"mutex"] = waits("mutex", func() { runtime.SetMutexProfileFraction(mutexFraction) }, func() { runtime.SetMutexProfileFraction(0) })
	h.serve[Path+"block"] = waits("block", func() { runtime.SetBlockProfileRate(blockNanos) }, func() { runtime.SetBlockProfileRate(0) })
	return h
}

// waits serves a profile of waiting goroutines. The runtime records them between begin and end only, since it costs time.
func waits(name string, begin, end func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("seconds") == "" {
			r = r.Clone(r.Context())
			r.Form, r.URL.RawQuery = nil, "seconds="+strconv.Itoa(waitSeconds)
		}
		begin()
		defer end()
		pprof.Handler(name).ServeHTTP(w, r)
	}
}

// Paths returns the paths that the handler serves.
func (h *Handler) Paths() (paths []string) {
	for path := range h.serve {
		paths = append(paths, path)
	}
	return paths
}

// End ends the profile that is being taken, which has then what was seen so far, so that a server need not wait for it.
func (h *Handler) End() { h.end() }

// Serve answers a request for one of the paths. The caller has authorised it. Errors are problems, and not answered.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	if err := checkSeconds(r); err != nil {
		return err
	}
	select {
	case h.taking <- struct{}{}:
		defer func() { <-h.taking }()
	default:
		p := problem.New(problem.NoCapacity, "another profile is being taken: one is taken at a time")
		p.RetryAfter = retryAfter
		return p
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	defer context.AfterFunc(h.ended, stop)()
	h.serve[r.URL.Path](w, r.WithContext(ctx))
	return nil
}

// checkSeconds checks the duration of a profile. net/http/pprof has a default of its own, and no limit.
func checkSeconds(r *http.Request) error {
	given := r.URL.Query()["seconds"]
	if len(given) == 0 {
		return nil
	}
	n, err := strconv.Atoi(strings.Join(given, " "))
	if err != nil || n < 1 || n > MaxSeconds {
		violation := problem.Violate("seconds", "is %.100q: use a whole number from 1 to %d", strings.Join(given, " "), MaxSeconds)
		return problem.Invalid(problem.BadRequest, "the profile cannot be taken", []problem.Violation{violation})
	}
	return nil
}
