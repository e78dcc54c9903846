package deploy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// MaxSmoke is the most smoke requests of a deploy.
const MaxSmoke = 16

// smokeTime bounds one smoke request of a service without a timeout.
const smokeTime = 30 * time.Second

// Smoke is a request that a new version has to answer before it is published.
type Smoke struct {
	Method string
	Path   string // below the prefix of the service, with a query if there is one
	Status int    // expected
}

// ParseSmoke parses the form "GET /health 200". Its errors are for the author of the request.
func ParseSmoke(text string) (s Smoke, err error) {
	parts := strings.Fields(text)
	if len(parts) != 3 {
		return s, fmt.Errorf("is %.200q: write it like GET /health 200", text)
	}
	s.Method, s.Path = parts[0], parts[1]
	if s.Method != strings.ToUpper(s.Method) || !httpfield.ValidName(s.Method) || s.Method == http.MethodConnect {
		return s, fmt.Errorf("is %.200q: %.40q is no method in capital letters", text, s.Method)
	}
	if _, err := url.ParseRequestURI(s.Path); err != nil || !strings.HasPrefix(s.Path, "/") {
		return s, fmt.Errorf("is %.200q: %.100q is no path that begins with /", text, s.Path)
	}
	if s.Status, err = strconv.Atoi(parts[2]); err != nil || s.Status < 200 || s.Status > 599 {
		return s, fmt.Errorf("is %.200q: %.40q is no status of 200 to 599", text, parts[2])
	}
	return s, nil
}

// String returns the form that ParseSmoke reads.
func (s Smoke) String() string { return fmt.Sprintf("%s %s %d", s.Method, s.Path, s.Status) }

// smoke sends the smoke requests to a prepared version that is not published. They are admitted like all others, and have
// effects like all others. The error is a problem with all requests that were answered otherwise.
func (d *Deployer) smoke(ctx context.Context, service registry.Service, deployment services.Deployment, all []Smoke) error {
	if len(all) == 0 {
		return nil
	}
	l := d.newLive(service, deployment, nil) // for its limiter and binding; it is never routed to
	defer d.dropLimiter(l)
	var violations problem.Violations
	for _, s := range all {
		if text := d.smokeOne(ctx, l, s); text != "" {
			violations.Add(FieldSmoke, "%s was answered with %s", s, text)
		}
		if ctx.Err() != nil {
			return asProblem("send the smoke requests", context.Cause(ctx))
		}
	}
	if len(violations) == 0 {
		return nil
	}
	p := problem.New(problem.ModuleInvalid, "the new version failed its smoke requests; nothing was changed").WithCause(ErrSmoke)
	p.Violations = violations
	return p
}

// smokeOne sends one request. It returns a text about the answer, or "" if the answer is the expected one.
func (d *Deployer) smokeOne(ctx context.Context, l *live, s Smoke) string {
	timeout := schema.TimeoutOf(l.service.Current.Manifest)
	if timeout <= 0 {
		timeout = smokeTime
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+smokeTime)
	defer cancel()
	prefix := strings.TrimSuffix(string(l.service.Key.Prefix), "/")
	r, err := http.NewRequestWithContext(ctx, s.Method, "http://"+smokeHost(l)+prefix+s.Path, http.NoBody)
	if err != nil {
		return "an error: it is no valid request"
	}
	r.RemoteAddr = "127.0.0.1:0"
	r.RequestURI = prefix + s.Path
	if match := l.service.Key.Match; match.Name != "" && match.Name != "Host" {
		r.Header.Set(match.Name, match.Value)
	}
	place, _, err := l.limiter.Acquire(ctx)
	if err != nil {
		return "an error: the server had no capacity for it"
	}
	defer place.Release()
	now := time.Now()
	w := &smokeWriter{header: http.Header{}}
	rest, _, _ := strings.Cut(s.Path, "?")
	request := &router.Request{Request: r, ID: "smoke", Client: forwarded.Internal(r), Prefix: string(l.service.Key.Prefix), Rest: rest, Arrived: now, Admitted: now}
	var result accesslog.Result
	err = router.Call(l.route.Handler, w, request, &result)
	switch {
	case err != nil && w.status == 0:
		p := problem.From(err)
		if p.Status != s.Status {
			return fmt.Sprintf("%d, %s", p.Status, p.Detail)
		}
		return ""
	case err != nil:
		return "a response that broke off"
	case w.status == 0:
		w.status = http.StatusOK
	}
	if w.status != s.Status {
		return strconv.Itoa(w.status)
	}
	return ""
}

// smokeHost returns the host that the service is asked for.
func smokeHost(l *live) string {
	if match := l.service.Key.Match; match.Name == "Host" {
		return match.Value
	}
	return "localhost"
}

// smokeWriter records a status and drops the body.
type smokeWriter struct {
	header http.Header
	status int
}

func (w *smokeWriter) Header() http.Header { return w.header }

func (w *smokeWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *smokeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

// FlushError supports Flush of http.ResponseController.
func (w *smokeWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}
