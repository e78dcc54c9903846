package server

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
)

// security is the TLS of all listeners.
type security struct {
	settings    *TLSSettings                                         // immutable, like all below
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: no listener speaks TLS
	clients     map[string]*certs.Authorities                        // of client certificates, by listener
}

// openTLS reads the certificates and the authorities, and watches their files as parts of list.
func openTLS(ctx context.Context, list *parts.List, settings *TLSSettings, log *slog.Logger) (*security, error) {
	s := &security{settings: settings, clients: make(map[string]*certs.Authorities)}
	if !settings.hasTLS() {
		return s, nil
	}
	var files *certs.Files
	err := list.Open(ctx, parts.Part{
		Name: "the certificates",
		Open: func(context.Context) (err error) {
			if files, err = certs.Open(settings.pairs(), log); err != nil {
				return settingsError{problem.Violate("tls-cert", "cannot be used with its --tls-key: %v", err)}
			}
			return nil
		},
		Run: func(ctx context.Context) error { files.Watch(ctx); return nil },
	})
	if err != nil {
		return nil, err
	}
	s.certificate = files.Certificate
	for _, listener := range [...]string{onAdmin, onWorkers} {
		if err := s.openAuthorities(ctx, list, listener, log); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openAuthorities reads and watches the authorities for the clients of a listener, if it has some.
func (s *security) openAuthorities(ctx context.Context, list *parts.List, listener string, log *slog.Logger) error {
	path := s.settings.clientCA(listener)
	if path == "" {
		return nil
	}
	return list.Open(ctx, parts.Part{
		Name: "the authorities for clients of the listener " + listener,
		Open: func(context.Context) error {
			authorities, err := certs.OpenAuthorities(path, log)
			if err != nil {
				return settingsError{problem.Violate(clientCASetting(listener), "cannot be used: %v", err)}
			}
			s.clients[listener] = authorities
			return nil
		},
		Run: func(ctx context.Context) error { s.clients[listener].Watch(ctx); return nil },
	})
}

// of returns the TLS configuration of a listener at an address; nil if it speaks no TLS. Versions and algorithms
// are those that Go chooses.
func (s *security) of(listener, address string, protocols ...string) *tls.Config {
	if !s.settings.secures(listener, address) {
		return nil
	}
	cfg := &tls.Config{
		GetCertificate: s.certificate,
		NextProtos:     protocols,
	}
	authorities := s.clients[listener]
	if authorities == nil {
		return cfg
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs = authorities.Pool()
	own := cfg.Clone()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		current := own.Clone()
		current.ClientCAs = authorities.Pool()
		return current, nil
	}
	return cfg
}

// scheme returns the scheme of the URLs of a listener.
func scheme(secured bool) string {
	if secured {
		return "https"
	}
	return "http"
}

// secured reports whether the public listener speaks TLS.
func (c *core) secured() bool { return c.security.settings.secures(onPublic, "") }

// url returns the URL of the public listener at an address.
func (s *server) url(address string) string { return scheme(s.core.secured()) + "://" + address }
