package forward

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/sockio"
)

// Limits of connections to peers.
const (
	connectTimeout = 2 * time.Second
	// idleTimeout is short, so that a request rarely meets a connection to a host that has stopped meanwhile: a new one shows that it lives.
	// It is less than that of the peers' listener.
	idleTimeout = time.Second
	// continueTimeout bounds the wait for the peer's decision, before which no byte of a body is sent.
	continueTimeout = 10 * time.Second
	maxIdle         = 64
	maxAnswerHeader = 256 << 10
	// asideTime is how long a peer gets no requests after it has failed.
	asideTime = 5 * time.Second
)

// PeerConfig describes another host.
type PeerConfig struct {
	Address string      // HOST:PORT of its listener for other hosts
	Token   string      // that it has announced
	TLS     *tls.Config // accepts its certificate alone
}

// Peer is another host that accepts requests. Close it at the end.
type Peer struct {
	cfg       PeerConfig // immutable
	transport *http.Transport
	pinging   chan struct{} // capacity 1: a request asks whether it lives
	// Times in nanoseconds of Unix time.
	aside   atomic.Int64 // until when it gets no requests
	heardAt atomic.Int64 // of its last response
	lost    atomic.Int64 // when it has last not responded
}

// NewPeer returns a peer. It connects to nothing.
func NewPeer(cfg PeerConfig) *Peer {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return sockio.Of(conn), nil
		},
		TLSClientConfig:        cfg.TLS,
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		Protocols:              &protocols,
	}
	return &Peer{cfg: cfg, transport: transport, pinging: make(chan struct{}, 1)}
}

// Close closes idle connections. Those in use close with their requests.
func (p *Peer) Close() { p.transport.CloseIdleConnections() }

func (p *Peer) failed(now time.Time) { p.aside.Store(now.Add(asideTime).UnixNano()) }

func (p *Peer) usable(now time.Time) bool { return now.UnixNano() >= p.aside.Load() }
