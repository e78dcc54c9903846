package router

import (
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// checkRate counts a request of a client for the limit of its service. It returns a problem if the request is beyond it.
// Internal requests are not counted. Neither are requests passed on by another host, which has counted them. One whose route was
// retired is counted once.
func (x *exchange) checkRate(l *ratelimit.Limiter) error {
	if x.only != "" || x.request.Passed || x.counted {
		return nil
	}
	wait := l.Take(rateKey(l, &x.request.Client, x.request.Header), x.request.Arrived)
	if x.counted = wait == 0; x.counted {
		return nil
	}
	x.record.Outcome = accesslog.OutcomeRateLimited
	return rateError(l.Policy(), wait)
}

// rateKey returns the key that a request is counted by.
func rateKey(l *ratelimit.Limiter, c *forwarded.Client, h http.Header) ratelimit.Key {
	p := l.Policy()
	switch p.By {
	case ratelimit.ByService:
		return l.OfAll()
	case ratelimit.ByHeader:
		if values := h[p.Header]; len(values) > 0 && values[0] != "" {
			return l.OfText(values[0])
		}
	}
	return l.OfAddr(forwarded.Site(c.Addr()))
}

func rateError(p ratelimit.Policy, wait time.Duration) error {
	detail := "this client has sent too many requests to the service; try again later"
	switch p.By {
	case ratelimit.ByService:
		detail = "there are too many requests to the service; try again later"
	case ratelimit.ByHeader:
		detail = "too many requests to the service had this value of " + p.Header + ", or were without one; try again later"
	}
	refused := problem.New(problem.TooManyRequests, detail)
	refused.RetryAfter = wait
	return refused
}
