package static

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/client"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	doc      Document           // immutable
	dir      *os.Root           // immutable
	requests *inflight.Requests // immutable
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return refuseMethod(w, rec)
	}
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	to := client.NewWriter(w, r, d.requests.Context())
	defer to.Finish()
	err := d.answer(to, r, rec)
	// The client first: an answer that the client did not take, or that the end of the deployment cut off, looks like a short file.
	if failure := to.Failure(); failure != nil {
		return failure
	}
	return err
}

// refuseMethod answers by itself, as the router drops headers of requests that fail.
func refuseMethod(w http.ResponseWriter, rec *accesslog.Record) error {
	const allowed = "GET, HEAD"
	p := problem.New(problem.MethodNotAllowed, "files can be read only: use "+allowed)
	rec.Err, rec.Outcome = p, accesslog.OutcomeRefused
	w.Header().Set("Allow", allowed)
	problem.Write(w, rec.RequestID, p)
	return nil
}

// answer finds what the path leads to and sends it.
func (d *deployment) answer(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	target, ok := resolve(rec.Rest)
	if !ok {
		return notFound(nil)
	}
	f, err := d.find(target)
	switch {
	case errors.Is(err, errNeedsSlash):
		redirect(w, r, rec)
		return nil
	case err == nil:
		return d.send(w, r, f, d.doc.CacheControl)
	case d.doc.Fallback == "" || !wantsPage(r, target) || !errors.Is(err, errNotFound):
		return err
	}
	if f, err = d.open(d.doc.Fallback); err != nil {
		return err
	}
	return d.send(w, r, f, "no-cache") // what else is at this path may change with the next version
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	s := services.Status{State: services.StateReady, Target: d.doc.Directory}
	if d.doc.Fallback != "" {
		s.Target += ", else " + d.doc.Fallback
	}
	s.InFlight, s.LastUsed = d.requests.Stats()
	return s
}

// Scale implements services.Deployment. Between requests nothing is held but the open directory.
func (d *deployment) Scale(context.Context, services.Scale) error { return nil }

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	return errors.Join(d.requests.Close(ctx), d.dir.Close())
}

// wantsPage tells whether a request for what is not there looks like one for a page, and not for a part of one: it asks for HTML by
// name, as browsers do when they navigate, or for a path whose last segment has no extension.
func wantsPage(r *http.Request, t target) bool {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return true
	}
	return t.name == "." || path.Ext(t.name) == ""
}
