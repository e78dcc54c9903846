package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Bounds of connections to upstreams.
const (
	connectTimeout = 3 * time.Second
	// idleTimeout is shorter than what servers commonly keep an idle connection (Node.js: 5 s), so that a request seldom meets
	// one that is being closed.
	idleTimeout          = 4 * time.Second
	maxIdleConnections   = 128
	continueTimeout      = time.Second // for an upstream to ask for a body that the client has not sent yet
	maxAnswerHeaderBytes = 256 << 10
)

// upstream is one server behind a prefix, with its connections.
type upstream struct {
	health // guarded by balancer.mu

	origin    origin          // immutable
	transport *http.Transport // immutable
}

func newUpstream(o origin, trust *tls.Config) *upstream {
	var protocols http.Protocols
	switch o.scheme {
	case schemeH2C:
		protocols.SetUnencryptedHTTP2(true)
	case "https":
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	default:
		protocols.SetHTTP1(true)
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	return &upstream{origin: o, transport: &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        trust.Clone(),
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    maxIdleConnections,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
		Protocols:              &protocols,
	}}
}
