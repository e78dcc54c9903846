package proxy

import "github.com/vespo-dev/vespo/services"

// ErrTunnelIdle is exported for tests.
var ErrTunnelIdle = errTunnelIdle

// UpstreamRequests returns the number of requests that the upstreams of a proxy have.
func UpstreamRequests(d services.Deployment) (n int) {
	for _, u := range d.(*deployment).balancer.upstreams {
		n += u.inFlight
	}
	return n
}
