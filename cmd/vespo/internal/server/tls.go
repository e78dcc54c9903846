package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/acme"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
)

// security is the TLS of all listeners.
type security struct {
	settings    *TLSSettings                                         // immutable, like all below
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: no listener speaks TLS
	manager     *acme.Manager                                        // nil without ACME
	clients     map[string]*certs.Authorities                        // of client certificates, by listener
}

// openTLS reads the certificates and the authorities, and watches their files as parts of list.
func openTLS(ctx context.Context, list *parts.List, settings *TLSSettings, dataDir string, log *slog.Logger) (*security, error) {
	s := &security{settings: settings, clients: make(map[string]*certs.Authorities)}
	if err := s.openFiles(ctx, list, log); err != nil {
		return nil, err
	}
	if err := s.openACME(ctx, list, dataDir, log); err != nil {
		return nil, err
	}
	for _, listener := range [...]string{onAdmin, onWorkers} {
		if err := s.openAuthorities(ctx, list, listener, log); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openFiles reads the certificates of --tls-cert, if there are some.
func (s *security) openFiles(ctx context.Context, list *parts.List, log *slog.Logger) error {
	if len(s.settings.TLSCert) == 0 {
		return nil
	}
	var files *certs.Files
	err := list.Open(ctx, parts.Part{
		Name: "the certificates",
		Open: func(context.Context) (err error) {
			if files, err = certs.Open(s.settings.pairs(), log); err != nil {
				return settingsError{problem.Violate("tls-cert", "cannot be used with its --tls-key: %v", err)}
			}
			return nil
		},
		Run: func(ctx context.Context) error { files.Watch(ctx); return nil },
	})
	if err != nil {
		return err
	}
	s.certificate = files.Certificate
	return nil
}

// acmeDir is the directory of ACME within the data directory.
const acmeDir = "acme"

// openACME reads the certificates that were obtained before. obtain obtains others.
func (s *security) openACME(ctx context.Context, list *parts.List, dataDir string, log *slog.Logger) error {
	if len(s.settings.ACMEDomain) == 0 {
		return nil
	}
	cfg := acme.Config{
		Domains:   s.settings.ACMEDomain,
		Email:     s.settings.ACMEEmail,
		Directory: s.settings.ACMEDirectory,
		Dir:       filepath.Join(dataDir, acmeDir),
		Default:   s.certificate == nil,
		Log:       log,
	}
	if path := s.settings.ACMECA; path != "" {
		roots, err := certs.ReadAuthorities(path)
		if err != nil {
			return settingsError{problem.Violate("acme-ca", "cannot be used: %v", err)}
		}
		cfg.Roots = roots
	}
	files := s.certificate
	return list.Open(ctx, parts.Part{
		Name: "the certificates of ACME",
		Open: func(ctx context.Context) error {
			s.manager = acme.Open(ctx, cfg)
			s.certificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				cert, err := s.manager.Certificate(hello)
				if err != nil && files != nil {
					return files(hello)
				}
				return cert, err
			}
			return nil
		},
		Close: func(context.Context) error { s.manager.Close(); return nil },
	})
}

// obtain obtains and renews certificates by ACME, as a part of list. Its listeners are open: secure,
// and plain for redirects unless it is nil.
func (s *security) obtain(ctx context.Context, list *parts.List, secure, plain net.Addr) error {
	if s.manager == nil {
		return nil
	}
	return list.Open(ctx, parts.Part{
		Name: "the renewal of certificates",
		Run:  func(ctx context.Context) error { s.manager.Run(ctx, secure, plain); return nil },
	})
}

// answersChallenges lets the handler for redirects answer challenges of ACME, too.
func (s *security) answersChallenges(next http.Handler) http.Handler {
	if s.manager == nil {
		return next
	}
	return s.manager.Handler(next)
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
// are the defaults of Go.
func (s *security) of(listener, address string, protocols ...string) *tls.Config {
	if !s.settings.secures(listener, address) {
		return nil
	}
	cfg := &tls.Config{
		GetCertificate: s.certificate,
		NextProtos:     protocols,
	}
	if listener == onPublic && s.manager != nil {
		cfg.NextProtos = append(cfg.NextProtos, acme.Protocol)
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
