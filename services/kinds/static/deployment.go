package static

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/directory"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	doc      Document             // immutable
	dir      *directory.Directory // immutable
	requests *inflight.Requests   // immutable
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		const allowed = "GET, HEAD"
		w.Header().Set("Allow", allowed)
		return refuse(w, r, res, problem.New(problem.MethodNotAllowed, "files can be read only: use "+allowed), accesslog.OutcomeRefused)
	}
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	to := client.NewWriter(w, r.Request, d.requests.Context())
	defer to.Finish()
	err := d.answer(to, r)
	if errors.Is(err, errNotFound) {
		err = refuse(to, r, res, err, accesslog.OutcomeNotFound)
	}
	// Client errors first: a response that the client did not read, or that the close of
	// the deployment cut off, looks like a truncated file.
	if failure := to.Failure(); failure != nil {
		return failure
	}
	return err
}

// refuse writes the response itself, because the router drops the headers of failed requests: Allow, and
// the fields of middleware, which pages of other origins need to read the status.
func refuse(w http.ResponseWriter, r *router.Request, res *accesslog.Result, err error, outcome accesslog.Outcome) error {
	res.Err, res.Outcome = err, outcome
	problem.Respond(w, r.Request, r.ID, problem.From(err))
	return nil
}

// answer sends the file at the path. If it is not found and the directory was replaced
// meanwhile, answer looks again in the new one.
func (d *deployment) answer(w http.ResponseWriter, r *router.Request) error {
	dir, err := d.dir.Acquire(false)
	if err != nil {
		return unavailable(err)
	}
	defer dir.Release()
	err = d.answerFrom(tree{dir.Root}, w, r)
	if !errors.Is(err, errNotFound) {
		return err
	}
	now, failed := d.dir.Acquire(true)
	if failed != nil {
		return unavailable(failed)
	}
	defer now.Release()
	if now == dir {
		return err
	}
	return d.answerFrom(tree{now.Root}, w, r)
}

// unavailable returns the answer for a missing or closed directory.
func unavailable(cause error) error {
	if errors.Is(cause, directory.ErrGone) {
		return problem.New(problem.NotReady, "the directory of the service is gone; try again").WithCause(cause)
	}
	return inflight.Stopped()
}

// answerFrom sends the file at the path from one directory.
func (d *deployment) answerFrom(t tree, w http.ResponseWriter, r *router.Request) error {
	// A name that no file can have may be a route of the web application, so it gets the
	// fallback like any other missing file.
	target, ok := resolve(r.Rest)
	f, err := (*file)(nil), notFound(nil)
	if ok {
		f, err = t.find(target)
	}
	switch {
	case errors.Is(err, errNeedsSlash):
		redirect(w, r)
		return nil
	case err == nil:
		return t.send(w, r.Request, f, d.doc.CacheControl)
	case d.doc.Fallback == "" || !wantsPage(r.Header, target) || !errors.Is(err, errNotFound):
		return err
	}
	if f, err = t.open(d.doc.Fallback); err != nil {
		return err
	}
	return t.send(w, r.Request, f, "no-cache") // the next version may have another file at this path
}

// Status implements services.Deployment. It checks whether the directory exists.
func (d *deployment) Status() services.Status {
	s := services.Status{State: services.StateReady, Target: d.doc.Directory}
	if d.doc.Fallback != "" {
		s.Target += ", else " + d.doc.Fallback
	}
	switch present, replaced := d.dir.State(); {
	case !present && d.requests.Context().Err() == nil:
		s.State = services.StateMissing
	case !replaced.IsZero():
		s.Target += " (replaced " + replaced.UTC().Format(time.RFC3339) + ")"
	}
	used := d.requests.Stats()
	s.InFlight, s.LastUsed = used.InFlight, used.LastUsed
	return s
}

// Scale implements services.Deployment. Between requests only the directory is open,
// so there is nothing to release.
func (d *deployment) Scale(context.Context, services.Scale) error { return nil }

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	return errors.Join(d.requests.Close(ctx), d.dir.Close())
}

// wantsPage reports whether a request for a missing file looks like one for a page and not for an asset: it
// accepts HTML explicitly, as browsers do when they navigate, or the last path segment has no extension.
func wantsPage(h http.Header, t target) bool {
	if strings.Contains(h.Get("Accept"), "text/html") {
		return true
	}
	return t.name == "." || path.Ext(t.name) == ""
}
